//! Whether settings that a client asks for may be kept.

use std::collections::BTreeMap;

use protocol::ErrorCode;
use state::cluster::Refusal;

use super::broker_config::BrokerConfig;
use super::key::{ConfigKey, Kind, Update, Value};
use super::table;
use super::topic_config::TopicConfig;

/// Checks the overrides of a topic.
///
/// # Errors
/// `INVALID_CONFIG` with Kafka's sentence: an unknown key, a wrong value, a value that nothing here acts on.
pub(crate) fn validate_topic_configs(
    broker: &BrokerConfig,
    overrides: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let mut values = broker.topic_values.clone();
    for (name, text) in overrides {
        let key = table::topic_key(name).ok_or_else(|| unknown("topic", name, &mut table::topic_keys()))?;
        values.insert(key.name, key.parse_supported(text).map_err(invalid)?);
    }
    if let (Some(Value::Integer(least)), Some(Value::Integer(most))) =
        (values.get("min.compaction.lag.ms"), values.get("max.compaction.lag.ms"))
        && least > most
    {
        return Err(invalid(format!("min.compaction.lag.ms={least} is larger than max.compaction.lag.ms={most}")));
    }
    let config = TopicConfig::of(&values, broker.producer_id_expiration_ms);
    if !config.compact && !config.delete && overrides.get("cleanup.policy").is_some_and(|text| text.trim().is_empty()) {
        return Ok(());
    }
    if u64::from(config.max_message_bytes) > u64::from(config.segment_bytes) && overrides.contains_key("segment.bytes")
    {
        let (max, segment) = (config.max_message_bytes, config.segment_bytes);
        tracing::warn!("max.message.bytes={max} is larger than segment.bytes={segment}, so larger batches are refused");
    }
    Ok(())
}

/// Checks the dynamic settings of one broker, `broker`, or of all of them.
///
/// # Errors
/// As [`validate_topic_configs`]; also `INVALID_REQUEST` for keys that cannot change while a broker runs.
pub(crate) fn validate_broker_configs(
    broker: Option<&BrokerConfig>,
    overrides: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    for (name, text) in overrides {
        let key = table::broker_key(name).ok_or_else(|| unknown("broker", name, &mut table::broker_keys()))?;
        match key.update {
            Update::ClusterWide => {}
            Update::PerBroker if broker.is_some() => {}
            Update::PerBroker => {
                let message = format!("Cannot update these configs at default cluster level: {name}");
                return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
            }
            Update::ReadOnly | Update::Topic => {
                let message = format!("Cannot update these configs dynamically: {name}");
                return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
            }
        }
        key.parse_supported(text).map_err(invalid)?;
        if let ("advertised.listeners", Some(broker)) = (key.name, broker) {
            broker.check_advertised(text).map_err(|problem| invalid(format!("{name}: {problem}")))?;
        }
    }
    Ok(())
}

/// Whether a topic or broker key holds a list, which APPEND and SUBTRACT need.
pub(crate) fn is_list(name: &str) -> bool {
    table::topic_key(name).or_else(|| table::broker_key(name)).is_some_and(|key| key.kind == Kind::List)
}

/// What a list key of a topic holds when nobody has set it.
pub(crate) fn default_of_list(config: &BrokerConfig, name: &str) -> String {
    config.topic_values.get(name).map(ToString::to_string).unwrap_or_default()
}

fn invalid(message: String) -> Refusal {
    Refusal::new(ErrorCode::INVALID_CONFIG, message)
}

fn unknown(kind: &str, name: &str, keys: &mut dyn Iterator<Item = &'static ConfigKey>) -> Refusal {
    let nearest = table::nearest(name, keys.map(|key| key.name)).map(|known| format!("; did you mean {known}?"));
    invalid(format!("Unknown {kind} config name: {name}{}", nearest.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::Layers;
    use crate::config::source::ConfigSource;

    fn overrides(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn topics_take_what_is_enforced() {
        let broker = BrokerConfig::build(Layers::fixed(&ConfigSource::default())).unwrap();
        let check = |pairs: &[(&str, &str)]| validate_topic_configs(&broker, &overrides(pairs));
        assert_eq!(check(&[("retention.ms", "-1"), ("cleanup.policy", "delete")]), Ok(()));
        let error = check(&[("retention.mss", "1")]).unwrap_err();
        assert_eq!(error.error, ErrorCode::INVALID_CONFIG);
        assert_eq!(error.message, "Unknown topic config name: retention.mss; did you mean retention.ms?");
        assert_eq!(check(&[("segment.bytes", "x")]).unwrap_err().error, ErrorCode::INVALID_CONFIG);
        let lags = check(&[("min.compaction.lag.ms", "9"), ("max.compaction.lag.ms", "5")]);
        assert_eq!(lags.unwrap_err().error, ErrorCode::INVALID_CONFIG);
    }

    #[test]
    fn brokers_change_only_what_may_change_while_they_run() {
        let broker = BrokerConfig::build(Layers::fixed(&ConfigSource::default())).unwrap();
        let check = |pairs: &[(&str, &str)]| validate_broker_configs(Some(&broker), &overrides(pairs));
        assert_eq!(check(&[("log.retention.ms", "5")]), Ok(()));
        assert_eq!(check(&[("advertised.listeners", "PLAINTEXT://kafka:32768")]), Ok(()));
        let stranger = check(&[("advertised.listeners", "BROKER://kafka:1")]).unwrap_err();
        assert!(stranger.message.contains("there are PLAINTEXT"), "{}", stranger.message);
        let everywhere = overrides(&[("advertised.listeners", "PLAINTEXT://kafka:1")]);
        assert!(validate_broker_configs(None, &everywhere).unwrap_err().message.contains("default cluster level"));
        for (name, code) in [("log.dirs", ErrorCode::INVALID_REQUEST), ("no.such.key", ErrorCode::INVALID_CONFIG)] {
            assert_eq!(check(&[(name, "5")]).unwrap_err().error, code);
        }
    }
}
