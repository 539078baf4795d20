//! The reference pages that come from the tables: what is served, and what can be set.

use std::fmt::Write;

use crate::config;
use crate::dispatch::ROUTES;

/// The APIs and versions that are served, as a Markdown table.
pub fn apis() -> String {
    let mut table = String::from("| API | key | versions |\n|---|---|---|\n");
    for route in ROUTES.iter() {
        let (oldest, newest) = (route.versions.start(), route.versions.end());
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| {} | {} | {oldest} to {newest} |", route.name, route.key);
    }
    table
}

/// Every key of the configuration, as Markdown tables: the broker's and the topics'.
pub fn configuration() -> String {
    config::reference()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../COMPAT.md");
    const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");

    /// Compares what stands between two markers of a page with `expected`. UPDATE=1 rewrites the page instead.
    fn check(path: &str, expected: &str) {
        const BEGIN: &str = "<!-- generated: begin -->\n";
        const END: &str = "<!-- generated: end -->\n";
        let page = std::fs::read_to_string(path).unwrap();
        let begin = page.find(BEGIN).unwrap() + BEGIN.len();
        let end = page.find(END).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, format!("{}{expected}{}", &page[..begin], &page[end..])).unwrap();
        } else {
            assert_eq!(&page[begin..end], expected, "{path} is out of date: UPDATE=1 cargo test -p broker reference");
        }
    }

    #[test]
    fn the_compat_page_says_what_is_served() {
        check(COMPAT, &apis());
    }

    #[test]
    fn the_configuration_page_says_what_can_be_set() {
        check(CONFIGURATION, &configuration());
    }
}
