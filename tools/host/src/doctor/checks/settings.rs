//! The server's own limits, which are walls like any other.

use crate::Reading;
use crate::Settings;
use crate::doctor::check::UNIT;
use crate::doctor::{Amount, Asked, Check, Stops, Verdict};

const CONCERN: &str = "settings";

/// Judges them; `settings` are those of the running server, or the defaults.
pub fn checks(settings: &Reading<Settings>, asked: &Asked) -> Vec<Check> {
    if !asked.role.serves() {
        return Vec::new();
    }
    let settings = match settings {
        Ok(settings) => settings,
        Err(reason) => {
            let check = Check::new(CONCERN, "max-sessions", "corecast serve --max-sessions");
            return vec![check.unknown(reason)];
        }
    };
    let mut checks = vec![
        of(
            "max-sessions",
            settings.max_sessions,
            asked.connections,
            settings.max_sessions,
            "sessions in the process",
        ),
        of(
            "max-sessions-per-shard",
            settings.max_sessions_per_shard,
            asked.connections.div_ceil(asked.shards.max(1)),
            settings.max_sessions_per_shard.saturating_mul(asked.shards),
            "sessions on each shard",
        ),
    ];
    if settings.max_connections_per_source > 0 {
        checks.push(of(
            "max-connections-per-source",
            settings.max_connections_per_source,
            asked.connections.div_ceil(asked.sources.max(1)),
            settings
                .max_connections_per_source
                .saturating_mul(asked.sources),
            "connections of each source",
        ));
    }
    checks
}

fn of(option: &str, value: u64, needed: u64, reach: u64, why: &str) -> Check {
    let variable = option.replace('-', "_").to_uppercase();
    let verdict = match value >= needed {
        true => Verdict::Fits,
        false => Verdict::TooLow,
    };
    Check::new(CONCERN, option, format!("corecast serve --{option}"))
        .value(Amount::Count(value))
        .needed(Amount::Count(needed))
        .verdict(verdict, why)
        .stops(Stops::Connections(reach))
        .now(format!("corecast serve --{option} {needed}"))
        .for_good(UNIT, format!("Environment=CORECAST_{variable}={needed}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unread;
    use crate::doctor::Role;
    use crate::doctor::testing::{asked, of as check_of};

    #[test]
    fn each_limit_is_judged_by_its_own_share() {
        let judge = |connections| {
            let checks = checks(&Ok(Settings::for_tests()), &asked(connections));
            assert_eq!(checks.len(), 2);
            checks
                .into_iter()
                .map(|check| check.verdict)
                .collect::<Vec<_>>()
        };
        assert_eq!(judge(2_000_000), [Verdict::Fits, Verdict::Fits]);
        assert_eq!(judge(3_000_000), [Verdict::Fits, Verdict::TooLow]);
        assert_eq!(judge(5_000_000), [Verdict::TooLow, Verdict::TooLow]);
    }

    #[test]
    fn a_limit_for_each_source_is_a_wall_for_few_sources() {
        let settings = Ok(Settings {
            max_connections_per_source: 100,
            ..Settings::for_tests()
        });
        let checks = checks(&settings, &asked(1_000));
        let check = check_of(&checks, "max-connections-per-source");
        assert_eq!(
            (check.verdict, check.stops),
            (Verdict::TooLow, Stops::Connections(100))
        );
        let fix = check.fix.as_ref().unwrap();
        assert_eq!(
            fix.for_good.as_ref().unwrap().line,
            "Environment=CORECAST_MAX_CONNECTIONS_PER_SOURCE=1000"
        );
    }

    #[test]
    fn options_that_cannot_be_read_are_unknown_and_clients_have_none() {
        let hidden = Err(Unread::new("hidden"));
        assert_eq!(checks(&hidden, &asked(1))[0].verdict, Verdict::Unknown);
        let client = Asked {
            role: Role::Client,
            ..asked(1)
        };
        assert!(checks(&hidden, &client).is_empty());
    }
}
