//! Proposals to the metadata log: what handlers ask for, and what the broker creates on its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::{ErrorCode, Uuid};
use state::cluster::{Applied, Command, Image, NewTopic, PartitionCounts, Refusal, Topic, TopicShape, place_topic};
use tracing::{info, warn};

use crate::broker::Broker;
use crate::config::{FirstTopic, validate_topic_configs};
use crate::coordinator::OFFSETS_TOPIC;
use crate::error::propose_code;

/// Proposes a command, and lets the partitions follow the image it led to, before it returns: what was acknowledged is
/// visible to the very next request.
///
/// # Errors
/// A Kafka code when the quorum cannot take it now.
pub(crate) async fn propose(broker: &Arc<Broker>, command: Command) -> Result<Applied, ErrorCode> {
    let applied = broker.quorum().propose(command).await.map_err(|error| propose_code(&error))?;
    broker.reconcile().await;
    Ok(applied)
}

/// A fresh topic id.
pub(crate) fn new_topic_id() -> Result<Uuid, ErrorCode> {
    loop {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
        if let Some(id) = Uuid::from_random(bytes) {
            return Ok(id);
        }
    }
}

/// A random UUID in the usual notation with hyphens, as it stands in member ids.
///
/// # Errors
/// `UNKNOWN_SERVER_ERROR` when the operating system gives no random bytes.
pub(crate) fn random_uuid() -> Result<String, ErrorCode> {
    let id = u128::from_be_bytes(new_topic_id()?.0);
    let (a, b, c, d, e) = (id >> 96, id >> 80 & 0xffff, id >> 64 & 0xffff, id >> 48 & 0xffff, id & 0xffff_ffff_ffff);
    Ok(format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}"))
}

/// Creates the topics of `names` that do not exist, as Metadata does on first use. Answers the code of each that could
/// not be created.
pub(crate) async fn auto_create(broker: &Arc<Broker>, names: &BTreeSet<String>) -> BTreeMap<String, ErrorCode> {
    let mut refused = BTreeMap::new();
    let image = broker.image();
    for name in names.iter().filter(|name| image.topic(name).is_none()) {
        let created = if name == OFFSETS_TOPIC {
            offsets_topic(broker).await.map(|_| ())
        } else if state::cluster::is_internal(name) {
            Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        } else {
            let config = broker.config();
            let (partitions, replicas) = (config.num_partitions, config.default_replication_factor);
            create(broker, name, partitions, replicas, BTreeMap::new()).await
        };
        if let Err(code) = created {
            warn!(topic = name, error = %code, "a topic could not be created on first use");
            refused.insert(name.clone(), code);
        }
    }
    refused
}

/// Creates those of `topics` that do not exist. One that cannot be created is told and left out: the broker is of use
/// without it.
pub(crate) async fn create_first_topics(broker: &Arc<Broker>, topics: &[FirstTopic]) {
    for topic in topics.iter().filter(|topic| broker.image().topic(&topic.name).is_none()) {
        let configs: BTreeMap<_, _> =
            topic.cleanup_policy.iter().map(|policy| ("cleanup.policy".to_string(), policy.clone())).collect();
        let valid = validate_topic_configs(&broker.config(), &configs);
        let created = match valid {
            Ok(()) => create(broker, &topic.name, topic.partitions, topic.replication_factor, configs).await,
            Err(refusal) => Err(refusal.error),
        };
        if let Err(error) = created {
            let FirstTopic { name, partitions, replication_factor, .. } = topic;
            warn!(topic = name, partitions, replication_factor, %error, "a topic of create.topics could not be created");
        }
    }
}

/// The offsets topic, created if there is none yet.
///
/// # Errors
/// What creating it said.
pub(crate) async fn offsets_topic(broker: &Arc<Broker>) -> Result<Arc<Topic>, ErrorCode> {
    if let Some(topic) = broker.image().topic(OFFSETS_TOPIC) {
        return Ok(Arc::clone(topic));
    }
    let config = broker.config();
    let configs = BTreeMap::from([
        ("cleanup.policy".to_string(), "compact".to_string()),
        ("compression.type".to_string(), "producer".to_string()),
        ("segment.bytes".to_string(), config.offsets_topic_segment_bytes.to_string()),
    ]);
    let (partitions, replicas) = (config.offsets_topic_num_partitions, config.offsets_topic_replication_factor);
    create(broker, OFFSETS_TOPIC, partitions, replicas, configs).await?;
    broker.image().topic(OFFSETS_TOPIC).map(Arc::clone).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)
}

async fn create(
    broker: &Arc<Broker>,
    name: &str,
    partitions: i32,
    replication_factor: i16,
    configs: BTreeMap<String, String>,
) -> Result<(), ErrorCode> {
    let image = broker.image();
    let shape = TopicShape { partitions, replication_factor, assignments: &[] };
    let defaults = PartitionCounts { partitions, replication_factor };
    let assignments = place_topic(&image, &shape, defaults, placement_seed(&image)).map_err(|refusal| refusal.error)?;
    let topic = NewTopic { name: name.into(), id: new_topic_id()?, assignments, configs };
    match first(propose(broker, Command::CreateTopics(vec![topic])).await?) {
        Ok(()) => {
            info!(topic = name, partitions, "topic created");
            Ok(())
        }
        // Somebody else was faster, which is as good.
        Err(refusal) if refusal.error == ErrorCode::TOPIC_ALREADY_EXISTS => Ok(()),
        Err(refusal) => Err(refusal.error),
    }
}

/// The outcome of a command with one item.
pub(crate) fn first(applied: Applied) -> Result<(), Refusal> {
    let nothing = || Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, "the metadata log gave no answer");
    applied.into_items().into_iter().next().unwrap_or_else(|| Err(nothing()))
}

/// Where the placement of new replicas starts: it moves on with every topic, so that leaders spread.
pub(crate) fn placement_seed(image: &Image) -> u64 {
    image.partition_count() as u64
}
