//! Growing sizes, server and floor in turns.
//!
//! The server sends no heartbeats here, because the floor sends none either:
//! their cost is measured while connections are [held](crate::hold).

use std::time::Duration;

use corecast_kit::{During, Error, Result};

use crate::cli::MeasureArgs;
use crate::contestant::Contestant;
use crate::reading::Reading;
use crate::{host, load, slabs};

/// The server's arguments, before those that the caller adds.
const NO_HEARTBEATS: [&str; 2] = ["--ping-interval=0s", "--idle-timeout=0s"];

/// Measured time per connection: that of about four broadcasts.
const PER_CONNECTION: Duration = Duration::from_micros(50);
/// The shortest measured time.
const LEAST: Duration = Duration::from_secs(4);

/// Measures the sizes that were asked for; true if every run succeeded.
///
/// # Errors
/// When the host does not allow it, or a file cannot be written.
pub fn run(args: &MeasureArgs) -> Result<bool> {
    let descriptors = host::descriptors()?;
    let cores = corecast_host::cpus::usable().len() as u64;
    let most = args.connections.iter().copied().max().unwrap_or(0);
    args.setup.prepare_network(most)?;
    let mut readings = Vec::new();
    let mut all_well = true;
    for &connections in &args.connections {
        let shards = host::shards_for(connections, descriptors, cores)?;
        let _files = host::FileMax::raise(connections)?;
        for round in 0..args.rounds {
            let mut turns = vec![Contestant::Server, Contestant::Floor];
            turns.retain(|turn| !(args.no_floor && *turn == Contestant::Floor));
            if round % 2 == 1 {
                turns.reverse();
            }
            for contestant in turns {
                match one(args, contestant, connections, shards) {
                    Ok(reading) => {
                        eprintln!("{}", sentence(&reading));
                        readings.push(reading);
                    }
                    Err(error) => {
                        eprintln!("FAILED {} with {connections}: {error}", contestant.as_str());
                        all_well = false;
                    }
                }
            }
        }
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&readings).expect("readings are plain values");
        std::fs::write(path, text).during(format!("writing {}", path.display()))?;
    }
    Ok(all_well)
}

fn one(
    args: &MeasureArgs,
    contestant: Contestant,
    connections: u64,
    shards: u64,
) -> Result<Reading> {
    let heartbeats = NO_HEARTBEATS.map(str::to_owned);
    let server_args: Vec<_> = heartbeats
        .iter()
        .chain(&args.setup.server_arg)
        .cloned()
        .collect();
    let running = contestant.start(&args.setup, shards, &server_args)?;
    let measured = (PER_CONNECTION * connections as u32).max(LEAST);
    let json = std::env::temp_dir().join(format!("corecast-scale-{}.json", running.process.pid()));
    let words = format!(
        "broadcast ws://{}/broadcast --subscribers {connections} --duration {}s --warm-up 1s \
         --timeout 2m --close reset",
        running.address,
        measured.as_secs_f64(),
    );
    let limit = measured + Duration::from_secs(60) + load::climb(connections);
    let (outcome, kernel_caches) = slabs::watch(connections, || {
        load::run(&args.setup.load, &words, &running, &json, limit)
    });
    let _ = std::fs::remove_file(&json);
    Reading::of(contestant, &outcome?, kernel_caches)
        .ok_or_else(|| Error::Process("the load generator did not see the server".to_owned()))
}

fn sentence(reading: &Reading) -> String {
    format!(
        "{:>8} {:>9} connections: {:.0}/s opened, {:.2} µs per delivery ({:.2} of the load's), last \
         after {:.2} s, {:.0} B a session, {:.0} B of the load, {:.0} B of the kernel",
        reading.contestant.as_str(),
        reading.connections,
        reading.opened_per_second,
        reading.server_micros,
        reading.load_micros,
        reading.last_seconds,
        reading.server_bytes,
        reading.load_bytes,
        reading.kernel_bytes,
    )
}
