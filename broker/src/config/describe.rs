//! What DescribeConfigs tells of a key: its value, who set it, what else was set, and what it means.

use std::collections::BTreeMap;

use state::cluster::{ConfigResource, Image};

use super::broker_config::BrokerConfig;
use super::key::{ConfigKey, Kind, Update, Value};
use super::layers::{Layers, Source};
use super::source::ConfigSource;
use super::table;

/// One key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DescribedConfig {
    pub(crate) name: &'static str,
    pub(crate) value: Option<String>,
    pub(crate) read_only: bool,
    pub(crate) is_default: bool,
    pub(crate) source: Source,
    pub(crate) is_sensitive: bool,
    /// Every value that was set, the one in force first (KIP-226).
    pub(crate) synonyms: Vec<ConfigSynonym>,
    pub(crate) config_type: Kind,
    pub(crate) documentation: &'static str,
}

/// A value under the name by which it was set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConfigSynonym {
    pub(crate) name: &'static str,
    pub(crate) value: Option<String>,
    pub(crate) source: Source,
}

/// All keys of a topic with these overrides.
pub(crate) fn describe_topic(broker: &BrokerConfig, overrides: &BTreeMap<String, String>) -> Vec<DescribedConfig> {
    table::topic_keys().map(|key| topic_row(key, broker, overrides)).collect()
}

fn topic_row(key: &'static ConfigKey, broker: &BrokerConfig, overrides: &BTreeMap<String, String>) -> DescribedConfig {
    let own = overrides.get(key.name).and_then(|text| key.parse_supported(text).ok());
    let mut synonyms = Vec::new();
    if let Some(value) = &own {
        synonyms.push(synonym(key.name, value, Source::DynamicTopic));
    }
    for broker_key in key.synonyms.iter().filter_map(|synonym| table::broker_key(synonym.broker_key)) {
        let values = broker.layers.values(broker_key);
        synonyms.extend(values.into_iter().map(|(value, source)| synonym(broker_key.name, &value, source)));
    }
    let value = own.or_else(|| broker.topic_values.get(key.name).cloned());
    let source = synonyms.first().map_or(Source::Default, |first| first.source);
    row(key, value, source, synonyms, false)
}

/// All keys of broker `node_id`.
pub(crate) fn describe_broker(source: &ConfigSource, image: &Image, node_id: i32) -> Vec<DescribedConfig> {
    let layers = Layers::new(source, image, node_id);
    let describe = |key: &'static ConfigKey| {
        let mut synonyms = Vec::new();
        // A weaker name of the same setting counts when the stronger is not set: hours when there are no minutes.
        for relative in table::family(key.name) {
            let values = layers.values(relative);
            synonyms.extend(values.into_iter().map(|(value, source)| synonym(relative.name, &value, source)));
        }
        let own = layers.values(key).into_iter().next();
        let source = own.as_ref().map_or(Source::Default, |(_, source)| *source);
        let read_only = matches!(key.update, Update::ReadOnly);
        row(key, own.map(|(value, _)| value), source, synonyms, read_only)
    };
    table::broker_keys().map(describe).collect()
}

/// What was set for all brokers while running, and nothing else, as Kafka answers for the empty broker name.
pub(crate) fn describe_default_broker(image: &Image) -> Vec<DescribedConfig> {
    let Some(configs) = image.configs(&ConfigResource::DefaultBroker) else { return Vec::new() };
    let known = |(name, text): (&String, &String)| {
        let key = table::broker_key(name)?;
        let value = key.parse_supported(text).ok()?;
        let synonyms = vec![synonym(key.name, &value, Source::DynamicDefaultBroker)];
        Some(row(key, Some(value), Source::DynamicDefaultBroker, synonyms, false))
    };
    configs.iter().filter_map(known).collect()
}

/// A key that only its resource sets, to `own`, while running. Its default is no synonym.
pub(super) fn own_row(key: &'static ConfigKey, own: Option<Value>, dynamic: Source) -> DescribedConfig {
    match own {
        Some(value) => {
            let synonyms = vec![synonym(key.name, &value, dynamic)];
            row(key, Some(value), dynamic, synonyms, false)
        }
        None => {
            let default = key.default.and_then(|text| key.parse(text).ok());
            row(key, default, Source::Default, Vec::new(), false)
        }
    }
}

fn synonym(name: &'static str, value: &Value, source: Source) -> ConfigSynonym {
    ConfigSynonym { name, value: Some(value.to_string()), source }
}

fn row(
    key: &'static ConfigKey,
    value: Option<Value>,
    source: Source,
    synonyms: Vec<ConfigSynonym>,
    read_only: bool,
) -> DescribedConfig {
    DescribedConfig {
        name: key.name,
        value: value.map(|value| value.to_string()),
        read_only,
        is_default: source == Source::Default,
        source,
        // No key of the table holds a secret.
        is_sensitive: false,
        synonyms,
        config_type: key.kind,
        documentation: key.doc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::ConfigInput;

    fn source(set: &[&str]) -> ConfigSource {
        let input = ConfigInput { set: set.iter().map(|text| text.to_string()).collect(), ..Default::default() };
        ConfigSource::load(&input).unwrap().0
    }

    #[test]
    fn a_topics_value_comes_with_what_it_hides() {
        let broker = BrokerConfig::build(Layers::fixed(&source(&["log.retention.hours=2"]))).unwrap();
        let overrides = BTreeMap::from([("retention.ms".to_string(), "5".to_string())]);
        let rows = describe_topic(&broker, &overrides);
        let row = rows.iter().find(|row| row.name == "retention.ms").unwrap();
        assert_eq!((row.value.as_deref(), row.source, row.is_default), (Some("5"), Source::DynamicTopic, false));
        let hidden: Vec<_> = row.synonyms.iter().map(|s| (s.name, s.value.as_deref().unwrap(), s.source)).collect();
        assert_eq!(
            hidden,
            [
                ("retention.ms", "5", Source::DynamicTopic),
                ("log.retention.hours", "2", Source::StaticBroker),
                ("log.retention.hours", "168", Source::Default),
            ]
        );
        let rows = describe_topic(&broker, &BTreeMap::new());
        let row = rows.iter().find(|row| row.name == "retention.ms").unwrap();
        assert_eq!((row.value.as_deref(), row.source), (Some("7200000"), Source::StaticBroker));
    }

    #[test]
    fn a_brokers_keys_are_all_there() {
        let rows = describe_broker(&source(&["num.partitions=3"]), &Image::default(), 1);
        let row = rows.iter().find(|row| row.name == "num.partitions").unwrap();
        assert_eq!((row.value.as_deref(), row.source, row.read_only), (Some("3"), Source::StaticBroker, true));
        assert!(rows.iter().any(|row| row.name == "log.dir" && row.is_default));
    }
}
