//! A table before it is text or HTML: columns without content are gone.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};

use super::facts::NONE;

/// A column: its heading, and its text for an item.
pub(super) struct Column<T> {
    pub title: &'static str,
    /// Its cells are numbers: they stand to the right, and `–` is one that is missing.
    pub is_figure: bool,
    /// The cell; empty if the item has nothing to show there.
    pub cell: fn(&T) -> String,
}

impl<T> Column<T> {
    /// A column of words.
    pub(super) fn words(title: &'static str, cell: fn(&T) -> String) -> Column<T> {
        Column {
            title,
            is_figure: false,
            cell,
        }
    }

    /// A column of figures.
    pub(super) fn figures(title: &'static str, cell: fn(&T) -> String) -> Column<T> {
        Column {
            title,
            is_figure: true,
            cell,
        }
    }
}

/// Rows under a heading of their own.
pub(super) struct Section {
    pub title: String,
    pub rows: Vec<Vec<String>>,
}

/// Sections of rows with the columns that at least one of them needs.
pub(super) struct Grid {
    pub titles: Vec<&'static str>,
    pub is_figure: Vec<bool>,
    pub sections: Vec<Section>,
}

impl Grid {
    /// The grid of `columns`, the first of which names the item.
    pub(super) fn new<T>(
        columns: &[Column<T>],
        sections: impl IntoIterator<Item = (String, Vec<T>)>,
    ) -> Grid {
        let sections: Vec<(String, Vec<T>)> = sections.into_iter().collect();
        let items = || sections.iter().flat_map(|(_, items)| items);
        let needed: Vec<&Column<T>> = columns
            .iter()
            .enumerate()
            .filter(|(index, column)| {
                *index == 0 || items().any(|item| !(column.cell)(item).is_empty())
            })
            .map(|(_, column)| column)
            .collect();
        let cell = |column: &Column<T>, item: &T| match (column.cell)(item) {
            text if text.is_empty() && column.is_figure => NONE.into(),
            text => text,
        };
        let row = |item: &T| needed.iter().map(|column| cell(column, item)).collect();
        Grid {
            titles: needed.iter().map(|column| column.title).collect(),
            is_figure: needed.iter().map(|column| column.is_figure).collect(),
            sections: sections
                .iter()
                .map(|(title, items)| Section {
                    title: title.clone(),
                    rows: items.iter().map(row).collect(),
                })
                .collect(),
        }
    }

    /// As text for a terminal of `width` columns, or nothing if there are no
    /// sections. A section's rows are indented under its title.
    pub(super) fn text(&self, width: u16) -> String {
        if self.sections.is_empty() {
            return String::new();
        }
        let mut table = Table::new();
        table
            .load_style(presets::ASCII_MARKDOWN)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width)
            .set_header(&self.titles);
        for section in &self.sections {
            let empty = vec![String::new(); self.titles.len() - 1];
            table.add_row(std::iter::once(section.title.clone()).chain(empty));
            for row in &section.rows {
                let name = format!("  {}", row[0]);
                table.add_row(std::iter::once(name).chain(row[1..].iter().cloned()));
            }
        }
        // A name that is broken in two would lose its indentation.
        if let Some(names) = table.column_mut(0) {
            names.set_constraint(ColumnConstraint::ContentWidth);
        }
        for (index, is_figure) in self.is_figure.iter().enumerate() {
            if let (true, Some(column)) = (is_figure, table.column_mut(index)) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!("{}\n", table.trim_fmt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_nobody_needs_is_left_out() {
        let columns = [
            Column::words("name", |item: &(&str, &str)| item.0.into()),
            Column::figures("rate", |item| item.1.into()),
            Column::figures("latency", |_| String::new()),
        ];
        let grid = Grid::new(&columns, [("echo".into(), vec![("a", "1"), ("b", "")])]);
        assert_eq!(grid.titles, ["name", "rate"]);
        assert_eq!(grid.sections[0].rows, [["a", "1"], ["b", "–"]]);
        let text = grid.text(80);
        assert!(
            text.contains("| echo |") && text.contains("|   a  |    1 |"),
            "{text}"
        );
        assert_eq!(Grid::new(&columns, []).text(80), "");
    }
}
