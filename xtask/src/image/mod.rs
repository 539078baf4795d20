//! `cargo xtask image`: the container image, written by our own code, so that neither a Docker engine nor a registry is
//! needed.
//!
//! The same commit gives the same bytes: times are the commit's, entries are sorted, no path of this machine is in the
//! program; `again.rs` proves it. Start at [`run`]; `layer.rs` says what is inside, `archive.rs` in which form,
//! `programs.rs` and `debian.rs` where the programs come from.

mod again;
mod archive;
mod debian;
mod elf;
mod layer;
mod programs;
mod sha256;
mod tar;

use crate::{paths, test::process};
use archive::Facts;
use layer::Programs;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Larger than this is a defect.
const IMAGE_BYTES_MAX: usize = 20 << 20;
/// For the tests that run the image.
const TEST_TIMEOUT: Duration = Duration::from_secs(900);

/// A machine that the image can be for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    X86_64,
    Aarch64,
}

impl Target {
    fn parse(word: &str) -> Result<Target, String> {
        match word {
            "x86_64" | "amd64" => Ok(Target::X86_64),
            "aarch64" | "arm64" => Ok(Target::Aarch64),
            other => Err(format!("image: no target {other}; there are x86_64 and aarch64")),
        }
    }

    fn of_this_machine() -> Target {
        if cfg!(target_arch = "aarch64") { Target::Aarch64 } else { Target::X86_64 }
    }

    /// As `--target` takes it.
    fn word(self) -> &'static str {
        match self {
            Target::X86_64 => "x86_64",
            Target::Aarch64 => "aarch64",
        }
    }

    fn triple(self) -> &'static str {
        match self {
            Target::X86_64 => "x86_64-unknown-linux-musl",
            Target::Aarch64 => "aarch64-unknown-linux-musl",
        }
    }

    /// Debian's name of the architecture, which is also that of containers.
    fn debian(self) -> &'static str {
        match self {
            Target::X86_64 => "amd64",
            Target::Aarch64 => "arm64",
        }
    }

    /// What runs a program of another machine here, if it is installed (Debian's qemu-user-static).
    fn emulator(self) -> Option<&'static str> {
        match self {
            _ if self == Target::of_this_machine() => None,
            Target::X86_64 => Some("qemu-x86_64-static"),
            Target::Aarch64 => Some("qemu-aarch64-static"),
        }
    }

    fn packages(self) -> &'static str {
        if self == Target::of_this_machine() { "musl-tools" } else { "gcc-aarch64-linux-gnu (or its counterpart)" }
    }

    /// Variables for cargo: who compiles the C parts, and who links.
    fn tool_chain(self) -> Result<Vec<(String, String)>, String> {
        let triple = self.triple().replace('-', "_");
        let compiler = format!("CC_{triple}");
        if std::env::var_os(&compiler).is_some() {
            return Ok(Vec::new());
        }
        if self == Target::of_this_machine() {
            return Ok(vec![(compiler, "musl-gcc".to_owned())]);
        }
        tools_for_another_machine(&triple, compiler, self)
    }
}

/// Debian has no musl for another machine, so the C parts are compiled against glibc's headers and linked with musl's
/// library, which rustc brings along.
fn tools_for_another_machine(triple: &str, compiler: String, target: Target) -> Result<Vec<(String, String)>, String> {
    let gcc = match target {
        Target::X86_64 => "x86_64-linux-gnu-gcc",
        Target::Aarch64 => "aarch64-linux-gnu-gcc",
    };
    let linker = format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase());
    Ok(vec![(compiler, gcc.to_owned()), (linker, gcc.to_owned())])
}

