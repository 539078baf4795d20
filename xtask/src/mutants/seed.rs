//! What cargo built already of other people's crates, so that a copy of the tree does not begin with all of them.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// What a library leaves in `deps`; programs are a copy's own.
const LIBRARIES: [&str; 4] = ["rlib", "rmeta", "so", "d"];

/// Copies the libraries of one target directory into another, which then needs them no more often than that one. Only
/// time is lost when there are none, or when cargo finds that they do not fit.
///
/// # Errors
/// A text with the path, when something is there and cannot be copied.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let (from, to) = (from.join("debug"), to.join("debug"));
    if !from.is_dir() || to.exists() {
        return Ok(());
    }
    let is_library = |file: &Path| file.extension().is_some_and(|end| LIBRARIES.iter().any(|known| end == *known));
    for (name, wanted) in
        [("deps", &is_library as &dyn Fn(&Path) -> bool), ("build", &|_| true), (".fingerprint", &|_| true)]
    {
        let (from, to) = (from.join(name), to.join(name));
        copy_dir(&from, &to, wanted).map_err(|e| format!("{} to {}: {e}", from.display(), to.display()))?;
    }
    Ok(())
}

/// With the times of the files, by which cargo tells what is stale.
fn copy_dir(from: &Path, to: &Path, wanted: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let source = entry?.path();
        let Some(name) = source.file_name() else { continue };
        let copy = to.join(name);
        if source.is_dir() {
            copy_dir(&source, &copy, wanted)?;
        } else if wanted(&source) {
            fs::copy(&source, &copy)?;
            File::options().append(true).open(&copy)?.set_modified(fs::metadata(&source)?.modified()?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_copied_with_their_times_and_programs_are_not() {
        let root = std::env::temp_dir().join(format!("xtask-seed-{}", std::process::id()));
        let (from, to) = (root.join("from"), root.join("to"));
        for dir in ["deps", "build/x", ".fingerprint/x"] {
            fs::create_dir_all(from.join("debug").join(dir)).expect("a temporary directory");
        }
        for file in ["deps/libx.rlib", "deps/program", ".fingerprint/x/hash"] {
            fs::write(from.join("debug").join(file), "x").expect("a file");
        }
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        let library = from.join("debug/deps/libx.rlib");
        File::options().append(true).open(&library).and_then(|file| file.set_modified(long_ago)).expect("a time");
        copy(&from, &to).expect("both are ours");
        let time = fs::metadata(to.join("debug/deps/libx.rlib")).and_then(|file| file.modified()).expect("a copy");
        assert_eq!(time, long_ago);
        assert!(to.join("debug/.fingerprint/x/hash").exists() && !to.join("debug/deps/program").exists());
        fs::remove_dir_all(&root).expect("it is ours");
    }
}
