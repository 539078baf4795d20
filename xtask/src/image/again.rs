//! `cargo xtask image twice`: one commit, built in two places, has to give the same bytes, so that whoever doubts an image
//! can build it and compare.

use super::Target;
use crate::paths;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the image of the last commit once more, in a clone with a build directory of its own, and compares it with
/// `first`, which was just built from here.
///
/// # Errors
/// Where the two differ.
pub(super) fn compare(first: &Path, target: Target, profile: &str) -> Result<(), String> {
    let clone = paths::target().join("image").join("again");
    remove(&clone)?;
    let (tree, build) = (clone.join("sources"), clone.join("build"));
    fs::create_dir_all(build.join("image")).map_err(|e| format!("{}: {e}", clone.display()))?;
    run(Command::new("git").args(["clone", "--quiet", "--shared"]).arg(paths::root()).arg(&tree))?;
    // Debian's package is fetched, not built.
    let package = Path::new("image").join(target.debian());
    run(Command::new("cp").arg("-a").arg(paths::target().join(&package)).arg(build.join(&package)))?;
    let mut again = Command::new("cargo");
    again.args(["xtask", "image", "--profile", profile, "--target", target.word()]).current_dir(&tree);
    run(again.env("CARGO_TARGET_DIR", &build))?;
    let name = first.file_name().ok_or("the image has no name")?;
    let second = build.join("image").join(name);
    let result = same(first, &second);
    if result.is_ok() {
        remove(&clone)?;
    }
    result
}

/// Whether what git knows is all that there is: only that gets into the clone.
pub(super) fn require_clean() -> Result<(), String> {
    let status = Command::new("git").args(["status", "--porcelain"]).current_dir(paths::root()).output();
    let status = status.map_err(|e| format!("git: {e}"))?;
    if status.status.success() && status.stdout.is_empty() {
        Ok(())
    } else {
        Err("image: commit first; the second image is that of the last commit".into())
    }
}

fn same(first: &Path, second: &Path) -> Result<(), String> {
    let read = |path: &Path| fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let (one, two) = (read(first)?, read(second)?);
    if one == two {
        println!("built twice, {} bytes, the same", one.len());
        return Ok(());
    }
    let at = one.iter().zip(&two).position(|(a, b)| a != b).unwrap_or(one.len().min(two.len()));
    let places: [PathBuf; 2] = [first.into(), second.into()];
    Err(format!("image: two builds differ from byte {at} on: {} and {}", places[0].display(), places[1].display()))
}

fn remove(directory: &Path) -> Result<(), String> {
    match fs::remove_dir_all(directory) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {e}", directory.display())),
        _ => Ok(()),
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{command:?}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}
