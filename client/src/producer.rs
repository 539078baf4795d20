//! Sending records: one batch per partition and request.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::messages::InitProducerIdRequest;
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::records::{BatchBuilder, Codec, Header};
use protocol::wire::Records;

use crate::retry::Retries;
use crate::{ClientError, Cluster, TopicMetadata, TopicPartition};

/// How long a broker may take to make records durable, ms. Below the time that a connection waits for an answer.
const TIMEOUT_MS: i32 = 20_000;
/// The last version that names topics instead of giving their ids.
const LAST_NAME_VERSION: i16 = 12;
/// The last version before partitions are added to a transaction by writing to them (KIP-890).
const LAST_VERIFIED_VERSION: i16 = 11;

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
    /// The number that a Produce request carries.
    pub fn on_wire(self) -> i16 {
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
    /// The offset of its first record; −1 with [`Acks::None`], or when a retry found it written already.
    pub base_offset: i64,
    /// The broker's time, if the topic takes that; else −1.
    pub log_append_time_ms: i64,
}

/// Sends batches to one cluster.
pub struct Producer {
    cluster: Cluster,
    acks: Acks,
    codec: Codec,
    identity: Option<Identity>,
    transactions: Option<InTransactions>,
}

/// How everything that a producer writes is part of a transaction.
pub(crate) struct InTransactions {
    pub(crate) id: String,
    /// Whether the broker adds the partitions; else somebody has done so before.
    pub(crate) adds_by_writing: bool,
}

/// What makes retries harmless (KIP-98): the broker knows the sequence number that comes next.
pub(crate) struct Identity {
    producer_id: i64,
    epoch: i16,
    next_sequence: BTreeMap<TopicPartition, i32>,
}

impl Identity {
    pub(crate) fn new(producer_id: i64, epoch: i16) -> Identity {
        Identity { producer_id, epoch, next_sequence: BTreeMap::new() }
    }
}

/// Records of one partition that are still to be written. Several slices when a batch was too large.
type Pending<'r> = BTreeMap<i32, VecDeque<&'r [OutgoingRecord]>>;

impl Producer {
    /// A producer that compresses with `codec` and waits for `acks`. After a lost connection it sends again, and so a
    /// batch may be written twice.
    pub fn new(cluster: &Cluster, acks: Acks, codec: Codec) -> Producer {
        Producer { cluster: cluster.clone(), acks, codec, identity: None, transactions: None }
    }

    /// A producer of which each batch is written once, whatever happens to connections; waits for all replicas.
    ///
    /// # Errors
    /// [`ClientError`], after retries.
    pub async fn idempotent(cluster: &Cluster, codec: Codec) -> Result<Producer, ClientError> {
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        let mut retries = Retries::default();
        loop {
            let result = match cluster.any().await {
                Ok(connection) => connection.send(&request).await,
                Err(failure) => Err(failure),
            };
            let result = result.and_then(|answer| {
                ClientError::check("a producer id", answer.error_code, None)?;
                Ok(answer)
            });
            match result {
                Ok(answer) => {
                    let identity = Identity::new(answer.producer_id, answer.producer_epoch);
                    return Ok(Producer { identity: Some(identity), ..Producer::new(cluster, Acks::All, codec) });
                }
                Err(failure) => retries.after(failure).await?,
            }
        }
    }

    pub(crate) fn in_transactions(
        cluster: &Cluster,
        codec: Codec,
        identity: Identity,
        transactions: InTransactions,
    ) -> Producer {
        let plain = Producer::new(cluster, Acks::All, codec);
        Producer { identity: Some(identity), transactions: Some(transactions), ..plain }
    }

    pub(crate) fn adds_by_writing(&self) -> bool {
        self.transactions.as_ref().is_some_and(|transactions| transactions.adds_by_writing)
    }

    /// The producer id and epoch; −1 without one.
    pub(crate) fn identity(&self) -> (i64, i16) {
        self.identity.as_ref().map_or((-1, -1), |identity| (identity.producer_id, identity.epoch))
    }

    /// Goes on as this one, whose sequences begin at 0.
    pub(crate) fn identify(&mut self, identity: Identity) {
        self.identity = Some(identity);
    }

