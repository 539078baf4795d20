//! Reading one partition, record by record.

use std::collections::VecDeque;

use bytes::Bytes;
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::records::batches;

use crate::{ClientError, Cluster, TopicMetadata};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// The last version that names topics instead of giving their ids.
const LAST_NAME_VERSION: i16 = 12;
/// Bytes of one fetch.
const FETCH_MAX_BYTES: i32 = 1 << 20;
/// One batch may unpack to this many bytes.
const BATCH_MAX_BYTES: usize = 256 << 20;

/// Where to begin.
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

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedRecord {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970-01-01 UTC, or −1.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Names and values.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// Reads one partition from an offset on.
pub struct PartitionReader<'a> {
    cluster: &'a Cluster,
    topic: TopicMetadata,
    partition: i32,
    next_offset: i64,
    ready: VecDeque<FetchedRecord>,
    high_watermark: i64,
}

impl<'a> PartitionReader<'a> {
    /// A reader that begins at `start`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn open(
        cluster: &'a Cluster,
        topic: &TopicMetadata,
        partition: i32,
        start: StartOffset,
    ) -> Result<PartitionReader<'a>, ClientError> {
        let topic = topic.clone();
        let (ready, high_watermark) = (VecDeque::new(), -1);
        let mut reader = PartitionReader { cluster, topic, partition, next_offset: 0, ready, high_watermark };
        reader.next_offset = match start {
            StartOffset::At(offset) => offset,
            StartOffset::Earliest => reader.offset_at(EARLIEST).await?,
            StartOffset::Latest => reader.offset_at(LATEST).await?,
            StartOffset::Time(moment) => match reader.offset_at(moment).await? {
                -1 => reader.offset_at(LATEST).await?,
                offset => offset,
            },
        };
        Ok(reader)
    }

    /// The offset of the record that comes next.
    pub fn next_offset(&self) -> i64 {
        self.ready.front().map_or(self.next_offset, |record| record.offset)
    }

    /// Whether everything that was readable at the last fetch has been read.
    pub fn is_caught_up(&self) -> bool {
        self.ready.is_empty() && self.high_watermark >= 0 && self.next_offset >= self.high_watermark
    }

    /// The next record, or `None` if none came within `wait_ms`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn next(&mut self, wait_ms: i32) -> Result<Option<FetchedRecord>, ClientError> {
        if self.ready.is_empty() {
            self.fetch(wait_ms).await?;
        }
        Ok(self.ready.pop_front())
    }

    async fn offset_at(&self, timestamp: i64) -> Result<i64, ClientError> {
        let partition = ListOffsetsPartition {
            partition_index: self.partition,
            current_leader_epoch: -1,
            timestamp,
            max_num_offsets: 1,
            ..Default::default()
        };
        let topic =
            ListOffsetsTopic { name: self.topic.name.clone(), partitions: vec![partition], ..Default::default() };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        let answer = self.leader().await?.send(&request).await?;
        let found = answer.topics.into_iter().flat_map(|topic| topic.partitions).next().unwrap_or_default();
        ClientError::check(self.name(), found.error_code, None)?;
        Ok(found.offset)
    }

    async fn fetch(&mut self, wait_ms: i32) -> Result<(), ClientError> {
        let connection = self.leader().await?;
        let version = connection.version_of::<FetchRequest>().unwrap_or(LAST_NAME_VERSION).min(LAST_NAME_VERSION);
        let partition = FetchPartition {
            partition: self.partition,
            current_leader_epoch: -1,
            fetch_offset: self.next_offset,
            partition_max_bytes: FETCH_MAX_BYTES,
            ..Default::default()
        };
        let topic = FetchTopic { topic: self.topic.name.clone(), partitions: vec![partition], ..Default::default() };
        let request = FetchRequest {
            max_wait_ms: wait_ms,
            min_bytes: 1,
            max_bytes: FETCH_MAX_BYTES,
            session_epoch: -1,
            topics: vec![topic],
            ..Default::default()
        };
        let answer = connection.send_version(&request, version).await?;
        ClientError::check(self.name(), answer.error_code, None)?;
        let Some(data) = answer.responses.into_iter().flat_map(|topic| topic.partitions).next() else { return Ok(()) };
        ClientError::check(self.name(), data.error_code, None)?;
        self.high_watermark = data.high_watermark;
        let bytes = data.records.map(|records| records.into_bytes()).unwrap_or_default();
        self.unpack(&bytes)
    }

    fn unpack(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        for batch in batches(bytes) {
            // A broker may cut the last batch; what was cut comes again.
            let Ok(batch) = batch else { break };
            if !batch.is_control() {
                let set = batch.records(BATCH_MAX_BYTES)?;
                for record in set.iter() {
                    let record = record?;
                    if record.offset < self.next_offset {
                        continue;
                    }
                    let headers = record.headers.iter().map(|header| {
                        (String::from_utf8_lossy(header.key).into_owned(), header.value.map(Bytes::copy_from_slice))
                    });
                    self.ready.push_back(FetchedRecord {
                        partition: self.partition,
                        offset: record.offset,
                        timestamp_ms: record.timestamp,
                        key: record.key.map(Bytes::copy_from_slice),
                        value: record.value.map(Bytes::copy_from_slice),
                        headers: headers.collect(),
                    });
                }
            }
            self.next_offset = self.next_offset.max(batch.next_offset());
        }
        Ok(())
    }

    async fn leader(&self) -> Result<std::sync::Arc<crate::Connection>, ClientError> {
        self.cluster.broker(self.topic.leaders.get(&self.partition).copied().unwrap_or(-1)).await
    }

    fn name(&self) -> String {
        format!("{}-{}", self.topic.name, self.partition)
    }
}
