//! Numbers as people write them: `50k`, `1M`, `1_000_000`. Each function reads one
//! kind, and its error is a sentence that says how it is written; [`grouped`] is how
//! they read them.

/// More than any count of things on a host, and small enough to be multiplied
/// with a few others.
const MOST: u64 = 1_000_000_000_000_000;

/// Reads a whole number.
///
/// # Errors
/// When it is none.
pub fn count(text: &str) -> Result<u64, String> {
    let plain: String = text.chars().filter(|c| *c != '_' && *c != ',').collect();
    let (digits, factor) = match plain.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1_000.0),
        None => match plain.strip_suffix(['m', 'M']) {
            Some(digits) => (digits, 1_000_000.0),
            None => (plain.as_str(), 1.0),
        },
    };
    let refuse = || format!("'{text}' is not a number like 5000, 50k or 1.5M");
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
pub fn time(text: &str) -> Result<std::time::Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => Err("must be longer than nothing".into()),
        Ok(time) => Ok(time),
        Err(error) => Err(format!("{error}; write it as 500ms, 10s or 30m")),
    }
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
        ] {
            assert!(count(text).is_err(), "{text}");
        }
        assert!(positive("0").is_err());
    }

    #[test]
    fn rates_and_times() {
        assert_eq!(rate("2.5k"), Ok(2_500.0));
        assert!(rate("0").is_err() && rate("nan").is_err() && rate("inf").is_err());
        assert_eq!(time("1m 30s"), Ok(std::time::Duration::from_secs(90)));
        assert!(time("0s").is_err() && time("10").is_err());
    }
}