    /// Sends `records` to one partition, as one batch unless it is larger than the topic allows.
    ///
    /// # Errors
    /// As [`Producer::send_all`].
    pub async fn send(
        &mut self,
        topic: &str,
        partition: i32,
        records: &[OutgoingRecord],
    ) -> Result<Written, ClientError> {
        let nothing = Written { base_offset: -1, log_append_time_ms: -1 };
        let written = self.send_all(topic, &[(partition, records)]).await?;
        Ok(written.get(&partition).copied().unwrap_or(nothing))
    }

    /// Sends records to several partitions, each named once. Answers where the first batch of each was written.
    ///
    /// # Errors
    /// [`ClientError`], after retries with fresh metadata. Some of the records may have been written.
    pub async fn send_all(
        &mut self,
        topic: &str,
        records: &[(i32, &[OutgoingRecord])],
    ) -> Result<BTreeMap<i32, Written>, ClientError> {
        let mut pending: Pending<'_> = records
            .iter()
            .filter(|(_, records)| !records.is_empty())
            .map(|(partition, records)| (*partition, VecDeque::from([*records])))
            .collect();
        let mut written = BTreeMap::new();
        let mut retries = Retries::default();
        while !pending.is_empty() {
            match self.send_round(topic, &mut pending, &mut written).await {
                Ok(()) => retries.reset(),
                Err(failure) => {
                    retries.after(failure).await?;
                    self.cluster.forget_topic(topic);
                }
            }
        }
        Ok(written)
    }

    /// Sends a batch that is built already, once.
    ///
    /// # Errors
    /// [`ClientError`]. After a lost connection it is unknown whether the batch was written.
    pub async fn send_batch(&self, topic: &str, partition: i32, batch: Bytes) -> Result<Written, ClientError> {
        let topic = self.cluster.known_topic(topic).await?;
        let mut answers = self.exchange(&topic, topic.leader(partition)?, vec![(partition, batch)]).await?;
        let silent = || Err(ClientError::silent_about(&TopicPartition::new(Arc::clone(&topic.name), partition)));
        answers.remove(&partition).unwrap_or_else(silent)
    }

