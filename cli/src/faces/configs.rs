//! `kafka-configs`.

use std::fmt::Write;

use client::Cluster;

use super::errors::exception;
use super::flags::{Flag, Parsed, switch, value};
use super::properties::{Properties, read_file};
use super::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connect, one_action, quotas};
use crate::admin::configs::{self, Change, Kind, source};
use crate::admin::{groups, nodes, topics};
use crate::failure::{Failure, Outcome};
use crate::output::say;

/// What has settings: how `--entity-type` calls it, the flags that name one, and what it is.
const ENTITIES: [(&str, &str, &str, Option<Kind>); 8] = [
    ("topics", "topic", "", Some(Kind::Topic)),
    ("clients", "client", "client-defaults", None),
    ("users", "user", "user-defaults", None),
    ("brokers", "broker", "broker-defaults", Some(Kind::Broker)),
    ("ips", "ip", "ip-defaults", None),
    ("client-metrics", "client-metrics", "", Some(Kind::ClientMetrics)),
    ("groups", "group", "", Some(Kind::Group)),
    ("broker-loggers", "broker-logger", "", Some(Kind::BrokerLogger)),
];

pub(crate) const FLAGS: &[Flag] = &[
    BOOTSTRAP_SERVER,
    value("bootstrap-controller", "host:port", "No effect beyond --bootstrap-server: brokers are controllers"),
    COMMAND_CONFIG,
    switch("alter", "Change settings"),
    switch("describe", "Show settings"),
    switch("all", "With --describe, those too that are not set for this one"),
    value("entity-type", "type", "topics, brokers, broker-loggers, users, clients, ips, client-metrics or groups"),
    value("entity-name", "name", "Topic, broker id, user, client id, address or group"),
    switch("entity-default", "What holds for all brokers, or all others"),
    value("add-config", "k=v,k=[v,v]", "Settings to make"),
    value("add-config-file", "file", "Settings to make, as properties"),
    value("delete-config", "k,k", "Settings to take back"),
    switch("force", "No effect: nothing is asked"),
    value("topic", "name", "This topic"),
    value("client", "id", "Quotas of this client"),
    switch("client-defaults", "Quotas of all clients"),
    value("user", "name", "Quotas of this user"),
    switch("user-defaults", "Quotas of all users"),
    value("broker", "id", "This broker"),
    switch("broker-defaults", "All brokers"),
    value("broker-logger", "id", "The log levels of this broker"),
    value("ip", "address", "Quotas of this address"),
    switch("ip-defaults", "Quotas of all addresses"),
    value("client-metrics", "name", "This subscription to clients' metrics"),
    value("group", "name", "This group"),
];

/// A kind of entity as `--entity-type` calls it, what it is unless it has quotas, and its name; empty for the default.
pub(super) type Chosen<'a> = (&'static str, Option<Kind>, Option<&'a str>);

/// What is described or changed.
struct Entity<'a> {
    /// As `--entity-type` calls it.
    kinds: &'static str,
    kind: Kind,
    /// Empty for all brokers; none for each there is.
    name: Option<&'a str>,
}

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let action = one_action(parsed, &["alter", "describe"], "--describe, --alter")?;
    let chosen = chosen(parsed)?;
    if quotas::are_of(&chosen) {
        return explain(of_quotas(parsed, &chosen, action == "alter").await);
    }
    let entity = entity(&chosen)?;
    if action == "describe" {
        parsed.excludes("describe", &["add-config", "add-config-file", "delete-config"])?;
        let cluster = connect(parsed).await?;
        return explain(describe(&cluster, &entity, parsed.has("all")).await);
    }
    let Some(name) = entity.name else {
        return Err(Failure::Input(match entity.kind {
            Kind::Broker => {
                "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips"
                    .into()
            }
            _ => format!("An entity name must be specified with --alter of {}", entity.kinds),
        }));
    };
    let changes = changes(parsed)?;
    let cluster = connect(parsed).await?;
    explain(alter(&cluster, &entity, name, changes).await)
}

