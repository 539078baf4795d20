//! The keys of a subscription to what clients measure (KIP-714), a resource of type CLIENT_METRICS.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ErrorCode;
use state::cluster::Refusal;

use super::describe::{self, DescribedConfig};
use super::key::{ConfigKey, Kind, Value};
use super::layers::Source;

const METRICS: &str = "metrics";
const INTERVAL_MS: &str = "interval.ms";
const MATCH: &str = "match";
const INTERVALS_MS: std::ops::RangeInclusive<i64> = 100..=3_600_000;
/// Longer values are refused, bytes: each is told to every client, or compared with it.
const VALUE_BYTES_MAX: usize = 16 << 10;

static KEYS: [ConfigKey; 3] = [
    ConfigKey::broker(INTERVAL_MS, Kind::Int, "300000", "How often clients push, milliseconds."),
    ConfigKey::broker(
        MATCH,
        Kind::List,
        "",
        "Which clients are meant, as selector=expression; all of them when empty.",
    ),
    ConfigKey::broker(
        METRICS,
        Kind::List,
        "",
        "Beginnings of the names of metrics that clients push; * is all of them.",
    ),
];

/// What a subscription says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientMetricsConfig {
    /// Prefixes of names.
    pub(crate) metrics: Vec<String>,
    pub(crate) interval_ms: u32,
    /// `selector=expression`, not yet looked into.
    pub(crate) matches: Vec<String>,
}

/// Checks the settings of a subscription, and reads them.
///
/// # Errors
/// `INVALID_REQUEST` for an unknown key and an interval out of range, `INVALID_CONFIG` for what has the wrong type.
pub(crate) fn validate_client_metrics(configs: &BTreeMap<String, String>) -> Result<ClientMetricsConfig, Refusal> {
    let mut config = ClientMetricsConfig { metrics: Vec::new(), interval_ms: 300_000, matches: Vec::new() };
    for (name, text) in configs {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            let message = format!("Unknown client metrics configuration: {name}");
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        };
        if text.len() > VALUE_BYTES_MAX {
            let message = format!("The value of {name} is longer than {VALUE_BYTES_MAX} bytes.");
            return Err(Refusal::new(ErrorCode::INVALID_CONFIG, message));
        }
        match parse(key, text).map_err(|message| Refusal::new(ErrorCode::INVALID_CONFIG, message))? {
            Value::Integer(interval_ms) => config.interval_ms = checked_interval(interval_ms)?,
            Value::List(list) if name == METRICS => config.metrics = list,
            Value::List(list) => config.matches = list,
            other => unreachable!("no key is like {other:?}"),
        }
    }
    Ok(config)
}

/// A value as Kafka understands it: what stands twice in a list counts once, and nothing in it is empty.
fn parse(key: &ConfigKey, text: &str) -> Result<Value, String> {
    let mut list = match key.parse(text)? {
        Value::List(list) => list,
        other => return Ok(other),
    };
    if list.iter().any(String::is_empty) {
        return Err(format!("Configuration '{}' values must not be empty.", key.name));
    }
    let mut seen = BTreeSet::new();
    list.retain(|item| seen.insert(item.clone()));
    Ok(Value::List(list))
}

fn checked_interval(interval_ms: i64) -> Result<u32, Refusal> {
    let known = u32::try_from(interval_ms).ok().filter(|_| INTERVALS_MS.contains(&interval_ms));
    known.ok_or_else(|| {
        let range = "interval must be between 100 and 3600000 (1 hour)";
        Refusal::new(ErrorCode::INVALID_REQUEST, format!("Invalid value {interval_ms} for {INTERVAL_MS}, {range}"))
    })
}

/// All keys of a subscription with these settings.
pub(crate) fn describe_client_metrics(configs: &BTreeMap<String, String>) -> Vec<DescribedConfig> {
    let describe = |key: &'static ConfigKey| {
        let own = configs.get(key.name).and_then(|text| parse(key, text).ok());
        describe::own_row(key, own, Source::DynamicClientMetrics)
    };
    KEYS.iter().map(describe).collect()
}
