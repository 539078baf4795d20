//! One Fetch to one broker, and the records in its answer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::messages::fetch::{AbortedTransaction, FetchPartition, FetchRequest, FetchTopic, PartitionData};
use protocol::records::{Batch, BatchError, TimestampType, batches};

use crate::cluster::Lane;
use crate::{ClientError, Cluster, TopicMetadata, TopicPartition};

/// Bytes of one answer, and of one partition in it. A larger batch comes alone and whole (KIP-74).
const FETCH_MAX_BYTES: i32 = 8 << 20;
const PARTITION_MAX_BYTES: i32 = 1 << 20;
/// One batch may unpack to this many bytes.
const BATCH_MAX_BYTES: usize = 256 << 20;
/// The last version that names topics instead of giving their ids (KIP-516).
const LAST_NAME_VERSION: i16 = 12;
/// The first version that can ask for committed records only.
const FIRST_ISOLATION_VERSION: i16 = 4;

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedRecord {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970-01-01 UTC, or −1.
    pub timestamp_ms: i64,
    /// Whose clock that was.
    pub timestamp_type: TimestampType,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Names and values. A name that is not UTF-8 has replacement characters.
    pub headers: Vec<(String, Option<Bytes>)>,
}

/// What one fetch found in one partition.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) records: Vec<FetchedRecord>,
    /// Where the next fetch begins; past the records when others follow that nobody sees, as transaction markers do.
    pub(crate) next_offset: i64,
    /// The end of what this reader can see: of committed records the last stable offset, otherwise the high watermark.
    pub(crate) end_offset: i64,
}

/// Which records a reader sees (KIP-98).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All of them.
    #[default]
    ReadUncommitted,
    /// Those of no transaction, and of transactions that were committed; nothing behind the first open one.
    ReadCommitted,
}

/// A partition and what became of it.
pub(crate) type Answer = (TopicPartition, Result<Fetched, ClientError>);

/// What to read: a partition, what is known of its topic, and the offset to begin at.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) topic: Arc<TopicMetadata>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Wanted {
    pub(crate) fn place(&self) -> TopicPartition {
        TopicPartition::new(Arc::clone(&self.topic.name), self.partition)
    }
}

/// Reads partitions from the broker that leads them. The broker answers when there is something, or after `wait`.
///
/// # Errors
/// When the whole request failed; a partition's own error is in its place.
pub(crate) async fn fetch(
    cluster: &Cluster,
    leader: i32,
    wanted: &[Wanted],
    isolation: Isolation,
    wait: Duration,
) -> Result<Vec<Answer>, ClientError> {
    let connection = cluster.broker_on(leader, Lane::Fetch).await?;
    let has_ids = wanted.iter().all(|wanted| !wanted.topic.id.is_zero());
    let version = connection.version_up_to::<FetchRequest>(if has_ids { i16::MAX } else { LAST_NAME_VERSION })?;
    if isolation == Isolation::ReadCommitted && version < FIRST_ISOLATION_VERSION {
        return Err(ClientError::Unsupported { address: connection.address().into(), api: "Fetch v4" });
    }
    let answer = connection.send_parked(&request(wanted, isolation, wait), version, wait).await?;
    ClientError::check("fetch", answer.error_code, None)?;
    let mut found = Vec::with_capacity(wanted.len());
    for topic in answer.responses {
        for data in topic.partitions {
            let is_asked = |wanted: &&Wanted| {
                let name_or_id = if version > LAST_NAME_VERSION {
                    wanted.topic.id == topic.topic_id
                } else {
                    *wanted.topic.name == *topic.topic
                };
                name_or_id && wanted.partition == data.partition_index
            };
            if let Some(wanted) = wanted.iter().find(is_asked) {
                found.push((wanted.place(), unpack(wanted, isolation, data)));
            }
        }
    }
    Ok(found)
}