#[derive(Default)]
struct Request {
    target: Option<Target>,
    /// Where the layer alone goes, for the Dockerfile.
    layer: Option<PathBuf>,
    profile: Option<String>,
    test: bool,
    /// Whether it is built in two places and compared.
    twice: bool,
    /// How long the test under load takes instead of its short form.
    load_s: Option<u64>,
}

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let request = parse(args)?;
    let target = request.target.unwrap_or(Target::of_this_machine());
    let profile = request.profile.as_deref().unwrap_or("release");
    if request.twice {
        if profile != "release" {
            return Err("image: twice is about the release; other profiles compile piecemeal, and no two alike".into());
        }
        again::require_clean()?;
    }
    let programs = Programs { ottla: programs::ottla(target, profile)?, packaged: debian::gather(target)? };
    let facts = facts(target, programs.packaged.iter().map(|p| (p.program, p.version.clone())).collect());
    let layer = layer::build(programs, facts.mtime_s)?;
    if let Some(path) = &request.layer {
        fs::write(path, &layer).map_err(|e| format!("{}: {e}", path.display()))?;
        println!("{} {} bytes", path.display(), layer.len());
        return Ok(());
    }
    let image = archive::build(&layer, &facts)?;
    let path = paths::target().join("image").join(format!("ottla-{}-{}.tar", facts.version, target.debian()));
    fs::write(&path, &image).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("{} {} bytes sha256:{}", path.display(), image.len(), sha256::hex(&image));
    if image.len() > IMAGE_BYTES_MAX {
        return Err(format!("image: {} bytes, at most {IMAGE_BYTES_MAX}", image.len()));
    }
    if request.twice {
        again::compare(&path, target, profile)?;
    }
    if request.test { test(&path, &facts, target, request.load_s) } else { Ok(()) }
}

fn parse(args: &[String]) -> Result<Request, String> {
    let mut request = Request::default();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("image: {word} needs a value"));
        match word.as_str() {
            "test" => request.test = true,
            "twice" => request.twice = true,
            "--load-seconds" => {
                let seconds = value()?;
                let number = seconds.parse().map_err(|_| format!("image: --load-seconds {seconds} is no number"))?;
                request.load_s = Some(number);
            }
            "--target" | "--arch" => request.target = Some(Target::parse(value()?)?),
            "--layer" => request.layer = Some(PathBuf::from(value()?)),
            "--profile" => request.profile = Some(value()?.clone()),
            other => return Err(format!("image: unknown word {other}")),
        }
    }
    Ok(request)
}

fn facts(target: Target, packaged: Vec<(&'static str, String)>) -> Facts {
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args(args).env("TZ", "UTC").current_dir(paths::root()).stderr(Stdio::null());
        let output = git.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let date = ["show", "-s", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd"];
    Facts {
        architecture: target.debian(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: git(&["rev-parse", "HEAD"]).unwrap_or_default(),
        packaged,
        // Sources without a history, as in a Dockerfile's context, are from the beginning of time.
        created: git(&date).unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned()),
        mtime_s: git(&["show", "-s", "--format=%ct"]).and_then(|text| text.parse().ok()).unwrap_or(0),
    }
}

/// Runs the image as containers really run; one of another machine runs in an emulator, without a container.
fn test(path: &std::path::Path, facts: &Facts, target: Target, load_s: Option<u64>) -> Result<(), String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--locked", "--test", "image", "--", "--test-threads", "2"]).current_dir(paths::root());
    match target.emulator() {
        None => cargo.env("OTTLA_IMAGE", path).env("OTTLA_IMAGE_NAME", format!("ottla:{}", facts.version)),
        Some(emulator) => cargo.arg("foreign").env("OTTLA_IMAGE_FOREIGN", path).env("OTTLA_EMULATOR", emulator),
    };
    if let Some(seconds) = load_s {
        cargo.env("OTTLA_IMAGE_LOAD_S", seconds.to_string());
    }
    let child = cargo.spawn().map_err(|e| format!("cargo: {e}"))?;
    let timeout = TEST_TIMEOUT + Duration::from_secs(load_s.unwrap_or(0));
    match process::wait(child, timeout)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("image: the tests failed, {status}")),
        None => Err(format!("image: the tests were not done after {} s", timeout.as_secs())),
    }
}
