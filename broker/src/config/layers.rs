//! A key's values from strongest to weakest, each with its source (KIP-226).

use std::collections::BTreeMap;

use state::cluster::{ConfigResource, Image};

use super::key::{ConfigKey, Update, Value};
use super::limits;
use super::size::parse_size;
use super::source::ConfigSource;
use super::table;

/// Who set a value, numbered as in DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Source {
    DynamicTopic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    DynamicClientMetrics = 7,
}

/// Everything that was set for one broker.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    /// For this broker, while running.
    node: BTreeMap<String, String>,
    /// For all brokers, while running.
    cluster: BTreeMap<String, String>,
    fixed: ConfigSource,
    /// Defaults that depend on the machine.
    derived: BTreeMap<&'static str, String>,
}

impl Layers {
    /// What was given at start, and nothing else.
    pub(crate) fn fixed(source: &ConfigSource) -> Layers {
        let configured = source.get("ottla.memory.limit").and_then(|setting| parse_size(&setting.value));
        let derived = limits::defaults(limits::memory_bytes(configured, source.cgroup_bytes));
        Layers { node: BTreeMap::new(), cluster: BTreeMap::new(), fixed: source.clone(), derived }
    }

    /// What was given at start, and what the cluster's metadata holds for broker `node_id`.
    pub(crate) fn new(source: &ConfigSource, image: &Image, node_id: i32) -> Layers {
        let dynamic = |resource| image.configs(&resource).map(|configs| (**configs).clone()).unwrap_or_default();
        Layers {
            node: dynamic(ConfigResource::Broker(node_id)),
            cluster: dynamic(ConfigResource::DefaultBroker),
            ..Layers::fixed(source)
        }
    }

    pub(crate) fn source(&self) -> &ConfigSource {
        &self.fixed
    }

    /// Every value set for `key` under its own name, the one in force first.
    pub(crate) fn values(&self, key: &'static ConfigKey) -> Vec<(Value, Source)> {
        // The metadata may hold what an older release accepted; what no longer makes sense is not in force.
        let dynamic = |map: &BTreeMap<String, String>| match key.update {
            Update::ClusterWide => map.get(key.name).and_then(|text| key.parse_supported(text).ok()),
            Update::PerBroker | Update::ReadOnly | Update::Topic => None,
        };
        let fixed = || self.fixed.get(key.name).and_then(|setting| key.parse(&setting.value).ok());
        let default = || {
            let derived = self.derived.get(key.name).map(String::as_str);
            derived.or(key.default).and_then(|text| key.parse(text).ok())
        };
        let own = match key.update {
            Update::PerBroker => self.node.get(key.name).and_then(|text| key.parse_supported(text).ok()),
            _ => dynamic(&self.node),
        };
        let layers = [
            (own, Source::DynamicBroker),
            (dynamic(&self.cluster), Source::DynamicDefaultBroker),
            (fixed(), Source::StaticBroker),
            (default(), Source::Default),
        ];
        layers.into_iter().filter_map(|(value, source)| Some((value?, source))).collect()
    }

    /// The same, of the key that is called `name`.
    pub(crate) fn values_of(&self, name: &'static str) -> Vec<(Value, Source)> {
        table::broker_key(name).map(|key| self.values(key)).unwrap_or_default()
    }

    /// The value in force, or `None` where Kafka says null.
    pub(crate) fn value(&self, name: &'static str) -> Option<Value> {
        let key = table::broker_key(name).expect("callers name keys of the table; a test builds every configuration");
        self.values(key).into_iter().next().map(|(value, _)| value)
    }

    /// The value that a topic key has on this broker when the topic says nothing.
    pub(crate) fn topic_default(&self, key: &'static ConfigKey) -> Value {
        let mut synonyms = key.synonyms.iter().filter_map(|synonym| {
            let value = self.value(synonym.broker_key)?;
            Some(match value {
                // A negative number is no duration but a sign, such as -1 for "never".
                Value::Integer(number) if number > 0 => Value::Integer(number.saturating_mul(synonym.factor)),
                other => other,
            })
        });
        let default = || key.default.and_then(|text| key.parse(text).ok());
        synonyms.next().or_else(default).expect("every topic key has a default that parses; a test says so")
    }
}
