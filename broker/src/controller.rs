//! Proposals to the metadata log: what handlers ask for, and what the broker creates on its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::{ErrorCode, Uuid};
use state::cluster::{
    Applied, Command, ConfigAlteration, ConfigResource, Image, MorePartitions, NewTopic, PartitionCounts, Refusal,
    Topic, TopicShape, place_more_partitions, place_topic,
};
use tracing::{info, warn};

use crate::broker::Broker;
use crate::config::{FirstTopic, validate_broker_configs, validate_topic_configs};
use crate::coordinator::{OFFSETS_TOPIC, TRANSACTIONS_TOPIC};
use crate::error::propose_code;
use crate::telemetry::Subscription;

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

/// A fresh id, of a topic, of a start, of a client.
pub(crate) fn new_id() -> Result<Uuid, ErrorCode> {
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
    let id = u128::from_be_bytes(new_id()?.0);
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
        } else if name == TRANSACTIONS_TOPIC {
            transactions_topic(broker).await.map(|_| ())
        } else if state::cluster::is_internal(name) {
            Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        } else {
            let config = broker.config();
            let (partitions, replicas) = (config.num_partitions, config.default_replication_factor);
            create(broker, name, partitions, replicas, BTreeMap::new()).await.map_err(|refusal| refusal.error)
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
        if let Err(error) = create(broker, &topic.name, topic.partitions, topic.replication_factor, configs).await {
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
    create(broker, OFFSETS_TOPIC, partitions, replicas, configs).await.map_err(|refusal| refusal.error)?;
    broker.image().topic(OFFSETS_TOPIC).map(Arc::clone).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)
}

/// The topic of transactions, created if there is none yet.
///
/// # Errors
/// What creating it said.
pub(crate) async fn transactions_topic(broker: &Arc<Broker>) -> Result<Arc<Topic>, ErrorCode> {
    if let Some(topic) = broker.image().topic(TRANSACTIONS_TOPIC) {
        return Ok(Arc::clone(topic));
    }
    let shape = broker.config().transactions_topic;
    let configs = BTreeMap::from([
        ("cleanup.policy".to_string(), "compact".to_string()),
        ("compression.type".to_string(), "uncompressed".to_string()),
        ("min.insync.replicas".to_string(), shape.min_isr.to_string()),
        ("segment.bytes".to_string(), shape.segment_bytes.to_string()),
        ("unclean.leader.election.enable".to_string(), "false".to_string()),
    ]);
    let (partitions, replicas) = (shape.partitions, shape.replication_factor);
    create(broker, TRANSACTIONS_TOPIC, partitions, replicas, configs).await.map_err(|refusal| refusal.error)?;
    broker.image().topic(TRANSACTIONS_TOPIC).map(Arc::clone).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)
}

/// Creates a topic; −1 is the broker's default. One that exists by now is as good.
///
/// # Errors
/// What is wrong with it, or why the metadata log did not take it.
pub(crate) async fn create(
    broker: &Arc<Broker>,
    name: &str,
    partitions: i32,
    replication_factor: i16,
    configs: BTreeMap<String, String>,
) -> Result<(), Refusal> {
    let (image, config) = (broker.image(), broker.config().clone());
    let shape = TopicShape { partitions, replication_factor, assignments: &[] };
    let defaults =
        PartitionCounts { partitions: config.num_partitions, replication_factor: config.default_replication_factor };
    let assignments = place_topic(&image, &shape, defaults, placement_seed(&image))?;
    let id = new_id().map_err(|code| Refusal::new(code, "no random bytes for a topic id"))?;
    let topic = NewTopic { name: name.into(), id, assignments, configs };
    validate_topic_configs(&config, &topic.configs)?;
    let partitions = topic.assignments.len();
    match submit(broker, Command::CreateTopics(vec![topic])).await {
        Ok(()) => {
            info!(topic = name, partitions, "topic created");
            Ok(())
        }
        Err(refusal) if refusal.error == ErrorCode::TOPIC_ALREADY_EXISTS => Ok(()),
        Err(refusal) => Err(refusal),
    }
}

/// Gives a topic more partitions, `count` in all; `chosen` are the brokers of each new one. With `validate_only` it only
/// says whether it would.
///
/// # Errors
/// What is wrong with it, or why the metadata log did not take it.
pub(crate) async fn grow(
    broker: &Arc<Broker>,
    name: &str,
    count: i32,
    chosen: Option<&[Vec<i32>]>,
    validate_only: bool,
) -> Result<(), Refusal> {
    let image = broker.image();
    let topic = image.topic(name).ok_or_else(|| {
        Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("The topic '{name}' does not exist."))
    })?;
    let assignments = place_more_partitions(&image, topic, count, chosen, placement_seed(&image))?;
    if validate_only {
        return Ok(());
    }
    let more = MorePartitions { topic_id: topic.id, count, assignments };
    submit(broker, Command::CreatePartitions(vec![more])).await
}

/// Changes configurations when the result makes sense. With `validate_only` it only says whether it would.
///
/// # Errors
/// What is wrong with it, or why the metadata log did not take it; nothing changed.
pub(crate) async fn alter_configs(
    broker: &Arc<Broker>,
    alteration: ConfigAlteration,
    validate_only: bool,
) -> Result<(), Refusal> {
    let result = broker.image().altered_configs(&alteration)?;
    match &alteration.resource {
        ConfigResource::Topic(_) => validate_topic_configs(&broker.config(), &result)?,
        ConfigResource::Broker(_) => validate_broker_configs(Some(&broker.config()), &result)?,
        ConfigResource::DefaultBroker => validate_broker_configs(None, &result)?,
        ConfigResource::Group(_) => {}
        ConfigResource::ClientMetrics(_) => {
            Subscription::of(&result)?;
        }
    }
    if validate_only { Ok(()) } else { submit(broker, Command::AlterConfigs(vec![alteration])).await }
}

/// A command with one item.
async fn submit(broker: &Arc<Broker>, command: Command) -> Result<(), Refusal> {
    let not_taken = |code| Refusal::new(code, "the metadata log did not take the change");
    let applied = propose(broker, command).await.map_err(not_taken)?;
    let no_answer = || Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, "the metadata log gave no answer");
    applied.into_items().into_iter().next().unwrap_or_else(|| Err(no_answer()))
}

/// Where the placement of new replicas starts: it moves on with every topic, so that leaders spread.
pub(crate) fn placement_seed(image: &Image) -> u64 {
    image.partition_count() as u64
}
