//! Kafka's message schemas, taken out of the release's jars.

use super::{Outcome, jars};
use crate::paths;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The newest release, and the last one that still has the versions which 4.0 dropped.
const VERSIONS: [&str; 2] = ["4.3.1", "3.9.1"];

/// Where messages lie inside the jars: requests and responses, and the records of Kafka's own topics.
const INSIDE: [&str; 2] = ["common/message", "common/metadata"];

pub(crate) fn write(dir: Option<PathBuf>) -> Outcome<()> {
    let dir = dir.unwrap_or_else(|| paths::target().join("oracle/schemas"));
    for version in VERSIONS {
        let into = dir.join(version);
        let count = extract(version, &into)?;
        println!("{}: {count} schemas", into.display());
    }
    Ok(())
}

fn extract(version: &str, into: &Path) -> Outcome<usize> {
    let jars = jars::fetch(version)?;
    fs::create_dir_all(into).map_err(|e| format!("{}: {e}", into.display()))?;
    let scratch = into.join(".unpacked");
    let failed = |e: std::io::Error| format!("{}: {e}", into.display());
    for jar in fs::read_dir(&jars).map_err(failed)?.flatten().map(|entry| entry.path()) {
        let name = jar.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("kafka-") || !name.ends_with(".jar") {
            continue;
        }
        fs::create_dir_all(&scratch).map_err(failed)?;
        let mut unpack = Command::new("jar");
        unpack.arg("xf").arg(&jar).args(INSIDE).current_dir(&scratch).stderr(Stdio::null());
        unpack.status().map_err(|e| format!("jar: {e} (a JDK, 17 or newer, is needed)"))?;
        for inside in INSIDE {
            let Ok(found) = fs::read_dir(scratch.join(inside)) else { continue };
            for file in found.flatten().filter(|file| file.path().extension().is_some_and(|end| end == "json")) {
                fs::rename(file.path(), into.join(file.file_name())).map_err(failed)?;
            }
        }
        fs::remove_dir_all(&scratch).map_err(failed)?;
    }
    let written = fs::read_dir(into).map_err(failed)?.count();
    if written == 0 {
        return Err(format!("no schemas in {}", jars.display()));
    }
    Ok(written)
}
