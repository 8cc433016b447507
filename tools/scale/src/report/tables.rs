//! Tables in Markdown.

use std::fmt::Write as _;

use corecast_host::number::grouped;

use crate::contestant::Contestant;
use crate::hold::Held;
use crate::reading::{Reading, Summary, sizes};
use crate::slabs::Cache;

/// All tables for which there are figures.
pub fn markdown(readings: &[Reading], helds: &[Held]) -> String {
    let tables = [costs(readings), held(helds), caches(readings)];
    tables.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// The costs of a connection and a delivery at each size.
fn costs(readings: &[Reading]) -> Option<String> {
    let mut text = "| Connections | rounds | opened per second | server B | load B | kernel B, both ends | \
                    µs a delivery | deliveries per second and core | ÷ those of the floor | last subscriber |\n\
                    |---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for size in sizes(readings) {
        let of = |contestant| Summary::of(readings, contestant, size);
        let Some(server) = of(Contestant::Server) else {
            continue;
        };
        let floor = of(Contestant::Floor).map(|floor| {
            let part = floor.server_micros / server.server_micros;
            format!("{part:.2} ({:.2} µs)", floor.server_micros)
        });
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.0} | {:.0} | {:.0} | {:.2} | {} | {} | {:.2} s |",
            grouped(size),
            server.rounds,
            grouped(server.opened_per_second as u64),
            server.server_bytes,
            server.load_bytes,
            server.kernel_bytes,
            server.server_micros,
            grouped((1e6 / server.server_micros) as u64),
            floor.unwrap_or_else(|| "–".to_owned()),
            server.last_seconds,
        );
    }
    (!readings.is_empty()).then_some(text)
}

/// The results of holding connections.
fn held(helds: &[Held]) -> Option<String> {
    let mut text =
        "| Connections | opened per second | held for | deliveries, each once and in order | \
                    last subscriber | pings | cores with heartbeats alone: server, load | \
                    newcomers' echo, 99 %: during broadcasts, between | verdict |\n\
                    |---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for held in helds {
        let reading = &held.reading;
        let ms = |micros: u64| micros as f64 / 1e3;
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} s | {} of {} publications | {:.1} s | {} | {:.2}, {:.2} | {:.1} ms, {:.1} ms | {} |",
            grouped(reading.connections),
            grouped(reading.opened_per_second as u64),
            held.seconds,
            grouped(held.deliveries),
            reading.publications,
            reading.last_seconds,
            grouped(held.pings),
            held.idle_server_cores,
            held.idle_load_cores,
            ms(held.during_broadcasts.echo_p99_micros),
            ms(held.between_broadcasts.echo_p99_micros),
            match held.failures.len() {
                0 => "passed".to_owned(),
                count => format!("{count} failures"),
            }
        );
    }
    (!helds.is_empty()).then_some(text)
}

/// The kernel's memory by cache, at the largest size for which it was seen.
fn caches(readings: &[Reading]) -> Option<String> {
    let caches_of = |contestant: Contestant, size: u64| {
        let of_size = |reading: &&Reading| {
            reading.contestant == contestant
                && reading.connections == size
                && !reading.kernel_caches.is_empty()
        };
        Some(&readings.iter().rfind(of_size)?.kernel_caches)
    };
    let (size, server) = sizes(readings)
        .into_iter()
        .rev()
        .find_map(|size| Some((size, caches_of(Contestant::Server, size)?)))?;
    let floor = caches_of(Contestant::Floor, size);
    let bytes = |caches: Option<&Vec<Cache>>, name: &str| {
        caches.map_or(0.0, |caches| {
            let of_name = caches.iter().find(|cache| cache.name == name);
            of_name.map_or(0.0, |cache| cache.bytes)
        })
    };
    let mut text = format!(
        "| Kernel's cache, {} connections | bytes of an object | objects a connection | bytes a connection | \
         with the floor |\n|---|---|---|---|---|\n",
        grouped(size)
    );
    for cache in server {
        let _ = writeln!(
            text,
            "| `{}` | {} | {:.2} | {:.0} | {:.0} |",
            cache.name,
            cache.object_bytes,
            cache.objects,
            cache.bytes,
            bytes(floor, &cache.name),
        );
    }
    for cache in floor.into_iter().flatten() {
        if bytes(Some(server), &cache.name) == 0.0 {
            let _ = writeln!(
                text,
                "| `{}` | {} | – | – | {:.0} |",
                cache.name, cache.object_bytes, cache.bytes
            );
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{held, reading};

    #[test]
    fn each_size_is_a_row_with_its_share_of_the_floor() {
        let readings = [
            reading(Contestant::Server, 10_000, 4.0),
            reading(Contestant::Floor, 10_000, 4.0),
            reading(Contestant::Server, 10_000, 6.0),
            reading(Contestant::Server, 10_000, 5.0),
            reading(Contestant::Server, 1_000_000, 8.0),
        ];
        let text = markdown(&readings, &[held(1_000_000)]);
        for wanted in [
            "| 10,000 | 3 | 30,000 | 106 | 150 | 8400 | 5.00 | 200,000 | 0.80 (4.00 µs) | 1.50 s |",
            "| 1,000,000 | 1 | 30,000 | 106 | 150 | 8400 | 8.00 | 125,000 | – | 1.50 s |",
            "| 1,000,000 | 30,000 | 600 s | 10,000,000 of 10 publications |",
            "| `TCP` | 2432 | 2.00 | 5200 | 0 |",
        ] {
            assert!(text.contains(wanted), "{wanted} in\n{text}");
        }
    }

    #[test]
    fn nothing_measured_is_no_table() {
        assert_eq!(markdown(&[], &[]), "");
    }
}
