//! A session plane whose readiness is scripted.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::Duration;

use crate::link::Link;
use crate::link::scripted::WireId;
use crate::plane::{Plane, Readiness, SessionKey};

/// The state that a plane and the world share.
#[derive(Default)]
pub(super) struct PlaneState {
    watched: BTreeMap<WireId, SessionKey>,
    pending: BTreeMap<WireId, Readiness>,
    /// Watches to refuse from now on.
    pub(super) refusals: usize,
}

impl PlaneState {
    /// Something changed at a connection. Changes that come before the next turn are
    /// one report, as in the kernel.
    pub(super) fn edge(&mut self, wire: WireId, change: impl FnOnce(&mut Readiness)) {
        let Some(&key) = self.watched.get(&wire) else {
            return;
        };
        change(self.pending.entry(wire).or_insert(Readiness {
            key,
            readable: false,
            writable: false,
            hung_up: false,
            lost: false,
            lapsed: false,
        }));
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn watches(&self) -> usize {
        self.watched.len()
    }
}

pub(super) struct ScriptedPlane(pub(super) Rc<RefCell<PlaneState>>);

fn wire(link: &Link) -> WireId {
    match link {
        Link::Scripted(socket) => socket.id(),
        Link::Plain(_) => unreachable!("a simulated shard has scripted sockets"),
    }
}

impl Plane for ScriptedPlane {
    fn watch(&mut self, link: &Link, key: SessionKey) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        if state.refusals > 0 {
            state.refusals -= 1;
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let wire = wire(link);
        state.watched.insert(wire, key);
        // The kernel reports at once what is there already.
        state.edge(wire, |readiness| {
            readiness.readable = wire.is_readable();
            readiness.hung_up = wire.has_ended();
            readiness.writable = wire.has_room();
        });
        Ok(())
    }

    fn unwatch(&mut self, link: &Link, key: SessionKey) {
        let mut state = self.0.borrow_mut();
        let wire = wire(link);
        assert_eq!(state.watched.remove(&wire), Some(key), "it was not watched");
        state.pending.remove(&wire);
    }

    fn turn(&mut self, ready: &mut Vec<Readiness>) -> io::Result<bool> {
        let mut state = self.0.borrow_mut();
        ready.extend(std::mem::take(&mut state.pending).into_values());
        Ok(false)
    }

    fn looks_ready(&mut self) -> bool {
        self.0.borrow().has_pending()
    }

    /// A simulated shard does not sleep.
    fn wait(&mut self, _limit: Option<Duration>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Nor has it a runtime.
    fn await_call(&mut self, _guest: BorrowedFd<'_>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn takes_call(&mut self) -> bool {
        false
    }
}
