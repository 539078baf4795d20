//! Programs of others in the image: Debian's static ones, fetched as packages and kept below the build directory.

use super::layer::applets;
use super::{Target, elf};
use crate::paths;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A package whose one program needs no library.
struct Package {
    name: &'static str,
    /// Where the program lies in the package.
    path: &'static str,
    /// What it is called in the image.
    program: &'static str,
}

/// busybox is everything that scripts around Kafka call. The shell is bash, because scripts ask for it and use it (`echo
/// >/dev/tcp/...`), and because busybox's own shell drops variables whose names have a hyphen
/// (`KAFKA_LISTENER_NAME_X_SCRAM-SHA-256_...`) and runs its own `nc`, which has no -z, whatever the path says.
const PACKAGES: [Package; 2] = [
    Package { name: "bash-static", path: "bin/bash-static", program: "bash" },
    Package { name: BUSYBOX, path: "bin/busybox", program: "busybox" },
];
const BUSYBOX: &str = "busybox-static";

/// A program out of a package.
pub(crate) struct Packaged {
    pub(crate) package: &'static str,
    pub(crate) version: String,
    /// What it is called in the image.
    pub(crate) program: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// The terms under which it may be passed on, which go with it.
    pub(crate) copyright: Vec<u8>,
}

/// Fetches what is not there yet.
///
/// # Errors
/// What could not be fetched, and where to put it by hand.
pub(super) fn gather(target: Target) -> Result<Vec<Packaged>, String> {
    PACKAGES.iter().map(|package| one(package, target)).collect()
}

fn one(package: &Package, target: Target) -> Result<Packaged, String> {
    let (tree, version) = unpacked(package.name, target)?;
    let path = tree.join(package.path);
    let bytes = read(&path)?;
    elf::check(&bytes, target).map_err(|problem| format!("{} {problem}", path.display()))?;
    if package.name == BUSYBOX {
        check_applets(target, &path)?;
    }
    let copyright = read(&tree.join("usr/share/doc").join(package.name).join("copyright"))?;
    Ok(Packaged { package: package.name, version, program: package.program, bytes, copyright })
}

/// The package's files, and its version.
fn unpacked(package: &str, target: Target) -> Result<(PathBuf, String), String> {
    let cache = paths::target().join("image").join(target.debian()).join(package);
    let (tree, version_file) = (cache.join("tree"), cache.join("version"));
    if let Ok(version) = fs::read_to_string(&version_file) {
        return Ok((tree, version.trim().to_owned()));
    }
    fs::create_dir_all(&tree).map_err(|e| format!("{}: {e}", tree.display()))?;
    let archive = match archive(&cache) {
        Some(put_there) => put_there,
        None => {
            download(&format!("{package}:{}", target.debian()), target, &cache)?;
            archive(&cache).ok_or("apt-get downloaded nothing")?
        }
    };
    run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&tree))?;
    let version = output(Command::new("dpkg-deb").arg("--field").arg(&archive).arg("Version"))?;
    fs::write(&version_file, &version).map_err(|e| format!("{}: {e}", version_file.display()))?;
    Ok((tree, version.trim().to_owned()))
}

fn archive(cache: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(cache).ok()?.flatten().map(|file| file.path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).max()
}

/// Downloads a package into `cache`. Where the machine's lists of packages do not have it (they are empty on a fresh
/// machine, and know no other architecture), lists of our own are fetched: the machine's stay as they are.
fn download(package: &str, target: Target, cache: &Path) -> Result<(), String> {
    let apt = |options: &[String], words: &[&str]| {
        // apt-get refuses packages of an architecture that the machine does not list; this run lists it.
        let foreign = format!("APT::Architectures::={}", target.debian());
        let mut apt = Command::new("apt-get");
        apt.args(["--quiet", "-o", &foreign, "-o", "APT::Sandbox::User=root"]).args(options).args(words);
        output(apt.current_dir(cache)).map(|_| ())
    };
    if apt(&[], &["download", package]).is_ok() {
        return Ok(());
    }
    let lists = paths::target().join("image").join(target.debian()).join("lists");
    fs::create_dir_all(lists.join("partial")).map_err(|e| format!("{}: {e}", lists.display()))?;
    let own = [
        format!("Dir::State::Lists={}", lists.display()),
        "Dir::Cache::pkgcache=".into(),
        "Dir::Cache::srcpkgcache=".into(),
    ];
    let own: Vec<String> = own.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect();
    apt(&own, &["update"]).and_then(|()| apt(&own, &["download", package])).map_err(|e| {
        format!(
            "{e}\nDebian's {package} is needed: put its .deb into {}, or build where apt-get works",
            cache.display()
        )
    })
}

/// A link to an applet that is not there would be found out by a user. What cannot run here, not even in an emulator, is
/// taken on trust: both packages are built from one source with one configuration.
fn check_applets(target: Target, busybox: &Path) -> Result<(), String> {
    let mut list = match target.emulator() {
        None => Command::new(busybox),
        Some(emulator) if output(Command::new(emulator).arg("--version")).is_err() => return Ok(()),
        Some(emulator) => {
            let mut list = Command::new(emulator);
            list.arg(busybox);
            list
        }
    };
    let listed = output(list.arg("--list"))?;
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

pub(super) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}
