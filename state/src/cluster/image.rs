//! The cluster at one moment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use protocol::Uuid;
use serde::{Deserialize, Serialize};

use super::quotas::{QuotaEntity, Quotas};
use super::serde_form;
use super::shared_map::SharedMap;

/// The leader of a partition that has none.
pub const NO_LEADER: i32 = -1;

/// The cluster at one moment. Cloning it costs a few counters, whatever its size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    pub(super) cluster_id: Option<Arc<str>>,
    pub(super) features: Arc<BTreeMap<String, i16>>,
    pub(super) controller_id: Option<i32>,
    pub(super) controller_epoch: i32,
    pub(super) brokers: Arc<BTreeMap<i32, Arc<BrokerRegistration>>>,
    pub(super) next_broker_epoch: i64,
    pub(super) topics: SharedMap<Arc<str>, Arc<Topic>>,
    pub(super) topics_by_id: SharedMap<Uuid, Arc<Topic>>,
    /// Names that hold a '.' or '_', keyed by the name with '_' for '.': their metrics would have one name.
    pub(super) metric_names: SharedMap<Arc<str>, Arc<str>>,
    pub(super) partition_count: usize,
    pub(super) configs: SharedMap<ConfigResource, Configs>,
    pub(super) quotas: SharedMap<QuotaEntity, Quotas>,
    pub(super) next_producer_id: i64,
}

/// The overrides of one resource: config key to value.
pub type Configs = Arc<BTreeMap<String, String>>;

impl Image {
    /// The cluster's id, or `None` before the first command.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// Feature levels the cluster has agreed on (KIP-584).
    pub fn features(&self) -> &BTreeMap<String, i16> {
        &self.features
    }

    /// The broker that was last elected controller.
    pub fn controller_id(&self) -> Option<i32> {
        self.controller_id
    }

    /// How many times a controller was elected; brokers fence an older one by it.
    pub fn controller_epoch(&self) -> i32 {
        self.controller_epoch
    }

    /// Every registered broker, ids ascending.
    pub fn brokers(&self) -> impl Iterator<Item = &Arc<BrokerRegistration>> {
        self.brokers.values()
    }

    /// The registration of one broker.
    pub fn broker(&self, broker_id: i32) -> Option<&Arc<BrokerRegistration>> {
        self.brokers.get(&broker_id)
    }

    /// How many topics there are.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// How many partitions all topics have together.
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// A topic by name.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// A topic by id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.topics_by_id.get(&id)
    }

    /// Every topic, names ascending.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.iter().map(|(_, topic)| topic)
    }

    /// Every topic from `name` on (that one included), names ascending: for answers that come in pages (KIP-966).
    pub fn topics_from(&self, name: &str) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.iter_from(name).map(|(_, topic)| topic)
    }

    /// The overrides of a resource, or `None` when it has none.
    pub fn configs(&self, resource: &ConfigResource) -> Option<&Configs> {
        self.configs.get(resource)
    }

    /// One override of a resource.
    pub fn config(&self, resource: &ConfigResource, key: &str) -> Option<&str> {
        self.configs.get(resource)?.get(key).map(String::as_str)
    }

    /// The overrides of one topic. Allocates: not for the path of a record.
    pub fn topic_configs(&self, name: &str) -> Option<&Configs> {
        self.configs.get(&ConfigResource::Topic(name.to_owned()))
    }

    /// Every resource that has overrides.
    pub fn all_configs(&self) -> impl Iterator<Item = (&ConfigResource, &Configs)> {
        self.configs.iter()
    }

    /// The subscriptions to what clients measure, with their settings, names ascending (KIP-714).
    pub fn client_metrics(&self) -> impl Iterator<Item = (&str, &Configs)> {
        self.configs.iter_from(&ConfigResource::ClientMetrics(String::new())).filter_map(|(resource, configs)| {
            match resource {
                ConfigResource::ClientMetrics(name) => Some((name.as_str(), configs)),
                _ => None,
            }
        })
    }

    /// The first producer id that no block has claimed.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// Whether a broker is registered and not fenced.
    pub fn is_alive(&self, broker_id: i32) -> bool {
        self.brokers.get(&broker_id).is_some_and(|broker| !broker.fenced)
    }

    pub(super) fn insert_topic(&mut self, topic: Topic) {
        let topic = Arc::new(topic);
        if let Some(key) = metric_name(&topic.name) {
            self.metric_names.insert(key, Arc::clone(&topic.name));
        }
        self.partition_count += topic.partitions.len();
        self.topics_by_id.insert(topic.id, Arc::clone(&topic));
        if let Some(old) = self.topics.insert(Arc::clone(&topic.name), topic) {
            self.partition_count -= old.partitions.len();
        }
    }

    pub(super) fn remove_topic(&mut self, id: Uuid) -> Option<Arc<Topic>> {
        let topic = self.topics_by_id.remove(&id)?;
        self.topics.remove(&*topic.name);
        if let Some(key) = metric_name(&topic.name) {
            self.metric_names.remove(&*key);
        }
        self.partition_count -= topic.partitions.len();
        self.configs.remove(&ConfigResource::Topic(topic.name.to_string()));
        Some(topic)
    }

    /// An existing topic, other than `name` itself, whose metrics would have the same name.
    pub(super) fn collides_with(&self, name: &str) -> Option<&Arc<str>> {
        self.metric_names.get(&*metric_name(name)?).filter(|other| &***other != name)
    }
}

