//! Sending records: one batch per call and partition.

use bytes::Bytes;
use protocol::records::{BatchBuilder, Codec, Header};
use protocol::wire::Records;
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

use crate::{ClientError, Cluster, TopicMetadata};

/// How long a broker may take to make records durable, ms.
const TIMEOUT_MS: i32 = 30_000;
/// The last version that names topics instead of giving their ids.
const LAST_NAME_VERSION: i16 = 12;

/// Whom a producer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nobody: a refusal goes unnoticed.
    None,
    /// The leader has it.
    Leader,
    /// Every in-sync replica has it; on a single node, the disk.
    All,
}

impl Acks {
    fn on_wire(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// A record to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutgoingRecord {
    /// Which records belong together; none for records of their own.
    pub key: Option<Bytes>,
    /// The payload; none deletes the key on a compacted topic.
    pub value: Option<Bytes>,
    /// Names and values.
    pub headers: Vec<(String, Option<Bytes>)>,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
}

/// Where a batch was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The offset of its first record, or −1 with [`Acks::None`].
    pub base_offset: i64,
    /// The broker's time, if the topic takes that; else −1.
    pub log_append_time_ms: i64,
}

/// Sends batches to one cluster.
pub struct Producer<'a> {
    cluster: &'a Cluster,
    acks: Acks,
    codec: Codec,
}

impl<'a> Producer<'a> {
    /// A producer that compresses with `codec` and waits for `acks`.
    pub fn new(cluster: &'a Cluster, acks: Acks, codec: Codec) -> Producer<'a> {
        Producer { cluster, acks, codec }
    }

    /// Sends `records` as one batch to one partition.
    ///
    /// # Errors
    /// [`ClientError`]. After a lost connection it is unknown whether the batch was written.
    pub async fn send(
        &self,
        topic: &TopicMetadata,
        partition: i32,
        records: &[OutgoingRecord],
    ) -> Result<Written, ClientError> {
        let mut builder = BatchBuilder::new(0).codec(self.codec, None);
        for record in records {
            let headers: Vec<Header<'_>> = record
                .headers
                .iter()
                .map(|(key, value)| Header { key: key.as_bytes(), value: value.as_deref() })
                .collect();
            builder.append(record.timestamp_ms, record.key.as_deref(), record.value.as_deref(), &headers);
        }
        self.send_batch(topic, partition, builder.build().freeze()).await
    }

    /// Sends a batch that is built already.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub async fn send_batch(
        &self,
        topic: &TopicMetadata,
        partition: i32,
        batch: Bytes,
    ) -> Result<Written, ClientError> {
        let what = || format!("{}-{partition}", topic.name);
        let leader = topic.leaders.get(&partition).copied().unwrap_or(-1);
        let connection = self.cluster.broker(leader).await?;
        let version = connection.version_of::<ProduceRequest>().unwrap_or(LAST_NAME_VERSION).min(LAST_NAME_VERSION);
        let data = PartitionProduceData {
            index: partition,
            records: Some(Records::from(batch)),
            ..Default::default()
        };
        let request = ProduceRequest {
            acks: self.acks.on_wire(),
            timeout_ms: TIMEOUT_MS,
            topic_data: vec![TopicProduceData {
                name: topic.name.clone(),
                topic_id: topic.id,
                partition_data: vec![data],
                ..Default::default()
            }],
            ..Default::default()
        };
        if self.acks == Acks::None {
            connection.send_silent(&request, version).await?;
            return Ok(Written { base_offset: -1, log_append_time_ms: -1 });
        }
        let answer = connection.send_version(&request, version).await?;
        let written = answer.responses.into_iter().flat_map(|topic| topic.partition_responses).next();
        let written = written.unwrap_or_default();
        ClientError::check(what(), written.error_code, written.error_message)?;
        Ok(Written { base_offset: written.base_offset, log_append_time_ms: written.log_append_time_ms })
    }
}
