//! Leaders of partitions, elected on an operator's word.

use std::collections::BTreeMap;

use client::{ClientError, Cluster, TopicPartition};
use protocol::messages::ElectLeadersRequest;
use protocol::messages::elect_leaders::{ElectLeadersResponse, TopicPartitions};

use super::TIMEOUT_MS;

/// Who is to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first replica.
    Preferred,
    /// Any replica that is alive, though it may lack records.
    Unclean,
}

/// Elects leaders of some partitions, or of all that need one. Answers how it went for each; of all partitions, only for
/// those that needed it.
///
/// # Errors
/// [`ClientError`]; a partition's own error is in its place.
pub(crate) async fn elect(
    cluster: &Cluster,
    kind: Kind,
    places: Option<&[TopicPartition]>,
) -> Result<BTreeMap<TopicPartition, Result<(), ClientError>>, ClientError> {
    let by_topic = places.map(|places| {
        let mut by_topic: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for place in places {
            by_topic.entry(place.topic.to_string()).or_default().push(place.partition);
        }
        by_topic.into_iter().map(|(topic, partitions)| TopicPartitions { topic, partitions }).collect()
    });
    let request = ElectLeadersRequest {
        election_type: match kind {
            Kind::Preferred => 0,
            Kind::Unclean => 1,
        },
        topic_partitions: by_topic,
        timeout_ms: TIMEOUT_MS,
    };
    let answer = cluster.admin(&request, |answer: &ElectLeadersResponse| answer.error_code).await?;
    ClientError::check("the election", answer.error_code, None)?;
    let mut results = BTreeMap::new();
    for topic in answer.replica_election_results {
        for partition in topic.partition_result {
            let place = TopicPartition::new(topic.topic.as_str(), partition.partition_id);
            let result = ClientError::check(place.to_string(), partition.error_code, partition.error_message);
            results.insert(place, result);
        }
    }
    Ok(results)
}
