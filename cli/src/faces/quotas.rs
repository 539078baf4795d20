//! The part of `kafka-configs` that is about users, clients and addresses.

use std::net::IpAddr;

use client::Cluster;

use super::configs::Chosen;
use crate::admin::configs::Change;
use crate::admin::quotas;
use crate::failure::{Failure, Outcome};
use crate::output::say;

const OF_CLIENTS: [&str; 4] =
    ["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];
const OF_ADDRESSES: [&str; 1] = ["connection_creation_rate"];

/// How the tool calls a kind of entity, how the wire does, and how the tool says which one.
const KINDS: [(&str, &str, &str); 3] =
    [("users", "user", "user-principal"), ("clients", "client-id", "client-id"), ("ips", "ip", "ip")];

/// Whether quotas are what such entities have.
pub(super) fn are_of(chosen: &[Chosen<'_>]) -> bool {
    chosen.iter().any(|(kinds, ..)| on_wire(kinds).is_some())
}

fn on_wire(kinds: &str) -> Option<&'static str> {
    KINDS.into_iter().find(|kind| kind.0 == kinds).map(|kind| kind.1)
}

/// Refuses what cannot be meant together.
///
/// # Errors
/// In Kafka's words.
pub(super) fn check(chosen: &[Chosen<'_>], is_alter: bool) -> Result<(), Failure> {
    let input = |text: String| Err(Failure::Input(text));
    let is_pair = |one: &str, other: &str| chosen.len() == 2 && chosen[0].0 == one && chosen[1].0 == other;
    if chosen.len() > 1 && !is_pair("users", "clients") && !is_pair("clients", "users") {
        return input("Only 'users' and 'clients' entity types may be specified together".into());
    }
    if is_alter && chosen.iter().any(|(_, _, name)| name.is_none()) {
        return input(
            "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips".into(),
        );
    }
    match chosen {
        [("ips", _, Some(name))] if !name.is_empty() && name.parse::<IpAddr>().is_err() => {
            input(format!("The entity name for ips must be a valid IP or resolvable host, but it is: {name}"))
        }
        _ => Ok(()),
    }
}

pub(super) async fn describe(cluster: &Cluster, chosen: &[Chosen<'_>]) -> Outcome {
    let wanted: Vec<_> = chosen.iter().filter_map(|(kinds, _, name)| Some((on_wire(kinds)?, *name))).collect();
    for described in quotas::describe(cluster, &wanted).await? {
        let part = |(_, kind, words): (&str, &str, &str)| {
            let name = described.entity.get(kind)?;
            Some(name.as_ref().map_or_else(|| format!("the default {words}"), |name| format!("{words} '{name}'")))
        };
        let entity: Vec<String> = KINDS.into_iter().filter_map(part).collect();
        let values: Vec<String> =
            described.values.iter().map(|(key, value)| format!("{key}={}", as_java(*value))).collect();
        say(&format!("Quota configs for {} are {}\n", entity.join(", "), values.join(", ")))?;
    }
    Ok(())
}

pub(super) async fn alter(cluster: &Cluster, chosen: &[Chosen<'_>], changes: Vec<Change>) -> Outcome {
    let parts: Vec<_> =
        chosen.iter().filter_map(|(kinds, _, name)| Some((on_wire(kinds)?, name.unwrap_or_default()))).collect();
    check_keys(chosen, &changes)?;
    let wanted: Vec<_> = parts.iter().map(|(kind, name)| (*kind, Some(*name))).collect();
    let old = quotas::describe(cluster, &wanted).await?.into_iter().next();
    let is_there = |key: &String| old.as_ref().is_some_and(|old| old.values.contains_key(key));
    let missing: Vec<&str> =
        changes.iter().filter(|(key, value)| value.is_none() && !is_there(key)).map(|(key, _)| key.as_str()).collect();
    if !missing.is_empty() {
        return Err(Failure::Input(format!("Invalid config(s): {}", missing.join(","))));
    }
    let number = |(key, value): Change| match value.map(|text| (text.parse().ok(), text)) {
        None => Ok((key, None)),
        Some((Some(limit), _)) => Ok((key, Some(limit))),
        Some((None, text)) => Err(Failure::Input(format!("Cannot parse quota configuration value for {key}: {text}"))),
    };
    let changes = changes.into_iter().map(number).collect::<Result<Vec<_>, Failure>>()?;
    quotas::alter(cluster, &parts, changes).await?;
    match chosen.first() {
        Some((kinds, _, Some(name))) if !name.is_empty() => {
            say(&format!("Completed updating config for {} {name}.\n", kinds.trim_end_matches('s')))
        }
        Some((kinds, ..)) => say(&format!("Completed updating default config for {kinds} in the cluster.\n")),
        None => Ok(()),
    }
}

fn check_keys(chosen: &[Chosen<'_>], changes: &[Change]) -> Result<(), Failure> {
    let (known, words, of): (&[&str], _, _) = match chosen {
        [("ips", ..)] => (&OF_ADDRESSES, "connection quota", "ips"),
        [("users", ..)] => (&OF_CLIENTS, "quota and SCRAM credential", "users"),
        _ => (&OF_CLIENTS, "quota", "clients"),
    };
    let is_unknown = |key: &&str| !known.contains(key);
    for (done, is_added) in [("added", true), ("deleted", false)] {
        let keys = changes.iter().filter(|(_, value)| value.is_some() == is_added).map(|(key, _)| key.as_str());
        let unknown: Vec<&str> = keys.filter(is_unknown).collect();
        if let Some(scram) = unknown.iter().find(|key| key.starts_with("SCRAM-") && of == "users") {
            return Err(Failure::Input(format!("{scram}: credentials are not possible yet; COMPAT.md lists what is")));
        }
        if !unknown.is_empty() {
            let unknown = match of {
                "ips" => unknown.join(","),
                _ => format!("Set({})", unknown.join(", ")),
            };
            return Err(Failure::Input(format!(
                "Only {words} configs can be {done} for '{of}' using --bootstrap-server. Unexpected config names: {unknown}"
            )));
        }
    }
    Ok(())
}

/// A number as Java prints a double: `10.0`, `1.0E7`.
fn as_java(value: f64) -> String {
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return format!("{value:?}");
    }
    if value.is_infinite() {
        return "Infinity".into();
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_like_javas() {
        let texts = [10.0, 0.5, 9_999_999.0, 1e7, 12_345_678.0, 1e-3, 5e-4, 1.5e300].map(as_java);
        assert_eq!(texts, ["10.0", "0.5", "9999999.0", "1.0E7", "1.2345678E7", "0.001", "5.0E-4", "1.5E300"]);
    }
}
