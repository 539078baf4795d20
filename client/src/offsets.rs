//! Finding offsets: the first, the next, the one of a moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

use crate::retry::Retries;
use crate::{ClientError, Cluster, TopicPartition};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// Older versions answer with lists of segments.
const FIRST_VERSION: i16 = 1;

/// Where to begin to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartOffset {
    /// The first record there is.
    Earliest,
    /// The next record that is written.
    Latest,
    /// The first record at or after this moment, ms since 1970-01-01 UTC; the end, if there is none.
    Time(i64),
    /// This offset.
    At(i64),
}

/// The offset that `start` means for each partition.
///
/// # Errors
/// The first partition's error, after retries.
pub async fn list_offsets(
    cluster: &Cluster,
    partitions: &[TopicPartition],
    start: StartOffset,
) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
    let timestamp = match start {
        StartOffset::At(offset) => return Ok(partitions.iter().cloned().map(|p| (p, offset)).collect()),
        StartOffset::Earliest => EARLIEST,
        StartOffset::Latest => LATEST,
        StartOffset::Time(moment_ms) => moment_ms.max(0),
    };
    let mut found = at_timestamp(cluster, partitions, timestamp).await?;
    let later: Vec<_> = found.iter().filter(|(_, offset)| **offset < 0).map(|(p, _)| p.clone()).collect();
    if !later.is_empty() {
        found.extend(at_timestamp(cluster, &later, LATEST).await?);
    }
    Ok(found)
}

async fn at_timestamp(
    cluster: &Cluster,
    partitions: &[TopicPartition],
    timestamp: i64,
) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
    let mut found = BTreeMap::new();
    let mut retries = Retries::default();
    loop {
        let missing: Vec<_> = partitions.iter().filter(|p| !found.contains_key(*p)).collect();
        if missing.is_empty() {
            return Ok(found);
        }
        if let Err(failure) = ask_leaders(cluster, &missing, timestamp, &mut found).await {
            retries.after(failure).await?;
            missing.iter().for_each(|p| cluster.forget_topic(&p.topic));
        } else if let Some(forgotten) = partitions.iter().find(|p| !found.contains_key(*p)) {
            return Err(ClientError::silent_about(forgotten));
        }
    }
}

/// Asks each leader once. What was found stays in `found` when another partition has an error.
async fn ask_leaders(
    cluster: &Cluster,
    partitions: &[&TopicPartition],
    timestamp: i64,
    found: &mut BTreeMap<TopicPartition, i64>,
) -> Result<(), ClientError> {
    let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
    for TopicPartition { topic, partition } in partitions {
        let leader = cluster.known_topic(topic).await?.leader(*partition)?;
        by_leader.entry(leader).or_default().entry(topic).or_default().push(*partition);
    }
    for (leader, topics) in by_leader {
        let connection = cluster.broker(leader).await?;
        let version = connection.version_up_to::<ListOffsetsRequest>(i16::MAX)?;
        if version < FIRST_VERSION {
            return Err(ClientError::Unsupported { address: connection.address().into(), api: "ListOffsets v1" });
        }
        let answer = connection.send_version(&request(topics, timestamp), version).await?;
        for topic in answer.topics {
            let name: Arc<str> = topic.name.into();
            for partition in topic.partitions {
                let place = TopicPartition::new(Arc::clone(&name), partition.partition_index);
                ClientError::check(place.to_string(), partition.error_code, None)?;
                found.insert(place, partition.offset);
            }
        }
    }
    Ok(())
}

fn request(topics: BTreeMap<&str, Vec<i32>>, timestamp: i64) -> ListOffsetsRequest {
    let partition =
        |partition_index| ListOffsetsPartition { partition_index, timestamp, ..ListOffsetsPartition::default() };
    let topics = topics.into_iter().map(|(name, partitions)| ListOffsetsTopic {
        name: name.into(),
        partitions: partitions.into_iter().map(partition).collect(),
    });
    ListOffsetsRequest { replica_id: -1, topics: topics.collect(), ..Default::default() }
}
