//! `kafka-storage`: a broker here makes its directories ready by itself, so that nothing is left to do.

use protocol::Uuid;

use super::flags::{Flag, Parsed, switch, value};
use super::properties::Properties;
use super::sub_command;
use crate::failure::{Failure, Outcome};
use crate::output::say;

/// Where a broker keeps its data when nothing says so.
const DEFAULT_LOG_DIR: &str = "ottla-data";
/// Tries for an id that does not begin with a hyphen; each fails once in 64 times.
const TRIES: usize = 100;

pub(crate) const FLAGS: &[Flag] = &[
    value("config", "file", "The broker's properties").or(&["c"]),
    value("cluster-id", "id", "No effect: the broker makes an id at its first start, and keeps it").or(&["t"]),
    switch("ignore-formatted", "No effect: nothing is formatted").or(&["g"]),
    switch("standalone", "No effect: a broker is alone until it is told of others").or(&["s"]),
    switch("no-initial-controllers", "No effect: a broker is alone until it is told of others").or(&["N"]),
    value("initial-controllers", "list", "Not possible yet").or(&["I"]),
    value("release-version", "release", "No effect: there is one").or(&["r"]),
    value("feature", "name=level", "No effect: each has one level").or(&["f"]),
    value("add-scram", "credential", "Not possible yet").or(&["S"]),
];

pub(crate) fn run(parsed: &Parsed) -> Outcome {
    match sub_command(parsed, &["random-uuid", "format", "info", "version-mapping", "feature-dependencies"])? {
        "random-uuid" => say(&format!("{}\n", random_uuid()?)),
        "format" => format_dirs(parsed),
        "info" => info(parsed),
        other => Err(Failure::Input(format!("{other}: a release of Ottla has one level of each feature"))),
    }
}

fn random_uuid() -> Result<Uuid, Failure> {
    for _ in 0..TRIES {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| Failure::Input(format!("no random numbers: {error}")))?;
        if let Some(id) = Uuid::from_random(bytes) {
            return Ok(id);
        }
    }
    Err(Failure::Input("the random numbers of this machine are not random".into()))
}

fn log_dirs(parsed: &Parsed) -> Result<Vec<String>, Failure> {
    let mut settings = Properties::load(Some(parsed.required("config")?))?;
    let dirs = settings.take("log.dirs").or(settings.take("log.dir")).unwrap_or_else(|| DEFAULT_LOG_DIR.into());
    Ok(dirs.split(',').map(|dir| dir.trim().to_string()).filter(|dir| !dir.is_empty()).collect())
}

fn format_dirs(parsed: &Parsed) -> Outcome {
    for flag in ["initial-controllers", "add-scram"] {
        if parsed.has(flag) {
            return Err(Failure::Input(format!("--{flag} is not possible yet; COMPAT.md lists what is")));
        }
    }
    parsed.required("cluster-id")?;
    for dir in log_dirs(parsed)? {
        say(&format!("Formatting metadata directory {dir} with metadata.version 4.3.\n"))?;
    }
    eprintln!("nothing was written: Ottla needs no format step, and makes a cluster id at its first start");
    Ok(())
}

fn info(parsed: &Parsed) -> Outcome {
    let dirs = log_dirs(parsed)?;
    let missing: Vec<&String> = dirs.iter().filter(|dir| !std::path::Path::new(dir.as_str()).is_dir()).collect();
    let list = |dirs: &[&String]| dirs.iter().map(|dir| format!("  {dir}\n")).collect::<String>();
    let found: Vec<&String> = dirs.iter().filter(|dir| !missing.contains(dir)).collect();
    if !found.is_empty() {
        say(&format!("Found log director{}:\n{}\n", if found.len() == 1 { "y" } else { "ies" }, list(&found)))?;
    }
    if !missing.is_empty() {
        say(&format!("Not there until the broker starts:\n{}\n", list(&missing)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_22_characters_and_differ() {
        let (one, other) = (random_uuid().unwrap().to_string(), random_uuid().unwrap().to_string());
        assert!(one.len() == 22 && one != other && !one.starts_with('-'), "{one} {other}");
    }
}
