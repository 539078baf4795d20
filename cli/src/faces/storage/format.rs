//! `kafka-storage format`: writes whose a directory is, as the broker's first start would, with an id of somebody's choice.

use std::path::Path;

use raft::QuorumConfig;

use super::{Config, Meta, given};
use crate::faces::BrokerSettings;
use crate::faces::flags::Parsed;
use crate::faces::release_features::{self, FEATURES, LATEST_LEVEL, METADATA_VERSION};
use crate::failure::{Failure, Outcome};
use crate::output::say;

/// What a broker is that nothing gave a number.
const DEFAULT_NODE_ID: i32 = 1;
/// Who is in the quorum from the start: one of these, or none.
const QUORUMS: [(&str, char); 3] = [("standalone", 's'), ("no-initial-controllers", 'N'), ("initial-controllers", 'I')];

pub(super) fn run(parsed: &Parsed, settings: BrokerSettings) -> Outcome {
    refuse_what_is_not_built(parsed)?;
    let config = Config::read(parsed, settings)?;
    let cluster_id = given(parsed, "cluster-id", 't')?;
    check_quorum(parsed, &config)?;
    check_cluster_id(&config, cluster_id)?;
    let node_id = node_id(&config)?;
    let release = release(parsed)?;
    let mut new = Vec::new();
    let (mut used, mut unreadable) = (None, 0);
    for dir in config.dirs() {
        if dir.exists() && !dir.is_dir() {
            unreadable += 1;
            say(&format!("I/O error trying to read log directory {}. Ignoring...\n", dir.display()))?;
            continue;
        }
        match Meta::read(&dir)? {
            None => new.push(dir),
            Some(meta) => {
                check_owner(&dir, &meta, cluster_id, node_id)?;
                used.get_or_insert(dir);
            }
        }
    }
    if let Some(used) = used.as_ref().filter(|_| !parsed.has("ignore-formatted")) {
        return Err(Failure::Input(format!(
            "Log directory {} is already formatted. Use --ignore-formatted to ignore this directory and format the others.",
            used.display()
        )));
    }
    match (new.is_empty(), &used, unreadable) {
        (true, None, 1..) => return Err(Failure::Input("No available log directories to format.".into())),
        (true, ..) => return say("All of the log directories are already formatted.\n"),
        (false, ..) => {}
    }
    let metadata_dir = config.metadata_dir();
    for dir in new {
        let kind = kind(parsed, metadata_dir.as_deref() == Some(&dir));
        say(&format!("Formatting {kind} {} with {METADATA_VERSION} {release}.\n", dir.display()))?;
        let owner = QuorumConfig { cluster_id: Some(cluster_id.into()), ..QuorumConfig::new(&dir, node_id) };
        raft::format(&owner).map_err(|error| Failure::Input(error.to_string()))?;
    }
    Ok(())
}

fn refuse_what_is_not_built(parsed: &Parsed) -> Outcome {
    for (flag, cure) in [
        ("initial-controllers", "the cluster is one node: take it out, or give --standalone"),
        ("add-scram", "there are no users yet, and listeners are open to everybody: take it out"),
    ] {
        if parsed.has(flag) {
            return Err(Failure::Input(format!("--{flag} is not possible yet: {cure}")));
        }
    }
    Ok(())
}

/// KIP-853: who the voters are is said in the file, or else on the command line.
fn check_quorum(parsed: &Parsed, config: &Config) -> Outcome {
    let mut chosen = QUORUMS.iter().filter(|(flag, _)| parsed.has(flag));
    let first = chosen.next();
    if let (Some((first, first_letter)), Some((second, letter))) = (first, chosen.next()) {
        return Err(Failure::Usage(format!(
            "error: argument --{second}/-{letter}: not allowed with argument --{first}/-{first_letter}"
        )));
    }
    let has_voters = config.text("controller.quorum.voters").is_some();
    let roles = config.text("process.roles");
    let is_controller = roles.is_some_and(|roles| roles.split(',').any(|role| role.trim() == "controller"));
    let refused = |text: &str| Err(Failure::Input(text.into()));
    match (first, has_voters) {
        (Some(("standalone", _)), true) => refused(
            "You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone. \
             If you want to use dynamic quorum, please remove controller.quorum.voters and specify \
             controller.quorum.bootstrap.servers instead.",
        ),
        (Some(("standalone", _)), false) if roles.is_some() && !is_controller => {
            refused("You can only use --standalone on a controller.")
        }
        (None, false) if is_controller => match config.text("controller.quorum.bootstrap.servers") {
            Some(_) => refused(
                "Because controller.quorum.voters is not set on this controller, you must specify one of the following: \
                 --standalone, --initial-controllers, or --no-initial-controllers.",
            ),
            None => refused(
                "If using process.roles, either controller.quorum.bootstrap.servers must contain the set of bootstrap \
                 controllers or controller.quorum.voters must contain a parseable set of controllers.",
            ),
        },
        _ => Ok(()),
    }
}

/// A broker that is told of one cluster does not start on a directory of another.
fn check_cluster_id(config: &Config, cluster_id: &str) -> Outcome {
    match config.text("ottla.cluster.id").filter(|told| *told != cluster_id) {
        None => Ok(()),
        Some(told) => Err(Failure::Input(format!(
            "The broker is told to be of cluster {told} (ottla.cluster.id, or CLUSTER_ID), and would not start on a \
             directory of cluster {cluster_id}: give --cluster-id {told}, or take the setting out."
        ))),
    }
}

fn node_id(config: &Config) -> Result<i32, Failure> {
    let parsed = |key: &str| {
        let text = config.text(key)?;
        let wrong =
            || Failure::Input(format!("Invalid value {text} for configuration {key}: it is a number from 0 on"));
        Some(text.parse::<i32>().ok().filter(|id| *id >= 0).ok_or_else(wrong))
    };
    // The older name, where -1 leaves the choice to the other.
    let old = || parsed("broker.id").filter(|_| config.text("broker.id") != Some("-1"));
    parsed("node.id").or_else(old).unwrap_or(Ok(DEFAULT_NODE_ID))
}

/// A directory that is formatted must be this node's and this cluster's.
fn check_owner(dir: &Path, meta: &Meta, cluster_id: &str, node_id: i32) -> Outcome {
    let path = dir.join(super::META_PROPERTIES);
    let path = path.display();
    if let Some(found) = meta.cluster_id.as_ref().filter(|found| *found != cluster_id) {
        return Err(Failure::Input(format!("Invalid cluster.id in: {path}. Expected {cluster_id}, but read {found}")));
    }
    match meta.node_id.as_ref().filter(|found| **found != node_id.to_string()) {
        None => Ok(()),
        Some(found) => Err(Failure::Input(format!(
            "Stored node id {found} doesn't match previous node id {node_id} in {path}. If you moved your data, make sure \
             your configured node id matches. If you intend to create a new node, you should remove all data in your data \
             directories."
        ))),
    }
}

fn kind(parsed: &Parsed, is_of_metadata: bool) -> &'static str {
    match (is_of_metadata, parsed.has("standalone")) {
        (false, _) => "data directory",
        (true, true) => "dynamic metadata voter directory",
        (true, false) => "metadata directory",
    }
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
