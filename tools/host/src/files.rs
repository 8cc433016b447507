//! The files in `sysctl/`, as they were when this was built.

/// Each file's name and text, in the order in which the host reads them.
pub const SYSCTL_FILES: [(&str, &str); 5] = [
    (
        "10-corecast-files.conf",
        include_str!("../../../sysctl/10-corecast-files.conf"),
    ),
    (
        "20-corecast-listen.conf",
        include_str!("../../../sysctl/20-corecast-listen.conf"),
    ),
    (
        "30-corecast-memory.conf",
        include_str!("../../../sysctl/30-corecast-memory.conf"),
    ),
    (
        "40-corecast-ports.conf",
        include_str!("../../../sysctl/40-corecast-ports.conf"),
    ),
    (
        "50-corecast-conntrack.conf",
        include_str!("../../../sysctl/50-corecast-conntrack.conf"),
    ),
];

/// The value that one of the files has for a kernel parameter.
pub(crate) fn value_of(key: &str) -> Option<&'static str> {
    let lines = SYSCTL_FILES.iter().flat_map(|(_, text)| text.lines());
    let mut settings = lines.filter_map(|line| line.trim_start_matches('-').split_once(" = "));
    settings.find_map(|(name, value)| (name == key).then_some(value))
}

/// Whether a value is enough where another one is needed: none of its numbers is less.
pub(crate) fn suffices(value: &str, needed: &str) -> bool {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        text.split_ascii_whitespace()
            .map(|number| number.parse().ok())
            .collect()
    };
    match (numbers(value), numbers(needed)) {
        // Switches and ranges are not more or less.
        (Some(value), Some(needed)) if needed.iter().all(|number| *number > 1) => {
            value.len() == needed.len() && value.iter().zip(&needed).all(|(one, two)| one >= two)
        }
        _ => value == needed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_files() {
        assert_eq!(value_of("fs.nr_open"), Some("2097152"));
        assert_eq!(value_of("net.netfilter.nf_conntrack_max"), Some("2097152"));
        assert_eq!(value_of("fs.nr"), None);
    }

    #[test]
    fn a_value_suffices_if_no_number_is_less() {
        for (value, needed, enough) in [
            ("2097152", "65536", true),
            ("65535", "65536", false),
            ("4 5 6", "4 4 6", true),
            ("4 5 6", "4 6 6", false),
            ("4 5 6", "4 5", false),
            ("1", "0", false),
            ("0", "0", true),
            ("1024 65535", "1024 65535", true),
            ("8080,9090", "8080,9090", true),
            ("8080,9090", "8081", false),
        ] {
            assert_eq!(suffices(value, needed), enough, "{value} for {needed}");
        }
    }
}
