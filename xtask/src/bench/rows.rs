//! The raw rows of a suite, as its section reads them.

use crate::failure::Failure;

/// The cells of some rows of a suite's CSV file.
pub(super) struct Rows<'a> {
    suite: &'static str,
    cells: Vec<Vec<&'a str>>,
}

impl<'a> Rows<'a> {
    /// Cuts rows at their commas; each has to have `columns` cells.
    pub(super) fn of(
        suite: &'static str,
        rows: &'a [String],
        columns: usize,
    ) -> Result<Self, Failure> {
        let cells = rows.iter().map(|row| row.split(',').collect::<Vec<_>>()).collect();
        let rows = Self { suite, cells };
        match rows.cells.iter().find(|row| row.len() != columns) {
            Some(row) => Err(rows.fault(&format!("`{}`", row.join(",")))),
            None => Ok(rows),
        }
    }

    /// What their first `N` cells say, each once, in the order of the file.
    pub(super) fn names<const N: usize>(&self) -> Vec<[&'a str; N]> {
        let mut names: Vec<[&'a str; N]> = Vec::new();
        for row in &self.cells {
            let name = std::array::from_fn(|column| row.get(column).copied().unwrap_or_default());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The numbers of a column in the rows that begin with `name` and have `side` in its column;
    /// empty cells are passed over, and what is no number is NaN, which no table hides.
    pub(super) fn numbers(
        &self,
        name: &[&str],
        (side_column, side): (usize, &str),
        column: usize,
    ) -> Vec<f64> {
        let fits = |row: &&Vec<&str>| row.starts_with(name) && row[side_column] == side;
        let cells = self.cells.iter().filter(fits).map(|row| row[column]);
        cells.filter(|cell| !cell.is_empty()).map(|cell| cell.parse().unwrap_or(f64::NAN)).collect()
    }

    /// Something is wrong with the file.
    pub(super) fn fault(&self, problem: &str) -> Failure {
        Failure::work(format!("docs/benchmarks/{}.csv: {problem}", self.suite))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_name_and_side() {
        let rows = ["a,1,mmc,2.5", "a,1,other,7", "b,1,mmc,", "a,2,mmc,3"].map(str::to_owned);
        let rows = Rows::of("steps", &rows, 4).unwrap();
        assert_eq!(rows.names::<1>(), [["a"], ["b"]]);
        assert_eq!(rows.names::<2>(), [["a", "1"], ["b", "1"], ["a", "2"]]);
        let found = rows.numbers(&["a"], (2, "mmc"), 3);
        assert!((found[0] - 2.5).abs() < 1e-12 && found.len() == 2);
        assert!(rows.numbers(&["b"], (2, "mmc"), 3).is_empty());
        assert!(Rows::of("steps", &["a,b".to_owned()], 3).is_err());
    }
}
