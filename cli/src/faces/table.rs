//! Tables as the newer ones of Kafka's tools print them.

/// Columns as wide as their widest cell, a tab behind each.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}\t"));
        cells.chain(std::iter::once("\n".to_string())).collect::<String>()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [["Id", "Lag"], ["10000", "0"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "Id   \tLag\t\n10000\t0  \t\n");
    }
}
