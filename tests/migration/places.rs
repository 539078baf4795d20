//! Directories, and what lies in them.

use std::fs;
use std::path::{Path, PathBuf};

/// Copies a directory with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() { copy(&from, &to) } else { fs::copy(from, to).map(drop).unwrap() }
    }
}

/// Everything below a directory, in order.
pub(crate) fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(tree(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

/// Files below a directory with this ending, in order.
pub(crate) fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let ends = |path: &PathBuf| path.is_file() && path.to_string_lossy().ends_with(suffix);
    tree(dir).into_iter().filter(ends).collect()
}
