//! ListOffsets: the offset of a moment.
//!
//! v0 answers a list of segment starts. v1 one offset and its timestamp. v2 committed records only (KIP-98). v4 leader
//! epochs (KIP-320). v7 the record with the largest timestamp (KIP-734). v8 local log start (KIP-405). v9 last tiered,
//! v10 a time-out, v11 earliest pending upload: without tiered storage these are unknown offsets.

use std::sync::Arc;

use protocol::ErrorCode;
use protocol::messages::ListOffsetsRequest;
use protocol::messages::list_offsets::*;

use crate::context::Context;
use crate::error::read_code;
use crate::partition::Partition;

const READ_COMMITTED: i8 = 1;
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;
/// The first version that knows each special timestamp.
const FIRST_MAX_TIMESTAMP_VERSION: i16 = 7;
const FIRST_EARLIEST_LOCAL_VERSION: i16 = 8;
const FIRST_LATEST_TIERED_VERSION: i16 = 9;
const FIRST_EARLIEST_PENDING_VERSION: i16 = 11;

/// What one lookup found: offset and timestamp are −1 when there is none.
struct Found {
    offset: i64,
    timestamp: i64,
    leader_epoch: i32,
}

const NOTHING: Found = Found { offset: -1, timestamp: -1, leader_epoch: -1 };

/// Looks up each partition.
pub(crate) async fn handle(context: Context, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    let read_committed = request.isolation_level == READ_COMMITTED;
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (place, wanted) in topic.partitions.iter().enumerate() {
            let is_same = |other: &ListOffsetsPartition| other.partition_index == wanted.partition_index;
            if topic.partitions[..place].iter().any(is_same) {
                continue;
            }
            // The same partition twice has no answer that a client could tell apart.
            let again = topic.partitions[place + 1..].iter().any(is_same);
            partitions.push(if again {
                failed(wanted.partition_index, ErrorCode::INVALID_REQUEST)
            } else {
                partition_response(&context, &topic.name, wanted, read_committed).await
            });
        }
        topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
    }
    ListOffsetsResponse { topics, ..Default::default() }
}

fn failed(partition_index: i32, error_code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse { partition_index, error_code, ..Default::default() }
}

async fn partition_response(
    context: &Context,
    topic: &str,
    wanted: &ListOffsetsPartition,
    read_committed: bool,
) -> ListOffsetsPartitionResponse {
    let index = wanted.partition_index;
    if !is_known(context.version, wanted.timestamp) {
        return failed(index, ErrorCode::UNSUPPORTED_VERSION);
    }
    let partition = match context.broker.partitions().leader_by_name(topic, index) {
        Ok(partition) => partition,
        Err(code) => return failed(index, code),
    };
    if let Err(code) = partition.check_leader_epoch(wanted.current_leader_epoch) {
        return failed(index, code);
    }
    if context.version == 0 {
        let offsets = partition.segment_offsets_before(wanted.timestamp, wanted.max_num_offsets);
        return ListOffsetsPartitionResponse {
            partition_index: index,
            old_style_offsets: offsets,
            ..Default::default()
        };
    }
    match find(&partition, wanted.timestamp, read_committed).await {
        Ok(found) => ListOffsetsPartitionResponse {
            partition_index: index,
            offset: found.offset,
            timestamp: found.timestamp,
            leader_epoch: found.leader_epoch,
            ..Default::default()
        },
        Err(code) => failed(index, code),
    }
}

async fn find(partition: &Arc<Partition>, timestamp: i64, read_committed: bool) -> Result<Found, ErrorCode> {
    let high_watermark = partition.high_watermark();
    let end = if read_committed { partition.log().last_stable_offset(high_watermark) } else { high_watermark };
    let at = |offset| Found { offset, timestamp: -1, leader_epoch: partition.epoch_of(offset) };
    match timestamp {
        LATEST => Ok(Found { leader_epoch: partition.latest_epoch(), ..at(end) }),
        EARLIEST | EARLIEST_LOCAL => Ok(at(partition.log_start_offset())),
        MAX_TIMESTAMP => by_time(partition, None, end).await,
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(NOTHING),
        moment => by_time(partition, Some(moment), end).await,
    }
}

/// Whether a version has this special timestamp; every moment since 1970 is in all of them.
fn is_known(version: i16, timestamp: i64) -> bool {
    match timestamp {
        LATEST | EARLIEST | 0.. => true,
        MAX_TIMESTAMP => version >= FIRST_MAX_TIMESTAMP_VERSION,
        EARLIEST_LOCAL => version >= FIRST_EARLIEST_LOCAL_VERSION,
        LATEST_TIERED => version >= FIRST_LATEST_TIERED_VERSION,
        EARLIEST_PENDING_UPLOAD => version >= FIRST_EARLIEST_PENDING_VERSION,
        _ => false,
    }
}

/// The first record at or after `moment`, or, without one, the record with the largest timestamp, if it is before `end`.
async fn by_time(partition: &Arc<Partition>, moment: Option<i64>, end: i64) -> Result<Found, ErrorCode> {
    let found = Arc::clone(partition).find_by_time(moment).await.map_err(|error| read_code(partition, &error))?;
    Ok(found.filter(|(offset, _)| *offset < end).map_or(NOTHING, |(offset, timestamp)| Found {
        offset,
        timestamp,
        leader_epoch: partition.epoch_of(offset),
    }))
}
