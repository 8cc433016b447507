//! A [`Grid`] as HTML.

use maud::{Markup, html};

use crate::report::grid::Grid;

/// The grid as a section of the page, or nothing if it is empty.
pub(super) fn html(grid: &Grid) -> Markup {
    html! {
        @if !grid.sections.is_empty() {
            section.figures { div.table tabindex="0" { table.grid {
                thead { tr {
                    @for (text, is_figure) in grid.titles.iter().zip(&grid.is_figure) {
                        th .figure[*is_figure] { (text) }
                    }
                } }
                @for section in &grid.sections {
                    tbody {
                        tr {
                            th.scenario scope="rowgroup" colspan=(grid.titles.len()) { (section.title) }
                        }
                        @for cells in &section.rows { tr {
                            @for (text, is_figure) in cells.iter().zip(&grid.is_figure) {
                                td .figure[*is_figure] { (text) }
                            }
                        } }
                    }
                }
            } } }
        }
    }
}
