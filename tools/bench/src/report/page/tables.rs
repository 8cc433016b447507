//! A [`Grid`] as HTML.

use std::fmt::Write as _;

use corecast_kit::html::escape;

use crate::report::grid::Grid;

/// The grid as a section of the page, or nothing if it is empty.
pub(super) fn html(grid: &Grid) -> String {
    if grid.sections.is_empty() {
        return String::new();
    }
    let mut html = String::from(
        "<section class=\"figures\"><div class=\"table\" tabindex=\"0\"><table class=\"grid\">\n<thead>",
    );
    // Writing to a string does not fail.
    let _ = write(grid, &mut html);
    html.push_str("</table></div></section>\n");
    html
}

fn write(grid: &Grid, html: &mut String) -> std::fmt::Result {
    let row = |kind: &str, cells: &mut dyn Iterator<Item = &str>| -> String {
        let cells = cells.zip(&grid.is_figure).map(|(text, is_figure)| {
            let class = if *is_figure { " class=\"figure\"" } else { "" };
            format!("<{kind}{class}>{}</{kind}>", escape(text))
        });
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let titles = row("th", &mut grid.titles.iter().copied());
    writeln!(html, "{titles}</thead>")?;
    for section in &grid.sections {
        writeln!(
            html,
            "<tbody><tr><th class=\"scenario\" scope=\"rowgroup\" colspan=\"{}\">{}</th></tr>",
            grid.titles.len(),
            escape(&section.title)
        )?;
        for cells in &section.rows {
            html.push_str(&row("td", &mut cells.iter().map(String::as_str)));
        }
        writeln!(html, "</tbody>")?;
    }
    Ok(())
}
