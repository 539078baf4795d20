//! `kafka-broker-api-versions`.

use std::collections::BTreeMap;
use std::fmt::Write;

use protocol::messages::api_name;
use protocol::messages::api_versions::ApiVersionsResponse;

use super::errors::client_words;
use super::flags::{Flag, Parsed};
use super::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connect};
use crate::admin::nodes;
use crate::failure::Outcome;
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[BOOTSTRAP_SERVER, COMMAND_CONFIG];

/// The APIs of Kafka 4.3 that clients have no use for, and which are shown only when a broker serves them.
const BETWEEN_BROKERS: [i16; 16] = [4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82];
/// The last API of Kafka 4.3.
const LAST_API: i16 = 92;

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let cluster = connect(parsed).await?;
    for broker in nodes::describe(&cluster).await?.brokers {
        let rack = broker.rack.as_deref().unwrap_or("null");
        let what = match nodes::versions(&cluster, broker.broker_id).await {
            Ok(versions) => list(&versions),
            Err(error) => format!("ERROR: {}", client_words(&error)),
        };
        let (host, port, id, fenced) = (&broker.host, broker.port, broker.broker_id, broker.is_fenced);
        say(&format!("{host}:{port} (id: {id} rack: {rack} isFenced: {fenced}) -> {what}\n"))?;
    }
    Ok(())
}

fn list(versions: &ApiVersionsResponse) -> String {
    let served: BTreeMap<i16, (i16, i16)> =
        versions.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
    let is_shown = |key: &i16| served.contains_key(key) || !BETWEEN_BROKERS.contains(key);
    let last = served.keys().next_back().copied().unwrap_or_default().max(LAST_API);
    let mut lines = Vec::new();
    for key in (0..=last).filter(is_shown) {
        let mut line = format!("\t{}({key}): ", api_name(key));
        // Writing to a string cannot fail.
        let _ = match served.get(&key) {
            None => write!(line, "UNSUPPORTED"),
            Some((min, max)) if min == max => write!(line, "{min} [usable: {max}]"),
            Some((min, max)) => write!(line, "{min} to {max} [usable: {max}]"),
        };
        lines.push(line);
    }
    format!("(\n{}\n)", lines.join(",\n"))
}
