//! The rules of the house, as far as a program can check them: who may import whom, how long a file may be, what it may
//! be called, which words do not belong in a finished tree, and whether the tests that the page of traps names are there.
//!
//! Every file that git tracks or would track is looked at, so a rule is broken before the commit and not after it.

mod imports;
mod rust_source;
mod traps;

use crate::paths;
use rust_source::RustSource;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Lines of code in one file; comments, blank lines and tests do not count.
const CODE_LINES_MAX: usize = 600;

/// Names that say nothing about what is inside.
const BANNED_NAMES: [&str; 8] = ["utils", "util", "helpers", "helper", "common", "misc", "impls", "manager"];

/// Work that was left for later. Spelled in two halves so that this file passes its own check.
const UNFINISHED: [&str; 5] = [
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("XX", "X:"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];

/// Directories of the machine on which somebody happened to work.
const FOREIGN_PATHS: [&str; 4] =
    [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("../", "shared")];

/// Text files in which the words above are looked for.
const TEXT: [&str; 14] =
    ["rs", "toml", "md", "go", "py", "js", "java", "sh", "json", "yml", "yaml", "txt", "properties", "xml"];

pub(crate) fn run() -> Result<(), String> {
    let root = paths::root();
    let mut broken = imports::check(&root)?;
    for file in files(&root)? {
        check_name(&file, &mut broken);
        let Ok(text) = fs::read_to_string(root.join(&file)) else { continue };
        check_words(&file, &text, &mut broken);
        check_lock(&file, &text, &mut broken);
        if file.ends_with(".rs") {
            let source = RustSource::new(&file, &text);
            check_size(&file, &source, &mut broken);
            imports::check_source(&file, &source, &mut broken);
        }
    }
    check_handlers(&root, &mut broken)?;
    broken.extend(traps::check(&root)?);
    if broken.is_empty() {
        println!("tidy: all rules hold");
        return Ok(());
    }
    for rule in &broken {
        eprintln!("{rule}");
    }
    Err(format!("tidy: {} broken", broken.len()))
}

pub(crate) fn files(root: &Path) -> Result<Vec<String>, String> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let output = git.output().map_err(|e| format!("git: {e}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

fn check_name(file: &str, broken: &mut Vec<String>) {
    let path = Path::new(file);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    if BANNED_NAMES.contains(&stem.as_str()) {
        broken.push(format!("{file}: a file called {stem} says nothing; name it for the noun inside"));
    }
    let parts: Vec<&str> = file.split('/').collect();
    if let [crate_name, "src", _] = parts[..]
        && stem.starts_with(&format!("{crate_name}_"))
    {
        broken.push(format!("{file}: repeats its crate's name"));
    }
}

fn check_words(file: &str, text: &str, broken: &mut Vec<String>) {
    let extension = Path::new(file).extension().unwrap_or_default().to_string_lossy().to_string();
    let is_script = extension.is_empty() && text.starts_with("#!");
    if !is_script && !TEXT.contains(&extension.as_str()) {
        return;
    }
    for (number, line) in text.lines().enumerate() {
        for word in UNFINISHED.iter().chain(&FOREIGN_PATHS) {
            if line.contains(word) {
                broken.push(format!("{file}:{}: {word} does not belong in a finished tree", number + 1));
            }
        }
    }
}

/// A lock file pins versions and checksums; the registry is the business of whoever installs.
fn check_lock(file: &str, text: &str, broken: &mut Vec<String>) {
    if file.ends_with("package-lock.json") && text.contains("\"resolved\"") {
        broken.push(format!("{file}: names a registry host; write it with omit-lockfile-registry-resolved"));
    }
}

fn check_size(file: &str, source: &RustSource<'_>, broken: &mut Vec<String>) {
    let lines = source.code_lines().count();
    if lines > CODE_LINES_MAX {
        broken.push(format!("{file}: {lines} lines of code, at most {CODE_LINES_MAX}"));
    }
}

/// A handler that the dispatch table does not name is dead code that looks alive.
fn check_handlers(root: &Path, broken: &mut Vec<String>) -> Result<(), String> {
    let handlers = root.join("broker/src/handlers");
    let Ok(found) = fs::read_dir(&handlers) else { return Ok(()) };
    let table = root.join("broker/src/dispatch.rs");
    let table = fs::read_to_string(&table).map_err(|e| format!("{}: {e}", table.display()))?;
    for file in found.flatten() {
        let name = file.file_name().to_string_lossy().to_string();
        let Some(stem) = name.strip_suffix(".rs") else { continue };
        if stem != "mod" && !serves_no_request(&handlers.join(&name)) && !names(&table, stem) {
            broken.push(format!("broker/src/handlers/{name}: no row of broker/src/dispatch.rs names {stem}"));
        }
    }
    Ok(())
}

/// A file of shared pieces has no entry point of its own.
fn serves_no_request(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| !text.contains("fn handle"))
}

fn names(table: &str, stem: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    table.split(|c: char| !is_word(c)).any(|word| word == stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_left_for_later_is_found() {
        for word in UNFINISHED.iter().chain(&FOREIGN_PATHS) {
            let mut broken = Vec::new();
            check_words("state/src/x.rs", &format!("fn f() {{\n    {word}\n}}\n"), &mut broken);
            assert_eq!(broken, [format!("state/src/x.rs:2: {word} does not belong in a finished tree")]);
        }
        let mut broken = Vec::new();
        check_words("state/src/x.rs", "fn f() {}\n", &mut broken);
        assert!(broken.is_empty());
    }
}
