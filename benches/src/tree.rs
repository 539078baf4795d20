//! The tree that is measured: its binaries, and what machine they run on.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Serialize;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The broker, built for release.
pub(crate) fn ottla() -> PathBuf {
    target().join("release/ottla")
}

/// The project's own commands, built.
pub(crate) fn xtask() -> Command {
    Command::new(target().join("release/xtask"))
}

/// Builds both, and brings Apache Kafka where it is wanted.
///
/// # Errors
/// What does not build.
pub(crate) fn prepare(with_kafka: bool) -> Result<(), String> {
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--release", "--quiet", "-p", "ottla", "-p", "xtask"]).current_dir(root());
    output(build)?;
    if with_kafka {
        let mut fetch = xtask();
        fetch.args(["oracle", "fetch"]);
        output(fetch)?;
    }
    Ok(())
}

/// What a command prints; what it logs goes where ours goes.
///
/// # Errors
/// It cannot be started, or fails.
pub(crate) fn output(mut command: Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if !output.status.success() {
        return Err(format!("{command:?} failed: {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The machine that the numbers come from.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) commit: String,
    pub(crate) java: String,
}

impl Machine {
    /// Of this machine, with the disk that holds `directory`. What cannot be found out is empty.
    pub(crate) fn describe(directory: &std::path::Path) -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let line = |text: &str, name: &str| {
            let found = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
            found.map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let said = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).current_dir(root()).output();
            let output = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
            String::from_utf8_lossy(&output).lines().next_back().unwrap_or_default().trim().to_owned()
        };
        let memory = line(&read("/proc/meminfo"), "MemTotal");
        let memory_kib: u64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
        Machine {
            processor: line(&read("/proc/cpuinfo"), "model name"),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: memory_kib * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: said("stat", &["-f", "-c", "%T", &directory.display().to_string()]),
            commit: said("git", &["describe", "--always", "--dirty"]),
            java: said("java", &["-version"]),
        }
    }
}
