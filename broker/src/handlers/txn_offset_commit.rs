//! TxnOffsetCommit: how far a group has read, once the transaction commits.
//!
//! v2 leader epochs. v3 members (KIP-447). v4 TRANSACTION_ABORTABLE, v5 committing makes the group part of the
//! transaction (KIP-890).

use std::sync::Arc;

use protocol::messages::TxnOffsetCommitRequest;
use protocol::messages::txn_offset_commit::*;
use protocol::{ErrorCode, Uuid};
use state::group::{CommitPartition, CommitTopic, CommitTopicResult, Committer, GroupRequest, GroupResponse};
use storage::{Applicant, TransactionCheck};

use super::offset_commit::{results, with_code};
use crate::context::Context;
use crate::coordinator::{self, InTransaction, Understanding, Writer, admit};
use crate::disk_work::Writers;
use crate::dispatch::Later;

const FIRST_ABORTABLE_VERSION: i16 = 4;
const FIRST_ADDING_VERSION: i16 = 5;
/// Below this version COORDINATOR_LOAD_IN_PROGRESS is not known.
const FIRST_LOAD_IN_PROGRESS_VERSION: i16 = 2;
/// What coordinators write has no sequence.
const NO_SEQUENCE: i32 = -1;

/// Commits what names an existing partition; the answer leaves when that is durable.
pub(crate) async fn handle(context: Context, request: TxnOffsetCommitRequest) -> Later<TxnOffsetCommitResponse> {
    Later::wait(async move {
        let (topics, unknown) = resolve(&context, &request.topics);
        if topics.is_empty() {
            return response(Vec::new(), unknown);
        }
        let names: Vec<CommitTopicResult> = topics.iter().map(|topic| results(topic, ErrorCode::NONE)).collect();
        let committed = match commit(&context, request, topics, names.clone()).await {
            Ok(committed) => committed,
            Err(code) => with_code(names, known(code, context.version)),
        };
        response(committed, unknown)
    })
}

async fn commit(
    context: &Context,
    request: TxnOffsetCommitRequest,
    topics: Vec<CommitTopic>,
    names: Vec<CommitTopicResult>,
) -> Result<Vec<CommitTopicResult>, ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    let (broker, version) = (&context.broker, context.version);
    let groups = broker.groups();
    let partition = groups.partition_of(broker, &request.group_id).await?;
    let understanding = match version {
        FIRST_ADDING_VERSION.. => Understanding::AddsByWriting,
        FIRST_ABORTABLE_VERSION.. => Understanding::Abortable,
        _ => Understanding::Oldest,
    };
    let (producer_id, producer_epoch) = (request.producer_id, request.producer_epoch);
    let writers = Writers::Coordinators;
    let transactional_id = request.transactional_id;
    let writer = Writer { transactional_id, producer_id, producer_epoch, understanding, writers };
    let admitted = admit(broker, &writer, &[(Arc::clone(&partition), NO_SEQUENCE)]).await;
    let check: TransactionCheck = admitted.into_iter().next().unwrap_or(Err(ErrorCode::UNKNOWN_SERVER_ERROR))?;
    let commit = state::group::TxnOffsetCommitRequest {
        group_id: request.group_id.clone(),
        producer_id,
        producer_epoch,
        committer: Committer {
            generation_id: request.generation_id,
            member_id: request.member_id,
            group_instance_id: request.group_instance_id,
        },
        topics,
    };
    let asked = InTransaction {
        request: GroupRequest::TxnOffsetCommit(commit),
        applicant: Applicant {
            producer_id,
            epoch: producer_epoch,
            sequence: NO_SEQUENCE,
            supports_epoch_bump: understanding == Understanding::AddsByWriting,
        },
        check,
        refused: Box::new(move |code| GroupResponse::TxnOffsetCommit(with_code(names, known(code, version)))),
    };
    let receiver = groups.submit_in_transaction(broker, &request.group_id, asked).await?;
    match coordinator::answer(receiver).await? {
        GroupResponse::TxnOffsetCommit(committed) => Ok(committed),
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}

/// What the log or the transaction's coordinator said, as it is said of a group.
fn known(code: ErrorCode, version: i16) -> ErrorCode {
    let code = match code {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::NOT_ENOUGH_REPLICAS => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::KAFKA_STORAGE_ERROR => ErrorCode::NOT_COORDINATOR,
        code => code,
    };
    match code {
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS if version < FIRST_LOAD_IN_PROGRESS_VERSION => {
            ErrorCode::COORDINATOR_NOT_AVAILABLE
        }
        code => code,
    }
}

/// Splits what can be committed from what names no partition.
fn resolve(context: &Context, topics: &[TxnOffsetCommitRequestTopic]) -> (Vec<CommitTopic>, Vec<CommitTopicResult>) {
    let image = context.broker.image();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for topic in topics {
        let count = image.topic(&topic.name).map_or(0, |found| found.partitions.len() as i32);
        let (inside, outside): (Vec<_>, Vec<_>) =
            topic.partitions.iter().partition(|partition| (0..count).contains(&partition.partition_index));
        if !outside.is_empty() {
            unknown.push(results(&commit_topic(topic, &outside), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        }
        if !inside.is_empty() {
            known.push(commit_topic(topic, &inside));
        }
    }
    (known, unknown)
}

fn commit_topic(topic: &TxnOffsetCommitRequestTopic, partitions: &[&TxnOffsetCommitRequestPartition]) -> CommitTopic {
    let partitions = partitions.iter().map(|partition| CommitPartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        commit_timestamp_ms: None,
        committed_metadata: partition.committed_metadata.clone(),
    });
    CommitTopic { name: topic.name.clone(), topic_id: Uuid::ZERO, partitions: partitions.collect() }
}

/// One entry per topic, whatever part of it was unknown.
fn response(committed: Vec<CommitTopicResult>, unknown: Vec<CommitTopicResult>) -> TxnOffsetCommitResponse {
    let mut topics: Vec<TxnOffsetCommitResponseTopic> = Vec::new();
    for topic in committed.into_iter().chain(unknown) {
        let partitions = topic
            .partitions
            .into_iter()
            .map(|(partition_index, error_code)| TxnOffsetCommitResponsePartition { partition_index, error_code });
        match topics.iter_mut().find(|known| known.name == topic.name) {
            Some(known) => known.partitions.extend(partitions),
            None => topics.push(TxnOffsetCommitResponseTopic { name: topic.name, partitions: partitions.collect() }),
        }
    }
    TxnOffsetCommitResponse { topics, ..Default::default() }
}
