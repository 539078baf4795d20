//! `docs/traps.md` against the code: every test and every plant it names has to exist, and every plant has its row.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::mutants;

const PAGE: &str = "docs/traps.md";
/// Cells of a row, from its first bar: nothing, the trap, what is done, tests, plants.
const TESTS: usize = 3;
const PLANTS: usize = 4;

pub(super) fn check(root: &Path) -> Result<Vec<String>, String> {
    let page = fs::read_to_string(root.join(PAGE)).map_err(|e| format!("{PAGE}: {e}"))?;
    let mut broken = check_page(&page, |file| fs::read_to_string(root.join(file)).ok());
    broken.extend(mutants::stale(root).into_iter().map(|plant| format!("a plant does not fit the code: {plant}")));
    Ok(broken)
}

fn check_page(page: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut broken = Vec::new();
    let plants: BTreeSet<&str> = mutants::names().collect();
    let mut planted = BTreeSet::new();
    for (number, line) in page.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').collect();
        let place = format!("{PAGE}:{}", number + 1);
        check_tests(cells.get(TESTS).copied().unwrap_or_default(), &read, &place, &mut broken);
        for name in quoted(cells.get(PLANTS).copied().unwrap_or_default()) {
            if !plants.contains(name) {
                broken.push(format!("{place}: no plant is called {name}"));
            }
            planted.insert(name);
        }
    }
    broken.extend(plants.difference(&planted).map(|name| format!("{PAGE}: no row names the plant {name}")));
    broken
}

/// A cell names files, and behind each the tests in it.
fn check_tests(cell: &str, read: &impl Fn(&str) -> Option<String>, place: &str, broken: &mut Vec<String>) {
    let mut file: Option<(&str, String)> = None;
    for word in quoted(cell) {
        if word.contains('/') {
            file = read(word).map(|text| (word, text));
            if file.is_none() {
                broken.push(format!("{place}: there is no {word}"));
            }
        } else if let Some((name, text)) = &file
            && !text.contains(&format!("fn {word}("))
        {
            broken.push(format!("{place}: {name} has no test {word}"));
        }
    }
}

fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths;

    #[test]
    fn what_the_page_names_exists() {
        let broken = check(&paths::root()).expect("the page is there");
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }

    #[test]
    fn a_missing_file_test_or_plant_is_told() {
        let page = "| trap | answer | `a/b.rs` `there` `gone`; `c/d.rs` `x` | `no-such-plant` |\n";
        let read = |file: &str| (file == "a/b.rs").then(|| "fn there() {}".to_owned());
        let broken = check_page(page, read);
        for expected in ["a/b.rs has no test gone", "there is no c/d.rs", "no plant is called no-such-plant"] {
            assert!(broken.iter().any(|line| line.ends_with(expected)), "{expected}: {broken:?}");
        }
        assert_eq!(broken.len(), 3 + mutants::names().count(), "and no row names a plant");
    }
}
