//! Tables in Markdown, and their place in a document.

/// A table with a row for each of `rows`; nothing without rows.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let mut text = line(&mut headings.iter().copied());
    text.push_str(&format!("|{}\n", "---|".repeat(headings.len())));
    let rows = rows.iter();
    text.extend(rows.map(|row| line(&mut row.iter().map(String::as_str))));
    text
}

/// Text from anywhere as it may stand in a cell.
pub fn plain(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('|', "\\|");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The line before the quoted figures.
const BEGIN: &str = "<!-- figures -->";
/// The line after it.
const END: &str = "<!-- /figures -->";

/// A text has no place for the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no line '{0}': the figures stand between '{BEGIN}' and '{END}'")]
pub struct MarkerMissing(&'static str);

/// `document` with `markdown` in place of what stands between its markers,
/// `<!-- figures -->` and `<!-- /figures -->`.
///
/// # Errors
///
/// One of the markers is missing, or they are in the wrong order.
pub fn quote_in(document: &str, markdown: &str) -> Result<String, MarkerMissing> {
    let (before, rest) = document.split_once(BEGIN).ok_or(MarkerMissing(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or(MarkerMissing(END))?;
    let figures = markdown.trim();
    Ok(format!("{before}{BEGIN}\n{figures}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_row_and_none_without_rows() {
        let rows = [vec!["1".to_owned(), plain("a | <b>\nc")]];
        let wanted = "| x | y |\n|---|---|\n| 1 | a \\| &lt;b> c |\n";
        assert_eq!(table(&["x", "y"], &rows), wanted);
        assert_eq!(table(&["x", "y"], &[]), "");
    }

    #[test]
    fn the_figures_are_replaced_and_the_rest_stays() {
        let readme = "# x\n\n<!-- figures -->\nold\n<!-- /figures -->\n\nend\n";
        let quoted = quote_in(readme, "new\n").unwrap();
        assert_eq!(
            quoted,
            "# x\n\n<!-- figures -->\nnew\n<!-- /figures -->\n\nend\n"
        );
        assert_eq!(quote_in(&quoted, "new\n").unwrap(), quoted);
    }

    #[test]
    fn a_missing_marker_is_named() {
        for (readme, missing) in [
            ("nothing", BEGIN),
            ("<!-- figures -->\nold\n", END),
            ("<!-- /figures -->\n<!-- figures -->\n", END),
        ] {
            let error = quote_in(readme, "new").unwrap_err().to_string();
            assert!(error.contains(&format!("'{missing}':")), "{error}");
        }
    }
}
