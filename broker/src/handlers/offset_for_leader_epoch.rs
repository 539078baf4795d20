//! OffsetForLeaderEpoch: where a leader's records end, so that a client can tell whether its own were cut away.
//!
//! KIP-101, KIP-279. v2 carries the epoch the client believes in (KIP-320). v3 the replica id.

use protocol::ErrorCode;
use protocol::messages::OffsetForLeaderEpochRequest;
use protocol::messages::offset_for_leader_epoch::*;

use crate::context::Context;

/// Answers for each partition the largest known epoch not above the one asked for, and its end offset; −1 and −1 when
/// there is none.
pub(crate) async fn handle(context: Context, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let topics = request
        .topics
        .into_iter()
        .map(|topic| {
            let partitions =
                topic.partitions.iter().map(|wanted| partition_response(&context, &topic.topic, wanted)).collect();
            OffsetForLeaderTopicResult { topic: topic.topic, partitions }
        })
        .collect();
    OffsetForLeaderEpochResponse { topics, ..Default::default() }
}

fn partition_response(context: &Context, topic: &str, wanted: &OffsetForLeaderPartition) -> EpochEndOffset {
    let mut answer = EpochEndOffset { partition: wanted.partition, ..Default::default() };
    let found = context.broker.partitions().leader_by_name(topic, wanted.partition).and_then(|partition| {
        partition.check_leader_epoch(wanted.current_leader_epoch)?;
        Ok(partition.end_offset_for_epoch(wanted.leader_epoch))
    });
    match found {
        Ok(Some((epoch, end_offset))) => {
            answer.leader_epoch = epoch;
            answer.end_offset = end_offset;
        }
        Ok(None) => {}
        Err(code) => answer.error_code = code,
    }
    debug_assert!(answer.error_code == ErrorCode::NONE || answer.end_offset == -1);
    answer
}
