//! The quorum that keeps the cluster's metadata.

use client::ClientError;
use protocol::messages::DescribeQuorumRequest;
use protocol::messages::describe_quorum::{DescribeQuorumResponse, RequestedPartitionData, RequestedTopicData};
pub(crate) use protocol::messages::describe_quorum::{Node, PartitionData, ReplicaState};

use super::endpoint::Endpoint;

/// Kafka's name of the log.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Where the quorum stands.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) state: PartitionData,
    /// Where its voters are reached, as far as the cluster says so.
    pub(crate) nodes: Vec<Node>,
}

impl Described {
    /// The leader's own row.
    pub(crate) fn leader(&self) -> Option<&ReplicaState> {
        self.state.current_voters.iter().find(|voter| voter.replica_id == self.state.leader_id)
    }
}

/// # Errors
/// [`ClientError`].
pub(crate) async fn describe(endpoint: &Endpoint) -> Result<Described, ClientError> {
    let partitions = vec![RequestedPartitionData { partition_index: 0 }];
    let topic = RequestedTopicData { topic_name: METADATA_TOPIC.into(), partitions };
    let answer = endpoint.send(&DescribeQuorumRequest { topics: vec![topic] }).await?;
    let DescribeQuorumResponse { error_code, error_message, topics, nodes } = answer;
    ClientError::check("the metadata quorum", error_code, error_message)?;
    let mut state = topics.into_iter().flat_map(|topic| topic.partitions).next().unwrap_or_default();
    ClientError::check("the metadata quorum", state.error_code, state.error_message.take())?;
    Ok(Described { state, nodes })
}
