//! The two forms of `/metrics`: OpenMetrics, and the older text format of
//! Prometheus for collectors that ask for `text/plain`.

use std::fmt::Write;

/// A form in which metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `application/openmetrics-text`: what a client gets that does not mind.
    OpenMetrics,
    /// `text/plain`, version 0.0.4.
    Text,
}

impl Format {
    /// The form that a client likes best, from its `Accept` headers (RFC 9110
    /// §12.5.1). Between two that it likes as much it gets OpenMetrics, and so
    /// does a client that names neither, because an answer is of more use than
    /// a refusal.
    pub(super) fn accepted<'a>(accept: impl Iterator<Item = &'a str>) -> Format {
        let [mut open_metrics, mut text] = [Liking::default(); 2];
        for range in accept.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts
                .filter_map(|part| part.split_once('='))
                .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
                .map_or(1.0, |(_, quality)| quality.trim().parse().unwrap_or(0.0));
            match &*media {
                "application/openmetrics-text" => open_metrics.add(2, quality),
                "application/*" => open_metrics.add(1, quality),
                "text/plain" => text.add(2, quality),
                "text/*" => text.add(1, quality),
                "*/*" => {
                    open_metrics.add(0, quality);
                    text.add(0, quality);
                }
                _ => {}
            }
        }
        if text.quality > open_metrics.quality {
            Format::Text
        } else {
            Format::OpenMetrics
        }
    }

    /// The value of `Content-Type`.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Metrics in this form, from those in OpenMetrics.
    pub(super) fn write(self, open_metrics: String) -> String {
        match self {
            Format::OpenMetrics => open_metrics,
            Format::Text => as_text(&open_metrics),
        }
    }
}

/// How much a client likes a form: the most precise of its words counts.
#[derive(Debug, Clone, Copy, Default)]
struct Liking {
    precision: u8,
    quality: f32,
}

impl Liking {
    fn add(&mut self, precision: u8, quality: f32) {
        // Of two equally precise words, such as two versions, the better counts.
        if (precision, quality) > (self.precision, self.quality) {
            *self = Liking { precision, quality };
        }
    }
}

/// OpenMetrics as the older format: a family is called as its samples are, an
/// `info` is a gauge, and there is no unit and no end.
fn as_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(named) = line.strip_prefix("# HELP ") {
            // Its family's type comes next, and with it the name.
            help = named.split_once(' ').map(|(_, help)| help);
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|named| named.split_once(' '))
        {
            let (end, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some(help) = help.take() {
                let _ = writeln!(text, "# HELP {name}{end} {help}");
            }
            let _ = writeln!(text, "# TYPE {name}{end} {kind}");
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_the_form_it_likes_best() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            (&[][..], Format::OpenMetrics),
            (&["*/*"], Format::OpenMetrics),
            (&["application/json"], Format::OpenMetrics),
            (&[prometheus], Format::OpenMetrics),
            (&["text/plain"], Format::Text),
            (&["Text/Plain; version=0.0.4"], Format::Text),
            (&["text/plain, */*;q=0.1"], Format::Text),
            (&["text/*;q=0.5"], Format::Text),
            (&["application/json", "text/plain"], Format::Text),
            (
                &["text/plain;q=0.5, application/openmetrics-text"],
                Format::OpenMetrics,
            ),
            (&["application/openmetrics-text;q=0, */*"], Format::Text),
            (&["text/plain;q=0"], Format::OpenMetrics),
            (&["text/html, */*;q=0.8"], Format::OpenMetrics),
        ] {
            assert_eq!(
                Format::accepted(accept.iter().copied()),
                format,
                "{accept:?}"
            );
        }
    }

    #[test]
    fn the_older_form_names_families_as_samples() {
        let open_metrics = "# HELP a_opened Opened.\n# TYPE a_opened counter\na_opened_total{s=\"0\"} 1\n\
             # HELP a_build What.\n# TYPE a_build info\na_build_info{v=\"1\"} 1\n\
             # HELP a_bytes How many.\n# TYPE a_bytes gauge\n# UNIT a_bytes bytes\na_bytes 2.5\n# EOF\n";
        assert_eq!(
            Format::Text.write(open_metrics.to_owned()),
            "# HELP a_opened_total Opened.\n# TYPE a_opened_total counter\na_opened_total{s=\"0\"} 1\n\
             # HELP a_build_info What.\n# TYPE a_build_info gauge\na_build_info{v=\"1\"} 1\n\
             # HELP a_bytes How many.\n# TYPE a_bytes gauge\na_bytes 2.5\n"
        );
    }
}
