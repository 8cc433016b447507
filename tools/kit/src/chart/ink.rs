//! Colours and dashes.
//!
//! plotters writes colours as fixed attributes. Each [`Ink`] is therefore drawn
//! in a colour that nothing else has, and [`dress`] turns that attribute into a
//! style with a CSS variable, and with dashes where the ink has them.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// The ink of one part of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Labels and titles.
    Text,
    /// The axes.
    Axis,
    /// The lines behind the figures.
    Grid,
    /// The bars of a histogram.
    Bar,
    /// A line of figures, by its place in the chart.
    Line(usize),
}

/// Name, colour on light, colour on dark, dashes of the lines of a chart. The
/// colours hold for the usual kinds of colour blindness and stand out from
/// their background by 3:1 at least.
const LINES: [(&str, &str, &str, &str); 6] = [
    ("--line-0", "#0067a8", "#56b4e9", "none"),
    ("--line-1", "#c14600", "#f0a23c", "9 4"),
    ("--line-2", "#007a5a", "#3fd0a4", "3 4"),
    ("--line-3", "#9c3a86", "#e59ccb", "12 4 3 4"),
    ("--line-4", "#5c5c00", "#f0e442", "none"),
    ("--line-5", "#404a58", "#c4ccd8", "6 3"),
];

const OTHERS: [(&str, &str, &str); 4] = [
    ("--chart-text", "#2b323c", "#d5dae2"),
    ("--chart-axis", "#6b7480", "#8a93a0"),
    ("--chart-grid", "#dde1e7", "#343b46"),
    ("--chart-bar", "#6aa6cc", "#3f7ea8"),
];

impl Ink {
    const ALL: [Ink; 4 + LINES.len()] = [
        Ink::Text,
        Ink::Axis,
        Ink::Grid,
        Ink::Bar,
        Ink::Line(0),
        Ink::Line(1),
        Ink::Line(2),
        Ink::Line(3),
        Ink::Line(4),
        Ink::Line(5),
    ];

    /// The colour that stands for it until [`dress`].
    pub(super) fn sentinel(self) -> RGBColor {
        RGBColor(0xFE, 0xED, self.number())
    }

    fn number(self) -> u8 {
        match self {
            Ink::Text => 0,
            Ink::Axis => 1,
            Ink::Grid => 2,
            Ink::Bar => 3,
            Ink::Line(index) => 4 + (index % LINES.len()) as u8,
        }
    }

    /// The variable with its fallback, and the dashes.
    fn css(self) -> (String, &'static str) {
        let (name, light, dashes) = match self {
            Ink::Line(index) => {
                let (name, light, _, dashes) = LINES[index % LINES.len()];
                (name, light, dashes)
            }
            other => {
                let (name, light, _) = OTHERS[usize::from(other.number())];
                (name, light, "none")
            }
        };
        (format!("var({name},{light})"), dashes)
    }
}

/// Turns the colours of a drawn chart into styles.
pub(super) fn dress(svg: &str) -> String {
    let mut svg = svg.to_owned();
    for ink in Ink::ALL {
        let RGBColor(red, green, blue) = ink.sentinel();
        let sentinel = format!("#{red:02X}{green:02X}{blue:02X}");
        let (colour, dashes) = ink.css();
        let mut stroke = format!("style=\"stroke:{colour}");
        if dashes != "none" {
            let _ = write!(stroke, ";stroke-dasharray:{dashes}");
        }
        svg = svg
            .replace(&format!("stroke=\"{sentinel}\""), &format!("{stroke}\""))
            .replace(
                &format!("fill=\"{sentinel}\""),
                &format!("style=\"fill:{colour}\""),
            );
    }
    svg
}

/// The variables' declarations, for light or for dark.
pub(crate) fn style(dark: bool) -> String {
    let lines = LINES.map(|(name, light, on_dark, _)| (name, light, on_dark));
    lines
        .iter()
        .chain(&OTHERS)
        .map(|(name, light, on_dark)| format!("{name}:{};", if dark { on_dark } else { light }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ink_has_a_colour_of_its_own() {
        for (index, ink) in Ink::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(ink.number()), index);
        }
    }

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
        for (name, light, dark, _) in LINES {
            assert!(contrast(light, "#ffffff") >= 3.0, "{name}");
            assert!(contrast(dark, "#1b2027") >= 3.0, "{name}");
        }
    }

    #[test]
    fn a_sentinel_becomes_a_variable_with_a_fallback_and_dashes() {
        let svg = dress("<polyline fill=\"none\" stroke=\"#FEED05\"/><text fill=\"#FEED00\">");
        assert_eq!(
            svg,
            "<polyline fill=\"none\" style=\"stroke:var(--line-1,#c14600);stroke-dasharray:9 4\"/>\
             <text style=\"fill:var(--chart-text,#2b323c)\">"
        );
    }
}