async fn of_quotas(parsed: &Parsed, chosen: &[Chosen<'_>], is_alter: bool) -> Outcome {
    quotas::check(chosen, is_alter)?;
    if is_alter {
        let changes = changes(parsed)?;
        return quotas::alter(&connect(parsed).await?, chosen, changes).await;
    }
    parsed.excludes("describe", &["add-config", "add-config-file", "delete-config"])?;
    quotas::describe(&connect(parsed).await?, chosen).await
}

/// As Kafka, which says what it was doing when a broker refused.
fn explain(outcome: Outcome) -> Outcome {
    outcome.map_err(|failure| match failure {
        Failure::Client(error) if error.code().is_some() => {
            eprintln!("Error while executing config command with args '{}'", arguments());
            Failure::Input(exception(&error))
        }
        other => other,
    })
}

/// The command line after the tool's name.
fn arguments() -> String {
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .skip_while(|word| !word.starts_with('-'))
        .collect();
    words.join(" ")
}

fn chosen(parsed: &Parsed) -> Result<Vec<Chosen<'_>>, Failure> {
    let input = |text: &str| Failure::Input(text.into());
    let written: Vec<&str> = parsed.values("entity-type").collect();
    let (mut chosen, mut of_all_others): (Vec<Chosen<'_>>, Vec<Chosen<'_>>) = (Vec::new(), Vec::new());
    for (kinds, flag, defaults, kind) in ENTITIES {
        if parsed.has(flag) {
            chosen.push((kinds, kind, parsed.value(flag)?));
        } else if !defaults.is_empty() && parsed.has(defaults) {
            of_all_others.push((kinds, kind, Some("")));
        }
    }
    chosen.append(&mut of_all_others);
    if let Some((kinds, ..)) = chosen.iter().find(|(kinds, ..)| written.contains(kinds)) {
        return Err(Failure::Input(format!("Duplicate entity type(s) specified: {kinds}")));
    }
    let is_long = !written.is_empty() || parsed.has("entity-name") || parsed.has("entity-default");
    if is_long && !chosen.is_empty() {
        return Err(input("--entity-{type,name,default} should not be used in conjunction with specific entity flags"));
    }
    let names: Vec<_> = parsed.in_order(&["entity-name", "entity-default"]).collect();
    for (place, kinds) in written.iter().enumerate() {
        let Some((kinds, _, _, kind)) = ENTITIES.into_iter().find(|entity| entity.0 == *kinds) else {
            let known = ENTITIES.map(|entity| entity.0).join(", ");
            return Err(Failure::Input(format!(
                "Invalid entity type {kinds}, the entity type must be one of {known} with a --bootstrap-server or \
                 --bootstrap-controller argument"
            )));
        };
        let name = match written.len() {
            1 if parsed.has("entity-default") => Some(""),
            1 => parsed.value("entity-name")?,
            // The first name is that of the first type.
            _ => names.get(place).map(|name| name.unwrap_or_default()),
        };
        chosen.push((kinds, kind, name));
    }
    if chosen.is_empty() {
        return Err(input("At least one entity type must be specified"));
    }
    if chosen.len() > 1 && !quotas::are_of(&chosen) {
        return Err(input("Only 'users' and 'clients' entity types may be specified together"));
    }
    if !parsed.has("bootstrap-server") {
        return Err(input("Either --bootstrap-server or --bootstrap-controller must be specified."));
    }
    Ok(chosen)
}

fn entity<'a>(chosen: &[Chosen<'a>]) -> Result<Entity<'a>, Failure> {
    let [(kinds, Some(kind), name)] = chosen[..] else {
        return Err(Failure::Input("Only 'users' and 'clients' entity types may be specified together".into()));
    };
    let is_broker = matches!(kind, Kind::Broker | Kind::BrokerLogger);
    if let Some(name) = name.filter(|name| is_broker && !name.is_empty() && name.parse::<i32>().is_err()) {
        return Err(Failure::Input(format!(
            "The entity name for {kinds} must be a valid integer broker id, but it is: {name}"
        )));
    }
    if kind == Kind::BrokerLogger && name.is_none() {
        return Err(Failure::Input(format!("An entity name must be specified with --describe of {kinds}")));
    }
    Ok(Entity { kinds, kind, name })
}

fn changes(parsed: &Parsed) -> Result<Vec<Change>, Failure> {
    let mut changes: Vec<Change> = Vec::new();
    if parsed.has("add-config") && parsed.has("add-config-file") {
        return Err(Failure::Input("Only one of --add-config or --add-config-file must be specified".into()));
    }
    for list in parsed.values("add-config") {
        changes.extend(settings(list)?);
    }
    if let Some(path) = parsed.value("add-config-file")? {
        read_file(path)?;
        let properties = Properties::load(Some(path))?.into_map();
        changes.extend(properties.into_iter().map(|(key, value)| (key, Some(value))));
    }
    for list in parsed.values("delete-config") {
        changes.extend(list.split(',').map(|key| (key.trim().to_string(), None)));
    }
    if changes.is_empty() {
        let text = "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter";
        return Err(Failure::Input(text.into()));
    }
    Ok(changes)
}

