//! The members of each topic, on all shards.
//!
//! Every shard has the whole table: each tells all others of its own sessions'
//! comings and goings, and so can answer by itself.
//!
//! # Invariants worth naming
//!
//! - A presence has a reference that no other has, in this run or the one before.
//! - The changes that one shard tells of its sessions are applied everywhere in the
//!   order told, so a member that has gone is gone on each shard.
//! - A change is in the table at once and in the next difference once. A difference
//!   holds what came and what went, also if it is the same: a client may have been told
//!   of it in between. Clients take what they know already for no change, so a client
//!   that joins late and hears of a change twice is right too.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;
use std::sync::Arc;

use crate::json::write_text;

/// A member came or went.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) topic: Arc<str>,
    pub(crate) key: Arc<str>,
    pub(crate) reference: u64,
    /// The fields of a JSON object, at least one, about a member that came. `None` for
    /// one that went.
    pub(crate) fields: Option<Arc<str>>,
}

/// One presence under its key.
#[derive(Debug, Clone)]
struct Meta {
    reference: u64,
    fields: Arc<str>,
}

impl Meta {
    fn write(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "{{{},\"phx_ref\":\"{:x}\"}}",
            self.fields, self.reference
        );
    }
}

#[derive(Debug, Default)]
struct Present {
    keys: BTreeMap<Arc<str>, Vec<Meta>>,
    /// The members that came and went since the last difference, under their keys.
    joins: Vec<(Arc<str>, Meta)>,
    leaves: Vec<(Arc<str>, Meta)>,
}

/// All presences of one route.
#[derive(Debug, Default)]
pub(crate) struct Presences {
    topics: HashMap<Arc<str>, Present>,
    /// The topics that have a difference to tell.
    changed: VecDeque<Arc<str>>,
}

impl Presences {
    /// Applies a change.
    pub(crate) fn apply(&mut self, change: &Change) {
        let present = self.topics.entry(change.topic.clone()).or_default();
        let had_difference = !present.joins.is_empty() || !present.leaves.is_empty();
        let key = &change.key;
        match &change.fields {
            Some(fields) => {
                let meta = Meta {
                    reference: change.reference,
                    fields: fields.clone(),
                };
                present.joins.push((key.clone(), meta.clone()));
                present.keys.entry(key.clone()).or_default().push(meta);
            }
            None => {
                let Some(metas) = present.keys.get_mut(key) else {
                    return;
                };
                let gone = |meta: &Meta| meta.reference == change.reference;
                let Some(place) = metas.iter().position(gone) else {
                    return;
                };
                let meta = metas.remove(place);
                if metas.is_empty() {
                    present.keys.remove(key);
                }
                present.leaves.push((key.clone(), meta));
            }
        }
        if !had_difference {
            self.changed.push_back(change.topic.clone());
        }
    }

    /// Writes the members of a topic, after the text that `out` holds.
    pub(crate) fn write_state(&self, topic: &str, out: &mut String) {
        out.push('{');
        if let Some(present) = self.topics.get(topic) {
            let mut first = true;
            for (key, metas) in &present.keys {
                write_key(key, metas, &mut first, out);
            }
        }
        out.push('}');
    }

    /// Takes what has changed in one topic since the last time. To be called until
    /// there is nothing.
    pub(crate) fn take_difference(&mut self) -> Option<(Arc<str>, String)> {
        let topic = self.changed.pop_front()?;
        let Entry::Occupied(mut entry) = self.topics.entry(Arc::clone(&topic)) else {
            unreachable!("a topic stays while there is a difference to tell");
        };
        let present = entry.get_mut();
        let mut json = "{\"joins\":".to_owned();
        write_grouped(std::mem::take(&mut present.joins), &mut json);
        json.push_str(",\"leaves\":");
        write_grouped(std::mem::take(&mut present.leaves), &mut json);
        json.push('}');
        if present.keys.is_empty() {
            entry.remove();
        }
        Some((topic, json))
    }
}

/// Writes what is under each key, in the order in which it came.
fn write_grouped(mut changes: Vec<(Arc<str>, Meta)>, out: &mut String) {
    changes.sort_by(|(a, _), (b, _)| a.cmp(b));
    out.push('{');
    let mut first = true;
    for group in changes.chunk_by(|(a, _), (b, _)| a == b) {
        write_key(
            &group[0].0,
            group.iter().map(|(_, meta)| meta),
            &mut first,
            out,
        );
    }
    out.push('}');
}

fn write_key<'a>(
    key: &str,
    metas: impl IntoIterator<Item = &'a Meta>,
    first: &mut bool,
    out: &mut String,
) {
    if !std::mem::take(first) {
        out.push(',');
    }
    write_text(key, out);
    out.push_str(":{\"metas\":[");
    for (place, meta) in metas.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        meta.write(out);
    }
    out.push_str("]}");
}

#[cfg(test)]
mod tests;