fn request(wanted: &[Wanted], isolation: Isolation, wait: Duration) -> FetchRequest {
    let mut topics: BTreeMap<&str, FetchTopic> = BTreeMap::new();
    for Wanted { topic, partition, offset } in wanted {
        let entry = topics.entry(&topic.name).or_insert_with(|| FetchTopic {
            topic: topic.name.clone(),
            topic_id: topic.id,
            partitions: Vec::new(),
        });
        entry.partitions.push(FetchPartition {
            partition: *partition,
            fetch_offset: *offset,
            partition_max_bytes: PARTITION_MAX_BYTES,
            ..Default::default()
        });
    }
    FetchRequest {
        max_wait_ms: i32::try_from(wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: 1,
        isolation_level: i8::from(isolation == Isolation::ReadCommitted),
        max_bytes: FETCH_MAX_BYTES,
        topics: topics.into_values().collect(),
        ..Default::default()
    }
}

fn unpack(wanted: &Wanted, isolation: Isolation, data: PartitionData) -> Result<Fetched, ClientError> {
    let place = wanted.place();
    ClientError::check(place.to_string(), data.error_code, None)?;
    let bytes = data.records.map(|records| records.into_bytes()).unwrap_or_default();
    let (end_offset, aborted) = match isolation {
        Isolation::ReadUncommitted => (data.high_watermark, Vec::new()),
        Isolation::ReadCommitted => (data.last_stable_offset, data.aborted_transactions.unwrap_or_default()),
    };
    let mut aborted = Aborted::new(aborted);
    let mut fetched = Fetched { records: Vec::new(), next_offset: wanted.offset, end_offset };
    let corrupt = |error: BatchError| ClientError::Corrupt {
        what: format!("{place} at offset {}", wanted.offset),
        reason: error.to_string(),
    };
    for batch in batches(&bytes) {
        let batch = match batch {
            Ok(batch) => batch,
            // A broker may cut the last batch short; what was cut comes again, unless it is all there is.
            Err(BatchError::Truncated { .. }) if fetched.next_offset > wanted.offset => break,
            Err(error) => return Err(corrupt(error)),
        };
        if !aborted.hides(&batch) && !batch.is_control() {
            for record in batch.records(BATCH_MAX_BYTES).map_err(corrupt)?.iter() {
                let record = record.map_err(corrupt)?;
                // A batch is delivered whole, also when the wanted offset is in its middle.
                if record.offset < fetched.next_offset {
                    continue;
                }
                let header = |header: protocol::records::Header<'_>| {
                    (String::from_utf8_lossy(header.key).into_owned(), header.value.map(Bytes::copy_from_slice))
                };
                fetched.records.push(FetchedRecord {
                    topic: Arc::clone(&place.topic),
                    partition: place.partition,
                    offset: record.offset,
                    timestamp_ms: record.timestamp,
                    timestamp_type: batch.timestamp_type(),
                    key: record.key.map(Bytes::copy_from_slice),
                    value: record.value.map(Bytes::copy_from_slice),
                    headers: record.headers.iter().map(header).collect(),
                });
            }
        }
        fetched.next_offset = fetched.next_offset.max(batch.next_offset());
    }
    Ok(fetched)
}

/// The transactions that came to nothing, as a reader meets them.
struct Aborted {
    /// Those that begin further on, the next one last.
    ahead: Vec<AbortedTransaction>,
    /// Producers whose batches, up to a marker, belong to one.
    open: BTreeSet<i64>,
}

impl Aborted {
    fn new(mut aborted: Vec<AbortedTransaction>) -> Aborted {
        aborted.sort_by_key(|transaction| Reverse(transaction.first_offset));
        Aborted { ahead: aborted, open: BTreeSet::new() }
    }

