//! OffsetFetch: how far a group has read.
//!
//! v2 all topics by null. v5 leader epochs. v7 require_stable (KIP-447). v8 several groups (KIP-709).
//! v9 member epochs, v10 topic ids (KIP-848).

use protocol::messages::OffsetFetchRequest;
use protocol::messages::offset_fetch::*;
use protocol::{ErrorCode, Uuid};
use state::group::{FetchedGroup, FetchedTopic, GroupRequest, GroupResponse, OffsetFetchGroup, PartitionsOfTopic};

use super::offset_commit::topic_id;
use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

const FIRST_BATCHED_VERSION: i16 = 8;
const FIRST_ID_VERSION: i16 = 10;
/// Below this version there is no top-level error: it stands with each partition.
const FIRST_TOP_LEVEL_ERROR_VERSION: i16 = 2;

type Receiver = tokio::sync::oneshot::Receiver<GroupResponse>;

/// A group on its way to its answer, and the topics of the request that do not exist.
struct Asked {
    group_id: String,
    receiver: Result<Receiver, ErrorCode>,
    unknown: Vec<PartitionsOfTopic>,
    /// What was asked for by name, to put an error with each partition.
    topics: Option<Vec<PartitionsOfTopic>>,
}

/// Fetches for each group, in the order of the request.
pub(crate) async fn handle(context: Context, request: OffsetFetchRequest) -> Later<OffsetFetchResponse> {
    let require_stable = request.require_stable;
    let mut asked = Vec::new();
    for (mut group, unknown) in groups(&context, request) {
        let (group_id, topics) = (group.group_id.clone(), group.topics.clone());
        group.topics = topics.clone();
        let fetch = state::group::OffsetFetchRequest { groups: vec![group], require_stable };
        let receiver = coordinator::submit(&context, &group_id, GroupRequest::OffsetFetch(fetch)).await;
        asked.push(Asked { group_id, receiver, unknown, topics });
    }
    Later::wait(async move {
        let mut groups = Vec::with_capacity(asked.len());
        for asked in asked {
            groups.push(fetched(&context, asked).await);
        }
        response(context.version, groups)
    })
}

fn groups(context: &Context, request: OffsetFetchRequest) -> Vec<(OffsetFetchGroup, Vec<PartitionsOfTopic>)> {
    if context.version < FIRST_BATCHED_VERSION {
        let topics = request.topics.map(|topics| {
            let topic = |topic: OffsetFetchRequestTopic| PartitionsOfTopic {
                name: topic.name,
                topic_id: Uuid::ZERO,
                partition_indexes: topic.partition_indexes,
            };
            topics.into_iter().map(topic).collect()
        });
        let group = OffsetFetchGroup { group_id: request.group_id, member_id: None, member_epoch: -1, topics };
        return vec![(group, Vec::new())];
    }
    request.groups.into_iter().map(|group| batched(context, group)).collect()
}

fn batched(context: &Context, group: OffsetFetchRequestGroup) -> (OffsetFetchGroup, Vec<PartitionsOfTopic>) {
    let image = context.broker.image();
    let mut unknown = Vec::new();
    let topics = group.topics.map(|topics| {
        let mut known = Vec::with_capacity(topics.len());
        for topic in topics {
            let mut wanted = PartitionsOfTopic {
                name: topic.name,
                topic_id: topic.topic_id,
                partition_indexes: topic.partition_indexes,
            };
            if context.version >= FIRST_ID_VERSION {
                match image.topic_by_id(topic.topic_id) {
                    Some(found) => wanted.name = found.name.to_string(),
                    None => {
                        unknown.push(wanted);
                        continue;
                    }
                }
            }
            known.push(wanted);
        }
        known
    });
    let (member_id, member_epoch) = (group.member_id, group.member_epoch);
    (OffsetFetchGroup { group_id: group.group_id, member_id, member_epoch, topics }, unknown)
}

async fn fetched(context: &Context, asked: Asked) -> FetchedGroup {
    let answer = match asked.receiver {
        Ok(receiver) => coordinator::answer(receiver).await,
        Err(code) => Err(code),
    };
    let mut group = match answer {
        Ok(GroupResponse::OffsetFetch(groups)) => groups.into_iter().next(),
        Ok(_) => None,
        Err(code) => Some(failed(asked.group_id.clone(), asked.topics.unwrap_or_default(), code)),
    }
    .unwrap_or_else(|| failed(asked.group_id, Vec::new(), ErrorCode::UNKNOWN_SERVER_ERROR));
    if context.version >= FIRST_ID_VERSION {
        let image = context.broker.image();
        for topic in group.topics.iter_mut().filter(|topic| topic.topic_id.is_zero()) {
            topic.topic_id = topic_id(&image, &topic.name);
        }
        // A topic that is gone has no id to be named by.
        group.topics.retain(|topic| !topic.topic_id.is_zero());
    }
    for topic in asked.unknown {
        group.topics.push(without_offsets(topic, ErrorCode::UNKNOWN_TOPIC_ID));
    }
    group
}

fn failed(group_id: String, topics: Vec<PartitionsOfTopic>, error: ErrorCode) -> FetchedGroup {
    let topics = topics.into_iter().map(|topic| without_offsets(topic, error)).collect();
    FetchedGroup { group_id, error, topics }
}

fn without_offsets(topic: PartitionsOfTopic, error: ErrorCode) -> FetchedTopic {
    let partitions =
        topic.partition_indexes.into_iter().map(|index| state::group::FetchedPartition::missing(index, error));
    FetchedTopic { name: topic.name, topic_id: topic.topic_id, partitions: partitions.collect() }
}

fn response(version: i16, groups: Vec<FetchedGroup>) -> OffsetFetchResponse {
    if version >= FIRST_BATCHED_VERSION {
        return OffsetFetchResponse {
            groups: groups.into_iter().map(batched_response).collect(),
            ..Default::default()
        };
    }
    let Some(group) = groups.into_iter().next() else { return OffsetFetchResponse::default() };
    let everywhere = if version < FIRST_TOP_LEVEL_ERROR_VERSION { group.error } else { ErrorCode::NONE };
    let topics = group.topics.into_iter().map(|topic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| OffsetFetchResponsePartition {
                partition_index: partition.partition_index,
                committed_offset: partition.committed_offset,
                committed_leader_epoch: partition.committed_leader_epoch,
                metadata: Some(partition.metadata),
                error_code: if everywhere.is_error() { everywhere } else { partition.error },
            })
            .collect(),
    });
    OffsetFetchResponse { topics: topics.collect(), error_code: group.error, ..Default::default() }
}

fn batched_response(group: FetchedGroup) -> OffsetFetchResponseGroup {
    // With an error of the group as a whole there is nothing to say of its partitions.
    let topics = if group.error.is_error() { Vec::new() } else { group.topics };
    let topics = topics.into_iter().map(|topic| OffsetFetchResponseTopics {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .into_iter()
            .map(|partition| OffsetFetchResponsePartitions {
                partition_index: partition.partition_index,
                committed_offset: partition.committed_offset,
                committed_leader_epoch: partition.committed_leader_epoch,
                metadata: Some(partition.metadata),
                error_code: partition.error,
            })
            .collect(),
    });
    OffsetFetchResponseGroup { group_id: group.group_id, topics: topics.collect(), error_code: group.error }
}
