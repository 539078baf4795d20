//! `kafka-features`.

use std::fmt::Write;

use super::flags::{Flag, Parsed, switch, value};
use super::release_features::{self, FEATURES, METADATA_VERSION, NEWEST_LEVEL};
use super::{BOOTSTRAP_CONTROLLER, cluster_endpoint, errors, of_cluster, sub_command};
use crate::admin::features::{self, Direction};
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    value("bootstrap-server", "host:port", "Brokers to connect to, with commas between them"),
    BOOTSTRAP_CONTROLLER,
    value("command-config", "file", "Properties of the client"),
    value("node-id", "n", "describe: ask this node"),
    value("feature", "name=level", "upgrade, downgrade, disable, feature-dependencies: this feature; may be repeated"),
    value("release-version", "release", "upgrade, downgrade, version-mapping: all features of this release of Kafka"),
    value("metadata", "release", "upgrade, downgrade: only metadata.version"),
    switch("unsafe", "downgrade, disable: even if metadata is lost"),
    switch("dry-run", "upgrade, downgrade, disable: only say whether it would be done"),
];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let commands = ["describe", "upgrade", "downgrade", "disable", "version-mapping", "feature-dependencies"];
    match sub_command(parsed, &commands)? {
        "version-mapping" => release_features::print_mapping(parsed),
        "feature-dependencies" => release_features::print_dependencies(parsed),
        "describe" => describe(parsed).await,
        change => update(parsed, change).await,
    }
}

async fn describe(parsed: &Parsed) -> Outcome {
    let endpoint = cluster_endpoint(parsed).await?;
    let found = features::describe(&endpoint, parsed.number("node-id")?).await.map_err(of_cluster)?;
    let mut supported = found.supported_features;
    supported.sort_by(|a, b| a.name.cmp(&b.name));
    let epoch = match found.finalized_features_epoch {
        ..0 => "-".to_string(),
        epoch => epoch.to_string(),
    };
    let mut text = String::new();
    for feature in supported {
        let level = |level: i16| match release_features::metadata_name(level) {
            Some(name) if feature.name == METADATA_VERSION => name.to_string(),
            None if feature.name == METADATA_VERSION => format!("UNKNOWN [{level}]"),
            _ => level.to_string(),
        };
        let finalized = found.finalized_features.iter().find(|found| found.name == feature.name);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "Feature: {:<42}SupportedMinVersion: {:<17}SupportedMaxVersion: {:<17}FinalizedVersionLevel: {:<17}Epoch: {epoch}",
            feature.name,
            level(feature.min_version),
            level(feature.max_version),
            level(finalized.map_or(0, |found| found.max_version_level)),
        );
    }
    say(&text)
}

/// Sets levels, and says of each feature how that went.
async fn update(parsed: &Parsed, change: &str) -> Outcome {
    let direction = match change {
        "upgrade" => Direction::Up,
        _ if parsed.has("unsafe") => Direction::Down,
        _ => Direction::SafelyDown,
    };
    let mut levels = if change == "disable" { disabled(parsed)? } else { levels(parsed, direction)? };
    if levels.is_empty() {
        return Err(Failure::Input(format!("You must specify at least one feature to {change}")));
    }
    if let Some((_, level)) = levels.iter().find(|(_, level)| direction == Direction::Up && *level < 1) {
        return Err(Failure::Input(format!(
            "The upgradeType flag should be set to SAFE_DOWNGRADE or UNSAFE_DOWNGRADE when the provided \
             maxVersionLevel:{level} is < 1."
        )));
    }
    levels.sort_unstable();
    let dry_run = parsed.has("dry-run");
    let endpoint = cluster_endpoint(parsed).await?;
    let updated = features::update(&endpoint, &levels, direction, dry_run).await;
    let updated = updated.map_err(|error| match error.code() {
        Some(_) => errors::client_words(&error),
        None => Failure::Client(error).with_cure(),
    });
    for (name, level) in &levels {
        let to = if change == "disable" { String::new() } else { format!(" to {level}") };
        say(&match (&updated, dry_run) {
            (Ok(()), true) => format!("{name} can be {change}d{to}.\n"),
            (Ok(()), false) => format!("{name} was {change}d{to}.\n"),
            (Err(words), true) => format!("Can not {change} {name}{to}. {words}\n"),
            (Err(words), false) => format!("Could not {change} {name}{to}. {words}\n"),
        })?;
    }
    match updated {
        Ok(()) => Ok(()),
        Err(_) => Err(Failure::Input(format!("{} out of {} operation(s) failed.", levels.len(), levels.len()))),
    }
}

fn disabled(parsed: &Parsed) -> Result<Vec<(String, i16)>, Failure> {
    let mut levels = Vec::new();
    parsed.values("feature").try_for_each(|name| add(&mut levels, name.into(), 0))?;
    Ok(levels)
}

fn levels(parsed: &Parsed, direction: Direction) -> Result<Vec<(String, i16)>, Failure> {
    let mut levels = Vec::new();
    if let Some(release) = parsed.value("release-version")? {
        if parsed.has("metadata") || parsed.has("feature") {
            return Err(Failure::Input("Can not specify `release-version` with other feature flags.".into()));
        }
        let metadata = release_features::metadata_level(release, NEWEST_LEVEL)?;
        levels.push((METADATA_VERSION.to_string(), metadata));
        let all = FEATURES.iter().map(|feature| (feature.name.to_string(), feature.default_level(metadata)));
        // There is no upgrade to level 0.
        levels.extend(all.filter(|(_, level)| direction != Direction::Up || *level > 0));
        return Ok(levels);
    }
    if let Some(release) = parsed.value("metadata")? {
        say(" `metadata` flag is deprecated and may be removed in a future release.\n")?;
        levels.push((METADATA_VERSION.to_string(), release_features::metadata_level(release, NEWEST_LEVEL)?));
    }
    for feature in parsed.values("feature") {
        let (name, level) = release_features::name_and_level(feature)?;
        add(&mut levels, name, level)?;
    }
    Ok(levels)
}

fn add(levels: &mut Vec<(String, i16)>, name: String, level: i16) -> Outcome {
    if levels.iter().any(|(known, _)| *known == name) {
        return Err(Failure::Input(format!("Feature {name} was specified more than once.")));
    }
    levels.push((name, level));
    Ok(())
}
