//! The import table: which crate may know which, and what it must never see. ARCHITECTURE.md says why.

use super::rust_source::RustSource;
use std::fs;
use std::path::Path;

struct Row {
    name: &'static str,
    /// Crates of this workspace it may depend on.
    may_import: &'static [&'static str],
    /// Words that must not occur in its code; a dependency of that name is refused as well.
    never_sees: &'static [&'static str],
}

const CLOCKS: [&str; 2] = ["Instant::now", "SystemTime"];

/// One row a crate. Dependencies of tests are free: a test may drive a crate from above.
const TABLE: &[Row] = &[
    Row { name: "protocol", may_import: &[], never_sees: &["tokio", "std::fs", "std::net", CLOCKS[0], CLOCKS[1]] },
    Row {
        name: "state",
        may_import: &["protocol"],
        never_sees: &[
            "tokio",
            "std::fs",
            "std::net",
            "HashMap",
            "HashSet",
            "getrandom",
            "fastrand",
            CLOCKS[0],
            CLOCKS[1],
        ],
    },
    Row { name: "storage", may_import: &["protocol"], never_sees: &["tokio", "std::net"] },
    Row { name: "simdisk", may_import: &["storage"], never_sees: &["tokio", "std::net", "std::fs"] },
    Row { name: "raft", may_import: &["protocol", "storage", "state"], never_sees: &[] },
    Row { name: "client", may_import: &["protocol"], never_sees: &[] },
    Row { name: "declared", may_import: &[], never_sees: &["tokio", "std::net", CLOCKS[0], CLOCKS[1]] },
    Row { name: "load", may_import: &["protocol", "client"], never_sees: &[] },
    Row { name: "benches", may_import: &["protocol", "client", "load"], never_sees: &[] },
    Row {
        name: "broker",
        may_import: &["protocol", "state", "storage", "raft", "client", "declared"],
        never_sees: &[],
    },
    Row {
        name: "cli",
        may_import: &["protocol", "state", "storage", "raft", "client", "declared", "load", "broker"],
        never_sees: &[],
    },
    Row { name: "xtask", may_import: &[], never_sees: &["tokio"] },
];

/// Compares the manifests with the table.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut broken = Vec::new();
    for row in TABLE {
        let manifest = root.join(row.name).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).map_err(|e| format!("{}: {e}", manifest.display()))?;
        for dependency in dependencies(&text) {
            let is_ours = TABLE.iter().any(|other| other.name == dependency);
            if is_ours && !row.may_import.contains(&dependency) || row.never_sees.contains(&dependency) {
                broken.push(format!("{}/Cargo.toml: {} must not know {dependency}", row.name, row.name));
            }
        }
    }
    broken.extend(unknown_members(root)?);
    Ok(broken)
}

/// Looks for what a crate must never see in one of its files.
pub(crate) fn check_source(file: &str, source: &RustSource<'_>, broken: &mut Vec<String>) {
    let Some((crate_name, _)) = file.split_once("/src/") else { return };
    let Some(row) = TABLE.iter().find(|row| row.name == crate_name) else { return };
    // The tables of this program name the words they forbid.
    if crate_name == "xtask" {
        return;
    }
    for (number, line) in source.code_lines() {
        for word in row.never_sees.iter().filter(|word| line.contains(**word)) {
            broken.push(format!("{file}:{number}: {crate_name} must never see {word}"));
        }
    }
}

/// The names under `[dependencies]` and `[target.….dependencies]`.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[dependencies]" || (line.starts_with("[target.") && line.ends_with(".dependencies]"));
        } else if inside && !line.starts_with('#') {
            names.extend(line.split(['.', '=', ' ']).next().filter(|name| !name.is_empty()));
        }
    }
    names
}

/// A new crate needs a row before it needs code.
fn unknown_members(root: &Path) -> Result<Vec<String>, String> {
    let manifest = fs::read_to_string(root.join("Cargo.toml")).map_err(|e| format!("Cargo.toml: {e}"))?;
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).unwrap_or_default();
    let names = members.split('"').filter(|name| !name.is_empty() && !name.contains([',', ']', ' ']));
    let unknown = names.filter(|name| TABLE.iter().all(|row| row.name != *name));
    Ok(unknown.map(|name| format!("{name}: no row in the import table of xtask tidy")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_of_tests_do_not_count() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nbytes.workspace = true\nraft = { path = \"../raft\" }\n\n[dev-dependencies]\nclient.workspace = true\n";
        assert_eq!(dependencies(manifest), ["bytes", "raft"]);
    }

    #[test]
    fn a_word_in_code_is_found_and_one_in_a_comment_is_not() {
        let text = "// HashMap would do\nuse std::collections::HashMap;\n";
        let mut broken = Vec::new();
        check_source("state/src/x.rs", &RustSource::new("state/src/x.rs", text), &mut broken);
        assert_eq!(broken, ["state/src/x.rs:2: state must never see HashMap"]);
    }
}
