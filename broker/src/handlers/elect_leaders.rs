//! ElectLeaders: leaders are elected on an operator's word (KIP-183).
//!
//! v1 unclean elections, and an error of the whole request (KIP-460). v2 flexible.

use protocol::ErrorCode;
use protocol::messages::ElectLeadersRequest;
use protocol::messages::elect_leaders::*;
use state::cluster::{Image, NO_LEADER, PartitionState, Topic};

use crate::context::Context;

const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

type Refused = (ErrorCode, String);

/// Says of each partition, or of all, why there is nothing to elect.
///
/// Leaders are elected as soon as a broker registers, and one node has one replica of each partition: what has no leader
/// has no other replica that could be one.
pub(crate) async fn handle(context: Context, request: ElectLeadersRequest) -> ElectLeadersResponse {
    // Before version 1 there was one kind.
    let kind = if context.version == 0 { PREFERRED } else { request.election_type };
    let image = context.broker.image();
    if request.topic_partitions.as_ref().is_some_and(Vec::is_empty) {
        return ElectLeadersResponse::default();
    }
    if !matches!(kind, PREFERRED | UNCLEAN) {
        return ElectLeadersResponse {
            error_code: ErrorCode::INVALID_REQUEST,
            replica_election_results: refuse_all(request.topic_partitions, &format!("Unknown election type {kind}")),
            ..Default::default()
        };
    }
    let replica_election_results = match request.topic_partitions {
        Some(asked) => asked.into_iter().map(|topic| elect_asked(&image, topic, kind)).collect(),
        None => image.topics().map(|topic| elect_where_needed(topic, kind)).collect(),
    };
    ElectLeadersResponse { replica_election_results, ..Default::default() }
}

fn refuse_all(asked: Option<Vec<TopicPartitions>>, message: &str) -> Vec<ReplicaElectionResult> {
    let refused = || (ErrorCode::INVALID_REQUEST, message.to_string());
    let topic = |asked: TopicPartitions| ReplicaElectionResult {
        topic: asked.topic,
        partition_result: asked.partitions.into_iter().map(|id| result(id, refused())).collect(),
    };
    asked.unwrap_or_default().into_iter().map(topic).collect()
}

fn elect_asked(image: &Image, asked: TopicPartitions, kind: i8) -> ReplicaElectionResult {
    let name = asked.topic;
    let unknown = |message| (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message);
    let elected = |id: i32| match image.topic(&name).map(|topic| topic.partition(id)) {
        None => unknown(format!("No such topic as {name}")),
        Some(None) => unknown(format!("No such partition as {name}-{id}")),
        Some(Some(partition)) => elect(partition, kind),
    };
    let partition_result = asked.partitions.iter().map(|id| result(*id, elected(*id))).collect();
    ReplicaElectionResult { topic: name, partition_result }
}

/// When all are asked for, those whose leader is right already are left out.
fn elect_where_needed(topic: &Topic, kind: i8) -> ReplicaElectionResult {
    let elected = (0..).zip(&topic.partitions).map(|(id, partition)| result(id, elect(partition, kind)));
    ReplicaElectionResult {
        topic: topic.name.to_string(),
        partition_result: elected.filter(|result| result.error_code != ErrorCode::ELECTION_NOT_NEEDED).collect(),
    }
}

fn elect(partition: &PartitionState, kind: i8) -> Refused {
    let is_right = match kind {
        PREFERRED => partition.replicas.first() == Some(&partition.leader),
        _ => partition.leader != NO_LEADER,
    };
    let (code, message) = match (is_right, kind) {
        (true, _) => (ErrorCode::ELECTION_NOT_NEEDED, "Leader election not needed for topic partition."),
        (false, PREFERRED) => (ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE, "The preferred leader was not available."),
        (false, _) => {
            (ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE, "Eligible topic partition leaders are not available.")
        }
    };
    (code, message.to_string())
}

fn result(partition_id: i32, (error_code, message): Refused) -> PartitionResult {
    PartitionResult { partition_id, error_code, error_message: Some(message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leads_already_is_not_elected_and_who_is_away_cannot_be() {
        let led_by = |leader| PartitionState {
            replicas: vec![1, 2],
            isr: vec![1, 2],
            leader,
            leader_epoch: 0,
            partition_epoch: 0,
        };
        for (leader, kind, expected) in [
            (1, PREFERRED, ErrorCode::ELECTION_NOT_NEEDED),
            (2, PREFERRED, ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE),
            (2, UNCLEAN, ErrorCode::ELECTION_NOT_NEEDED),
            (NO_LEADER, UNCLEAN, ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE),
        ] {
            assert_eq!(elect(&led_by(leader), kind).0, expected, "{leader} {kind}");
        }
    }
}
