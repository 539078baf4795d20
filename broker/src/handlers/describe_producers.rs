//! DescribeProducers: what partitions remember of their producers, and which of them have a transaction open (KIP-664).

use protocol::ErrorCode;
use protocol::messages::DescribeProducersRequest;
use protocol::messages::describe_producers::*;

use crate::context::Context;

/// Describes the producers of each partition.
pub(crate) async fn handle(context: Context, request: DescribeProducersRequest) -> DescribeProducersResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
        for partition_index in topic.partition_indexes {
            let (error_code, error_message, active_producers) =
                match producers(&context, &topic.name, partition_index).await {
                    Ok(producers) => (ErrorCode::NONE, None, producers),
                    Err(code) => (code, Some(format!("{}-{partition_index}: {code}", topic.name)), Vec::new()),
                };
            partitions.push(PartitionResponse { partition_index, error_code, error_message, active_producers });
        }
        topics.push(TopicResponse { name: topic.name, partitions });
    }
    DescribeProducersResponse { topics, ..Default::default() }
}

async fn producers(context: &Context, topic: &str, index: i32) -> Result<Vec<ProducerState>, ErrorCode> {
    let partition = context.broker.partitions().leader_by_name(topic, index)?;
    // Whoever appends holds what is asked for.
    let known = tokio::task::spawn_blocking(move || partition.log().producers()).await;
    let known = known.map_err(|_| ErrorCode::NOT_LEADER_OR_FOLLOWER)?;
    let state = |known: storage::ProducerState| ProducerState {
        producer_id: known.producer_id,
        producer_epoch: i32::from(known.producer_epoch),
        last_sequence: known.last_sequence,
        last_timestamp: known.last_timestamp,
        coordinator_epoch: known.coordinator_epoch,
        current_txn_start_offset: known.current_txn_start_offset.unwrap_or(-1),
    };
    Ok(known.into_iter().map(state).collect())
}
