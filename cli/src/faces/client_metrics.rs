//! `kafka-client-metrics`: subscriptions to what clients measure of themselves (KIP-714).

use client::Cluster;

use super::errors::words;
use super::flags::{Flag, Parsed, switch, value};
use super::storage::random_uuid;
use super::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connect, one_action};
use crate::admin::configs::{self, Change, Kind};
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    switch("alter", "Make a subscription, or change it"),
    switch("delete", "Delete a subscription"),
    switch("describe", "Print subscriptions with their settings"),
    switch("list", "Print the names of subscriptions"),
    value("name", "name", "This subscription"),
    switch("generate-name", "alter: a new subscription with a random name"),
    value("interval", "ms", "alter: how often clients push; empty for the default"),
    value(
        "match",
        "k1=v1,k2=v2",
        "alter: clients whose client_id, client_instance_id, client_software_name, client_software_version, client_source_address and client_source_port match these expressions",
    ),
    value("metrics", "m1,m2", "alter: prefixes of the names of metrics, * for all of them"),
];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let action =
        one_action(parsed, &["alter", "delete", "describe", "list"], "--alter, --delete, --describe or --list.")?;
    if !parsed.has("bootstrap-server") {
        return Err(Failure::Input("--bootstrap-server must be specified.".into()));
    }
    let settings = ["generate-name", "interval", "match", "metrics"];
    parsed.excludes("delete", &settings)?;
    parsed.excludes("describe", &settings)?;
    parsed.excludes("list", &[&["name"][..], &settings].concat())?;
    let name = parsed.value("name")?;
    match (action, name) {
        ("alter", name) if name.is_some() == parsed.has("generate-name") => {
            let text = "One of --name or --generate-name must be specified with --alter.";
            return Err(Failure::Input(text.into()));
        }
        ("delete", None) => {
            return Err(Failure::Input("A client metrics resource name must be specified with --delete.".into()));
        }
        _ => {}
    }
    let changes = changes(parsed)?;
    let cluster = connect(parsed).await?;
    let done = match (action, name) {
        ("alter", name) => alter(&cluster, name, changes).await,
        ("delete", Some(name)) => delete(&cluster, name).await,
        ("describe", Some(name)) => describe_one(&cluster, name).await,
        ("describe", None) => describe_all(&cluster).await,
        _ => list(&cluster).await,
    };
    match done {
        // Kafka writes this one to standard output.
        Err(failure @ Failure::Client(_)) => {
            say(&format!("Error while executing client metrics command : {}\n", words(&failure)))?;
            let cure = failure.cure().map(|cure| format!("  {cure}\n")).unwrap_or_default();
            eprint!("{cure}");
            Err(Failure::Said)
        }
        done => done,
    }
}

/// What is set; an empty value takes a setting back.
fn changes(parsed: &Parsed) -> Result<Vec<Change>, Failure> {
    let mut changes: Vec<Change> = Vec::new();
    if let Some(text) = parsed.value("interval")? {
        let is_set = !text.is_empty();
        if is_set && text.parse::<i32>().is_err() {
            return Err(Failure::Input("Invalid interval value. Enter an integer, or leave empty to reset.".into()));
        }
        changes.push(("interval.ms".to_owned(), is_set.then(|| text.to_owned())));
    }
    for key in ["metrics", "match"].into_iter().filter(|key| parsed.has(key)) {
        let value = parsed.values(key).collect::<Vec<_>>().join(",");
        changes.push((key.to_owned(), Some(value).filter(|value| !value.is_empty())));
    }
    Ok(changes)
}

async fn alter(cluster: &Cluster, name: Option<&str>, changes: Vec<Change>) -> Outcome {
    let name = match name {
        Some(name) => name.to_owned(),
        None => random_uuid()?.to_string(),
    };
    configs::alter(cluster, Kind::ClientMetrics, &name, changes, false).await?;
    say(&format!("Altered client metrics config for {name}.\n"))
}

async fn delete(cluster: &Cluster, name: &str) -> Outcome {
    let settings = configs::describe(cluster, Kind::ClientMetrics, name).await?.configs;
    let changes = settings.into_iter().map(|config| (config.name, None)).collect();
    configs::alter(cluster, Kind::ClientMetrics, name, changes, false).await?;
    say(&format!("Deleted client metrics config for {name}.\n"))
}

async fn describe(cluster: &Cluster, names: &[String]) -> Outcome {
    for name in names {
        let settings = configs::describe(cluster, Kind::ClientMetrics, name).await?.configs;
        let mut text = format!("Client metrics configs for {name} are:\n");
        for config in settings {
            text.push_str(&format!("  {}={}\n", config.name, config.value.unwrap_or_else(|| "null".into())));
        }
        say(&text)?;
    }
    Ok(())
}

async fn describe_one(cluster: &Cluster, name: &str) -> Outcome {
    if !configs::list(cluster, Kind::ClientMetrics).await?.iter().any(|known| known == name) {
        return say(&format!("The client metric resource {name} doesn't exist and doesn't have dynamic config.\n"));
    }
    describe(cluster, &[name.to_owned()]).await
}

async fn describe_all(cluster: &Cluster) -> Outcome {
    describe(cluster, &configs::list(cluster, Kind::ClientMetrics).await?).await
}

async fn list(cluster: &Cluster) -> Outcome {
    say(&format!("{}\n", configs::list(cluster, Kind::ClientMetrics).await?.join("\n")))
}
