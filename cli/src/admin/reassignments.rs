//! Partitions on their way to other brokers.

use std::collections::BTreeMap;

use client::{ClientError, TopicPartition};
use protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsResponse, ReassignablePartition, ReassignableTopic,
};
use protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsResponse, ListPartitionReassignmentsTopics, OngoingPartitionReassignment,
};
use protocol::messages::{AlterPartitionReassignmentsRequest, ListPartitionReassignmentsRequest};

use super::TIMEOUT_MS;
use super::endpoint::Endpoint;

/// Starts moves, or cancels them where the replicas are `None`. Answers how it went for each partition.
///
/// # Errors
/// [`ClientError`]; a partition's own error is in its place.
pub(crate) async fn alter(
    endpoint: &Endpoint,
    moves: &BTreeMap<TopicPartition, Option<Vec<i32>>>,
    allow_replication_factor_change: bool,
) -> Result<BTreeMap<TopicPartition, Result<(), ClientError>>, ClientError> {
    let mut topics: BTreeMap<String, Vec<ReassignablePartition>> = BTreeMap::new();
    for (place, replicas) in moves {
        let partition = ReassignablePartition { partition_index: place.partition, replicas: replicas.clone() };
        topics.entry(place.topic.to_string()).or_default().push(partition);
    }
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: TIMEOUT_MS,
        allow_replication_factor_change,
        topics: topics.into_iter().map(|(name, partitions)| ReassignableTopic { name, partitions }).collect(),
    };
    let answer: AlterPartitionReassignmentsResponse = endpoint.send(&request).await?;
    ClientError::check("the reassignment", answer.error_code, answer.error_message)?;
    let mut results = BTreeMap::new();
    for topic in answer.responses {
        for partition in topic.partitions {
            let place = TopicPartition::new(topic.name.as_str(), partition.partition_index);
            let result = ClientError::check(place.to_string(), partition.error_code, partition.error_message);
            results.insert(place, result);
        }
    }
    Ok(results)
}

/// What is on the move: of these partitions, or of all.
///
/// # Errors
/// [`ClientError`].
pub(crate) async fn list(
    endpoint: &Endpoint,
    places: Option<&[TopicPartition]>,
) -> Result<BTreeMap<TopicPartition, OngoingPartitionReassignment>, ClientError> {
    let topics = places.map(|places| {
        let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for place in places {
            topics.entry(place.topic.to_string()).or_default().push(place.partition);
        }
        let topic = |(name, partition_indexes)| ListPartitionReassignmentsTopics { name, partition_indexes };
        topics.into_iter().map(topic).collect()
    });
    let request = ListPartitionReassignmentsRequest { timeout_ms: TIMEOUT_MS, topics };
    let answer: ListPartitionReassignmentsResponse = endpoint.send(&request).await?;
    ClientError::check("the reassignments", answer.error_code, answer.error_message)?;
    let moves = answer.topics.into_iter().flat_map(|topic| {
        let place = move |index: i32| TopicPartition::new(topic.name.as_str(), index);
        topic.partitions.into_iter().map(move |partition| (place(partition.partition_index), partition))
    });
    Ok(moves.collect())
}
