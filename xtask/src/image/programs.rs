//! Our program, built here, statically against musl.

use super::{Target, debian, elf};
use crate::paths;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Builds the static program of `target`, and reads it.
///
/// # Errors
/// What is missing, and how to install it.
pub(super) fn ottla(target: Target, profile: &str) -> Result<Vec<u8>, String> {
    let path = compile(target, profile)?;
    let program = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    elf::check(&program, target).map_err(|problem| format!("{} {problem}", path.display()))?;
    Ok(program)
}

fn compile(target: Target, profile: &str) -> Result<PathBuf, String> {
    let triple = target.triple();
    // Where rustup is not what installed Rust, the build itself says what is missing.
    let _ = debian::output(Command::new("rustup").args(["target", "add", triple]).current_dir(paths::root()));
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--profile", profile, "--target", triple, "--bin", "ottla"]);
    // Whichever the profile: nobody debugs in the image, and symbols are five times the program.
    cargo.env(format!("CARGO_PROFILE_{}_STRIP", profile.replace('-', "_").to_uppercase()), "symbols");
    cargo.current_dir(paths::root());
    without_paths(&mut cargo, target);
    for (variable, value) in target.tool_chain()? {
        cargo.env(variable, value);
    }
    let status = cargo.status().map_err(|e| format!("cargo: {e}"))?;
    if !status.success() {
        return Err(format!(
            "the build for {triple} failed; it needs Rust's target {triple} and, from Debian, {}",
            target.packages()
        ));
    }
    let program = paths::target().join(triple).join(profile_directory(profile)).join("ottla");
    Ok(program)
}

/// Where cargo puts what it builds with `profile`.
fn profile_directory(profile: &str) -> &str {
    if profile == "dev" { "debug" } else { profile }
}

/// The names under which sources are found in every build, whoever builds and where: panics name the file that they are
/// in, and two builds of one commit are to be the same program.
fn without_paths(cargo: &mut Command, target: Target) {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let mut places = vec![(paths::target(), "/target"), (paths::root(), "/ottla")];
    places.extend(home.map(|home| (home, "/cargo")));
    let (mut rust, mut c) = (Vec::new(), Vec::new());
    // The later one holds where two fit, so what lies inside comes last.
    places.sort_by_key(|(place, _)| place.as_os_str().len());
    for (place, name) in places {
        rust.push(format!("--remap-path-prefix={}={name}", place.display()));
        c.push(format!("-ffile-prefix-map={}={name}", place.display()));
    }
    let variable = target.triple().replace('-', "_");
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rust.join("\x1f"));
    cargo.env(format!("CFLAGS_{variable}"), c.join(" "));
}
