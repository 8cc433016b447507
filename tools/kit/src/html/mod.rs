//! A page in one file, and the pieces it consists of.
//!
//! The page of `corecast-bench` is made of the same pieces, so that both look
//! alike. Light and dark are the reader's choice; on paper it is always light.

use std::fmt::Write as _;
use std::ops::Range;

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
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{} – {}</title>\n\
             <style>\n{}{}{}</style>\n\
             </head>\n<body>\n{}</body>\n</html>\n",
            escape(self.title),
            escape(self.program),
            chart::style(),
            include_str!("page.css"),
            self.style,
            self.body,
        )
    }
}

/// Text from anywhere as it may stand in an element or a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A list, or nothing when there are no items; these are trusted HTML.
pub fn list(items: impl IntoIterator<Item = String>) -> String {
    let items = items.into_iter();
    let items: String = items.map(|item| format!("<li>{item}</li>\n")).collect();
    if items.is_empty() {
        return items;
    }
    format!("<ul>\n{items}</ul>\n")
}

/// A chart under its title, which is plain text. Narrow screens scroll it
/// sideways rather than shrink its text.
pub fn figure(id: &str, title: &str, svg: &str) -> String {
    format!(
        "<figure id=\"{id}\"><figcaption>{}</figcaption>\
         <div class=\"chart\" tabindex=\"0\">{svg}</div></figure>\n",
        escape(title)
    )
}

/// A table under a heading, or nothing when there are no rows. The columns
/// `figures` are aligned right.
pub fn table(
    id: &str,
    title: &str,
    headings: &[&str],
    figures: Range<usize>,
    rows: Vec<Vec<String>>,
) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let cell = |kind: &str, index: usize, text: &str| {
        let class = if figures.contains(&index) {
            " class=\"figure\""
        } else {
            ""
        };
        format!("<{kind}{class}>{}</{kind}>", escape(text))
    };
    let line = |kind: &str, cells: &mut dyn Iterator<Item = &str>| -> String {
        let cells = cells.enumerate();
        cells.map(|(index, text)| cell(kind, index, text)).collect()
    };
    let mut html = format!(
        "<section id=\"{id}\"><h2>{}</h2>\n<div class=\"table\" tabindex=\"0\"><table>\n\
         <thead><tr>{}</tr></thead>\n<tbody>\n",
        escape(title),
        line("th", &mut headings.iter().copied())
    );
    for row in rows {
        let cells = line("td", &mut row.iter().map(String::as_str));
        // Writing to a string does not fail.
        let _ = writeln!(html, "<tr>{cells}</tr>");
    }
    html.push_str("</tbody></table></div></section>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(escape("a<b>&\"'é"), "a&lt;b&gt;&amp;&quot;&#39;é");
    }

    #[test]
    fn a_table_without_rows_is_left_out() {
        assert_eq!(table("x", "X", &["a"], 0..0, Vec::new()), "");
        let html = table(
            "x",
            "X",
            &["a", "b"],
            1..2,
            vec![vec!["<".into(), "1".into()]],
        );
        assert!(html.contains("<tr><td>&lt;</td><td class=\"figure\">1</td></tr>"));
    }
}
