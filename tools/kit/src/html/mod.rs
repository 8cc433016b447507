//! A page in one file, and the pieces it consists of.
//!
//! The page of `corecast-bench` is made of the same pieces, so that both look
//! alike. Light and dark are the reader's choice; on paper it is always light.

use std::ops::Range;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::chart;

/// A whole page, which loads nothing.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// The subject of the page, as plain text.
    pub title: &'a str,
    /// The program that made it.
    pub program: &'a str,
    /// Style rules after those that all pages share.
    pub style: &'a str,
    /// The contents of `<body>`: trusted HTML.
    pub body: &'a str,
}

impl Document<'_> {
    /// The file.
    pub fn html(&self) -> String {
        let style = format!(
            "{}{}{}",
            chart::style(),
            include_str!("page.css"),
            self.style
        );
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " – " (self.program) }
                    style { (PreEscaped(style)) }
                }
                body { (PreEscaped(self.body)) }
            }
        }
        .into_string()
            + "\n"
    }
}

/// Text from anywhere as it may stand in an element or a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    html! { (text) }.into_string()
}

/// A list, or nothing when there are no items.
pub fn list(items: impl IntoIterator<Item = Markup>) -> Markup {
    let mut items = items.into_iter().peekable();
    html! {
        @if items.peek().is_some() {
            ul { @for item in items { li { (item) } } }
        }
    }
}

/// A chart under its title. Narrow screens scroll it sideways rather than shrink
/// its text.
pub fn figure(id: &str, title: &str, svg: &str) -> Markup {
    html! {
        figure #(id) {
            figcaption { (title) }
            div.chart tabindex="0" { (PreEscaped(svg)) }
        }
    }
}

/// A table under its headings. The columns `figures` are aligned right.
pub fn grid(headings: &[&str], figures: Range<usize>, rows: &[Vec<String>]) -> Markup {
    html! {
        div.table tabindex="0" {
            table {
                thead { tr {
                    @for (index, text) in headings.iter().enumerate() {
                        th .figure[figures.contains(&index)] { (text) }
                    }
                } }
                tbody {
                    @for row in rows { tr {
                        @for (index, text) in row.iter().enumerate() {
                            td .figure[figures.contains(&index)] { (text) }
                        }
                    } }
                }
            }
        }
    }
}

/// A table under a title, or nothing when there are no rows; see [`grid`].
pub fn table(
    id: &str,
    title: &str,
    headings: &[&str],
    figures: Range<usize>,
    rows: &[Vec<String>],
) -> Markup {
    html! {
        @if !rows.is_empty() {
            section #(id) {
                h2 { (title) }
                (grid(headings, figures, rows))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(escape("a<b>&\"é"), "a&lt;b&gt;&amp;&quot;é");
    }

    #[test]
    fn a_table_without_rows_is_left_out() {
        let table = |rows: &[Vec<String>]| table("x", "X", &["a", "b"], 1..2, rows).into_string();
        assert_eq!(table(&[]), "");
        let html = table(&[vec!["<".into(), "1".into()]]);
        assert!(
            html.contains("<td class=\"figure\">1</td>") && html.contains("&lt;"),
            "{html}"
        );
        assert_eq!(list(std::iter::empty()).into_string(), "");
    }
}
