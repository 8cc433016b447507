//! A hub with subscribers whose sockets are left out.

use std::rc::Rc;
use std::sync::Arc;

use corecast::hub::{Hub, ShardMessage, Subscriptions, Topic};
use corecast::mesh::{self, ShardEnd, ShardWaker, Weigh};
use corecast::metrics::ShardMetrics;
use corecast::publication::Run;
use corecast::sys::EventFd;
use corecast::ws::PreparedFrame;

/// Messages that each ring holds, and deliveries between two looks at the sockets: the
/// defaults of a server.
pub const RING_CAPACITY: usize = 1_024;
const FAN_OUT_SLICE: usize = 256;

/// The ends of the rings between so many shards, as a server would connect them,
/// which also has a ring to each from its publishers outside.
pub fn shards<M: Clone + Weigh>(count: usize) -> Vec<ShardEnd<M>> {
    let wakers: Vec<_> = (0..count)
        .map(|_| EventFd::new().expect("a descriptor is free"))
        .map(|event| Arc::new(ShardWaker::new(Arc::new(event))))
        .collect();
    let (ends, _) = mesh::connect(&wakers, 1, RING_CAPACITY);
    ends
}

/// A shard's hub at its end of the rings, without subscribers, and what it counts.
pub fn hub(end: ShardEnd<ShardMessage>) -> (Hub, Arc<ShardMetrics>) {
    let metrics = Arc::new(ShardMetrics::default());
    (Hub::new(end, RING_CAPACITY, Arc::clone(&metrics)), metrics)
}

/// A stand-in for a session: an entry of the same size in the shard's table, which each
/// delivery has to look at.
#[derive(Default)]
#[repr(align(8))]
struct Listener {
    received: u64,
    subscriptions: Subscriptions,
    _rest: [u32; 11],
}

/// The subscribers of one topic on a server of one shard.
pub struct Audience {
    hub: Hub,
    topic: Topic,
    listeners: Vec<Listener>,
    slice: usize,
}

impl Audience {
    pub fn new(subscribers: usize) -> Audience {
        let end = shards(1).pop().expect("one was asked for");
        let (hub, _) = hub(end);
        let mut audience = Audience {
            hub,
            topic: Topic::new("/broadcast"),
            listeners: (0..subscribers).map(|_| Listener::default()).collect(),
            slice: FAN_OUT_SLICE,
        };
        for session in 0..subscribers {
            assert!(audience.join(session));
        }
        audience
    }

    /// Enters a session into the topic, unless it is in it.
    pub fn join(&mut self, session: usize) -> bool {
        let own = &mut self.listeners[session].subscriptions;
        self.hub.subscribe(session as u32, own, &self.topic)
    }

    /// Takes a session out of the topic, if it is in it.
    pub fn leave(&mut self, session: usize) -> bool {
        let own = &mut self.listeners[session].subscriptions;
        self.hub.unsubscribe(own, &self.topic)
    }

    /// Publishes to all. Nothing is delivered yet.
    pub fn publish(&mut self, frame: &PreparedFrame) {
        self.hub.publish(&self.topic, frame.clone(), None);
    }

    /// Makes all deliveries, slice by slice as a shard does, each by counting its
    /// bytes. Returns how many there were.
    pub fn deliver(&mut self) -> usize {
        self.deliver_with(|_, run| run.len())
    }

    /// The same; `send` says for each session how many bytes left.
    pub fn deliver_with(&mut self, mut send: impl FnMut(usize, &Rc<Run>) -> usize) -> usize {
        let Audience {
            hub,
            listeners,
            slice,
            ..
        } = self;
        let mut deliveries = 0;
        while hub.has_fan_out() {
            hub.run_slice(*slice, |session, run| {
                let session = session as usize;
                listeners[session].received += send(session, run) as u64;
                deliveries += 1;
            });
        }
        deliveries
    }

    /// The bytes that each listener has received, if it is the same for all.
    pub fn received_by_each(&self) -> Option<u64> {
        let received = self.listeners.first()?.received;
        let all = self.listeners.iter();
        all.map(|listener| listener.received)
            .all(|each| each == received)
            .then_some(received)
    }
}