/// The name under which metrics of a topic appear, if it differs in kind: Kafka's reporters write '_' for '.'.
fn metric_name(topic: &str) -> Option<Arc<str>> {
    topic.contains(['.', '_']).then(|| topic.replace('.', "_").into())
}

/// A topic. Immutable: a change makes a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its id, never zero, never used again.
    pub id: Uuid,
    /// Its name.
    pub name: Arc<str>,
    /// Its partitions: the one with index 0 first.
    pub partitions: Vec<PartitionState>,
}

impl Topic {
    /// A partition by its index.
    pub fn partition(&self, index: i32) -> Option<&PartitionState> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    /// How many partitions it has, as the wire counts.
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }
}

/// Who has a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionState {
    /// The brokers that hold it; the first is preferred as leader.
    pub replicas: Vec<i32>,
    /// Those that have everything that is committed.
    pub isr: Vec<i32>,
    /// Who takes writes, or [`NO_LEADER`].
    pub leader: i32,
    /// Raised whenever the leader changes or starts again.
    pub leader_epoch: i32,
    /// Raised with every change of this state.
    pub partition_epoch: i32,
}

/// What a broker said of itself when it registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerRegistration {
    /// node.id.
    pub broker_id: i32,
    /// Raised with each registration of any broker: tells one run of a broker from the next.
    pub epoch: i64,
    /// Drawn by the broker at each start.
    #[serde(with = "serde_form::uuid")]
    pub incarnation_id: Uuid,
    /// The id of its data directory, from meta.properties.
    #[serde(with = "serde_form::uuid")]
    pub directory_id: Uuid,
    /// Where clients and brokers reach it.
    pub listeners: Vec<Listener>,
    /// broker.rack.
    pub rack: Option<String>,
    /// A fenced broker leads nothing and gets no replicas.
    pub fenced: bool,
}

impl BrokerRegistration {
    /// The listener of that name.
    pub fn listener(&self, name: &str) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.name == name)
    }
}

/// An advertised address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The listener's name, such as `PLAINTEXT` or `EXTERNAL`.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How it is secured.
    pub security_protocol: SecurityProtocol,
}

/// How a listener is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL in the clear.
    SaslPlaintext,
    /// SASL inside TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// Kafka's number for it.
    pub fn id(self) -> i16 {
        match self {
            SecurityProtocol::Plaintext => 0,
            SecurityProtocol::Ssl => 1,
            SecurityProtocol::SaslPlaintext => 2,
            SecurityProtocol::SaslSsl => 3,
        }
    }

    /// Kafka's name for it, as in `listener.security.protocol.map`.
    pub fn name(self) -> &'static str {
        match self {
            SecurityProtocol::Plaintext => "PLAINTEXT",
            SecurityProtocol::Ssl => "SSL",
            SecurityProtocol::SaslPlaintext => "SASL_PLAINTEXT",
            SecurityProtocol::SaslSsl => "SASL_SSL",
        }
    }
}

/// Something that has configs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConfigResource {
    /// One topic.
    Topic(String),
    /// One broker.
    Broker(i32),
    /// What holds for every broker that does not say otherwise.
    DefaultBroker,
    /// One group (KIP-848).
    Group(String),
    /// One subscription to what clients measure of themselves (KIP-714). The last in order, see [`Image::client_metrics`].
    ClientMetrics(String),
}

impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigResource::Topic(name) => write!(f, "topic {name}"),
            ConfigResource::Broker(id) => write!(f, "broker {id}"),
            ConfigResource::DefaultBroker => f.write_str("all brokers"),
            ConfigResource::Group(id) => write!(f, "group {id}"),
            ConfigResource::ClientMetrics(name) => write!(f, "client metrics {name}"),
        }
    }
}
