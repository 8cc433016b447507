//! The queues of a listener: how many may come at once.

use crate::doctor::check::LISTEN_CONF;
use crate::doctor::{Amount, Asked, Check, Stops, Verdict};
use crate::number::grouped;
use crate::{Reading, Root, Settings};

const CONCERN: &str = "listen";

/// The bounds of the queues.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The backlog that the server asks for, on each shard.
    pub backlog: u64,
    /// Connections that may wait to be accepted, on each listener.
    pub somaxconn: Reading<u64>,
    /// Half-open connections of a listener, where there are no cookies.
    pub syn_backlog: Reading<u64>,
    /// Whether a full queue is answered with cookies.
    pub syncookies: Reading<u64>,
    /// Whether a full queue is answered with a reset.
    pub abort_on_overflow: Reading<u64>,
    /// Whether waiting connections move to another listener when theirs closes.
    pub migrate_req: Reading<u64>,
}

impl Facts {
    /// Reads them, for a server with these settings.
    pub fn read(root: &Root, settings: &Settings) -> Facts {
        Facts {
            backlog: settings.backlog,
            somaxconn: root.sysctl("net.core.somaxconn"),
            syn_backlog: root.sysctl("net.ipv4.tcp_max_syn_backlog"),
            syncookies: root.sysctl("net.ipv4.tcp_syncookies"),
            abort_on_overflow: root.sysctl("net.ipv4.tcp_abort_on_overflow"),
            migrate_req: root.sysctl("net.ipv4.tcp_migrate_req"),
        }
    }

    /// Judges them; a host without a server has nothing that listens.
    pub fn checks(&self, asked: &Asked) -> Vec<Check> {
        if !asked.role.serves() {
            return Vec::new();
        }
        vec![
            self.somaxconn(asked),
            self.syn_backlog(asked),
            self.syncookies(),
            self.abort_on_overflow(),
            self.migrate_req(),
        ]
    }

    /// A queue that holds a shard's part when everybody comes back at once, as
    /// long as the server asks for.
    fn queue_for(&self, asked: &Asked) -> u64 {
        let part = asked.connections.div_ceil(asked.shards.max(1));
        part.clamp(1, self.backlog.max(1))
    }

    fn somaxconn(&self, asked: &Asked) -> Check {
        let check = Check::sysctl(CONCERN, "net.core.somaxconn");
        let most = match &self.somaxconn {
            Ok(most) => *most,
            Err(reason) => return check.unknown(reason),
        };
        let needed = self.queue_for(asked);
        let length = most.min(self.backlog);
        // A queue is full with one more than its length.
        let burst = asked.shards.saturating_mul(length + 1);
        let check = check
            .value(Amount::Count(most))
            .needed(Amount::Count(needed))
            .stops(Stops::Burst(burst));
        if most >= needed {
            check.verdict(
                Verdict::Fits,
                "all may come back at once, as after an outage",
            )
        } else {
            check.verdict(
                Verdict::Slows,
                format!(
                    "when more than {} come faster than they are accepted, the others try again \
                     after a second or more",
                    grouped(burst)
                ),
            )
        }
        .set(LISTEN_CONF, needed)
    }

    fn syn_backlog(&self, asked: &Asked) -> Check {
        let check = Check::sysctl(CONCERN, "net.ipv4.tcp_max_syn_backlog");
        let most = match &self.syn_backlog {
            Ok(most) => *most,
            Err(reason) => return check.unknown(reason),
        };
        let check = check.value(Amount::Count(most));
        match &self.syncookies {
            Ok(0) => {}
            Ok(_) => {
                return check.verdict(
                    Verdict::Fits,
                    "not looked at while SYN cookies are on: net.core.somaxconn bounds half-open \
                     connections, too",
                );
            }
            Err(reason) => return check.unknown(reason),
        }
        // The last quarter is kept for addresses known to be alive.
        let burst = most - most / 4 + 1;
        let needed = self.queue_for(asked);
        let check = check
            .needed(Amount::Count(needed))
            .stops(Stops::Burst(asked.shards.saturating_mul(burst)));
        match burst >= needed {
            true => check.verdict(Verdict::Fits, "half-open connections of each listener"),
            false => check.verdict(
                Verdict::Slows,
                "without SYN cookies, what is over three quarters of it is dropped and sent again",
            ),
        }
        .now("sysctl -w net.ipv4.tcp_syncookies=1")
        .for_good(LISTEN_CONF, "net.ipv4.tcp_syncookies = 1")
    }

    fn syncookies(&self) -> Check {
        let check = Check::sysctl(CONCERN, "net.ipv4.tcp_syncookies");
        let value = match &self.syncookies {
            Ok(value) => *value,
            Err(reason) => return check.unknown(reason),
        };
        let check = check.value(Amount::Count(value)).needed(Amount::Count(1));
        match value {
            1 => check.verdict(Verdict::Fits, "a flood of first packets locks nobody out"),
            0 => check.verdict(
                Verdict::Advice,
                "a flood of first packets locks everybody out",
            ),
            _ => check.verdict(
                Verdict::Advice,
                "every connection is opened with a cookie, which loses options of TCP",
            ),
        }
        .set(LISTEN_CONF, 1)
    }

