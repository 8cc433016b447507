//! Tables in Markdown.

use corecast_kit::markdown::table;
use corecast_kit::units::grouped;

use crate::contestant::Contestant;
use crate::hold::Held;
use crate::reading::{Reading, Summary, sizes};
use crate::slabs::Cache;

/// All tables for which there are figures.
pub fn markdown(readings: &[Reading], helds: &[Held]) -> String {
    let mut tables = vec![costs(readings), held(helds), caches(readings)];
    tables.retain(|table| !table.is_empty());
    tables.join("\n")
}

/// The costs of a connection and a delivery at each size.
fn costs(readings: &[Reading]) -> String {
    let row = |size| {
        let of = |contestant| Summary::of(readings, contestant, size);
        let server = of(Contestant::Server)?;
        let floor = of(Contestant::Floor).map(|floor| {
            let part = floor.server_micros / server.server_micros;
            format!("{part:.2} ({:.2} µs)", floor.server_micros)
        });
        Some(vec![
            grouped(size),
            server.rounds.to_string(),
            grouped(server.opened_per_second as u64),
            format!("{:.0}", server.server_bytes),
            format!("{:.0}", server.load_bytes),
            format!("{:.0}", server.kernel_bytes),
            format!("{:.2}", server.server_micros),
            grouped((1e6 / server.server_micros) as u64),
            floor.unwrap_or_else(|| "–".to_owned()),
            format!("{:.2} s", server.last_seconds),
        ])
    };
    let headings = [
        "Connections",
        "rounds",
        "opened per second",
        "server B",
        "load B",
        "kernel B, both ends",
        "µs a delivery",
        "deliveries per second and core",
        "÷ those of the floor",
        "last subscriber",
    ];
    let rows: Vec<_> = sizes(readings).into_iter().filter_map(row).collect();
    table(&headings, &rows)
}

/// The results of holding connections.
fn held(helds: &[Held]) -> String {
    let row = |held: &Held| {
        let reading = &held.reading;
        let ms = |micros: u64| format!("{:.1} ms", micros as f64 / 1e3);
        let deliveries = grouped(held.deliveries);
        vec![
            grouped(reading.connections),
            grouped(reading.opened_per_second as u64),
            format!("{:.0} s", held.seconds),
            format!("{deliveries} of {} publications", reading.publications),
            format!("{:.1} s", reading.last_seconds),
            grouped(held.pings),
            format!("{:.2}, {:.2}", held.idle_server_cores, held.idle_load_cores),
            [held.during_broadcasts, held.between_broadcasts]
                .map(|waits| ms(waits.echo_p99_micros))
                .join(", "),
            match held.failures.len() {
                0 => "passed".to_owned(),
                count => format!("{count} failures"),
            },
        ]
    };
    let headings = [
        "Connections",
        "opened per second",
        "held for",
        "deliveries, each once and in order",
        "last subscriber",
        "pings",
        "cores with heartbeats alone: server, load",
        "newcomers' echo, 99 %: during broadcasts, between",
        "verdict",
    ];
    table(&headings, &helds.iter().map(row).collect::<Vec<_>>())
}

/// The kernel's memory by cache, at the largest size for which it was seen.
fn caches(readings: &[Reading]) -> String {
    let caches_of = |contestant: Contestant, size: u64| {
        let of_size = |reading: &&Reading| {
            reading.contestant == contestant
                && reading.connections == size
                && !reading.kernel_caches.is_empty()
        };
        Some(&readings.iter().rfind(of_size)?.kernel_caches)
    };
    let largest = sizes(readings)
        .into_iter()
        .rev()
        .find_map(|size| Some((size, caches_of(Contestant::Server, size)?)));
    let Some((size, server)) = largest else {
        return String::new();
    };
    let floor = caches_of(Contestant::Floor, size).map_or(&[][..], Vec::as_slice);
    let bytes = |caches: &[Cache], name: &str| {
        let of_name = caches.iter().find(|cache| cache.name == name);
        of_name.map_or(0.0, |cache| cache.bytes)
    };
    let row = |cache: &Cache, [objects, bytes]: [String; 2], of_floor: f64| {
        let (name, object) = (format!("`{}`", cache.name), cache.object_bytes.to_string());
        vec![name, object, objects, bytes, format!("{of_floor:.0}")]
    };
    let ours = server.iter().map(|cache| {
        let figures = [
            format!("{:.2}", cache.objects),
            format!("{:.0}", cache.bytes),
        ];
        row(cache, figures, bytes(floor, &cache.name))
    });
    let missing = floor.iter();
    let missing = missing.filter(|cache| bytes(server, &cache.name) == 0.0);
    let missing = missing.map(|cache| row(cache, ["–", "–"].map(String::from), cache.bytes));
    let first = format!("Kernel's cache, {} connections", grouped(size));
    let headings = [
        &first[..],
        "bytes of an object",
        "objects a connection",
        "bytes a connection",
        "with the floor",
    ];
    table(&headings, &ours.chain(missing).collect::<Vec<_>>())
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
