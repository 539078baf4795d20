//! Offsets by moment, with every meaning that ListOffsets gives to a number.

use std::collections::BTreeMap;

use client::{ClientError, Cluster, TopicPartition};
use protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

/// The next record that is written.
pub(crate) const LATEST: i64 = -1;
/// The first record there is.
pub(crate) const EARLIEST: i64 = -2;
/// The record with the largest timestamp (KIP-734).
pub(crate) const MAX_TIMESTAMP: i64 = -3;
/// The first record on local disks (KIP-405).
pub(crate) const EARLIEST_LOCAL: i64 = -4;
/// The last record on tiered storage (KIP-1005).
pub(crate) const LATEST_TIERED: i64 = -5;
/// The first record that tiered storage has still to get (KIP-1023).
pub(crate) const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// What one partition answered: an offset, −1 for none, or its error.
pub(crate) type Found = BTreeMap<TopicPartition, Result<i64, ClientError>>;

/// The offset at a moment, ms since 1970-01-01 UTC or one of the constants above.
///
/// # Errors
/// [`ClientError`] when a leader cannot be asked.
pub(crate) async fn at(
    cluster: &Cluster,
    places: impl IntoIterator<Item = TopicPartition>,
    timestamp: i64,
) -> Result<Found, ClientError> {
    let mut found = Found::new();
    let mut by_leader: BTreeMap<i32, BTreeMap<String, Vec<ListOffsetsPartition>>> = BTreeMap::new();
    let mut topics: BTreeMap<std::sync::Arc<str>, _> = BTreeMap::new();
    for place in places {
        if !topics.contains_key(&place.topic) {
            topics.insert(place.topic.clone(), cluster.topic(&place.topic).await?);
        }
        match topics[&place.topic].leader(place.partition) {
            Ok(leader) => {
                let partition =
                    ListOffsetsPartition { partition_index: place.partition, timestamp, ..Default::default() };
                by_leader.entry(leader).or_default().entry(place.topic.to_string()).or_default().push(partition);
            }
            Err(error) => {
                found.insert(place, Err(error));
            }
        }
    }
    for (leader, topics) in by_leader {
        let topic = |(name, partitions)| ListOffsetsTopic { name, partitions };
        let topics = topics.into_iter().map(topic).collect();
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        for topic in cluster.broker(leader).await?.send(&request).await?.topics {
            for partition in topic.partitions {
                let place = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                let result = ClientError::check(place.to_string(), partition.error_code, None);
                found.insert(place, result.map(|()| partition.offset));
            }
        }
    }
    Ok(found)
}
