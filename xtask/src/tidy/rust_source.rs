//! What counts as code in a Rust file.

/// A Rust file, seen line by line without comments, blank lines and tests.
pub(crate) struct RustSource<'a> {
    lines: Vec<(usize, &'a str)>,
}

impl<'a> RustSource<'a> {
    pub(crate) fn new(file: &str, text: &'a str) -> Self {
        let lines = if is_test_file(file) { Vec::new() } else { code(text) };
        RustSource { lines }
    }

    /// Line numbers, counted from 1, with the code on them.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = (usize, &'a str)> + '_ {
        self.lines.iter().copied()
    }
}

fn is_test_file(file: &str) -> bool {
    file.contains("/tests/")
        || file.starts_with("tests/")
        || file.contains("benches/")
        || file.ends_with("/tests.rs")
        || file.ends_with("_test.rs")
        || file.ends_with("_tests.rs")
}

fn code(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut in_comment = false;
    while let Some((index, line)) = lines.next() {
        let trimmed = line.trim();
        if in_comment || trimmed.starts_with("/*") {
            in_comment = !trimmed.contains("*/");
        } else if trimmed == "#[cfg(test)]" {
            skip_item(&mut lines, line.len() - line.trim_start().len());
        } else if !trimmed.is_empty() && !trimmed.starts_with("//") {
            found.push((index + 1, line.split(" //").next().unwrap_or(line)));
        }
    }
    found
}

/// Passes over the item after an attribute. rustfmt puts the brace that closes an item where the item began.
fn skip_item<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>, indent: usize) {
    for (_, line) in lines {
        let depth = line.len() - line.trim_start().len();
        let ends = line.trim_end().ends_with([';', '}']);
        if depth == indent && ends {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blanks_and_tests_are_not_code() {
        let text = "//! page\n\nuse a::b; // why\n/* long\n   story */\nfn f() {\n    g();\n}\n\n#[cfg(test)]\nmod tests {\n    fn h() {\n    }\n}\nfn i() {}\n";
        let source = RustSource::new("state/src/lib.rs", text);
        let code: Vec<_> = source.code_lines().collect();
        assert_eq!(code, [(3, "use a::b;"), (6, "fn f() {"), (7, "    g();"), (8, "}"), (15, "fn i() {}")]);
    }

    #[test]
    fn a_test_file_has_no_code() {
        assert_eq!(RustSource::new("state/tests/groups.rs", "fn f() {}\n").code_lines().count(), 0);
    }
}
