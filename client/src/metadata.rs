//! What a client knows of topics.

use std::sync::Arc;

use protocol::messages::metadata::MetadataResponseTopic;
use protocol::{ErrorCode, Uuid};

use crate::ClientError;

/// A partition by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its index.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition by name.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A topic and its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, zero when the broker is too old to say.
    pub id: Uuid,
    /// Whether the cluster keeps it for itself.
    pub is_internal: bool,
    /// Ascending by index.
    pub partitions: Vec<PartitionMetadata>,
}

/// A partition and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Its index.
    pub index: i32,
    /// The broker that leads it, if there is one.
    pub leader: Option<i32>,
    /// How often the leader has changed; −1 when the broker is too old to say.
    pub leader_epoch: i32,
    /// Brokers that keep it.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub isr: Vec<i32>,
}

impl TopicMetadata {
    /// # Errors
    /// The code that the broker gave for the topic.
    pub(crate) fn from_wire(topic: MetadataResponseTopic) -> Result<TopicMetadata, ClientError> {
        let name: Arc<str> = topic.name.unwrap_or_default().into();
        ClientError::check(format!("topic {name}"), topic.error_code, None)?;
        let partitions = topic.partitions.into_iter().map(|partition| PartitionMetadata {
            index: partition.partition_index,
            leader: (partition.leader_id >= 0).then_some(partition.leader_id),
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_nodes,
            isr: partition.isr_nodes,
        });
        let mut partitions: Vec<_> = partitions.collect();
        partitions.sort_by_key(|partition| partition.index);
        Ok(TopicMetadata { name, id: topic.topic_id, is_internal: topic.is_internal, partitions })
    }

    /// How many partitions it has.
    pub fn partition_count(&self) -> i32 {
        self.partitions.len() as i32
    }

    /// The broker that leads a partition.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION when there is no such partition, LEADER_NOT_AVAILABLE when nobody leads it.
    pub fn leader(&self, partition: i32) -> Result<i32, ClientError> {
        let found = self.partitions.binary_search_by_key(&partition, |partition| partition.index);
        let code = match found.map(|place| self.partitions[place].leader) {
            Ok(Some(leader)) => return Ok(leader),
            Ok(None) => ErrorCode::LEADER_NOT_AVAILABLE,
            Err(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        Err(ClientError::Kafka { what: format!("{}-{partition}", self.name), code, message: None })
    }

    /// The names of all its partitions.
    pub fn all_partitions(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        self.partitions.iter().map(|partition| TopicPartition::new(Arc::clone(&self.name), partition.index))
    }
}
