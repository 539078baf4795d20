//! What can be asked of the cluster, and what comes of it.
//!
//! Commands stand in the metadata log for as long as it is kept: fields are only ever added, with a default, and a
//! variant never changes its meaning.

use std::collections::BTreeMap;
use std::fmt;

use protocol::{ErrorCode, Uuid};
use serde::{Deserialize, Serialize};

use super::image::{ConfigResource, Listener};
use super::quotas::QuotaAlteration;
use super::serde_form;

/// A change to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// The first command of a cluster. Proposed again with the same id it changes nothing.
    ClusterCreated {
        /// 22 characters, see `protocol::Uuid`.
        cluster_id: String,
        /// Feature levels (KIP-584).
        features: BTreeMap<String, i16>,
    },
    /// A node has become leader of the quorum.
    ControllerElected {
        /// Its node.id.
        controller_id: i32,
    },
    /// A broker has started.
    RegisterBroker(RegisterBroker),
    /// New topics, each on its own.
    CreateTopics(Vec<NewTopic>),
    /// Topics to remove, with their configs, each on its own.
    DeleteTopics(#[serde(with = "serde_form::uuids")] Vec<Uuid>),
    /// More partitions for topics, each on its own.
    CreatePartitions(Vec<MorePartitions>),
    /// New overrides, each resource on its own.
    AlterConfigs(Vec<ConfigAlteration>),
    /// A block of producer ids for a broker to hand out (KIP-730).
    AllocateProducerIds {
        /// Who asks.
        broker_id: i32,
        /// The epoch of its registration; an older one is refused.
        broker_epoch: i64,
        /// How many ids, at least 1.
        count: i32,
    },
    /// New quotas, each entity on its own.
    AlterClientQuotas(Vec<QuotaAlteration>),
}

/// What a broker says of itself at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterBroker {
    /// node.id, at least 0.
    pub broker_id: i32,
    /// Drawn at each start: the same one again means the same registration again.
    #[serde(with = "serde_form::uuid")]
    pub incarnation_id: Uuid,
    /// From meta.properties.
    #[serde(with = "serde_form::uuid")]
    pub directory_id: Uuid,
    /// Where it is reached.
    pub listeners: Vec<Listener>,
    /// broker.rack.
    pub rack: Option<String>,
    /// Whether it starts without serving.
    pub fenced: bool,
    /// The epoch of the registration this one replaces, or -1 when the proposer saw none.
    pub replaces_epoch: i64,
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Drawn by the proposer. The same name and id again mean the same topic again, which is no error.
    #[serde(with = "serde_form::uuid")]
    pub id: Uuid,
    /// The replicas of each partition, the one with index 0 first.
    pub assignments: Vec<Vec<i32>>,
    /// Its overrides, already checked against the config table.
    pub configs: BTreeMap<String, String>,
}

/// Partitions to add to a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MorePartitions {
    /// Which topic.
    #[serde(with = "serde_form::uuid")]
    pub topic_id: Uuid,
    /// How many it shall have in the end.
    pub count: i32,
    /// The replicas of each new partition.
    pub assignments: Vec<Vec<i32>>,
}

/// A change of one resource's overrides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigAlteration {
    /// Whose.
    pub resource: ConfigResource,
    /// What.
    pub change: ConfigChange,
}

/// How overrides change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigChange {
    /// These and no others (the AlterConfigs API).
    Replace(BTreeMap<String, String>),
    /// Key by key (IncrementalAlterConfigs, KIP-339).
    Update(BTreeMap<String, ConfigOperation>),
}

/// What happens to one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigOperation {
    /// It has this value.
    Set(String),
    /// It has its default again.
    Delete,
    /// These are added to its list, where they are missing.
    Append {
        /// The items to add.
        items: Vec<String>,
        /// The list it has while nobody set one, comma separated.
        default: String,
    },
    /// These are taken out of its list.
    Subtract {
        /// The items to remove.
        items: Vec<String>,
        /// The list it has while nobody set one, comma separated.
        default: String,
    },
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For the program.
    #[serde(with = "serde_form::error_code")]
    pub error: ErrorCode,
    /// For the person.
    pub message: String,
}

impl Refusal {
    /// A refusal with a message.
    pub fn new(error: ErrorCode, message: impl Into<String>) -> Refusal {
        Refusal { error, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error, self.message)
    }
}

impl std::error::Error for Refusal {}

/// Producer ids that belong to one broker and to nobody else, ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerIdBlock {
    /// The first id.
    pub first: i64,
    /// How many.
    pub count: i32,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Applied {
    /// One result per item, in the order of the command: CreateTopics, DeleteTopics, CreatePartitions, AlterConfigs,
    /// AlterClientQuotas, and ClusterCreated as its only item.
    Items(Vec<Result<(), Refusal>>),
    /// The epoch of the registration.
    BrokerEpoch(Result<i64, Refusal>),
    /// The new controller epoch.
    ControllerEpoch(Result<i32, Refusal>),
    /// The block.
    ProducerIds(Result<ProducerIdBlock, Refusal>),
}

impl Applied {
    /// The results of a command with items.
    ///
    /// A command of another kind has a single result, without its value.
    pub fn into_items(self) -> Vec<Result<(), Refusal>> {
        match self {
            Applied::Items(items) => items,
            Applied::BrokerEpoch(result) => vec![result.map(|_| ())],
            Applied::ControllerEpoch(result) => vec![result.map(|_| ())],
            Applied::ProducerIds(result) => vec![result.map(|_| ())],
        }
    }

    /// The epoch that RegisterBroker gave, or why there is none.
    pub fn into_broker_epoch(self) -> Result<i64, Refusal> {
        match self {
            Applied::BrokerEpoch(result) => result,
            other => Err(other.not("a registration")),
        }
    }

    /// The block that AllocateProducerIds gave, or why there is none.
    pub fn into_producer_ids(self) -> Result<ProducerIdBlock, Refusal> {
        match self {
            Applied::ProducerIds(result) => result,
            other => Err(other.not("an allocation of producer ids")),
        }
    }

    fn not(&self, expected: &str) -> Refusal {
        Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, format!("{self:?} is not the outcome of {expected}"))
    }
}
