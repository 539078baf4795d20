//! `kafka-features`.

use std::fmt::Write;

use super::flags::{Flag, Parsed, value};
use super::{connect, sub_command};
use crate::admin::nodes;
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    value("bootstrap-server", "host:port", "Brokers to connect to, with commas between them"),
    value("bootstrap-controller", "host:port", "Not possible: brokers are controllers, give --bootstrap-server"),
    value("command-config", "file", "Properties of the client"),
    value("node-id", "n", "Ask this broker"),
];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let commands = ["describe", "upgrade", "downgrade", "disable", "version-mapping", "feature-dependencies"];
    let command = sub_command(parsed, &commands)?;
    if command != "describe" {
        let text = format!("{command} is not possible: a release of Ottla has one level of each feature");
        return Err(Failure::Input(text));
    }
    let cluster = connect(parsed).await?;
    let broker = match parsed.number("node-id")? {
        Some(id) => id,
        None => nodes::describe(&cluster).await?.brokers.first().map_or(-1, |broker| broker.broker_id),
    };
    let versions = nodes::versions(&cluster, broker).await?;
    let mut features = versions.supported_features;
    features.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = String::new();
    for feature in features {
        let level = versions.finalized_features.iter().find(|found| found.name == feature.name);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "Feature: {}\tSupportedMinVersion: {}\tSupportedMaxVersion: {}\tFinalizedVersionLevel: {}\tEpoch: {}",
            feature.name,
            feature.min_version,
            feature.max_version,
            level.map_or(0, |level| level.max_version_level),
            versions.finalized_features_epoch
        );
    }
    say(&text)
}
