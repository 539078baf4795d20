//! Which brokers get the replicas of new partitions.

use std::collections::BTreeMap;

use protocol::ErrorCode;

use super::command::Refusal;
use super::image::{BrokerRegistration, Image, Topic};
use super::topic_name::is_internal;
use super::topics::{MAX_PARTITIONS_PER_COMMAND, check_more_partitions, too_many_partitions};

/// How large a topic shall be, as CreateTopics asks: counts of -1 mean the default (KIP-464), and assignments exclude
/// counts.
#[derive(Clone, Debug)]
pub struct TopicShape<'a> {
    /// Partitions, or -1.
    pub partitions: i32,
    /// Replicas of each, or -1.
    pub replication_factor: i16,
    /// Partition index and its replicas, if the client chose them.
    pub assignments: &'a [(i32, Vec<i32>)],
}

/// num.partitions and default.replication.factor.
#[derive(Clone, Copy, Debug)]
pub struct PartitionCounts {
    /// Partitions of a topic, at least 1.
    pub partitions: i32,
    /// Replicas of each, at least 1.
    pub replication_factor: i16,
}

/// The replicas of each partition of a new topic; `seed` says where to start among the brokers.
///
/// Errors are those of Kafka's CreateTopics: INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR,
/// INVALID_REPLICA_ASSIGNMENT, INVALID_REQUEST when both counts and assignments are given, and POLICY_VIOLATION above
/// [`MAX_PARTITIONS_PER_COMMAND`].
pub fn place_topic(
    image: &Image,
    shape: &TopicShape<'_>,
    defaults: PartitionCounts,
    seed: u64,
) -> Result<Vec<Vec<i32>>, Refusal> {
    if !shape.assignments.is_empty() {
        return check_chosen(image, shape);
    }
    let partitions = if shape.partitions == -1 { defaults.partitions } else { shape.partitions };
    let replication =
        if shape.replication_factor == -1 { defaults.replication_factor } else { shape.replication_factor };
    if partitions < 1 {
        let message = format!("A topic has at least one partition, not {partitions}.");
        return Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message));
    }
    let partitions = usize::try_from(partitions).unwrap_or(usize::MAX);
    if partitions > MAX_PARTITIONS_PER_COMMAND {
        return Err(too_many_partitions());
    }
    place(image, 0..partitions, i32::from(replication), seed)
}

/// The replicas of the partitions that a topic lacks to have `count`; `chosen` are the client's own, if it has any.
///
/// Errors are those of Kafka's CreatePartitions (KIP-195), and INVALID_PARTITIONS for the topics of coordinators.
pub fn place_more_partitions(
    image: &Image,
    topic: &Topic,
    count: i32,
    chosen: Option<&[Vec<i32>]>,
    seed: u64,
) -> Result<Vec<Vec<i32>>, Refusal> {
    check_more_partitions(topic, count)?;
    if is_internal(&topic.name) {
        let message = format!(
            "'{}' stays as it was created: where a group or a transaction is kept follows from the number of its \
             partitions, and nothing would be found again.",
            topic.name
        );
        return Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message));
    }
    let existing = topic.partitions.len();
    let missing = usize::try_from(count).unwrap_or(0) - existing;
    if missing > MAX_PARTITIONS_PER_COMMAND {
        return Err(too_many_partitions());
    }
    let replication = topic.partitions[0].replicas.len();
    let Some(chosen) = chosen else {
        return place(image, existing..existing + missing, i32::try_from(replication).unwrap_or(i32::MAX), seed);
    };
    if chosen.len() != missing {
        let message = format!("{missing} partitions are to be added, but {} assignments were given.", chosen.len());
        return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
    }
    image.check_assignments(chosen, replication)?;
    Ok(chosen.to_vec())
}

/// Whether these could be the replicas of a partition: known brokers, each once, one of them alive.
///
/// # Errors
/// INVALID_REPLICA_ASSIGNMENT, as in Kafka.
pub fn check_replicas(image: &Image, replicas: &[i32]) -> Result<(), Refusal> {
    image.check_assignments(&[replicas.to_vec()], replicas.len())
}

fn check_chosen(image: &Image, shape: &TopicShape<'_>) -> Result<Vec<Vec<i32>>, Refusal> {
    if shape.partitions != -1 || shape.replication_factor != -1 {
        let message = "With an assignment, the number of partitions and the replication factor must be left out (-1).";
        return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    }
    if shape.assignments.len() > MAX_PARTITIONS_PER_COMMAND {
        return Err(too_many_partitions());
    }
    let mut by_index = BTreeMap::new();
    for (index, replicas) in shape.assignments {
        if by_index.insert(*index, replicas.clone()).is_some() {
            let message = format!("Partition {index} is assigned twice.");
            return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
    }
    if !by_index.keys().copied().eq(0..i32::try_from(by_index.len()).unwrap_or(i32::MAX)) {
        let message = "Assigned partitions must be numbered 0, 1, 2 and so on.";
        return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
    }
    let assignments: Vec<Vec<i32>> = by_index.into_values().collect();
    image.check_assignments(&assignments, assignments[0].len())?;
    Ok(assignments)
}

/// Round robin over the brokers that are alive. The leader moves on by one with each partition, and its followers are
/// the brokers after it; after each full round the followers keep one more step away, so that the partitions of a
/// failed leader spread over all others. With racks, neighbours are in different racks and the steps stay at one.
fn place(
    image: &Image,
    partitions: std::ops::Range<usize>,
    replication: i32,
    seed: u64,
) -> Result<Vec<Vec<i32>>, Refusal> {
    let refused = |message| Err(Refusal::new(ErrorCode::INVALID_REPLICATION_FACTOR, message));
    let (brokers, has_racks) = alternate_racks(image.brokers().filter(|broker| !broker.fenced).map(|broker| &**broker));
    let Some(replicas_per_partition) = usize::try_from(replication).ok().filter(|count| *count > 0) else {
        return refused(format!("The replication factor must be at least 1, not {replication}."));
    };
    if replicas_per_partition > brokers.len() {
        return refused(format!(
            "A replication factor of {replication} needs as many brokers, but {} can take replicas.",
            brokers.len()
        ));
    }
    let count = brokers.len();
    let start = usize::try_from(seed % count as u64).unwrap_or(0);
    Ok(partitions
        .map(|partition| {
            let leader = (start + partition) % count;
            let shift = if has_racks { 0 } else { partition / count };
            (0..replicas_per_partition)
                .map(|replica| match replica {
                    0 => brokers[leader],
                    _ => brokers[(leader + 1 + (shift + replica - 1) % (count - 1)) % count],
                })
                .collect()
        })
        .collect())
}

/// Brokers in an order that takes one from each rack in turn, and whether there are racks at all.
fn alternate_racks<'a>(brokers: impl Iterator<Item = &'a BrokerRegistration>) -> (Vec<i32>, bool) {
    let mut racks: BTreeMap<Option<&str>, Vec<i32>> = BTreeMap::new();
    for broker in brokers {
        racks.entry(broker.rack.as_deref()).or_default().push(broker.broker_id);
    }
    let longest = racks.values().map(Vec::len).max().unwrap_or(0);
    let ids = (0..longest).flat_map(|i| racks.values().filter_map(move |rack| rack.get(i).copied())).collect();
    (ids, racks.len() > 1)
}