    fn abort_on_overflow(&self) -> Check {
        let check = Check::sysctl(CONCERN, "net.ipv4.tcp_abort_on_overflow");
        let value = match &self.abort_on_overflow {
            Ok(value) => *value,
            Err(reason) => return check.unknown(reason),
        };
        let check = check.value(Amount::Count(value)).needed(Amount::Count(0));
        match value {
            0 => check.verdict(Verdict::Fits, "who finds the queue full tries again"),
            _ => check.verdict(Verdict::Slows, "who finds the queue full is reset"),
        }
        .set(LISTEN_CONF, 0)
    }

    fn migrate_req(&self) -> Check {
        let check = Check::sysctl(CONCERN, "net.ipv4.tcp_migrate_req");
        let value = match &self.migrate_req {
            Ok(value) => *value,
            Err(reason) => return check.unknown(reason),
        };
        let check = check.value(Amount::Count(value)).needed(Amount::Count(1));
        match value {
            0 => check.verdict(
                Verdict::Advice,
                "what waits in the queue of a listener that closes is reset; a restart loses it",
            ),
            _ => check.verdict(
                Verdict::Fits,
                "what waits in the queue of a listener that closes moves to another",
            ),
        }
        .set(LISTEN_CONF, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Role;
    use crate::doctor::testing::{Host, asked, of};

    fn facts() -> Facts {
        Facts {
            backlog: 65_535,
            somaxconn: Ok(65_535),
            syn_backlog: Ok(65_535),
            syncookies: Ok(1),
            abort_on_overflow: Ok(0),
            migrate_req: Ok(1),
        }
    }

    #[test]
    fn a_well_set_host_fits() {
        let checks = facts().checks(&asked(1_000_000));
        assert_eq!(checks.len(), 5);
        for check in checks {
            assert_eq!(check.verdict, Verdict::Fits, "{check:?}");
        }
    }

    #[test]
    fn a_short_queue_slows_a_burst_and_stops_nobody() {
        let facts = Facts {
            somaxconn: Ok(8),
            ..facts()
        };
        let checks = facts.checks(&asked(10_000));
        let check = of(&checks, "net.core.somaxconn");
        assert_eq!(check.verdict, Verdict::Slows);
        assert_eq!(check.stops, Stops::Burst(2 * 9));
        assert_eq!(check.needed, Some(Amount::Count(5_000)));
        let fix = check.fix.as_ref().unwrap();
        assert_eq!(
            fix.now.as_deref(),
            Some("sysctl -w net.core.somaxconn=5000")
        );
        assert_eq!(fix.for_good.as_ref().unwrap().file, LISTEN_CONF);
    }

    #[test]
    fn half_open_connections_matter_without_cookies() {
        let facts = |syncookies| Facts {
            syn_backlog: Ok(128),
            syncookies: Ok(syncookies),
            ..facts()
        };
        let checks = facts(1).checks(&asked(10_000));
        let backlog = of(&checks, "net.ipv4.tcp_max_syn_backlog");
        assert_eq!(
            (backlog.verdict, backlog.stops),
            (Verdict::Fits, Stops::Nothing)
        );
        let checks = facts(0).checks(&asked(10_000));
        let backlog = of(&checks, "net.ipv4.tcp_max_syn_backlog");
        assert_eq!(
            (backlog.verdict, backlog.stops),
            (Verdict::Slows, Stops::Burst(2 * 97))
        );
        assert_eq!(
            of(&checks, "net.ipv4.tcp_syncookies").verdict,
            Verdict::Advice
        );
        let checks = facts(2).checks(&asked(10_000));
        assert_eq!(
            of(&checks, "net.ipv4.tcp_syncookies").verdict,
            Verdict::Advice
        );
    }

    #[test]
    fn resets_and_restarts_have_a_say() {
        let facts = Facts {
            abort_on_overflow: Ok(1),
            migrate_req: Ok(0),
            ..facts()
        };
        let checks = facts.checks(&asked(10));
        assert_eq!(
            of(&checks, "net.ipv4.tcp_abort_on_overflow").verdict,
            Verdict::Slows
        );
        assert_eq!(
            of(&checks, "net.ipv4.tcp_migrate_req").verdict,
            Verdict::Advice
        );
    }

    #[test]
    fn clients_do_not_listen_and_a_host_that_says_nothing_is_unknown() {
        let client = Asked {
            role: Role::Client,
            ..asked(10)
        };
        assert!(facts().checks(&client).is_empty());
        for check in Facts::read(&Host::new().root, &Settings::for_tests()).checks(&asked(10)) {
            assert_eq!(check.verdict, Verdict::Unknown, "{check:?}");
        }
    }
}
