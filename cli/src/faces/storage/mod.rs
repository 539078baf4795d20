//! `kafka-storage`: directories that know whose they are before a broker has them. One that was not formatted is made
//! ready by the broker itself.

mod format;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::Uuid;

use super::flags::{Flag, Parsed, switch, value};
use super::properties::Properties;
use super::{BrokerSettings, release_features, sub_command};
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
    value("cluster-id", "id", "format: the id of the cluster, which the broker keeps").or(&["t"]),
    switch("ignore-formatted", "format: pass over directories that a broker has used").or(&["g"]),
    switch("standalone", "format: where no controller.quorum.voters are set; a node is alone in its quorum").or(&["s"]),
    switch("no-initial-controllers", "format: the same; a node is alone in its quorum").or(&["N"]),
    value("initial-controllers", "list", "Not possible yet").or(&["I"]),
    value("release-version", "release", "format: checked, no effect; version-mapping: of this release of Kafka")
        .or(&["r"]),
    value("feature", "name=level", "format: checked, no effect; feature-dependencies: of this feature").or(&["f"]),
    value("add-scram", "credential", "Not possible yet").or(&["S"]),
];

pub(crate) fn run(parsed: &Parsed, settings: BrokerSettings) -> Outcome {
    match sub_command(parsed, &["info", "format", "version-mapping", "feature-dependencies", "random-uuid"])? {
        "random-uuid" => say(&format!("{}\n", random_uuid()?)),
        "format" => format::run(parsed, settings),
        "info" => info(&Config::read(parsed, settings)?),
        "version-mapping" => release_features::print_mapping(parsed),
        _ => release_features::print_dependencies(parsed),
    }
}

pub(super) fn random_uuid() -> Result<Uuid, Failure> {
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

/// What a broker with the file that `--config` names would be set to: its environment wins over the file.
struct Config(BTreeMap<String, String>);

impl Config {
    fn read(parsed: &Parsed, settings: BrokerSettings) -> Result<Config, Failure> {
        settings(given(parsed, "config", 'c')?.into()).map(Config).map_err(Failure::Input)
    }

    /// A setting that says something.
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn metadata_dir(&self) -> Option<PathBuf> {
        self.text("metadata.log.dir").map(PathBuf::from).or_else(|| self.data_dirs().into_iter().next())
    }

    fn data_dirs(&self) -> Vec<PathBuf> {
        let dirs = self.text("log.dirs").or(self.text("log.dir")).unwrap_or(DEFAULT_LOG_DIR);
        dirs.split(',').map(str::trim).filter(|dir| !dir.is_empty()).map(PathBuf::from).collect()
    }

    /// Sorted, each once.
    fn dirs(&self) -> Vec<PathBuf> {
        let mut dirs = self.data_dirs();
        dirs.extend(self.metadata_dir());
        dirs.sort();
        dirs.dedup();
        dirs
    }
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

fn info(config: &Config) -> Outcome {
    let dirs = config.dirs();
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
