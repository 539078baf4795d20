//! Records dropped from the front of partitions.

use std::collections::BTreeMap;

use client::{ClientError, Cluster, TopicPartition};
use protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};

use super::TIMEOUT_MS;

/// Drops what is before an offset, −1 for everything there is. Answers the first offset that is left, for each.
///
/// # Errors
/// [`ClientError`] when a leader cannot be asked; a partition's own error is in its place.
pub(crate) async fn delete(
    cluster: &Cluster,
    before: &BTreeMap<TopicPartition, i64>,
) -> Result<BTreeMap<TopicPartition, Result<i64, ClientError>>, ClientError> {
    let mut results = BTreeMap::new();
    let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<DeleteRecordsPartition>>> = BTreeMap::new();
    for (place, offset) in before {
        let leader = match cluster.topic(&place.topic).await.and_then(|topic| topic.leader(place.partition)) {
            Ok(leader) => leader,
            Err(error) => {
                results.insert(place.clone(), Err(error));
                continue;
            }
        };
        let partition = DeleteRecordsPartition { partition_index: place.partition, offset: *offset };
        by_leader.entry(leader).or_default().entry(&place.topic).or_default().push(partition);
    }
    for (leader, topics) in by_leader {
        let topic = |(name, partitions): (&str, _)| DeleteRecordsTopic { name: name.into(), partitions };
        let request = DeleteRecordsRequest { topics: topics.into_iter().map(topic).collect(), timeout_ms: TIMEOUT_MS };
        for topic in cluster.broker(leader).await?.send(&request).await?.topics {
            for partition in topic.partitions {
                let place = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                let result = ClientError::check(place.to_string(), partition.error_code, None);
                results.insert(place, result.map(|()| partition.low_watermark));
            }
        }
    }
    Ok(results)
}
