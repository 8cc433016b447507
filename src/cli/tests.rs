//! Black-box tests of the three sources together, each with an environment of its own.

use std::collections::HashMap;
use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::settings::{option_of, variable_of};
use super::*;
use crate::config::{
    ClientAddress, Driver, OverRatePolicy, RouteSetting, SlowConsumerPolicy, Steer, UnreadTable,
};
use crate::cpus;

/// Parses `corecast serve` with these flags and variables.
fn parse_with(flags: &[&str], variables: &[(&str, &str)]) -> Result<Command, CliError> {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    let words = ["corecast", "serve"].iter().chain(flags);
    try_parse_from(words, &|name| variables.get(name).map(OsString::from))
}

fn served(flags: &[&str], variables: &[(&str, &str)]) -> ServeOptions {
    match parse_with(flags, variables) {
        Ok(Command::Serve(options)) => options,
        other => panic!("not served: {other:?}"),
    }
}

/// The message of a refusal; its exit code must be 2.
fn refused(flags: &[&str], variables: &[(&str, &str)]) -> String {
    let error = parse_with(flags, variables).expect_err("should be refused");
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

fn printed(flags: &[&str], variables: &[(&str, &str)]) -> String {
    let flags = [flags, &["--print-config"]].concat();
    match parse_with(&flags, variables) {
        Ok(Command::PrintConfig(text)) => text,
        other => panic!("not printed: {other:?}"),
    }
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn path_of(file: &NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

#[test]
fn nothing_typed_is_the_default() {
    assert_eq!(served(&[], &[]), ServeOptions::default());
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let file = file("ring_capacity = 10\nbacklog = 10\nfan_out_slice = 10");
    let options = served(
        &["--config", path_of(&file), "--ring-capacity", "30"],
        &[("CORECAST_RING_CAPACITY", "20"), ("CORECAST_BACKLOG", "20")],
    );
    assert_eq!(options.config.ring_capacity, 30);
    assert_eq!(options.config.backlog, 20);
    assert_eq!(options.config.fan_out_slice, 10);
    assert_eq!(options.config.max_sessions, Config::default().max_sessions);
}

#[test]
fn the_file_may_be_named_by_a_variable() {
    let file = file("shards = 7");
    let options = served(&[], &[("CORECAST_CONFIG", path_of(&file))]);
    assert_eq!(options.config.shards, 7);
    for (flags, variables, start) in [
        (
            &["--config", "/nowhere/c.toml"][..],
            &[][..],
            "--config: '/nowhere/c.toml' ",
        ),
        (&[], &[("CORECAST_CONFIG", "")], "CORECAST_CONFIG: '' "),
    ] {
        let message = refused(flags, variables);
        assert!(message.starts_with(start), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_named() {
    use std::os::unix::ffi::OsStringExt;
    let error = try_parse_from(["corecast", "serve"], &|name| {
        (name == "CORECAST_CPUS").then(|| OsString::from_vec(vec![0xff]))
    });
    assert_eq!(
        error.unwrap_err().to_string(),
        "CORECAST_CPUS: is not UTF-8"
    );
}

/// A core that this process may use, wherever the tests run.
static CPU: LazyLock<String> = LazyLock::new(|| cpus::usable()[0].to_string());

/// One value other than the default for each option, as a flag.
fn every_flag() -> Vec<&'static str> {
    [EVERY_OPTION_BUT_CPUS, &["--cpus", CPU.as_str()]].concat()
}

const EVERY_OPTION_BUT_CPUS: &[&str] = &[
    "--listen",
    "[::1]:8081",
    "--admin",
    "off",
    "--api",
    "127.0.0.1:9091",
    "--api-key-file",
    "keys.toml",
    "--max-api-body",
    "64KiB",
    "--share-port",
    "true",
    "--backlog",
    "100",
    "--origin",
    "https://a.example",
    "--origin",
    "https://b.example",
    "--route",
    "/ws/{user_id}=echo:drop",
    "--route",
    "/news=broadcast",
    "--route",
    "/echo=off",
    "--route",
    "/=off",
    "--route",
    "/healthz=off",
    "--demo",
    "true",
    "--shards",
    "3",
    "--steer",
    "cpu",
    "--driver",
    "epoll",
    "--busy-poll",
    "50",
    "--max-sessions",
    "1_000",
    "--max-sessions-per-shard",
    "500",
    "--max-handshakes",
    "10",
    "--max-read-bytes",
    "2KiB",
    "--max-header-bytes",
    "4KiB",
    "--max-frame-bytes",
    "1000",
    "--max-message-bytes",
    "1MiB",
    "--max-unfinished-bytes",
    "32MiB",
    "--high-water-mark",
    "32KiB",
    "--max-pending-bytes",
    "128KiB",
    "--slow-consumer",
    "drop",
    "--client-address",
    "forwarded-for",
    "--listen-unix",
    "/run/corecast/socket",
    "--trusted-proxy",
    "10.0.0.0/8,::1",
    "--max-connections-per-source",
    "20",
    "--max-handshake-rate-per-source",
    "5",
    "--source-prefix-ipv6",
    "56",
    "--max-message-rate",
    "100",
    "--max-byte-rate",
    "64KiB",
    "--rate-burst",
    "3s",
    "--over-rate",
    "close",
    "--handshake-timeout",
    "500ms",
    "--idle-timeout",
    "2m",
    "--ping-interval",
    "1m 10s",
    "--write-stall-timeout",
    "5s",
    "--close-timeout",
    "1s",
    "--drain-delay",
    "15s",
    "--drain-timeout",
    "0",
    "--ring-capacity",
    "64",
    "--fan-out-slice",
    "16",
    "--log",
    "json",
    "--log-level",
    "debug",
];

fn every_option() -> ServeOptions {
    ServeOptions {
        config: Config {
            listen: vec!["[::1]:8081".parse().unwrap()],
            admin: None,
            api: Some("127.0.0.1:9091".parse().unwrap()),
            api_key_file: Some("keys.toml".into()),
            api_insecure: false,
            max_api_body_bytes: 64 << 10,
            shards: 3,
            cpus: vec![CPU.parse().unwrap()],
            steer: Steer::Cpu,
            driver: Driver::Epoll,
            busy_poll: Duration::from_micros(50),
            share_port: true,
            backlog: 100,
            allowed_origins: vec!["https://a.example".into(), "https://b.example".into()],
            max_sessions: 1_000,
            max_sessions_per_shard: 500,
            max_handshakes_per_shard: 10,
            max_header_bytes: 4096,
            max_read_bytes: 2048,
            max_frame_bytes: 1000,
            max_message_bytes: 1 << 20,
            max_unfinished_bytes: 32 << 20,
            high_water_mark_bytes: 32 << 10,
            max_pending_bytes: 128 << 10,
            slow_consumer: SlowConsumerPolicy::Drop,
            client_address: ClientAddress::ForwardedFor,
            listen_unix: vec!["/run/corecast/socket".to_owned()],
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            max_connections_per_source: 20,
            max_handshake_rate_per_source: 5,
            source_prefix_ipv6: 56,
            max_message_rate: 100,
            max_byte_rate: 64 << 10,
            rate_burst: Duration::from_secs(3),
            over_rate: OverRatePolicy::Close,
            handshake_timeout: Duration::from_millis(500),
            idle_timeout: Duration::from_secs(120),
            ping_interval: Duration::from_secs(70),
            write_stall_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(1),
            drain_delay: Duration::from_secs(15),
            drain_timeout: Duration::ZERO,
            ring_capacity: 64,
            fan_out_slice: 16,
            routes: vec![
                RouteSetting::new("/broadcast", "broadcast"),
                RouteSetting::new("/ws", "chat"),
                RouteSetting {
                    slow_consumer: Some(SlowConsumerPolicy::Drop),
                    ..RouteSetting::new("/ws/{user_id}", "echo")
                },
                RouteSetting::new("/socket/websocket", "phoenix"),
                RouteSetting::new("/topics/{topic}", "topics"),
                RouteSetting::new("/news", "broadcast"),
            ],
            home_page: false,
            health_page: false,
            access: ServeOptions::default().config.access,
            handlers: ServeOptions::default().config.handlers,
        },
        demo: true,
        notes: Vec::new(),
        log: LogFormat::Json,
        log_level: LevelFilter::DEBUG,
    }
}

#[test]
fn every_option_is_a_flag() {
    assert_eq!(served(&every_flag(), &[]), every_option());
}

#[test]
fn every_option_is_a_variable() {
    let mut variables: HashMap<String, String> = HashMap::new();
    for pair in every_flag().chunks(2) {
        let name = variable_of(pair[0].trim_start_matches("--"));
        variables
            .entry(name)
            .and_modify(|list| *list = format!("{list},{}", pair[1]))
            .or_insert_with(|| pair[1].to_owned());
    }
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(served(&[], &variables), every_option());
}

#[test]
fn what_is_printed_resolves_to_itself() {
    for flags in [&[][..], &every_flag()] {
        let text = printed(flags, &[]);
        let file = file(&text);
        assert_eq!(
            served(&["--config", path_of(&file)], &[]),
            served(flags, &[]),
            "{text}"
        );
    }
}

#[test]
fn what_is_printed_says_where_it_came_from() {
    let file = file("\nfan_out_slice = 10");
    let text = printed(
        &["--config", path_of(&file), "--shards", "5"],
        &[("CORECAST_BACKLOG", "20")],
    );
    for (start, end) in [
        ("shards = 5 ".to_owned(), "# --shards".to_owned()),
        ("backlog = 20 ".to_owned(), "# CORECAST_BACKLOG".to_owned()),
        (
            "fan_out_slice = 10 ".to_owned(),
            format!("# {}:2", path_of(&file)),
        ),
        ("idle_timeout = \"1m\"".to_owned(), "# default".to_owned()),
    ] {
        assert!(
            text.lines()
                .any(|line| line.starts_with(&start) && line.ends_with(&end)),
            "{start} … {end} in\n{text}"
        );
    }
}

#[test]
fn an_invalid_value_names_the_option_as_written_and_the_range() {
    assert_eq!(
        refused(&["--shards", "many"], &[]),
        "--shards: 'many' is not a whole number; allowed: 1 to 1024"
    );
    assert_eq!(
        refused(&["--shards", "0"], &[]),
        "--shards: 0 is out of range; allowed: 1 to 1024"
    );
    assert_eq!(
        refused(&["--shards="], &[]),
        "--shards: '' is not a whole number; allowed: 1 to 1024"
    );
    assert_eq!(
        refused(&["--shards"], &[]),
        "--shards: a value is missing; allowed: 1 to 1024"
    );
    assert_eq!(
        refused(&[], &[("CORECAST_SHARDS", "many")]),
        "CORECAST_SHARDS: 'many' is not a whole number; allowed: 1 to 1024"
    );
    assert_eq!(
        refused(&[], &[("CORECAST_SHARDS", "2000")]),
        "CORECAST_SHARDS: 2000 is out of range; allowed: 1 to 1024"
    );
    assert_eq!(
        refused(&[], &[("CORECAST_SHARDS", "")]),
        "CORECAST_SHARDS: is empty; give it a value or unset it; allowed: 1 to 1024"
    );
    let file = file("\nshards = 2000");
    assert_eq!(
        refused(&["--config", path_of(&file)], &[]),
        format!(
            "{}:2: shards: 2000 is out of range; allowed: 1 to 1024",
            path_of(&file)
        )
    );
    let message = refused(&["--route", "/x=talk"], &[]);
    assert_eq!(
        message,
        "--route: 'talk' (for /x) is not a handler; allowed: echo, broadcast, chat, phoenix, \
         centrifuge, topics"
    );
    assert!(refused(&["--no-such-option"], &[]).contains("--no-such-option"));
}

#[test]
fn a_default_gives_way_to_a_related_setting() {
    let config = served(
        &["--max-message-bytes", "1KiB", "--max-pending-bytes", "2KiB"],
        &[],
    )
    .config;
    assert_eq!(
        (config.max_frame_bytes, config.high_water_mark_bytes),
        (1024, 2048)
    );
    let config = served(
        &["--max-frame-bytes", "32MiB", "--high-water-mark", "4MiB"],
        &[],
    )
    .config;
    assert_eq!(
        (config.max_message_bytes, config.max_pending_bytes),
        (32 << 20, 4 << 20)
    );
    let config = served(&["--max-message-bytes", "1GiB", "--shards", "2"], &[]).config;
    assert_eq!(config.max_unfinished_bytes, 2 << 30);
    let config = served(&["--max-unfinished-bytes", "64KiB", "--shards", "2"], &[]).config;
    assert_eq!(
        (config.max_message_bytes, config.max_frame_bytes),
        (32 << 10, 32 << 10)
    );
    let config = served(&["--idle-timeout", "10s"], &[]).config;
    assert_eq!(config.ping_interval, Duration::from_secs(5));
    let config = served(&["--idle-timeout", "0"], &[]).config;
    assert_eq!(config.ping_interval, Duration::from_secs(30));
    assert_eq!(served(&["--cpus", &CPU], &[]).config.shards, 1);
}

#[test]
fn a_flag_can_take_a_list_back() {
    let file = file("cpus = [0]\norigin = ['https://a.example']");
    let options = served(
        &["--config", path_of(&file), "--cpus", "all", "--origin", "*"],
        &[],
    );
    assert!(options.config.cpus.is_empty());
    assert!(options.config.allowed_origins.is_empty());
}

#[test]
fn routes_of_every_source_count() {
    let file = file(
        "[[routes]]\npath = '/file'\nhandler = 'echo'\n[[routes]]\npath = '/both'\nhandler = 'echo'",
    );
    let options = served(
        &["--config", path_of(&file), "--route", "/both=chat"],
        &[("CORECAST_ROUTE", "/env=echo,/ws=off")],
    );
    let routes: Vec<_> = options
        .config
        .routes
        .iter()
        .map(|route| (route.path.as_str(), route.handler.as_str()))
        .collect();
    assert_eq!(
        routes,
        [("/file", "echo"), ("/both", "chat"), ("/env", "echo"),]
    );
}

#[test]
fn a_path_is_named_once_by_each_source() {
    let problem = "the path '/x' is there twice, with echo and chat; keep one of them";
    let flags = ["--route", "/x=echo", "--route", "/x=chat"];
    assert_eq!(refused(&flags, &[]), format!("--route: {problem}"));
    assert_eq!(
        refused(&[], &[("CORECAST_ROUTE", "/x=echo,/x=chat")]),
        format!("CORECAST_ROUTE: {problem}")
    );
    let message = refused(&["--route", "/caf%C3%A9=echo,/café=off"], &[]);
    assert!(message.contains("twice"), "{message}");
    // Another source may have another word.
    let options = served(&["--route", "/x=chat"], &[("CORECAST_ROUTE", "/x=echo")]);
    let last = options.config.routes.last().unwrap();
    assert_eq!((&*last.path, &*last.handler), ("/x", "chat"));
    // A default route is replaced by one with the same path, however that is written.
    let options = served(&["--demo", "--route", "/%65cho=chat"], &[]);
    assert_eq!(options.config.routes[0].path, "/%65cho");
}

#[test]
fn a_path_that_is_off_was_served() {
    let message = refused(&["--route", "/x=echo,/wss=off"], &[]);
    assert_eq!(
        message,
        "--route: '/wss' cannot be off, because it is no path that is served; those are /echo, \
         /broadcast, /ws, /ws/{user_id}, /socket/websocket, /topics/{topic}, /, /healthz, /x"
    );
    // Two sources may agree on it.
    let options = served(&["--route", "/%77s=off"], &[("CORECAST_ROUTE", "/ws=off")]);
    let mut routes = options.config.routes.iter();
    assert!(!routes.any(|route| route.path == "/ws"));
}

/// Whether the demo is served, the number of routes, and which pages are served.
fn is_served(flags: &[&str], variables: &[(&str, &str)]) -> (bool, usize, bool, bool) {
    let ServeOptions { config, demo, .. } = served(flags, variables);
    let routes = config.routes.len();
    (demo, routes, config.home_page, config.health_page)
}

#[test]
fn the_demo_is_served_to_this_host_alone_or_when_it_is_asked_for() {
    let all = (true, 6, true, true);
    for (flags, what) in [
        (&[][..], all),
        (&["--listen", "127.0.0.2:80,[::1]:80"], all),
        (&["--listen", "[::ffff:127.0.0.1]:80"], all),
        (&["--listen", "0.0.0.0:80", "--demo"], all),
        (&["--demo", "--listen", "0.0.0.0:80"], all),
        (&["--demo", "--route", "/x=echo"], (true, 7, true, true)),
        (&["--route", "/x=echo"], (false, 1, false, true)),
        (
            &["--route", "/x=echo", "--listen", "[::]:80"],
            (false, 1, false, true),
        ),
        (&["--route", "/=echo"], (false, 1, false, true)),
        (&["--demo", "--route", "/=echo"], (true, 7, true, true)),
        // A path that is off is no route.
        (&["--route", "/=off"], (true, 6, false, true)),
        (&["--route", "/echo=off"], (true, 5, true, true)),
        (&["--route", "/healthz=off"], (true, 6, true, false)),
        // One list does with and without the demo.
        (
            &["--route", "/=off,/echo=off,/x=echo"],
            (false, 1, false, true),
        ),
    ] {
        assert_eq!(is_served(flags, &[]), what, "{flags:?}");
    }
    let file = file("demo = true\nlisten = '0.0.0.0:80'");
    assert_eq!(is_served(&["--config", path_of(&file)], &[]), all);
    let demo = [("CORECAST_DEMO", "1")];
    assert_eq!(is_served(&["--listen", "0.0.0.0:80"], &demo), all);
    let off = ["--demo=false", "--route", "/x=echo"];
    assert_eq!(is_served(&off, &demo), (false, 1, false, true));
}

#[test]
fn a_server_that_others_can_reach_needs_routes() {
    for listen in ["0.0.0.0:80", "[::]:80", "127.0.0.1:80,10.0.0.1:80"] {
        let message = refused(&["--listen", listen], &[]);
        assert!(
            message.starts_with("--route: no path is served, and others can reach "),
            "{message}"
        );
        assert!(message.contains("--demo"), "{message}");
        let refused_too = refused(&["--listen", listen, "--route", "/echo=off"], &[]);
        assert_eq!(refused_too, message);
    }
    let message = refused(&["--demo=false"], &[]);
    assert!(message.contains("the demo is off"), "{message}");
    assert_eq!(
        refused(&[], &[("CORECAST_DEMO", "maybe")]),
        "CORECAST_DEMO: 'maybe' is not a switch; use true or false"
    );
}

#[test]
fn a_list_may_have_spaces_and_the_end_of_its_line() {
    let options = served(
        &[
            "--trusted-proxy",
            "10.0.0.0/8, ::1",
            "--client-address",
            "forwarded-for",
        ],
        &[
            ("CORECAST_ORIGIN", "https://a.example, https://b.example\n"),
            ("CORECAST_ROUTE", "/a=echo, /b=chat:drop \r\n"),
        ],
    );
    let config = options.config;
    assert_eq!(
        config.allowed_origins,
        ["https://a.example", "https://b.example"]
    );
    assert_eq!(config.trusted_proxies.len(), 2);
    let last = config.routes.last().unwrap();
    assert_eq!((&*last.path, &*last.handler), ("/b", "chat"));
    assert!(refused(&[], &[("CORECAST_ORIGIN", " \n")]).contains("is not an origin"));
}

#[test]
fn the_help_shows_headings_defaults_and_ranges() {
    let help = parse_with(&["--help"], &[]).unwrap_err();
    assert_eq!(help.exit_code(), 0);
    let help = help.to_string();
    let words: Vec<_> = help.split_whitespace().collect();
    let help = words.join(" ");
    for part in [
        "Listening:",
        "Shards:",
        "Limits:",
        "Timeouts:",
        "Fan-out:",
        "Logging:",
        "[default: 127.0.0.1:8080]",
        "[default: 256KiB; 125B to 1GiB]",
        "[default: 1m; 0 (off) or 10ms to 7days]",
        "[default: one per core of --cpus; 1 to 1024]",
        "[default: none]",
        "[default: true where there is no route and --listen is a loopback address]",
    ] {
        assert!(help.contains(part), "{part} in {help}");
    }
    for handler in built_in::names() {
        assert!(help.contains(&format!("{handler}, ")), "{handler}");
    }
    let flags = settings::keys().filter(|key| !settings::FILE_ONLY.contains(key));
    for option in flags.map(option_of) {
        // A switch needs no value.
        let is_shown = ["<", "[<"].map(|value| help.contains(&format!("--{option} {value}")));
        assert!(is_shown.contains(&true), "{option}");
    }
}

#[test]
fn the_version_is_the_package_version() {
    let error = try_parse_from(["corecast", "--version"], &|_| None).unwrap_err();
    assert_eq!(error.exit_code(), 0);
    assert_eq!(
        error.to_string().trim(),
        format!("corecast {}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn no_command_is_a_mistake() {
    let error = try_parse_from(["corecast"], &|_| None).unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn settings_that_have_changed_are_named_with_what_a_running_server_takes() {
    let before = ServeOptions::default();
    assert_eq!(before.changed_from(&before), []);
    let mut after = before.clone();
    after.config.shards = 7;
    after.config.max_message_rate = 100;
    after.config.routes.clear();
    let tables = &mut after.config.handlers;
    tables.insert("phoenix".to_owned(), UnreadTable::default());
    tables.insert("chat".to_owned(), UnreadTable::default());
    tables.insert("echo".to_owned(), UnreadTable::default());
    after.log_level = LevelFilter::DEBUG;
    let changes = after.changed_from(&before);
    let live = |is_live| -> Vec<&str> {
        let changes = changes.iter().filter(|change| change.is_live == is_live);
        changes.map(|change| change.key.as_str()).collect()
    };
    assert_eq!(
        live(true),
        [
            "max_message_rate",
            "log_level",
            "handlers.chat",
            "handlers.phoenix"
        ]
    );
    assert_eq!(live(false), ["shards", "routes", "handlers"]);
    let values = Some(["0".to_owned(), "100".to_owned()]);
    assert!(changes.iter().any(|change| change.values == values));

    let mut running = before.clone();
    running.take_up(&after);
    let keys: Vec<_> = after
        .changed_from(&running)
        .into_iter()
        .map(|change| change.key)
        .collect();
    assert_eq!(keys, ["shards", "routes", "handlers"]);
}
