//! Numbers as people read them.

pub(super) use corecast_host::number::grouped;

/// A number with the noun it counts: "1 connection", "2,000 connections".
pub(super) fn count(number: u64, noun: &str) -> String {
    let plural = match (number, noun.strip_suffix("ss")) {
        (1, _) => "",
        (_, Some(_)) => "es",
        (_, None) => "s",
    };
    format!("{} {noun}{plural}", grouped(number))
}

/// A share from 0 to 1 in percent. Only a whole is 100 %.
pub(super) fn percent(share: f64) -> String {
    let percent = (share * 100.0).round();
    let percent = if share < 1.0 {
        percent.min(99.0)
    } else {
        percent
    };
    format!("{percent} %")
}

/// Bytes in the largest unit of which there is at least one.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} bytes"),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
}

/// A rate per second: small ones keep a digit after the point.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        small if small < 100.0 => format!("{small:.1}"),
        large => grouped(large.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (28_232, "28,232"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn nouns_follow_their_number() {
        assert_eq!(count(1, "port"), "1 port");
        assert_eq!(count(2_000, "port"), "2,000 ports");
        assert_eq!(count(0, "source address"), "0 source addresses");
    }

    #[test]
    fn nearly_all_is_not_all() {
        assert_eq!(percent(0.996), "99 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.516), "52 %");
    }

    #[test]
    fn bytes_have_a_unit() {
        assert_eq!(bytes(512), "512 bytes");
        assert_eq!(bytes(1_572_864), "1.5 MiB");
        assert_eq!(bytes(2_358_484_992), "2.2 GiB");
    }

    #[test]
    fn rates_are_whole_where_they_are_large() {
        assert_eq!(rate(2.25), "2.2");
        assert_eq!(rate(49_999.7), "50,000");
    }
}
