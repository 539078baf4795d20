//! Everything that can be read, from the first record to the last.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{ClientError, Cluster, Consumer, FetchedRecord, StartOffset, TopicPartition, list_offsets};
use protocol::ErrorCode;

const PATIENCE: Duration = Duration::from_secs(20);

/// A partition as a reader sees it.
pub(crate) struct Contents {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) records: Vec<FetchedRecord>,
}

/// Reads a partition from its start to the end that it has now; again when retention moved the start meanwhile.
pub(crate) async fn read(cluster: &Cluster, topic: &str, partition: i32) -> Result<Contents, ClientError> {
    loop {
        match read_once(cluster, topic, partition).await {
            Err(error) if error.code() == Some(ErrorCode::OFFSET_OUT_OF_RANGE) => {}
            result => return result,
        }
    }
}

async fn read_once(cluster: &Cluster, topic: &str, partition: i32) -> Result<Contents, ClientError> {
    let place = [TopicPartition::new(topic, partition)];
    let start = list_offsets(cluster, &place, StartOffset::Earliest).await?[&place[0]];
    let end = list_offsets(cluster, &place, StartOffset::Latest).await?[&place[0]];
    let mut records = Vec::new();
    let mut consumer = Consumer::new(cluster);
    consumer.assign_at(BTreeMap::from([(place[0].clone(), start)]), None);
    while records.last().map_or(start, |record: &FetchedRecord| record.offset + 1) < end {
        match consumer.next(PATIENCE).await? {
            Some(record) => records.push(record),
            None => panic!("{topic}-{partition} has records {start}..{end}, and none after {:?}", records.last()),
        }
    }
    Ok(Contents { start, end, records })
}
