//! DescribeTopicPartitions: topics page by page (KIP-966).

use std::sync::Arc;

use protocol::ErrorCode;
use protocol::messages::DescribeTopicPartitionsRequest;
use protocol::messages::describe_topic_partitions::*;
use state::cluster::Topic;

use crate::authorized::{self, ANY_TOPIC};
use crate::context::Context;

/// Partitions in one answer at most (`max.request.partition.size.limit`).
const PARTITIONS_MAX: usize = 2000;

/// Describes the topics asked for in order of their names, or all, from the cursor on.
pub(crate) async fn handle(
    context: Context,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let image = context.broker.image();
    let mut names: Vec<String> = request.topics.into_iter().map(|topic| topic.name).collect();
    let all = names.is_empty();
    if all {
        names = image.topics().map(|topic| topic.name.to_string()).collect();
    }
    names.sort_unstable();
    names.dedup();
    if let Some(cursor) = &request.cursor
        && (cursor.partition_index < 0 || !all && !names.contains(&cursor.topic_name))
    {
        return DescribeTopicPartitionsResponse {
            topics: names.into_iter().map(|name| refused(name, ErrorCode::INVALID_REQUEST)).collect(),
            ..Default::default()
        };
    }

    let (start_topic, mut start_partition) =
        request.cursor.map_or((String::new(), 0), |cursor| (cursor.topic_name, cursor.partition_index));
    let mut left = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, PARTITIONS_MAX);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.into_iter().filter(|name| **name >= *start_topic) {
        if *name != *start_topic {
            start_partition = 0;
        }
        if left == 0 {
            response.next_cursor = Some(Cursor { topic_name: name, partition_index: start_partition });
            break;
        }
        let Some(topic) = image.topic(&name) else {
            response.topics.push(missing(name));
            continue;
        };
        let described = describe(topic, start_partition, left);
        left -= described.partitions.len();
        let next = start_partition + described.partitions.len() as i32;
        response.topics.push(described);
        if (next as usize) < topic.partitions.len() {
            response.next_cursor = Some(Cursor { topic_name: name, partition_index: next });
            break;
        }
    }
    response
}

fn missing(name: String) -> DescribeTopicPartitionsResponseTopic {
    if state::cluster::check_topic_name(&name).is_err() {
        return refused(name, ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    DescribeTopicPartitionsResponseTopic {
        is_internal: state::cluster::is_internal(&name),
        topic_authorized_operations: authorized::operations(true, ANY_TOPIC),
        ..refused(name, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }
}

fn refused(name: String, error_code: ErrorCode) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic { error_code, name: Some(name), ..Default::default() }
}

fn describe(topic: &Arc<Topic>, start: i32, limit: usize) -> DescribeTopicPartitionsResponseTopic {
    let partitions = topic.partitions.iter().enumerate().skip(usize::try_from(start).unwrap_or(0)).take(limit);
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name.to_string()),
        topic_id: topic.id,
        is_internal: state::cluster::is_internal(&topic.name),
        partitions: partitions
            .map(|(index, partition)| DescribeTopicPartitionsResponsePartition {
                partition_index: index as i32,
                leader_id: partition.leader,
                leader_epoch: partition.leader_epoch,
                replica_nodes: partition.replicas.to_vec(),
                isr_nodes: partition.isr.to_vec(),
                eligible_leader_replicas: Some(Vec::new()),
                last_known_elr: Some(Vec::new()),
                ..Default::default()
            })
            .collect(),
        topic_authorized_operations: authorized::operations(true, ANY_TOPIC),
        ..Default::default()
    }
}
