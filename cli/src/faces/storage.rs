//! `kafka-storage`: a broker here makes its directories ready by itself, so that nothing is left to do.

use std::path::{Path, PathBuf};

use protocol::Uuid;

use super::flags::{Flag, Parsed, switch, value};
use super::properties::Properties;
use super::release_features::{self, FEATURES, LATEST_LEVEL, METADATA_VERSION};
use super::sub_command;
use crate::failure::{Failure, Outcome};
use crate::output::say;

/// Where a broker keeps its data when nothing says so.
const DEFAULT_LOG_DIR: &str = "ottla-data";
/// Written by a broker into each of its directories.
const META_PROPERTIES: &str = "meta.properties";
/// Tries for an id that does not begin with a hyphen; each fails once in 64 times.
const TRIES: usize = 100;

pub(crate) const FLAGS: &[Flag] = &[
    value("config", "file", "The broker's properties").or(&["c"]),
    value("cluster-id", "id", "format: no effect, the broker makes an id at its first start, and keeps it").or(&["t"]),
    switch("ignore-formatted", "format: pass over directories that a broker has used").or(&["g"]),
    switch("standalone", "No effect: a broker is alone until it is told of others").or(&["s"]),
    switch("no-initial-controllers", "No effect: a broker is alone until it is told of others").or(&["N"]),
    value("initial-controllers", "list", "Not possible yet").or(&["I"]),
    value("release-version", "release", "format: checked, no effect; version-mapping: of this release of Kafka")
        .or(&["r"]),
    value("feature", "name=level", "format: checked, no effect; feature-dependencies: of this feature").or(&["f"]),
    value("add-scram", "credential", "Not possible yet").or(&["S"]),
];

