//! DescribeQuorum: how far the members of the metadata quorum are (KIP-595).
//!
//! v1 timestamps (KIP-836). v2 directory ids, messages, and the listeners of controllers (KIP-853).
//!
//! Kafka's name of the metadata log is `__cluster_metadata`, with partition 0 only: that is what clients ask for.

use protocol::ErrorCode;
use protocol::messages::DescribeQuorumRequest;
use protocol::messages::describe_quorum::*;
use raft::{QuorumMember, QuorumStatus};

use crate::clock;
use crate::context::Context;

const METADATA_TOPIC: &str = "__cluster_metadata";
const METADATA_PARTITION: i32 = 0;
/// Answered where nothing is known.
const UNKNOWN: i64 = -1;

/// Describes the quorum, at its leader.
pub(crate) async fn handle(context: Context, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    if !asks_for_metadata(&request.topics) {
        return refused(request.topics, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    let status = context.broker.quorum().status();
    if status.leader_id != Some(status.node_id) {
        return refused(request.topics, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    // No listener is a controller's own: what there is to ask of it is asked of the broker.
    let nodes = status.voters.iter().map(|voter| Node { node_id: voter.node_id, listeners: Vec::new() });
    DescribeQuorumResponse {
        nodes: nodes.collect(),
        topics: vec![TopicData {
            topic_name: METADATA_TOPIC.into(),
            partitions: vec![describe(&status, clock::wall_ms())],
        }],
        ..Default::default()
    }
}

fn asks_for_metadata(topics: &[RequestedTopicData]) -> bool {
    let [topic] = topics else { return false };
    let [partition] = &topic.partitions[..] else { return false };
    topic.topic_name == METADATA_TOPIC && partition.partition_index == METADATA_PARTITION
}

fn refused(topics: Vec<RequestedTopicData>, error_code: ErrorCode) -> DescribeQuorumResponse {
    let message = match error_code {
        ErrorCode::NOT_LEADER_OR_FOLLOWER => "This node does not lead the metadata quorum.",
        _ => "Only partition 0 of __cluster_metadata can be described, and nothing beside it.",
    };
    let partition = |asked: RequestedPartitionData| PartitionData {
        partition_index: asked.partition_index,
        error_code,
        error_message: Some(message.into()),
        ..Default::default()
    };
    let topic = |asked: RequestedTopicData| TopicData {
        topic_name: asked.topic_name,
        partitions: asked.partitions.into_iter().map(partition).collect(),
    };
    DescribeQuorumResponse { topics: topics.into_iter().map(topic).collect(), ..Default::default() }
}

fn describe(status: &QuorumStatus, now_ms: i64) -> PartitionData {
    let replica = |member: &QuorumMember| {
        // The leader has what it has now. When a follower last asked is not known here: entries are sent to it.
        let timestamp = if Some(member.node_id) == status.leader_id { now_ms } else { UNKNOWN };
        ReplicaState {
            replica_id: member.node_id,
            replica_directory_id: member.directory_id,
            log_end_offset: offset_after(member.last_log_index),
            last_fetch_timestamp: timestamp,
            last_caught_up_timestamp: timestamp,
        }
    };
    PartitionData {
        partition_index: METADATA_PARTITION,
        leader_id: status.leader_id.unwrap_or(-1),
        leader_epoch: i32::try_from(status.term).unwrap_or(i32::MAX),
        high_watermark: offset_after(status.last_applied_index),
        current_voters: status.voters.iter().map(replica).collect(),
        observers: status.observers.iter().map(replica).collect(),
        ..Default::default()
    }
}

/// An index says which entry is the last; Kafka's offsets say where the next one goes.
fn offset_after(index: Option<u64>) -> i64 {
    index.map_or(UNKNOWN, |index| i64::try_from(index + 1).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Uuid;

    #[test]
    fn the_leader_is_caught_up_now_and_others_are_as_far_as_they_are() {
        let member = |node_id, last_log_index| QuorumMember { node_id, directory_id: Uuid::ZERO, last_log_index };
        let status = QuorumStatus {
            node_id: 1,
            leader_id: Some(1),
            term: 3,
            last_log_index: Some(9),
            last_applied_index: Some(8),
            snapshot_index: None,
            purged_index: None,
            voters: vec![member(1, Some(9)), member(2, Some(4))],
            observers: vec![member(3, None)],
        };
        let described = describe(&status, 1000);
        assert_eq!((described.leader_id, described.leader_epoch, described.high_watermark), (1, 3, 9));
        let shown = |replica: &ReplicaState| (replica.replica_id, replica.log_end_offset, replica.last_fetch_timestamp);
        assert_eq!(described.current_voters.iter().map(shown).collect::<Vec<_>>(), [(1, 10, 1000), (2, 5, -1)]);
        assert_eq!(described.observers.iter().map(shown).collect::<Vec<_>>(), [(3, -1, -1)]);
    }
}
