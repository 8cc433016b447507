//! How many connections one source may have, and how often it may come.
//!
//! # Invariants worth naming
//!
//! - The table is shared by all shards, because the kernel deals a source's
//!   connections out to all of them. It is touched when a connection is
//!   accepted and when it ends, never per message, and its locks are many and
//!   held for one look-up.
//! - A source is forgotten when it has no connection and its rate is as if it
//!   had never come, so the table is as large as there are sources now.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::rate::{Bucket, Rate};

/// Parts of the table with a lock each.
const STRIPES: usize = 64;
/// Sources in a part before those that may be forgotten are looked for.
const FEW: usize = 64;

/// The limits of one source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceLimits {
    /// Connections at one time; zero for any number.
    pub(crate) max_connections: usize,
    /// Opening handshakes per second, if they are limited.
    pub(crate) handshakes: Option<Rate>,
    /// Leading bits of an IPv6 address that make a source.
    pub(crate) ipv6_prefix: u8,
}

/// Why a connection is refused for its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceRefusal {
    /// The source has as many connections as it may.
    Full,
    /// The source comes too often.
    TooFast {
        /// When it may come again.
        retry_after: Duration,
    },
}

/// The sources that are known now.
pub(crate) struct Sources {
    limits: RwLock<SourceLimits>,
    /// Leading bits of an IPv6 address that make a source. They cannot change while
    /// there are connections of the sources that they make.
    ipv6_prefix: u8,
    epoch: Instant,
    /// Keyed at random, so that no client can choose addresses that collide.
    hasher: RandomState,
    stripes: [Mutex<Stripe>; STRIPES],
}

struct Stripe {
    sources: HashMap<IpAddr, Source, RandomState>,
    /// The number of sources at which to look for those that may be forgotten.
    forget_at: usize,
}

#[derive(Default)]
struct Source {
    connections: usize,
    handshakes: Bucket,
    /// Whether its spare place is taken.
    is_spare_taken: bool,
}

impl Sources {
    /// A table, or `None` where nothing is limited.
    pub(crate) fn new(limits: SourceLimits) -> Option<Arc<Self>> {
        let is_limited = limits.max_connections > 0 || limits.handshakes.is_some();
        let hasher = RandomState::new();
        is_limited.then(|| {
            Arc::new(Sources {
                ipv6_prefix: limits.ipv6_prefix,
                limits: RwLock::new(limits),
                epoch: Instant::now(),
                stripes: std::array::from_fn(|_| {
                    Mutex::new(Stripe {
                        sources: HashMap::with_hasher(hasher.clone()),
                        forget_at: FEW,
                    })
                }),
                hasher,
            })
        })
    }

    /// Has other limits from now on. Connections over them stay, and new ones are let
    /// in when there are fewer.
    pub(crate) fn set_limits(&self, limits: SourceLimits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    fn limits(&self) -> SourceLimits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a connection in, or says why not. Its place is given back when the
    /// [`Admission`] is dropped.
    ///
    /// # Errors
    /// When the source is over a limit.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admission, SourceRefusal> {
        self.admit_at(address, self.epoch.elapsed().as_millis() as u64)
    }

    fn admit_at(
        self: &Arc<Self>,
        address: IpAddr,
        now_ms: u64,
    ) -> Result<Admission, SourceRefusal> {
        let limits = self.limits();
        let key = self.source_of(address);
        let mut stripe = self.stripe_of(&key);
        if stripe.sources.len() >= stripe.forget_at {
            stripe.forget(limits.handshakes, now_ms);
        }
        let source = stripe.sources.entry(key).or_insert_with(|| Source {
            connections: 0,
            is_spare_taken: false,
            handshakes: limits
                .handshakes
                .map_or(Bucket::default(), |rate| Bucket::full(rate, now_ms)),
        });
        if limits.max_connections > 0 && source.connections >= limits.max_connections {
            return Err(SourceRefusal::Full);
        }
        if let Some(rate) = limits.handshakes {
            if source.handshakes.tokens(rate, now_ms) == 0 {
                let retry_after = Duration::from_millis(source.handshakes.wait_ms(rate, now_ms));
                return Err(SourceRefusal::TooFast { retry_after });
            }
            source.handshakes.take(1);
        }
        source.connections += 1;
        Ok(Admission {
            sources: Arc::clone(self),
            key,
        })
    }

