//! The meaning of the lists, and that `auto` takes as many addresses as it must
//! and no more.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// The ephemeral ports of Linux as it comes.
const PORTS: u64 = 28_232;

fn listed(text: &str) -> Vec<String> {
    match text.parse() {
        Ok(Sources::Listed(addresses)) => addresses.iter().map(IpAddr::to_string).collect(),
        other => panic!("{text}: {other:?}"),
    }
}

fn targets(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn auto(texts: &[&str], connections: u64) -> Vec<IpAddr> {
    Sources::default()
        .resolve(&targets(texts), connections, PORTS)
        .unwrap()
}

#[test]
fn lists_ranges_and_networks() {
    assert_eq!("auto".parse(), Ok(Sources::Auto));
    assert_eq!(" AUTO ".parse(), Ok(Sources::Auto));
    assert_eq!(listed("10.0.0.5, 10.0.0.6"), ["10.0.0.5", "10.0.0.6"]);
    assert_eq!(
        listed("127.0.0.254-127.0.1.1"),
        ["127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.1.1"]
    );
    assert_eq!(listed("127.1.0.0/30"), ["127.1.0.1", "127.1.0.2"]);
    assert_eq!(listed("127.1.0.0/31"), ["127.1.0.0", "127.1.0.1"]);
    assert_eq!(listed("127.1.0.7/32"), ["127.1.0.7"]);
    assert_eq!(listed("127.1.0.0/24").len(), 254);
    assert_eq!(listed("127.1.0.0/16").len(), 65_534);
    assert_eq!(listed("fd00::1-fd00::2,::1"), ["fd00::1", "fd00::2", "::1"]);
    assert_eq!(listed("fd00::/126"), ["fd00::1", "fd00::2", "fd00::3"]);
}

#[test]
fn what_is_named_twice_is_used_once_and_the_order_stays() {
    assert_eq!(
        listed("127.0.0.9,127.0.0.8-127.0.0.10,127.0.0.9"),
        ["127.0.0.9", "127.0.0.8", "127.0.0.10"]
    );
}

#[test]
fn slips_are_explained() {
    for (text, words) in [
        ("", "write auto, or addresses"),
        ("10.0.0.5,", "a source address is missing"),
        ("auto,10.0.0.5", "write it alone"),
        ("localhost", "'localhost' is not an address"),
        ("10.0.0.5:80", "'10.0.0.5:80' is not an address"),
        ("10.0.0.5-10", "'10' is not an address"),
        ("10.0.0.9-10.0.0.5", "did you mean 10.0.0.5-10.0.0.9?"),
        ("10.0.0.9-::1", "one family"),
        ("10.0.0.0/33", "0 to 32"),
        ("::/x", "0 to 128"),
        ("10.0.0.5/24", "did you mean 10.0.0.0/24?"),
        ("127.0.0.0/8", "more than 65536"),
        ("::/0", "more than 65536"),
        (
            "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "more than 65536",
        ),
        ("127.1.0.0/16,127.2.0.0/29", "with '127.2.0.0/29'"),
    ] {
        let complaint = text.parse::<Sources>().unwrap_err().to_string();
        assert!(complaint.contains(words), "{text}: {complaint}");
    }
}

#[test]
fn auto_leaves_it_to_the_kernel_where_it_can_or_must() {
    let loopback = "127.0.0.1:8080";
    assert!(auto(&[loopback], 0).is_empty());
    assert!(auto(&[loopback], comfortable(PORTS)).is_empty());
    assert!(auto(&[loopback, "127.0.0.1:8081"], 2 * comfortable(PORTS)).is_empty());
    assert!(auto(&["192.0.2.1:80"], 1_000_000).is_empty());
    assert!(auto(&["[::1]:80"], 1_000_000).is_empty());
    assert!(auto(&[loopback, "192.0.2.1:80"], 1_000_000).is_empty());
    assert!(auto(&[], 1_000_000).is_empty());
}

#[test]
fn auto_counts_from_127_0_0_2_past_the_targets() {
    let sources = auto(&["127.0.0.1:8080", "127.0.0.3:8080"], 30_000);
    let texts: Vec<_> = sources.iter().map(IpAddr::to_string).collect();
    assert_eq!(texts, ["127.0.0.2", "127.0.0.4", "127.0.0.5"]);
    // A target that was given twice is one.
    assert_eq!(auto(&["127.0.0.1:80"; 2], 30_000).len(), 5);
}

#[test]
fn auto_has_an_end() {
    let all = u64::MAX;
    let error = Sources::Auto
        .resolve(&targets(&["127.0.0.1:80"]), all, PORTS)
        .unwrap_err();
    assert!(error.to_string().contains("ip_local_port_range"), "{error}");
}

#[test]
fn a_list_is_tried_on_this_host() {
    let own: Sources = "127.0.0.2-127.0.0.4".parse().unwrap();
    let one = targets(&["127.0.0.1:80"]);
    assert_eq!(own.resolve(&one, 1, PORTS).unwrap().len(), 3);

    let foreign: Sources = "127.0.0.2,192.0.2.7".parse().unwrap();
    let error = foreign.resolve(&one, 1, PORTS).unwrap_err().to_string();
    assert!(error.contains("ip address add 192.0.2.7/32"), "{error}");

    let six: Sources = "::1".parse().unwrap();
    let error = six.resolve(&one, 1, PORTS).unwrap_err().to_string();
    assert!(error.contains("from the source address ::1 to 127.0.0.1:80"));
}

#[test]
fn people_see_a_long_list_by_its_ends() {
    for (text, shown) in [
        ("auto", "auto"),
        ("10.0.0.5,10.0.0.6", "10.0.0.5,10.0.0.6"),
        ("127.1.0.0/24", "127.1.0.1 to 127.1.0.254, 254 addresses"),
    ] {
        assert_eq!(text.parse::<Sources>().unwrap().to_string(), shown);
    }
}

proptest! {
    /// The pairs suffice, one source fewer would not, and no address is one
    /// that should not be used.
    #[test]
    fn auto_takes_as_many_as_it_must(
        connections in 0u64..2_000_000,
        ports in 1_000u64..64_512,
        hosts in prop::collection::hash_set(1u8..8, 1..4),
    ) {
        let targets: Vec<SocketAddr> =
            hosts.iter().map(|host| ([127, 0, 0, *host], 80).into()).collect();
        let sources = Sources::Auto.resolve(&targets, connections, ports).unwrap();
        let room = |sources: usize| (sources * targets.len()) as u64 * (comfortable(ports));
        prop_assert!(room(sources.len().max(1)) >= connections);
        if sources.len() > 1 {
            prop_assert!(room(sources.len() - 1) < connections);
        }
        prop_assert_ne!(sources.len(), 1);
        let distinct: HashSet<_> = sources.iter().collect();
        prop_assert_eq!(distinct.len(), sources.len());
        for source in &sources {
            prop_assert!(source.is_loopback());
            prop_assert!(targets.iter().all(|target| target.ip() != *source));
            let IpAddr::V4(source) = source else { panic!("{source}") };
            prop_assert!(!matches!(source.octets()[3], 0 | 255));
        }
    }

    /// A range has all addresses between its ends and is read from any text it
    /// could have been written as.
    #[test]
    fn ranges_are_whole(first in any::<u32>(), more in 0u32..1000) {
        let last = first.saturating_add(more);
        let text = format!("{}-{}", Ipv4Addr::from(first), Ipv4Addr::from(last));
        let addresses = listed(&text);
        prop_assert_eq!(addresses.len() as u64, u64::from(last - first) + 1);
        prop_assert_eq!(&addresses[0], &Ipv4Addr::from(first).to_string());
        let one_by_one = addresses.join(",");
        prop_assert_eq!(one_by_one.parse::<Sources>(), text.parse::<Sources>());
    }
}
