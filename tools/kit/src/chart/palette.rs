//! The colours and dashes of pages and charts.

/// Colour on light, colour on dark, dashes of the lines of a chart. The colours
/// hold for the usual kinds of colour blindness and stand out from their background
/// by 3:1 at least.
const LINES: [(&str, &str, &str); 6] = [
    ("#0067a8", "#56b4e9", "none"),
    ("#c14600", "#f0a23c", "9 4"),
    ("#007a5a", "#3fd0a4", "3 4"),
    ("#9c3a86", "#e59ccb", "12 4 3 4"),
    ("#5c5c00", "#f0e442", "none"),
    ("#404a58", "#c4ccd8", "6 3"),
];

const OTHERS: [(&str, &str, &str); 5] = [
    ("--card", "#ffffff", "#1b2027"),
    ("--chart-text", "#2b323c", "#d5dae2"),
    ("--chart-axis", "#6b7480", "#8a93a0"),
    ("--chart-grid", "#dde1e7", "#343b46"),
    ("--chart-bar", "#6aa6cc", "#3f7ea8"),
];

/// The class of a line of figures, by its place in the chart.
pub(super) fn line_class(index: usize) -> String {
    format!("line-{}", index % LINES.len())
}

/// The variables' declarations, for light or for dark.
pub(super) fn variables(dark: bool) -> String {
    let chosen = |light, on_dark| if dark { on_dark } else { light };
    let lines = LINES
        .iter()
        .enumerate()
        .map(|(index, (light, on_dark, _))| {
            format!("--line-{index}:{};", chosen(*light, *on_dark))
        });
    let others = OTHERS.iter();
    let others = others.map(|(name, light, on_dark)| format!("{name}:{};", chosen(light, on_dark)));
    lines.chain(others).collect()
}

/// The rules that give each line of figures its colour and dashes.
pub(super) fn line_rules() -> String {
    let lines = LINES.iter().enumerate().map(|(index, (_, _, dashes))| {
        format!(
            "svg .line-{index} {{ --role: var(--line-{index}); --fill: var(--line-{index}); \
             stroke-dasharray: {dashes}; }}\n"
        )
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG's contrast of two colours.
    fn contrast(one: &str, other: &str) -> f64 {
        let luminance = |colour: &str| {
            let part = |at: usize| {
                let value = u8::from_str_radix(&colour[at..at + 2], 16).unwrap();
                let value = f64::from(value) / 255.0;
                if value <= 0.040_45 {
                    value / 12.92
                } else {
                    ((value + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn lines_stand_out_from_light_and_from_dark() {
        let (_, light_card, dark_card) = OTHERS[0];
        for (light, dark, _) in LINES {
            assert!(contrast(light, light_card) >= 3.0, "{light}");
            assert!(contrast(dark, dark_card) >= 3.0, "{dark}");
        }
    }
}
