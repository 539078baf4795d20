//! OffsetCommit: a group remembers how far it has read.
//!
//! v0 and v1 too are kept in the offsets topic; Dapr's older releases commit with v1 whatever they are configured to.
//! v1 generation and a timestamp. v2-4 retention time. v6 leader epochs (KIP-320). v7 static members (KIP-345).
//! v9 member epochs (KIP-848). v10 topic ids (KIP-848).

use protocol::messages::OffsetCommitRequest;
use protocol::messages::offset_commit::*;
use protocol::{ErrorCode, Uuid};
use state::cluster::Image;
use state::group::{CommitPartition, CommitTopic, CommitTopicResult, Committer, GroupRequest, GroupResponse};

use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

const FIRST_GROUP_ID_NOT_FOUND_VERSION: i16 = 9;
const FIRST_ID_VERSION: i16 = 10;
/// The one version in which a client dates its commits.
const TIMESTAMP_VERSION: i16 = 1;

/// Commits what names an existing partition; the answer leaves when that is durable.
pub(crate) async fn handle(context: Context, request: OffsetCommitRequest) -> Later<OffsetCommitResponse> {
    let (topics, unknown) = resolve(&context, request.topics);
    if topics.is_empty() {
        return Later::Now(response(Vec::new(), unknown));
    }
    let group_id = request.group_id.clone();
    let names: Vec<CommitTopicResult> = topics.iter().map(|topic| results(topic, ErrorCode::NONE)).collect();
    let commit = state::group::OffsetCommitRequest {
        group_id: request.group_id,
        committer: Committer {
            generation_id: request.generation_id_or_member_epoch,
            member_id: request.member_id,
            group_instance_id: request.group_instance_id,
        },
        retention_time_ms: Some(request.retention_time_ms),
        knows_group_id_not_found: context.version >= FIRST_GROUP_ID_NOT_FOUND_VERSION,
        topics,
    };
    match coordinator::submit(&context, &group_id, GroupRequest::OffsetCommit(commit)).await {
        Err(code) => Later::Now(response(with_code(names, code), unknown)),
        Ok(receiver) => Later::wait(async move {
            match coordinator::answer(receiver).await {
                Ok(GroupResponse::OffsetCommit(committed)) => response(committed, unknown),
                Ok(_) => response(with_code(names, ErrorCode::UNKNOWN_SERVER_ERROR), unknown),
                Err(code) => response(with_code(names, code), unknown),
            }
        }),
    }
}

/// Splits what can be committed from what names no partition.
fn resolve(context: &Context, topics: Vec<OffsetCommitRequestTopic>) -> (Vec<CommitTopic>, Vec<CommitTopicResult>) {
    let image = context.broker.image();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for topic in topics {
        let by_id = context.version >= FIRST_ID_VERSION;
        let found = if by_id { image.topic_by_id(topic.topic_id) } else { image.topic(&topic.name) };
        let Some(found) = found else {
            let code = if by_id { ErrorCode::UNKNOWN_TOPIC_ID } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
            let commit = commit_topic(context.version, topic.name.clone(), topic.topic_id, topic.partitions);
            unknown.push(results(&commit, code));
            continue;
        };
        let count = found.partitions.len() as i32;
        let (inside, outside): (Vec<_>, Vec<_>) =
            topic.partitions.into_iter().partition(|partition| (0..count).contains(&partition.partition_index));
        let name = found.name.to_string();
        if !outside.is_empty() {
            let commit = commit_topic(context.version, name.clone(), topic.topic_id, outside);
            unknown.push(results(&commit, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        }
        if !inside.is_empty() {
            known.push(commit_topic(context.version, name, topic.topic_id, inside));
        }
    }
    (known, unknown)
}

fn commit_topic(version: i16, name: String, id: Uuid, partitions: Vec<OffsetCommitRequestPartition>) -> CommitTopic {
    let partitions = partitions.into_iter().map(|partition| CommitPartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        commit_timestamp_ms: (version == TIMESTAMP_VERSION).then_some(partition.commit_timestamp),
        committed_metadata: partition.committed_metadata,
    });
    CommitTopic { name, topic_id: id, partitions: partitions.collect() }
}

/// The same answer for all partitions of a topic.
pub(super) fn results(topic: &CommitTopic, code: ErrorCode) -> CommitTopicResult {
    let partitions = topic.partitions.iter().map(|partition| (partition.partition_index, code)).collect();
    CommitTopicResult { name: topic.name.clone(), topic_id: topic.topic_id, partitions }
}

/// The same partitions, each with this answer.
pub(super) fn with_code(mut topics: Vec<CommitTopicResult>, code: ErrorCode) -> Vec<CommitTopicResult> {
    for (_, result) in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        *result = code;
    }
    topics
}

/// One entry per topic, as in the request, whatever part of it was unknown.
fn response(committed: Vec<CommitTopicResult>, unknown: Vec<CommitTopicResult>) -> OffsetCommitResponse {
    let mut topics: Vec<OffsetCommitResponseTopic> = Vec::new();
    for topic in committed.into_iter().chain(unknown) {
        let partitions = topic
            .partitions
            .into_iter()
            .map(|(partition_index, error_code)| OffsetCommitResponsePartition { partition_index, error_code });
        match topics.iter_mut().find(|known| known.name == topic.name && known.topic_id == topic.topic_id) {
            Some(known) => known.partitions.extend(partitions),
            None => topics.push(OffsetCommitResponseTopic {
                name: topic.name,
                topic_id: topic.topic_id,
                partitions: partitions.collect(),
            }),
        }
    }
    OffsetCommitResponse { topics, ..Default::default() }
}

/// The id of a topic by name, zero when there is none (any more).
pub(crate) fn topic_id(image: &Image, name: &str) -> Uuid {
    image.topic(name).map_or(Uuid::ZERO, |topic| topic.id)
}
