//! Numbers as people write them: `50k`, `1M`, `1_000_000`, `64KiB`, `30s`. Each
//! function reads one kind, and its error is a sentence that says how it is written;
//! [`grouped`] is how they read them.
//!
//! The server and its tools all read through these, so a number has one spelling.

use std::time::Duration;

use bytesize::ByteSize;

/// More than any count of things on a host, and small enough to be multiplied
/// with a few others.
const MOST: u64 = 1_000_000_000_000_000;

/// Reads a whole number: `5000`, `5_000`, `5,000`, `50k` or `1.5M`.
///
/// # Errors
/// When it is none.
pub fn count(text: &str) -> Result<u64, String> {
    let refuse = || format!("'{text}' is not a number like 5000, 50k or 1.5M");
    let (digits, factor) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1_000.0),
        None => match text.strip_suffix(['m', 'M']) {
            Some(digits) => (digits, 1_000_000.0),
            None => (text, 1.0),
        },
    };
    let digits = ungrouped(digits).ok_or_else(refuse)?;
    if factor == 1.0 {
        let whole = digits.parse().ok().filter(|whole| *whole <= MOST);
        return whole.ok_or_else(refuse);
    }
    let number: f64 = digits.parse().map_err(|_| refuse())?;
    let whole = (number * factor).round();
    if !(0.0..=MOST as f64).contains(&whole) {
        return Err(refuse());
    }
    Ok(whole as u64)
}

/// A number without the separators of its digits: underscores anywhere, and commas
/// between thousands. Other commas make a list, which is no number.
fn ungrouped(text: &str) -> Option<String> {
    let plain = text.replace('_', "");
    let Some((first, rest)) = plain.split_once(',') else {
        return Some(plain);
    };
    let are_digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let begins = (1..=3).contains(&first.len()) && are_digits(first);
    let goes_on = rest
        .split(',')
        .all(|group| group.len() == 3 && are_digits(group));
    (begins && goes_on).then(|| plain.replace(',', ""))
}

/// Reads a number of bytes: `65536`, `64KiB` (1,024 each) or `64kB` (1,000 each).
/// `64K` is refused, because half of its readers mean the one and half the other.
///
/// # Errors
/// When it is none.
pub fn size(text: &str) -> Result<u64, String> {
    let plain = text.trim().replace('_', "");
    let number = plain.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = plain[number.len()..].trim();
    let mut letters = unit.chars();
    if !number.is_empty()
        && let (Some(letter @ ('k' | 'K' | 'm' | 'M' | 'g' | 'G' | 't' | 'T')), None) =
            (letters.next(), letters.next())
    {
        let binary = letter.to_ascii_uppercase();
        let decimal = if binary == 'K' { 'k' } else { binary };
        let number = number.trim_end();
        return Err(format!(
            "'{text}' could be {number}{decimal}B or {number}{binary}iB; write the one that is meant"
        ));
    }
    let size = plain.parse::<ByteSize>().map(|size| size.as_u64());
    size.map_err(|_| format!("'{text}' is not a size; write bytes, as in 65536, or 64KiB or 1MiB"))
}

/// Reads a whole number that is not zero.
///
/// # Errors
/// When it is none.
pub fn positive(text: &str) -> Result<u64, String> {
    match count(text)? {
        0 => Err("must be at least 1".into()),
        number => Ok(number),
    }
}

/// Reads a rate per second above zero.
///
/// # Errors
/// When it is none.
pub fn rate(text: &str) -> Result<f64, String> {
    let refuse = || format!("'{text}' is not a rate per second like 0.5, 200 or 50k");
    let number = match text.strip_suffix(['k', 'K']) {
        Some(digits) => digits.parse::<f64>().map(|number| number * 1e3),
        None => match text.strip_suffix(['m', 'M']) {
            Some(digits) => digits.parse::<f64>().map(|number| number * 1e6),
            None => text.parse(),
        },
    }
    .map_err(|_| refuse())?;
    if number.is_finite() && number > 0.0 && number <= 1e9 {
        Ok(number)
    } else {
        Err(refuse())
    }
}

/// Reads a time above zero, such as `10s`, `500ms` or `1h 30m`.
///
/// # Errors
/// When it is none.
pub fn time(text: &str) -> Result<Duration, String> {
    match time_or_zero(text)? {
        Duration::ZERO => Err("must be longer than nothing".into()),
        time => Ok(time),
    }
}

/// Reads a time, or `0`, which needs no unit.
///
/// # Errors
/// When it is none.
pub fn time_or_zero(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text).map_err(|_| {
        format!("'{text}' is not a time; write a number and a unit, as in 500ms, 10s or 2m")
    })
}

/// A whole number with its thousands apart: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(12_345_678), "12,345,678");
    }

    #[test]
    fn numbers_as_people_write_them() {
        for (text, number) in [
            ("0", 0),
            ("50k", 50_000),
            ("1.5M", 1_500_000),
            ("1_000_000", 1_000_000),
            ("750,000", 750_000),
            ("1,000k", 1_000_000),
        ] {
            assert_eq!(count(text), Ok(number), "{text}");
        }
        for text in [
            "",
            "k",
            "-1",
            "1.5",
            "ten",
            "1e99M",
            "1000000000000001",
            "18446744073709551615",
            "1,2",
            "1,2345",
            "1,000,",
            ",100",
        ] {
            assert!(count(text).is_err(), "{text}");
        }
        assert!(positive("0").is_err());
    }

    #[test]
    fn sizes_have_units_or_none() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65536),
            ("65_536", 65536),
            ("64KiB", 65536),
            ("64 KiB", 65536),
            ("1MiB", 1 << 20),
            ("1.5MiB", 3 << 19),
            ("1kB", 1000),
            ("1KB", 1000),
            ("12B", 12),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "-1", "abc", "1XB", "KiB", "1,2"] {
            let problem = size(text).unwrap_err();
            assert!(problem.contains("is not a size; write bytes"), "{problem}");
        }
    }

    #[test]
    fn a_unit_of_bytes_that_is_two_is_refused() {
        for (text, problem) in [
            (
                "64K",
                "'64K' could be 64kB or 64KiB; write the one that is meant",
            ),
            (
                "64k",
                "'64k' could be 64kB or 64KiB; write the one that is meant",
            ),
            (
                "1.5 M",
                "'1.5 M' could be 1.5MB or 1.5MiB; write the one that is meant",
            ),
            (
                "1G",
                "'1G' could be 1GB or 1GiB; write the one that is meant",
            ),
        ] {
            assert_eq!(size(text), Err(problem.to_owned()));
        }
    }

    #[test]
    fn rates_and_times() {
        assert_eq!(rate("2.5k"), Ok(2_500.0));
        assert!(rate("0").is_err() && rate("nan").is_err() && rate("inf").is_err());
        assert_eq!(time("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(time("0s").is_err() && time("0").is_err());
        for text in ["", "10", "-1s", "soon"] {
            assert!(
                time(text).unwrap_err().contains("500ms, 10s or 2m"),
                "{text}"
            );
        }
        for text in ["0", "0s"] {
            assert_eq!(time_or_zero(text), Ok(Duration::ZERO));
        }
    }
}
