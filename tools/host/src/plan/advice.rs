//! The conclusions from the figures: problems, settings to make, and the needs
//! of a test.

use super::words::{bytes, count, figure, things, time};
use super::{Plan, processor};
use crate::Settings;
use crate::budget::{Driver, PerConnection};

/// RLIMIT_NOFILE can be raised to `fs.nr_open`, which is this by default.
const NR_OPEN: f64 = 1_048_576.0;

/// The requests that cannot be met.
pub(super) fn problems(plan: &Plan) -> Vec<String> {
    let question = &plan.question;
    let mut problems = Vec::new();
    let needed = processor::needed(question);
    if let Some(cores) = question.cores
        && needed > cores as f64
    {
        problems.push(format!(
            "{} cannot do it: {} are needed, so that each is at most 80 % busy.",
            things(cores as f64, "core", "cores"),
            count(needed)
        ));
    }
    let room = plan.figure("room_widest_range");
    if let (Some(sources), Some(room)) = (question.sources, room)
        && room < question.connections as f64
    {
        problems.push(format!(
            "{} can open {} connections to {} at most: {} are needed.",
            things(sources as f64, "source address", "source addresses"),
            count(room),
            things(question.targets as f64, "target", "targets"),
            count(figure_of(plan, "sources_widest_range")),
        ));
    }
    if let Some(rate) = question.connect_rate
        && let Some(cores) = question.cores
        && processor::openings(question, cores) < rate
    {
        problems.push(format!(
            "{} can open {} connections per second, not {}.",
            things(cores as f64, "core", "cores"),
            figure(processor::openings(question, cores)),
            figure(rate)
        ));
    }
    problems
}

/// The settings to make on the server's host.
pub(super) fn to_set(plan: &Plan, cores: u64, settings: &Settings) -> Vec<String> {
    let question = &plan.question;
    let connections = question.connections as f64;
    let table = figure_of(plan, "descriptors_per_table");
    let files = figure_of(plan, "open_files");
    let mut set = vec![format!(
        "LimitNOFILE={} or more in the systemd unit (ulimit -n in a shell): limits.conf does not count for services.",
        table
    )];
    if table > NR_OPEN {
        set.push(format!(
            "sysctl/10-corecast-files.conf: fs.nr_open is {} by default.",
            count(NR_OPEN)
        ));
    }
    set.push(format!(
        "sysctl/10-corecast-files.conf: fs.file-max of {} at least.",
        count(files)
    ));
    set.push("sysctl/20-corecast-listen.conf: net.core.somaxconn of 65,535, because clients come back all at once.".into());
    let buffers = figure_of(plan, "buffer_bytes");
    if buffers > 0.0 {
        set.push(format!(
            "sysctl/30-corecast-memory.conf: the second number of net.ipv4.tcp_mem {} pages or more ({}).",
            count(buffers / 4_096.0),
            bytes(buffers)
        ));
    }
    let mut options = vec![format!("--shards {cores}")];
    if question.connections > settings.max_sessions {
        options.push(format!("--max-sessions {}", question.connections));
    }
    let share = table.min(connections);
    if share > settings.max_sessions_per_shard as f64 {
        options.push(format!("--max-sessions-per-shard {share}"));
    }
    if question.payload_bytes > settings.max_message_bytes {
        options.push(format!("--max-message-bytes {}", question.payload_bytes));
    }
    match question.ping_interval {
        None => options.push("--ping-interval 0".into()),
        Some(interval) if interval != settings.ping_interval => {
            let seconds = interval.as_secs_f64();
            options.push(format!(
                "--ping-interval {seconds}s --idle-timeout {}s",
                2.0 * seconds
            ));
        }
        Some(_) => {}
    }
    set.push(format!("corecast serve {}", options.join(" ")));
    set
}

/// The needs of a test of this size.
pub(super) fn for_a_test(plan: &Plan) -> Vec<String> {
    let question = &plan.question;
    let connections = question.connections as f64;
    let fast = figure_of(plan, "sources_fast");
    let addresses = |number| things(number, "client address", "client addresses");
    let sources = question.sources.map_or(fast, |sources| sources as f64);
    let per_machine = (connections / sources).ceil();
    let client = PerConnection::of_generator(Driver::Uring).bytes() as f64;
    vec![
        format!(
            "{} with the default port range, {} for opening to stay fast; {} and {} with \
             sysctl/40-corecast-ports.conf: as many machines, or as many addresses on fewer.",
            addresses(figure_of(plan, "sources_default_range")),
            count(figure_of(plan, "sources_fast_default_range")),
            count(figure_of(plan, "sources_widest_range")),
            count(fast)
        ),
        format!(
            "With {}: {} connections and descriptors, and {} of memory, for each.",
            addresses(sources),
            count(per_machine),
            bytes(per_machine * client)
        ),
        format!(
            "On one host, loopback has addresses enough: corecast-load connect ws://127.0.0.1:8080/echo -c {} --sources auto; \
             {} of memory for both ends.",
            question.connections,
            bytes(figure_of(plan, "memory_bytes") + connections * client)
        ),
        format!(
            "Time: {} to open all, and half an hour to hold them, because leaks are slow.",
            time(figure_of(plan, "seconds_to_connect"))
        ),
    ]
}

/// A figure that every plan has.
fn figure_of(plan: &Plan, name: &str) -> f64 {
    plan.figure(name).expect("every plan has this line")
}