    /// Whether nobody may see the batch. To be asked of each, in the order of the log.
    fn hides(&mut self, batch: &Batch<'_>) -> bool {
        while let Some(begun) = self.ahead.pop_if(|transaction| transaction.first_offset <= batch.last_offset()) {
            self.open.insert(begun.producer_id);
        }
        if !batch.is_transactional() {
            return false;
        }
        // A marker ends the producer's transaction, whichever way: what comes next belongs to another one.
        match batch.is_control() {
            true => self.open.remove(&batch.producer_id()),
            false => self.open.contains(&batch.producer_id()),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::ErrorCode;
    use protocol::records::{BatchBuilder, EndTxnMarker, MarkerPosition, control_batch};
    use protocol::wire::Records;

    use super::*;

    fn wanted(offset: i64) -> Wanted {
        let topic =
            TopicMetadata { name: "t".into(), id: protocol::Uuid::ZERO, is_internal: false, partitions: vec![] };
        Wanted { topic: Arc::new(topic), partition: 0, offset }
    }

    fn data(bytes: Vec<u8>) -> PartitionData {
        PartitionData { records: Some(Records::from(Bytes::from(bytes))), high_watermark: 9, ..Default::default() }
    }

    fn batch(base: i64, values: &[&str]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(base);
        values.iter().for_each(|value| builder.append(7, None, Some(value.as_bytes()), &[]));
        builder.build().to_vec()
    }

    #[test]
    fn begins_in_the_middle_of_a_batch_and_leaves_a_cut_tail() {
        let mut bytes = batch(3, &["a", "b", "c"]);
        let second = batch(6, &["d"]);
        bytes.extend_from_slice(&second[..second.len() - 1]);
        let fetched = unpack(&wanted(4), Isolation::ReadUncommitted, data(bytes)).unwrap();
        let offsets: Vec<i64> = fetched.records.iter().map(|record| record.offset).collect();
        assert_eq!((offsets, fetched.next_offset, fetched.end_offset), (vec![4, 5], 6, 9));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_the_place() {
        let mut bytes = batch(0, &["a"]);
        bytes.truncate(bytes.len() - 1);
        let error = unpack(&wanted(0), Isolation::ReadUncommitted, data(bytes)).unwrap_err();
        assert!(matches!(error, ClientError::Corrupt { ref what, .. } if what == "t-0 at offset 0"), "{error}");
        let refused = PartitionData { error_code: ErrorCode::OFFSET_OUT_OF_RANGE, ..Default::default() };
        let refused = unpack(&wanted(0), Isolation::ReadUncommitted, refused).unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::OFFSET_OUT_OF_RANGE));
    }

    /// A batch of one record in a transaction.
    fn of_producer(base: i64, producer_id: i64, value: &str) -> Vec<u8> {
        let mut builder = BatchBuilder::new(base).producer(producer_id, 0, 0).transactional();
        builder.append(7, None, Some(value.as_bytes()), &[]);
        builder.build().to_vec()
    }

    fn marker(offset: i64, producer_id: i64, committed: bool) -> Vec<u8> {
        let marker = EndTxnMarker { committed, coordinator_epoch: 0 };
        control_batch(marker, producer_id, 0, MarkerPosition { offset, leader_epoch: 0, timestamp: 7 }).to_vec()
    }

    #[test]
    fn who_reads_committed_records_sees_no_aborted_ones() {
        let log = [
            of_producer(0, 1, "aborted"),
            of_producer(1, 2, "committed"),
            batch(2, &["of no transaction"]),
            marker(3, 1, false),
            of_producer(4, 1, "the next transaction"),
            marker(5, 2, true),
            marker(6, 1, true),
            of_producer(7, 2, "aborted too"),
            marker(8, 2, false),
        ];
        let transaction = |producer_id, first_offset| AbortedTransaction { producer_id, first_offset };
        let read = |isolation, from: usize| {
            let answer = PartitionData {
                last_stable_offset: 9,
                high_watermark: 12,
                // A broker may list them in any order.
                aborted_transactions: Some(vec![transaction(2, 7), transaction(1, 0)]),
                ..data(log[from..].concat())
            };
            let fetched = unpack(&wanted(from as i64), isolation, answer).unwrap();
            let text = |record: &FetchedRecord| String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap();
            let values: Vec<String> = fetched.records.iter().map(text).collect();
            (values.join("; "), fetched.next_offset, fetched.end_offset)
        };
        let visible = "committed; of no transaction; the next transaction";
        assert_eq!(read(Isolation::ReadCommitted, 0), (visible.into(), 9, 9));
        // From the middle of a transaction that is aborted later, and behind its end.
        assert_eq!(read(Isolation::ReadCommitted, 7), (String::new(), 9, 9));
        assert_eq!(read(Isolation::ReadCommitted, 8), (String::new(), 9, 9), "the position moves past a marker");
        let all = "aborted; committed; of no transaction; the next transaction; aborted too";
        assert_eq!(read(Isolation::ReadUncommitted, 0), (all.into(), 9, 12));
    }
}
