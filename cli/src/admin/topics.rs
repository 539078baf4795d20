//! Topics: made, listed, described, grown and deleted.

use std::collections::{BTreeMap, BTreeSet};

use client::{ClientError, Cluster, StartOffset, TopicPartition, list_offsets};
use protocol::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
};
use protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};
use protocol::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponseTopic, RequestedCursor, TopicRequest,
};
use protocol::{ErrorCode, Uuid};

use super::TIMEOUT_MS;

/// Leaves the number to the broker (KIP-464).
pub(crate) const BROKERS_DEFAULT: i16 = -1;
/// Partitions in one answer.
const PAGE_PARTITIONS: i32 = 2000;

/// A topic in a list.
#[derive(Clone, Debug)]
pub(crate) struct TopicName {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) is_internal: bool,
}

/// All topics, by name.
pub(crate) async fn list(cluster: &Cluster) -> Result<Vec<TopicName>, ClientError> {
    let mut names = Vec::new();
    for topic in cluster.topics(None).await? {
        let topic = topic?;
        names.push(TopicName { name: topic.name.to_string(), id: topic.id, is_internal: topic.is_internal });
    }
    names.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(names)
}

/// Makes one topic; with `validate_only` the broker only says whether it would.
///
/// # Errors
/// The broker's, with its words.
pub(crate) async fn create(
    cluster: &Cluster,
    topic: CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, ClientError> {
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: TIMEOUT_MS, validate_only };
    let code = |answer: &CreateTopicsResponse| answer.topics.first().map_or(ErrorCode::NONE, |topic| topic.error_code);
    let answer = cluster.admin(&request, code).await?;
    let result = answer.topics.into_iter().next().unwrap_or_default();
    ClientError::check(format!("topic {}", result.name), result.error_code, result.error_message.clone())?;
    Ok(result)
}

/// Deletes topics. Answers how it went for each, by name.
pub(crate) async fn delete(
    cluster: &Cluster,
    names: &[String],
) -> Result<Vec<(String, Result<(), ClientError>)>, ClientError> {
    let state = |name: &String| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
    let request = DeleteTopicsRequest {
        topics: names.iter().map(state).collect(),
        topic_names: names.to_vec(),
        timeout_ms: TIMEOUT_MS,
    };
    let code =
        |answer: &DeleteTopicsResponse| answer.responses.first().map_or(ErrorCode::NONE, |topic| topic.error_code);
    let answer = cluster.admin(&request, code).await?;
    let result = |topic: protocol::messages::delete_topics::DeletableTopicResult| {
        let name = topic.name.unwrap_or_default();
        let result = ClientError::check(format!("topic {name}"), topic.error_code, topic.error_message);
        (name, result)
    };
    Ok(answer.responses.into_iter().map(result).collect())
}

/// Gives a topic more partitions; `count` is how many there are to be in all. `replicas` says where the new ones go. With
/// `validate_only` the broker only says whether it would.
///
/// # Errors
/// The broker's, with its words.
pub(crate) async fn grow(
    cluster: &Cluster,
    name: &str,
    count: i32,
    replicas: Option<Vec<Vec<i32>>>,
    validate_only: bool,
) -> Result<(), ClientError> {
    let assignment = |broker_ids| CreatePartitionsAssignment { broker_ids };
    let topic = CreatePartitionsTopic {
        name: name.into(),
        count,
        assignments: replicas.map(|replicas| replicas.into_iter().map(assignment).collect()),
    };
    let request = CreatePartitionsRequest { topics: vec![topic], timeout_ms: TIMEOUT_MS, validate_only };
    let code =
        |answer: &CreatePartitionsResponse| answer.results.first().map_or(ErrorCode::NONE, |topic| topic.error_code);
    for result in cluster.admin(&request, code).await?.results {
        ClientError::check(format!("topic {}", result.name), result.error_code, result.error_message)?;
    }
    Ok(())
}

/// Topics with their partitions and who leads them, by name.
///
/// # Errors
/// The first topic's.
pub(crate) async fn describe(
    cluster: &Cluster,
    names: &[String],
) -> Result<Vec<DescribeTopicPartitionsResponseTopic>, ClientError> {
    let mut topics: Vec<DescribeTopicPartitionsResponseTopic> = Vec::new();
    let mut cursor = None;
    while !names.is_empty() {
        let request = DescribeTopicPartitionsRequest {
            topics: names.iter().map(|name| TopicRequest { name: name.clone() }).collect(),
            response_partition_limit: PAGE_PARTITIONS,
            cursor: cursor.take(),
        };
        let answer = cluster.any().await?.send(&request).await?;
        for topic in answer.topics {
            let what = format!("topic {}", topic.name.as_deref().unwrap_or_default());
            ClientError::check(what, topic.error_code, None)?;
            match topics.last_mut() {
                // A page may end within a topic.
                Some(last) if last.name == topic.name => last.partitions.extend(topic.partitions),
                _ => topics.push(topic),
            }
        }
        match answer.next_cursor {
            Some(next) => {
                cursor = Some(RequestedCursor { topic_name: next.topic_name, partition_index: next.partition_index });
            }
            None => break,
        }
    }
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    topics.iter_mut().for_each(|topic| topic.partitions.sort_by_key(|partition| partition.partition_index));
    Ok(topics)
}

/// All partitions of a topic.
///
/// # Errors
/// When it does not exist.
pub(crate) async fn partitions(cluster: &Cluster, name: &str) -> Result<Vec<TopicPartition>, ClientError> {
    Ok(cluster.topic(name).await?.all_partitions().collect())
}

/// The end of each partition; what does not exist or has no leader is left out.
pub(crate) async fn ends(
    cluster: &Cluster,
    places: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
    let names: BTreeSet<&str> = places.iter().map(|place| &*place.topic).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let topics = cluster.topics(Some(&names)).await?;
    let led: BTreeSet<TopicPartition> = topics
        .iter()
        .flatten()
        .flat_map(|topic| topic.all_partitions().filter(|place| topic.leader(place.partition).is_ok()))
        .collect();
    let places: Vec<TopicPartition> = places.iter().filter(|place| led.contains(place)).cloned().collect();
    list_offsets(cluster, &places, StartOffset::Latest).await
}
