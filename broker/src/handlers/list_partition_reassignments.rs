//! ListPartitionReassignments: which partitions are on the move (KIP-455).

use protocol::messages::ListPartitionReassignmentsRequest;
use protocol::messages::list_partition_reassignments::*;

use crate::context::Context;

/// Lists none: with one node, partitions stay where they are. Kafka leaves out topics that do not exist, too.
pub(crate) async fn handle(
    _context: Context,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}
