//! AlterPartitionReassignments: partitions move to other brokers (KIP-455).
//!
//! v1 may forbid that their number of replicas changes (KIP-860).

use protocol::ErrorCode;
use protocol::messages::AlterPartitionReassignmentsRequest;
use protocol::messages::alter_partition_reassignments::*;
use state::cluster::{Image, Refusal, check_replicas};
use tracing::info;

use crate::context::Context;

/// Checks every move. With one node, a partition can only stay where it is, which succeeds as in Kafka; nothing is ever on
/// the move, and so nothing can be cancelled.
pub(crate) async fn handle(
    context: Context,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let image = context.broker.image();
    let response = |topic: ReassignableTopic| {
        let name = topic.name;
        let partition = |asked: &ReassignablePartition| {
            let outcome = check(&image, &name, asked);
            if let Err(refusal) = &outcome {
                let (partition, client_id) = (asked.partition_index, &*context.client_id);
                info!(topic = name, partition, client_id, reason = %refusal, "partition not moved");
            }
            let (error_code, error_message) = match outcome {
                Ok(()) => (ErrorCode::NONE, None),
                Err(refusal) => (refusal.error, Some(refusal.message)),
            };
            ReassignablePartitionResponse { partition_index: asked.partition_index, error_code, error_message }
        };
        let partitions = topic.partitions.iter().map(partition).collect();
        ReassignableTopicResponse { name: name.clone(), partitions }
    };
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses: request.topics.into_iter().map(response).collect(),
        ..Default::default()
    }
}

fn check(image: &Image, name: &str, asked: &ReassignablePartition) -> Result<(), Refusal> {
    let index = asked.partition_index;
    let unknown = |message| Refusal::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message);
    let topic = image.topic(name).ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
    let partition =
        topic.partition(index).ok_or_else(|| unknown(format!("Unable to find partition {name}:{index}.")))?;
    let Some(replicas) = &asked.replicas else {
        return Err(Refusal::new(ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, "No partition reassignment is in progress."));
    };
    check_replicas(image, replicas)?;
    if *replicas != partition.replicas {
        let message =
            format!("The replicas are {:?}, and cannot be moved while there is one node.", partition.replicas);
        return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
    }
    Ok(())
}
