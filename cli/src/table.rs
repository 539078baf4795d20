//! Plain aligned columns.

use std::fmt;

const GAP: &str = "  ";

/// Rows under headings. Numbers stand to the right, text to the left.
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&'static str]) -> Table {
        Table { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; what is missing at its end is empty. An empty cell is printed as a dash, so that columns can be cut
    /// at blanks.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    fn cell(row: &[String], column: usize) -> &str {
        row.get(column).map(String::as_str).filter(|cell| !cell.is_empty()).unwrap_or("-")
    }

    fn write_line<'a>(f: &mut fmt::Formatter<'_>, columns: &[Column], cell: impl Fn(usize) -> &'a str) -> fmt::Result {
        let mut line = String::new();
        for (place, column) in columns.iter().enumerate() {
            let width = column.width;
            let text = cell(place);
            let padded = if column.is_number { format!("{text:>width$}") } else { format!("{text:<width$}") };
            line.push_str(if place == 0 { "" } else { GAP });
            line.push_str(&padded);
        }
        writeln!(f, "{}", line.trim_end())
    }
}

struct Column {
    /// Characters.
    width: usize,
    is_number: bool,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = |(place, heading): (usize, &&str)| {
            let cells = || self.rows.iter().map(|row| Table::cell(row, place));
            let widest = cells().map(|cell| cell.chars().count()).max().unwrap_or(0);
            let is_number = cells().all(|cell| cell == "-" || cell.parse::<i64>().is_ok());
            Column { width: widest.max(heading.len()), is_number: is_number && !self.rows.is_empty() }
        };
        let columns: Vec<Column> = self.headings.iter().enumerate().map(column).collect();
        Table::write_line(f, &columns, |place| self.headings[place])?;
        self.rows.iter().try_for_each(|row| Table::write_line(f, &columns, |place| Table::cell(row, place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_text_left_and_nothing_is_a_dash() {
        let mut table = Table::new(&["NAME", "N", "NOTE"]);
        table.row(["a".into(), "7".into(), String::new()]);
        table.row(["größer".into(), "100".into(), "x".into()]);
        table.row(["b".into()]);
        let expected = ["NAME      N  NOTE", "a         7  -", "größer  100  x", "b         -  -", ""];
        assert_eq!(table.to_string(), expected.join("\n"));
    }

    #[test]
    fn an_empty_table_is_its_headings() {
        assert_eq!(Table::new(&["NAME", "N"]).to_string(), "NAME  N\n");
    }
}
