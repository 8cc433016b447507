//! The connections of one thread: their entries, their sockets in the session
//! plane, and which of them is to be served next.
//!
//! Sessions of the server and connections of the load generator are entries of
//! such a table.
//!
//! # Invariants worth naming
//!
//! - An entry's socket is watched exactly as long as the entry is in the table.
//! - A [`SessionKey`] finds the entry it was made for or none: a place in the
//!   table is used again, a generation is not (it wraps after 2³² connections,
//!   when a key of the first has long been forgotten).
//! - Readiness comes as edges. An entry that is not read to the end asks for
//!   another turn ([`EntryMut::read_later`]), and stands in that list once.
//! - An entry that asked for another turn is read until its socket is empty or
//!   its stream has ended, because an end that came meanwhile is told only once.

use std::io;

use slab::Slab;

use crate::link::Outlet;
use crate::plane::{Plane, Readiness, SessionKey};

/// Full buffers read from one connection before the others have their turn.
pub const READS_PER_TURN: usize = 4;

/// The interface of its entries that a table needs.
pub trait Entry {
    /// The generation it was inserted with.
    fn generation(&self) -> u32;

    /// The outlet that reads and writes its socket.
    fn outlet(&self) -> &Outlet;

    /// Notes that the entry will be read in the next turn. Returns whether that is
    /// new.
    fn set_due(&mut self) -> bool;

    /// Notes that this turn has come.
    fn clear_due(&mut self);
}

/// The buffer received bytes are read into.
///
/// It begins in the middle of a page. Large allocations begin on one, and some
/// processors copy many times slower between two places that lie almost a
/// multiple of a page apart.
#[derive(Debug, Default)]
pub struct Scratch(Vec<u8>);

impl Scratch {
    const OFFSET: usize = 2_048;

    /// A buffer of `len` bytes.
    pub fn new(len: usize) -> Self {
        Scratch(vec![0; Self::OFFSET + len])
    }

    /// The buffer.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.0[Self::OFFSET..]
    }
}

/// The connections of one thread; see the [module](self).
pub struct Table<T> {
    plane: Box<dyn Plane>,
    entries: Slab<T>,
    next_generation: u32,
    /// One more than the highest place that was ever taken.
    places: usize,
    /// Connections to serve in this turn, and how many of them were.
    ready: Vec<Readiness>,
    served: usize,
    /// Connections to read in the next turn.
    again: Vec<SessionKey>,
}

/// One entry of a table, borrowed.
pub struct EntryMut<'a, T> {
    /// Its key.
    pub key: SessionKey,
    /// The entry.
    pub entry: &'a mut T,
    again: &'a mut Vec<SessionKey>,
}

impl<T: Entry> EntryMut<'_, T> {
    /// Has the entry read in the next turn, until the end of its stream or until
    /// nothing is left.
    pub fn read_later(&mut self) {
        if self.entry.set_due() {
            self.again.push(self.key);
        }
    }
}

impl<T: Entry> Table<T> {
    /// An empty table with room for `expected` entries; untouched room costs no
    /// memory.
    pub fn new(plane: Box<dyn Plane>, expected: usize) -> Self {
        Table {
            plane,
            entries: Slab::with_capacity(expected),
            next_generation: 0,
            places: 0,
            ready: Vec::new(),
            served: 0,
            again: Vec::new(),
        }
    }

    /// Connections in the table.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One more than the highest place that was ever taken; a walk of the table by
    /// places goes up to here.
    pub fn places(&self) -> usize {
        self.places
    }

    /// Enters a connection and has its socket watched. `make` gets its generation.
    ///
    /// # Errors
    /// When the kernel has no memory for one more watch; the entry comes back.
    pub fn insert(
        &mut self,
        make: impl FnOnce(u32) -> T,
    ) -> Result<EntryMut<'_, T>, (T, io::Error)> {
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let entry = make(generation);
        let vacant = self.entries.vacant_entry();
        let key = SessionKey {
            index: vacant.key() as u32,
            generation,
        };
        if let Err(error) = self.plane.watch(entry.outlet().watched(), key) {
            return Err((entry, error));
        }
        self.places = self.places.max(vacant.key() + 1);
        Ok(EntryMut {
            key,
            entry: vacant.insert(entry),
            again: &mut self.again,
        })
    }

    /// The entry of this key, unless it is gone.
    #[inline]
    pub fn get(&mut self, key: SessionKey) -> Option<EntryMut<'_, T>> {
        let entry = self
            .entries
            .get_mut(key.index as usize)
            .filter(|entry| entry.generation() == key.generation)?;
        Some(EntryMut {
            key,
            entry,
            again: &mut self.again,
        })
    }

    /// The entry at a place, whichever it is.
    #[inline]
    pub fn at(&mut self, index: u32) -> Option<EntryMut<'_, T>> {
        let entry = self.entries.get_mut(index as usize)?;
        let key = SessionKey {
            index,
            generation: entry.generation(),
        };
        Some(EntryMut {
            key,
            entry,
            again: &mut self.again,
        })
    }

    /// All entries with their keys.
    pub fn iter(&self) -> impl Iterator<Item = (SessionKey, &T)> {
        self.entries.iter().map(|(index, entry)| {
            let generation = entry.generation();
            let index = index as u32;
            (SessionKey { index, generation }, entry)
        })
    }

    /// Takes an entry out; its socket is watched no more.
    pub fn remove(&mut self, key: SessionKey) -> Option<T> {
        self.get(key)?;
        let entry = self.entries.remove(key.index as usize);
        self.plane.unwatch(entry.outlet().watched(), key);
        Some(entry)
    }

    /// Watches a socket again whose watch the kernel gave up
    /// ([`Readiness::lapsed`]).
    ///
    /// # Errors
    /// As [`insert`](Table::insert).
    pub fn watch_again(&mut self, key: SessionKey) -> io::Result<()> {
        match self.entries.get(key.index as usize) {
            Some(entry) if entry.generation() == key.generation => {
                self.plane.watch(entry.outlet().watched(), key)
            }
            _ => Ok(()),
        }
    }

    /// Begins a turn: finds out which connections are to be served in it, those
    /// that asked for it before the others. Returns whether more are ready than
    /// were taken.
    ///
    /// # Errors
    /// Only when the kernel interface itself is broken.
    pub fn begin_turn(&mut self) -> io::Result<bool> {
        self.ready.clear();
        self.served = 0;
        // Readiness that came in between is forgotten, an end of the stream too.
        self.ready.extend(self.again.drain(..).map(|key| Readiness {
            key,
            readable: true,
            writable: false,
            hung_up: true,
            lost: false,
            lapsed: false,
        }));
        for readiness in &self.ready {
            let entry = self.entries.get_mut(readiness.key.index as usize);
            if let Some(entry) =
                entry.filter(|entry| entry.generation() == readiness.key.generation)
            {
                entry.clear_due();
            }
        }
        self.plane.turn(&mut self.ready)
    }

    /// The next connection to serve in this turn.
    #[inline]
    pub fn next_ready(&mut self) -> Option<Readiness> {
        let next = self.ready.get(self.served).copied();
        self.served += usize::from(next.is_some());
        next
    }

    /// Connections that were ready in this turn.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether connections are to be read in the next turn.
    pub fn has_due(&self) -> bool {
        !self.again.is_empty()
    }

    /// The session plane, to wait for.
    pub fn plane(&mut self) -> &mut dyn Plane {
        &mut *self.plane
    }
}
