//! Where the image's two programs come from: ours is built here, statically against musl; busybox is Debian's.

use super::Target;
use super::layer::{Programs, applets};
use crate::paths;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Debian's package, whose one program needs no library.
const BUSYBOX: &str = "busybox-static";

/// Builds and fetches. Answers the programs and the version of busybox.
///
/// # Errors
/// What is missing, and how to install it.
pub(crate) fn gather(target: Target, profile: &str) -> Result<(Programs, String), String> {
    let ottla = compile(target, profile)?;
    let (tree, version) = busybox(target)?;
    let busybox = read(&tree.join("bin/busybox"))?;
    check_applets(target, &tree.join("bin/busybox"))?;
    let busybox_copyright = read(&tree.join("usr/share/doc/busybox-static/copyright"))?;
    Ok((Programs { ottla: read(&ottla)?, busybox, busybox_copyright }, version))
}

/// The static program of `target`.
fn compile(target: Target, profile: &str) -> Result<PathBuf, String> {
    let triple = target.triple();
    // Where rustup is not what installed Rust, the build itself says what is missing.
    let _ = output(Command::new("rustup").args(["target", "add", triple]).current_dir(paths::root()));
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--profile", profile, "--target", triple, "--bin", "ottla"]);
    cargo.current_dir(paths::root());
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
    let program = paths::target().join(triple).join(profile).join("ottla");
    let kind = output(Command::new("readelf").arg("-l").arg(&program)).unwrap_or_default();
    if kind.contains("INTERP") {
        return Err(format!("{}: is linked dynamically; an empty image has no loader for it", program.display()));
    }
    Ok(program)
}

/// Debian's busybox, unpacked below the build directory and kept there.
fn busybox(target: Target) -> Result<(PathBuf, String), String> {
    let cache = paths::target().join("image").join(target.debian());
    let (tree, version_file) = (cache.join("busybox"), cache.join("busybox.version"));
    if let Ok(version) = fs::read_to_string(&version_file)
        && tree.join("bin/busybox").is_file()
    {
        return Ok((tree, version.trim().to_owned()));
    }
    fs::create_dir_all(&tree).map_err(|e| format!("{}: {e}", tree.display()))?;
    let package = format!("{BUSYBOX}:{}", target.debian());
    // apt-get refuses packages of an architecture that the machine does not list; this run lists it.
    let foreign = format!("APT::Architectures::={}", target.debian());
    run(Command::new("apt-get").args(["-o", &foreign, "download", &package]).current_dir(&cache)).map_err(|e| {
        format!("{e}; Debian's {package} is needed: run `apt-get update`, or unpack the package at {}", tree.display())
    })?;
    let archive = fs::read_dir(&cache)
        .map_err(|e| format!("{}: {e}", cache.display()))?
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .max()
        .ok_or("apt-get downloaded nothing")?;
    run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&tree))?;
    let version = output(Command::new("dpkg-deb").arg("--field").arg(&archive).arg("Version"))?;
    fs::write(&version_file, &version).map_err(|e| format!("{}: {e}", version_file.display()))?;
    Ok((tree, version.trim().to_owned()))
}

/// A link to an applet that is not there would be found out by a user. What cannot run here is taken on trust: both
/// packages are built from one source with one configuration.
fn check_applets(target: Target, busybox: &Path) -> Result<(), String> {
    if target != Target::of_this_machine() {
        return Ok(());
    }
    let listed = output(Command::new(busybox).arg("--list"))?;
    let listed: Vec<&str> = listed.lines().collect();
    let missing: Vec<&str> = applets().filter(|applet| !listed.contains(applet)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("busybox has no applets {}", missing.join(", "))) }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.stdout(Stdio::null()).status().map_err(|e| format!("{command:?}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}