    /// The place that a source over its limits has for a connection that may be a health
    /// check, if no other has it.
    pub(crate) fn spare(self: &Arc<Self>, address: IpAddr) -> Option<Spare> {
        let key = self.source_of(address);
        let mut stripe = self.stripe_of(&key);
        // It is known, or it would not be over a limit.
        let source = stripe.sources.get_mut(&key)?;
        if std::mem::replace(&mut source.is_spare_taken, true) {
            return None;
        }
        Some(Spare {
            sources: Arc::clone(self),
            key,
        })
    }

    fn release(&self, key: &IpAddr, release: impl FnOnce(&mut Source)) {
        let mut stripe = self.stripe_of(key);
        if let Some(source) = stripe.sources.get_mut(key) {
            release(source);
            let is_here = source.connections > 0 || source.is_spare_taken;
            if !is_here && self.limits().handshakes.is_none() {
                stripe.sources.remove(key);
            }
        }
    }

    /// The part of an address that counts.
    fn source_of(&self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let mask = u128::MAX << (128 - u32::from(self.ipv6_prefix));
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        }
    }

    fn stripe_of(&self, key: &IpAddr) -> MutexGuard<'_, Stripe> {
        // The table in the stripe has the same hasher and begins at the lowest
        // bits; were they to choose the stripe, its sources would all collide.
        let stripe = (self.hasher.hash_one(key) >> 32) as usize % STRIPES;
        // The protected table is whole at every step that could panic.
        self.stripes[stripe]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let lock = |stripe: &Mutex<Stripe>| stripe.lock().unwrap().sources.len();
        self.stripes.iter().map(lock).sum()
    }
}

impl Stripe {
    /// Forgets the sources about which there is nothing to remember. The next
    /// time is when there are twice as many as are left, so that each connection
    /// pays for a few looks at most.
    fn forget(&mut self, handshakes: Option<Rate>, now_ms: u64) {
        self.sources.retain(|_, source| {
            source.connections > 0
                || source.is_spare_taken
                || handshakes.is_some_and(|rate| !source.handshakes.is_full(rate, now_ms))
        });
        self.forget_at = (self.sources.len() * 2).max(FEW);
    }
}

/// A connection's place among those of its source.
pub(crate) struct Admission {
    sources: Arc<Sources>,
    key: IpAddr,
}

impl Admission {
    /// Gives back what was taken, the handshake of the source's rate too.
    pub(crate) fn give_back(self) {
        let mut stripe = self.sources.stripe_of(&self.key);
        if let Some(source) = stripe.sources.get_mut(&self.key) {
            source.handshakes.give_back(1);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.sources
            .release(&self.key, |source| source.connections -= 1);
    }
}

/// The spare place of a source that is over a limit.
pub(crate) struct Spare {
    sources: Arc<Sources>,
    key: IpAddr,
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.sources
            .release(&self.key, |source| source.is_spare_taken = false);
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sources").field(&self.limits()).finish()
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission").field(&self.key).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn sources(max_connections: usize, per_second: usize) -> Arc<Sources> {
        Sources::new(SourceLimits {
            max_connections,
            handshakes: Rate::new(per_second, Duration::from_secs(1)),
            ipv6_prefix: 64,
        })
        .unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn without_limits_there_is_no_table() {
        let limits = SourceLimits {
            max_connections: 0,
            handshakes: None,
            ipv6_prefix: 64,
        };
        assert!(Sources::new(limits).is_none());
    }

    #[test]
    fn a_source_has_its_connections_and_no_more() {
        let sources = sources(2, 0);
        let first = sources.admit(ip("192.0.2.7")).unwrap();
        let _second = sources.admit(ip("192.0.2.7")).unwrap();
        assert_eq!(
            sources.admit(ip("192.0.2.7")).unwrap_err(),
            SourceRefusal::Full
        );
        assert!(sources.admit(ip("192.0.2.8")).is_ok(), "another source");
        drop(first);
        assert!(sources.admit(ip("192.0.2.7")).is_ok());
    }

    #[test]
    fn a_source_comes_as_often_as_it_may() {
        let sources = sources(0, 2);
        let come = |now_ms| sources.admit_at(ip("192.0.2.7"), now_ms).map(drop);
        assert_eq!(come(0), Ok(()));
        assert_eq!(come(0), Ok(()));
        let retry_after = Duration::from_millis(500);
        assert_eq!(come(0), Err(SourceRefusal::TooFast { retry_after }));
        // A refused handshake does not count against its source.
        assert_eq!(come(500), Ok(()));
    }