    /// Sends the next batch of each partition to its leader, and takes what was written off `pending`.
    async fn send_round(
        &mut self,
        topic: &str,
        pending: &mut Pending<'_>,
        written: &mut BTreeMap<i32, Written>,
    ) -> Result<(), ClientError> {
        let topic = self.cluster.known_topic(topic).await?;
        let mut by_leader: BTreeMap<i32, Vec<(i32, Bytes)>> = BTreeMap::new();
        for (partition, slices) in pending.iter() {
            let place = TopicPartition::new(Arc::clone(&topic.name), *partition);
            let batch = self.build(&place, slices.front().copied().unwrap_or_default());
            by_leader.entry(topic.leader(*partition)?).or_default().push((*partition, batch));
        }
        let mut failure = None;
        for (leader, batches) in by_leader {
            for (partition, result) in self.exchange(&topic, leader, batches).await? {
                let place = TopicPartition::new(Arc::clone(&topic.name), partition);
                if let Err(error) = self.settle(&place, result, pending, written) {
                    // A final error must not hide behind one that is tried again.
                    if failure.as_ref().is_none_or(ClientError::is_retriable) {
                        failure = Some(error);
                    }
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn settle(
        &mut self,
        place: &TopicPartition,
        result: Result<Written, ClientError>,
        pending: &mut Pending<'_>,
        written: &mut BTreeMap<i32, Written>,
    ) -> Result<(), ClientError> {
        let Some(slices) = pending.get_mut(&place.partition) else { return Ok(()) };
        let Some(records) = slices.pop_front() else { return Ok(()) };
        let code = result.as_ref().err().and_then(ClientError::code);
        let done = match result {
            Ok(done) => done,
            Err(_) if code == Some(ErrorCode::DUPLICATE_SEQUENCE_NUMBER) && self.identity.is_some() => {
                Written { base_offset: -1, log_append_time_ms: -1 }
            }
            Err(_) if code == Some(ErrorCode::MESSAGE_TOO_LARGE) && records.len() > 1 => {
                let (first, second) = records.split_at(records.len() / 2);
                slices.push_front(second);
                slices.push_front(first);
                return Ok(());
            }
            Err(error) => {
                slices.push_front(records);
                return Err(error);
            }
        };
        written.entry(place.partition).or_insert(done);
        if slices.is_empty() {
            pending.remove(&place.partition);
        }
        if let Some(identity) = &mut self.identity {
            let next = identity.next_sequence.entry(place.clone()).or_default();
            *next = sequence_after(*next, records.len());
        }
        Ok(())
    }

    fn build(&self, place: &TopicPartition, records: &[OutgoingRecord]) -> Bytes {
        let mut builder = BatchBuilder::new(0).codec(self.codec, None);
        if let Some(identity) = &self.identity {
            let sequence = identity.next_sequence.get(place).copied().unwrap_or(0);
            builder = builder.producer(identity.producer_id, identity.epoch, sequence);
        }
        if self.transactions.is_some() {
            builder = builder.transactional();
        }
        for record in records {
            let header = |(key, value): &'_ (String, Option<Bytes>)| (key.clone(), value.clone());
            let headers: Vec<(String, Option<Bytes>)> = record.headers.iter().map(header).collect();
            let headers: Vec<Header<'_>> =
                headers.iter().map(|(key, value)| Header { key: key.as_bytes(), value: value.as_deref() }).collect();
            builder.append(record.timestamp_ms, record.key.as_deref(), record.value.as_deref(), &headers);
        }
        builder.build().freeze()
    }

    /// One request to one broker; the answer says for each partition how it went.
    async fn exchange(
        &self,
        topic: &TopicMetadata,
        leader: i32,
        batches: Vec<(i32, Bytes)>,
    ) -> Result<BTreeMap<i32, Result<Written, ClientError>>, ClientError> {
        let connection = self.cluster.broker(leader).await?;
        let newest = if topic.id.is_zero() { LAST_NAME_VERSION } else { i16::MAX };
        let newest = match &self.transactions {
            Some(transactions) if !transactions.adds_by_writing => LAST_VERIFIED_VERSION,
            _ => newest,
        };
        let version = connection.version_up_to::<ProduceRequest>(newest)?;
        let partitions: Vec<i32> = batches.iter().map(|(partition, _)| *partition).collect();
        let data = batches
            .into_iter()
            .map(|(index, batch)| PartitionProduceData { index, records: Some(Records::from(batch)) });
        let request = ProduceRequest {
            transactional_id: self.transactions.as_ref().map(|transactions| transactions.id.clone()),
            acks: self.acks.on_wire(),
            timeout_ms: TIMEOUT_MS,
            topic_data: vec![TopicProduceData {
                name: topic.name.to_string(),
                topic_id: topic.id,
                partition_data: data.collect(),
            }],
        };
        if self.acks == Acks::None {
            connection.send_silent(&request, version).await?;
            let sent = Written { base_offset: -1, log_append_time_ms: -1 };
            return Ok(partitions.into_iter().map(|partition| (partition, Ok(sent))).collect());
        }
        let answer = connection.send_version(&request, version).await?;
        let answers = answer.responses.into_iter().flat_map(|topic| topic.partition_responses);
        let mut results: BTreeMap<i32, Result<Written, ClientError>> = answers
            .map(|answer| {
                let written =
                    Written { base_offset: answer.base_offset, log_append_time_ms: answer.log_append_time_ms };
                let what = format!("{}-{}", topic.name, answer.index);
                (answer.index, ClientError::check(what, answer.error_code, answer.error_message).map(|()| written))
            })
            .collect();
        for partition in partitions {
            let silent = || Err(ClientError::silent_about(&TopicPartition::new(Arc::clone(&topic.name), partition)));
            results.entry(partition).or_insert_with(silent);
        }
        Ok(results)
    }
}

/// Sequence numbers wrap from the largest int32 to 0.
fn sequence_after(sequence: i32, count: usize) -> i32 {
    ((i64::from(sequence) + count as i64) % (i64::from(i32::MAX) + 1)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(sequence_after(0, 3), 3);
        assert_eq!(sequence_after(i32::MAX, 1), 0);
        assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
    }
}