/// `a=1,b=[x,y]`: brackets hold what has commas in it.
fn settings(list: &str) -> Result<Vec<Change>, Failure> {
    let invalid = || {
        Failure::Input(
            "requirement failed: Invalid entity config: all configs to be added must be in the format \"key=val\" or  \
             \"key=[val1,val2]\" to group values which contain commas."
                .into(),
        )
    };
    let mut parts = vec![String::new()];
    let mut is_inside = false;
    for character in list.chars() {
        match character {
            '[' => is_inside = true,
            ']' => is_inside = false,
            ',' if !is_inside => parts.push(String::new()),
            other => parts.iter_mut().next_back().into_iter().for_each(|part| part.push(other)),
        }
    }
    let setting = |part: &String| {
        let (key, value) = part.split_once('=').ok_or_else(invalid)?;
        Ok((key.trim().to_string(), Some(value.trim().to_string())))
    };
    parts.iter().filter(|part| !part.trim().is_empty()).map(setting).collect()
}

async fn alter(cluster: &Cluster, entity: &Entity<'_>, name: &str, changes: Vec<Change>) -> Outcome {
    configs::alter(cluster, entity.kind, name, changes, false).await?;
    match name {
        "" => say(&format!("Completed updating default config for {} in the cluster.\n", entity.kinds)),
        name => say(&format!("Completed updating config for {} {name}.\n", singular(entity.kinds))),
    }
}

fn singular(kinds: &str) -> &str {
    kinds.strip_suffix('s').unwrap_or(kinds)
}

/// Where a value comes from that was set for just this one.
fn own_source(kind: Kind, name: &str) -> i8 {
    match kind {
        Kind::Topic => 1,
        Kind::Broker if name.is_empty() => 3,
        Kind::Broker => 2,
        Kind::BrokerLogger => 6,
        Kind::ClientMetrics => 7,
        Kind::Group => 8,
    }
}

async fn describe(cluster: &Cluster, entity: &Entity<'_>, all: bool) -> Outcome {
    let names: Vec<String> = match (entity.name, entity.kind) {
        (Some(name), _) => vec![name.into()],
        (None, Kind::Topic) => topics::list(cluster).await?.into_iter().map(|topic| topic.name).collect(),
        (None, Kind::Broker | Kind::BrokerLogger) => {
            let brokers = nodes::describe(cluster).await?.brokers;
            brokers.iter().map(|broker| broker.broker_id.to_string()).chain([String::new()]).collect()
        }
        (None, Kind::Group) => groups::list(cluster).await?.into_iter().map(|group| group.group_id).collect(),
        (None, Kind::ClientMetrics) => configs::list(cluster, Kind::ClientMetrics).await?,
    };
    if let (Kind::Topic, Some(name)) = (entity.kind, entity.name)
        && !topics::list(cluster).await?.iter().any(|topic| topic.name == name)
    {
        return say(&format!("The topic '{name}' doesn't exist and doesn't have dynamic config.\n"));
    }
    for name in names {
        let own = own_source(entity.kind, &name);
        let described = configs::describe(cluster, entity.kind, &name).await?;
        let mut text = match (name.as_str(), all) {
            ("", _) => format!("Default configs for {} in the cluster are:\n", entity.kinds),
            (name, true) => format!("All configs for {} {name} are:\n", singular(entity.kinds)),
            (name, false) => format!("Dynamic configs for {} {name} are:\n", singular(entity.kinds)),
        };
        let or_null = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".into());
        for config in described.configs.iter().filter(|config| all || config.config_source == own) {
            let synonyms: Vec<String> = config
                .synonyms
                .iter()
                .map(|synonym| format!("{}:{}={}", source::name(synonym.source), synonym.name, or_null(&synonym.value)))
                .collect();
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "  {}={} sensitive={} synonyms={{{}}}",
                config.name,
                or_null(&config.value),
                config.is_sensitive,
                synonyms.join(", ")
            );
        }
        say(&text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_hold_commas() {
        let set = |key: &str, value: &str| (key.to_string(), Some(value.to_string()));
        assert_eq!(settings("a=1,b=[x,y],c=").unwrap(), [set("a", "1"), set("b", "x,y"), set("c", "")]);
        assert!(settings("a").is_err());
    }
}