    #[test]
    fn a_health_check_takes_nothing() {
        let limited = sources(1, 1);
        let come = |now_ms| limited.admit_at(ip("192.0.2.7"), now_ms);
        for _ in 0..3 {
            come(0).unwrap().give_back();
        }
        let _session = come(0).unwrap();
        assert_eq!(come(0).unwrap_err(), SourceRefusal::Full);
        // Nothing more than a whole burst is given back.
        let open = sources(0, 1);
        let early = open.admit_at(ip("192.0.2.7"), 0).unwrap();
        drop(open.admit_at(ip("192.0.2.7"), 5_000).unwrap());
        early.give_back();
        drop(open.admit_at(ip("192.0.2.7"), 5_000).unwrap());
        assert!(open.admit_at(ip("192.0.2.7"), 5_000).is_err());
    }

    #[test]
    fn a_source_has_one_spare_place() {
        let sources = sources(1, 0);
        assert!(sources.spare(ip("192.0.2.7")).is_none(), "it has not come");
        let session = sources.admit(ip("192.0.2.7")).unwrap();
        let spare = sources.spare(ip("192.0.2.7")).unwrap();
        assert!(sources.spare(ip("192.0.2.7")).is_none());
        drop(session);
        let again = sources.admit(ip("192.0.2.7")).unwrap();
        drop(spare);
        assert!(sources.spare(ip("192.0.2.7")).is_some());
        drop(again);
        assert_eq!(sources.len(), 0);
    }

    #[test]
    fn limits_can_change_while_there_are_connections() {
        let sources = sources(2, 0);
        let limits = |max_connections, per_second| SourceLimits {
            max_connections,
            handshakes: Rate::new(per_second, Duration::from_secs(1)),
            ipv6_prefix: 64,
        };
        let come = |now_ms| sources.admit_at(ip("192.0.2.7"), now_ms);
        let first = come(0).unwrap();
        let _second = come(0).unwrap();
        sources.set_limits(limits(1, 0));
        drop(first);
        assert_eq!(come(0).unwrap_err(), SourceRefusal::Full, "one is left");
        sources.set_limits(limits(0, 0));
        let _others = [come(0).unwrap(), come(0).unwrap()];
        // They are counted although there was no limit.
        sources.set_limits(limits(3, 0));
        assert_eq!(come(0).unwrap_err(), SourceRefusal::Full);
        // A source that was there before its rate was limited may come at that rate.
        sources.set_limits(limits(0, 1));
        assert!(come(5_000).is_ok());
        assert!(matches!(come(5_000), Err(SourceRefusal::TooFast { .. })));
        assert!(come(6_000).is_ok());
    }

    #[test]
    fn an_ipv6_source_is_a_network_and_an_ipv4_source_an_address() {
        let sources = sources(1, 0);
        let _v6 = sources.admit(ip("2001:db8:0:1::1")).unwrap();
        assert!(sources.admit(ip("2001:db8:0:1:ffff::2")).is_err());
        assert!(sources.admit(ip("2001:db8:0:2::1")).is_ok());
        let _v4 = sources.admit(ip("192.0.2.7")).unwrap();
        assert!(
            sources.admit(ip("::ffff:192.0.2.7")).is_err(),
            "the same in other words"
        );
        assert!(sources.admit(ip("::ffff:192.0.2.8")).is_ok());
    }

    #[test]
    fn every_prefix_can_be_asked_for() {
        for ipv6_prefix in [16, 127, 128] {
            let limits = SourceLimits {
                max_connections: 1,
                handshakes: None,
                ipv6_prefix,
            };
            let sources = Sources::new(limits).unwrap();
            let _one = sources.admit(ip("2001:db8::2")).unwrap();
            assert_eq!(sources.admit(ip("2001:db8::3")).is_ok(), ipv6_prefix == 128);
        }
    }

    #[test]
    fn sources_are_forgotten() {
        let limited = sources(1, 0);
        for host in 0..10_000u32 {
            drop(limited.admit(IpAddr::from(host.to_be_bytes())).unwrap());
        }
        assert_eq!(limited.len(), 0);

        // With a rate they are remembered until they may come as at first.
        let limited = sources(0, 10);
        for host in 0..100_000u32 {
            let now_ms = u64::from(host);
            drop(
                limited
                    .admit_at(IpAddr::from(host.to_be_bytes()), now_ms)
                    .unwrap(),
            );
        }
        let held = limited.len();
        assert!(held < 3 * STRIPES * FEW, "{held} sources");
    }

    #[test]
    fn threads_that_come_and_go_leave_nothing_behind() {
        let sources = sources(100, 0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..2_000u32 {
                        let address = IpAddr::from((round % 7).to_be_bytes());
                        drop(sources.admit(address).expect("four at a time are few"));
                    }
                });
            }
        });
        assert_eq!(sources.len(), 0);
    }
}
