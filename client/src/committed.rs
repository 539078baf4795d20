//! The offsets that a group has committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics, OffsetFetchResponse,
};

use crate::retry::Retries;
use crate::{ClientError, Cluster, TopicPartition};

/// Before it, offsets were kept in ZooKeeper and a request could not ask for all of them.
const FIRST_VERSION: i16 = 2;
/// The last version that names topics instead of giving their ids.
const LAST_NAME_VERSION: i16 = 9;

/// An offset as it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next record to read.
    pub offset: i64,
    /// The epoch of the last record read, or −1.
    pub leader_epoch: i32,
    /// What the member added, if anything.
    pub metadata: String,
}

/// What a group has committed for `partitions`, or for all; those without a commit are left out.
///
/// # Errors
/// The group's error or the first partition's, after retries.
pub async fn fetch_committed(
    cluster: &Cluster,
    group_id: &str,
    partitions: Option<&[TopicPartition]>,
) -> Result<BTreeMap<TopicPartition, CommittedOffset>, ClientError> {
    let request = request(group_id, partitions);
    let mut retries = Retries::default();
    loop {
        match ask(cluster, group_id, &request).await {
            Ok(found) => return Ok(found),
            Err(failure) => retries.after(failure).await?,
        }
    }
}

async fn ask(
    cluster: &Cluster,
    group_id: &str,
    request: &OffsetFetchRequest,
) -> Result<BTreeMap<TopicPartition, CommittedOffset>, ClientError> {
    let connection = cluster.coordinator(group_id).await?;
    let version = connection.version_up_to::<OffsetFetchRequest>(LAST_NAME_VERSION)?;
    if version < FIRST_VERSION {
        return Err(ClientError::Unsupported { address: connection.address().into(), api: "OffsetFetch v2" });
    }
    read(group_id, connection.send_version(request, version).await?)
}

/// Every version's fields at once; encoding leaves out what a version does not have.
fn request(group_id: &str, partitions: Option<&[TopicPartition]>) -> OffsetFetchRequest {
    let by_topic = partitions.map(|partitions| {
        let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        partitions.iter().for_each(|place| by_topic.entry(&place.topic).or_default().push(place.partition));
        by_topic
    });
    let single = by_topic.as_ref().map(|topics| {
        let topic = |(name, indexes): (&&str, &Vec<i32>)| OffsetFetchRequestTopic {
            name: name.to_string(),
            partition_indexes: indexes.clone(),
        };
        topics.iter().map(topic).collect()
    });
    let batched = by_topic.as_ref().map(|topics| {
        let topic = |(name, indexes): (&&str, &Vec<i32>)| OffsetFetchRequestTopics {
            name: name.to_string(),
            partition_indexes: indexes.clone(),
            ..Default::default()
        };
        topics.iter().map(topic).collect()
    });
    let group = OffsetFetchRequestGroup { group_id: group_id.into(), topics: batched, ..Default::default() };
    OffsetFetchRequest { group_id: group_id.into(), topics: single, groups: vec![group], require_stable: false }
}

fn read(group_id: &str, answer: OffsetFetchResponse) -> Result<BTreeMap<TopicPartition, CommittedOffset>, ClientError> {
    let what = || format!("the offsets of group {group_id}");
    ClientError::check(what(), answer.error_code, None)?;
    let mut found = BTreeMap::new();
    let mut add = |topic: &Arc<str>, partition, code, offset, leader_epoch, metadata: Option<String>| {
        let place = TopicPartition::new(Arc::clone(topic), partition);
        ClientError::check(format!("{} of {place}", what()), code, None)?;
        if offset >= 0 {
            found.insert(place, CommittedOffset { offset, leader_epoch, metadata: metadata.unwrap_or_default() });
        }
        Ok::<(), ClientError>(())
    };
    for topic in answer.topics {
        let name: Arc<str> = topic.name.into();
        for p in topic.partitions {
            add(&name, p.partition_index, p.error_code, p.committed_offset, p.committed_leader_epoch, p.metadata)?;
        }
    }
    for group in answer.groups {
        ClientError::check(what(), group.error_code, None)?;
        for topic in group.topics {
            let name: Arc<str> = topic.name.into();
            for p in topic.partitions {
                add(&name, p.partition_index, p.error_code, p.committed_offset, p.committed_leader_epoch, p.metadata)?;
            }
        }
    }
    Ok(found)
}
