//! The tree that is measured: its binaries, and what machine they run on.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Serialize;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where everything is built.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The project's own commands, built.
pub(crate) fn xtask() -> Command {
    Command::new(target().join("release/xtask"))
}

/// Builds the broker and the project's own commands; answers where the broker is. With `symbols` it is built so that
/// samples of its stacks can be read: the same code with its names and frame pointers.
///
/// # Errors
/// What does not build.
pub(crate) fn build(symbols: bool) -> Result<PathBuf, String> {
    let cargo = || {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.arg("build").arg("--quiet").current_dir(root());
        cargo
    };
    let mut release = cargo();
    release.args(["--release", "-p", "xtask"]);
    if !symbols {
        release.args(["-p", "ottla"]);
    }
    output(release)?;
    if !symbols {
        return Ok(target().join("release/ottla"));
    }
    let mut profiling = cargo();
    profiling.args(["--profile", "profiling", "-p", "ottla"]);
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    profiling.env("RUSTFLAGS", format!("{flags} -C force-frame-pointers=yes"));
    output(profiling)?;
    Ok(target().join("profiling/ottla"))
}

/// Builds the broker in the profile of this program; answers where it is.
///
/// # Errors
/// What does not build.
pub(crate) fn build_alike() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let profile = match program.parent().and_then(|directory| directory.file_name()?.to_str()) {
        // The one profile whose directory has another name.
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--profile", profile, "-p", "ottla", "--bin", "ottla"]).current_dir(root());
    output(cargo)?;
    Ok(program.with_file_name("ottla"))
}

/// Brings Apache Kafka, if it is not there.
///
/// # Errors
/// What keeps it away.
pub(crate) fn fetch_kafka() -> Result<(), String> {
    let mut fetch = xtask();
    fetch.args(["oracle", "fetch"]);
    output(fetch).map(|_| ())
}

/// What a command prints; what it logs goes where ours goes.
///
/// # Errors
/// It cannot be started, or fails.
pub(crate) fn output(mut command: Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if !output.status.success() {
        return Err(format!("{} failed: {}", shown(&command), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as one line, without the text of a script in it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy);
    words.map(|word| if word.contains('\n') { "…".into() } else { word }).collect::<Vec<_>>().join(" ")
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
    pub(crate) memory: Memory,
}

/// The state of memory before the first round: the first touch of a page of a fresh virtual machine costs many times a
/// recycled one.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Memory {
    pub(crate) free_bytes: u64,
    /// Files in memory.
    pub(crate) cached_bytes: u64,
    pub(crate) swap_bytes: u64,
    /// As the kernel has it: always, madvise or never.
    pub(crate) huge_pages: String,
    /// What is written to a file before the first round, MB/s: the first time, and again. If the first is much less, pages
    /// were fresh, and the machine may have more of them.
    pub(crate) first_touch_mb_per_second: f64,
    pub(crate) again_mb_per_second: f64,
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
        let meminfo = read("/proc/meminfo");
        let bytes = |name: &str| {
            let kib = line(&meminfo, name);
            1024 * kib.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default()
        };
        let huge_pages = read("/sys/kernel/mm/transparent_hugepage/enabled");
        let chosen = huge_pages.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        let memory = Memory {
            free_bytes: bytes("MemFree"),
            cached_bytes: bytes("Cached"),
            swap_bytes: bytes("SwapTotal"),
            huge_pages: chosen.map_or_else(String::new, |(word, _)| word.to_owned()),
            ..Memory::default()
        };
        Machine {
            processor: line(&read("/proc/cpuinfo"), "model name"),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: bytes("MemTotal"),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: said("stat", &["-f", "-c", "%T", &directory.display().to_string()]),
            commit: said("git", &["describe", "--always", "--dirty"]),
            java: said("java", &["-version"]),
            memory,
        }
    }
}