pub(crate) fn run(parsed: &Parsed) -> Outcome {
    match sub_command(parsed, &["info", "format", "version-mapping", "feature-dependencies", "random-uuid"])? {
        "random-uuid" => say(&format!("{}\n", random_uuid()?)),
        "format" => format_dirs(parsed),
        "info" => info(parsed),
        "version-mapping" => release_features::print_mapping(parsed),
        _ => release_features::print_dependencies(parsed),
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

fn given<'a>(parsed: &'a Parsed, flag: &'a str, letter: char) -> Result<&'a str, Failure> {
    parsed.value(flag)?.ok_or_else(|| Failure::Usage(format!("error: argument --{flag}/-{letter} is required")))
}

/// The directories that the broker's properties name; the first has the metadata.
fn log_dirs(parsed: &Parsed) -> Result<Vec<PathBuf>, Failure> {
    let mut settings = Properties::load(Some(given(parsed, "config", 'c')?))?;
    let dirs = settings.take("log.dirs").or(settings.take("log.dir")).unwrap_or_else(|| DEFAULT_LOG_DIR.into());
    Ok(dirs.split(',').map(str::trim).filter(|dir| !dir.is_empty()).map(PathBuf::from).collect())
}

fn format_dirs(parsed: &Parsed) -> Outcome {
    for (flag, cure) in [
        ("initial-controllers", "the cluster is one node: take it out"),
        ("add-scram", "there are no users yet, and listeners are open to everybody: take it out"),
    ] {
        if parsed.has(flag) {
            return Err(Failure::Input(format!("--{flag} is not possible yet: {cure}")));
        }
    }
    let dirs = log_dirs(parsed)?;
    given(parsed, "cluster-id", 't')?;
    let release = release(parsed)?;
    let is_used = |dir: &Path| dir.join(META_PROPERTIES).exists();
    if let Some(used) = dirs.iter().find(|dir| is_used(dir)).filter(|_| !parsed.has("ignore-formatted")) {
        return Err(Failure::Input(format!(
            "Log directory {} is already formatted. Use --ignore-formatted to ignore this directory and format the others.",
            used.display()
        )));
    }
    let new: Vec<(usize, &PathBuf)> = dirs.iter().enumerate().filter(|(_, dir)| !is_used(dir)).collect();
    if new.is_empty() {
        return say("All of the log directories are already formatted.\n");
    }
    for (place, dir) in new {
        let kind = match (place, parsed.has("standalone"), parsed.has("no-initial-controllers")) {
            (1.., ..) => "data directory",
            (0, true, _) => "dynamic metadata voter directory",
            (0, false, true) => "dynamic metadata directory",
            (0, false, false) => "metadata directory",
        };
        say(&format!("Formatting {kind} {} with {METADATA_VERSION} {release}.\n", dir.display()))?;
    }
    eprintln!("nothing was written: Ottla needs no format step, and makes a cluster id at its first start");
    Ok(())
}

/// The metadata.version that was asked for. That and the features have no effect, but a mistake in them is one.
fn release(parsed: &Parsed) -> Result<&'static str, Failure> {
    let asked = parsed.value("release-version")?;
    let mut level =
        asked.map_or(Ok(LATEST_LEVEL), |release| release_features::metadata_level(release, LATEST_LEVEL))?;
    for feature in parsed.values("feature") {
        let (name, wanted) = release_features::name_and_level(feature)?;
        if name == METADATA_VERSION {
            if asked.is_some() {
                let text = "Use --release-version instead of --feature metadata.version=X to avoid ambiguity.";
                return Err(Failure::Input(text.into()));
            }
            level = wanted;
            continue;
        }
        let mut known: Vec<&str> = FEATURES.iter().map(|feature| feature.name).collect();
        known.sort_unstable();
        let unsupported =
            || Failure::Input(format!("Unsupported feature: {name}. Supported features are: {}", known.join(", ")));
        FEATURES.iter().find(|feature| feature.name == name).ok_or_else(unsupported)?.check(wanted)?;
    }
    let unknown = || Failure::Input(format!("No {METADATA_VERSION} with feature level {level}"));
    release_features::metadata_name(level).ok_or_else(unknown)
}

/// What a broker wrote into a directory.
struct Meta {
    cluster_id: Option<String>,
    node_id: Option<String>,
    directory_id: Option<String>,
    version: String,
}

impl Meta {
    fn read(dir: &Path) -> Result<Option<Meta>, Failure> {
        let path = dir.join(META_PROPERTIES);
        if !path.exists() {
            return Ok(None);
        }
        let mut written = Properties::load(Some(&path.to_string_lossy()))?;
        Ok(Some(Meta {
            cluster_id: written.take("cluster.id"),
            node_id: written.take("node.id"),
            directory_id: written.take("directory.id"),
            version: written.take("version").unwrap_or_else(|| "0".into()),
        }))
    }

    fn shown(&self) -> String {
        let found =
            [("cluster.id", &self.cluster_id), ("directory.id", &self.directory_id), ("node.id", &self.node_id)];
        let found = found.iter().filter_map(|(key, value)| value.as_ref().map(|value| format!("{key}={value}, ")));
        format!("{{{}version={}}}", found.collect::<String>(), self.version)
    }
}

fn info(parsed: &Parsed) -> Outcome {
    let mut dirs = log_dirs(parsed)?;
    dirs.sort();
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let mut first: Option<Meta> = None;
    for dir in &dirs {
        let shown = dir.display();
        if !dir.is_dir() {
            problems.push(format!("{shown} {}", if dir.exists() { "is not a directory" } else { "does not exist" }));
            continue;
        }
        found.push(shown.to_string());
        match (Meta::read(dir)?, &first) {
            (None, _) => problems.push(format!("{shown} is not formatted.")),
            (Some(meta), None) => first = Some(meta),
            (Some(meta), Some(first)) if meta.cluster_id != first.cluster_id => {
                problems.push("Mismatched cluster IDs between storage directories.".into());
            }
            (Some(meta), Some(first)) if meta.node_id != first.node_id => {
                problems.push("Mismatched node IDs between storage directories.".into());
            }
            (Some(_), Some(_)) => {}
        }
    }
    let list = |lines: &[String]| lines.iter().map(|line| format!("  {line}\n")).collect::<String>();
    if !found.is_empty() {
        say(&format!("Found log director{}:\n{}\n", if found.len() == 1 { "y" } else { "ies" }, list(&found)))?;
    }
    if let Some(meta) = first {
        say(&format!("Found metadata: {}\n\n", meta.shown()))?;
    }
    if problems.is_empty() {
        return Ok(());
    }
    say(&format!("Found problem{}:\n{}\n", if problems.len() == 1 { "" } else { "s" }, list(&problems)))?;
    Err(Failure::Said)
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
