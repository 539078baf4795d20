//! What a transaction coordinator logs: the records of `__transaction_state`, in Kafka's own format.

use bytes::Bytes;
use protocol::internal::{self, PartitionsSchema, TransactionLogKey, TransactionLogValue};

use super::TransactionVersion;
use super::metadata::{NO_PRODUCER_EPOCH, Partitions, TransactionMetadata, TransactionState};

/// In front of a key; it says what kind of record it is.
const KEY_VERSION: i16 = 0;

/// One record of `__transaction_state`. Each stands for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRecord {
    /// The id.
    pub transactional_id: String,
    /// What is known of it, or (no value) its tombstone.
    pub value: Option<TransactionMetadata>,
}

/// A record that this version cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRecord;

impl TransactionRecord {
    /// Key and value; no value is a tombstone. `version` is the finalized level of `transaction.version`.
    pub fn encode(&self, version: TransactionVersion) -> (Bytes, Option<Bytes>) {
        let key = TransactionLogKey { transactional_id: self.transactional_id.clone() };
        let value = self.value.as_ref().map(|value| internal::encode(&write(value), version.log_value_version()));
        (internal::encode(&key, KEY_VERSION), value)
    }

    /// Reads key and value.
    ///
    /// # Errors
    /// [`UnknownRecord`] for kinds and states of other releases, and for broken bytes.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<TransactionRecord, UnknownRecord> {
        let key: TransactionLogKey = read(key)?;
        let value = value.map(|value| read(value).and_then(metadata)).transpose()?;
        Ok(TransactionRecord { transactional_id: key.transactional_id, value })
    }

    /// How large the record gets, at most: to know before it is logged whether the log will take it.
    pub fn size_bytes(&self) -> usize {
        self.transactional_id.len() + self.value.as_ref().map_or(0, |value| partitions_bytes(&value.partitions)) + FIXED
    }
}

/// What the fixed fields of a record and its framing take, at most, bytes.
const FIXED: usize = 192;

fn partitions_bytes(partitions: &Partitions) -> usize {
    partitions.iter().map(|(topic, indexes)| topic.len() + 4 * indexes.len() + 16).sum()
}

fn read<V: internal::Versioned>(bytes: &[u8]) -> Result<V, UnknownRecord> {
    internal::decode(Bytes::copy_from_slice(bytes)).map_err(|_| UnknownRecord)
}

fn write(value: &TransactionMetadata) -> TransactionLogValue {
    let of_topic = |(topic, indexes): (&String, &std::collections::BTreeSet<i32>)| PartitionsSchema {
        topic: topic.clone(),
        partition_ids: indexes.iter().copied().collect(),
    };
    let has_partitions = value.state != TransactionState::Empty;
    TransactionLogValue {
        producer_id: value.producer_id,
        previous_producer_id: value.previous_producer_id,
        next_producer_id: value.next_producer_id,
        producer_epoch: value.producer_epoch,
        transaction_timeout_ms: value.timeout_ms,
        transaction_status: value.state as i8,
        transaction_partitions: has_partitions.then(|| value.partitions.iter().map(of_topic).collect()),
        transaction_last_update_timestamp_ms: value.last_update_timestamp_ms,
        transaction_start_timestamp_ms: value.start_timestamp_ms,
        client_transaction_version: value.client_transaction_version.0,
        ..TransactionLogValue::default()
    }
}

fn metadata(value: TransactionLogValue) -> Result<TransactionMetadata, UnknownRecord> {
    let number = usize::try_from(value.transaction_status).map_err(|_| UnknownRecord)?;
    let state = *TransactionState::ALL.get(number).ok_or(UnknownRecord)?;
    if matches!(state, TransactionState::Dead | TransactionState::PrepareEpochFence) {
        // Nobody logs them. Whoever did left no way to go on.
        return Err(UnknownRecord);
    }
    let mut partitions = Partitions::new();
    for topic in value.transaction_partitions.unwrap_or_default() {
        if !topic.partition_ids.is_empty() {
            partitions.entry(topic.topic).or_default().extend(topic.partition_ids);
        }
    }
    Ok(TransactionMetadata {
        producer_id: value.producer_id,
        previous_producer_id: value.previous_producer_id,
        next_producer_id: value.next_producer_id,
        producer_epoch: value.producer_epoch,
        last_producer_epoch: NO_PRODUCER_EPOCH,
        timeout_ms: value.transaction_timeout_ms,
        state,
        client_transaction_version: TransactionVersion(value.client_transaction_version),
        partitions,
        start_timestamp_ms: value.transaction_start_timestamp_ms,
        last_update_timestamp_ms: value.transaction_last_update_timestamp_ms,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ongoing() -> TransactionMetadata {
        let partitions = Partitions::from([("t".to_owned(), BTreeSet::from([1, 2]))]);
        TransactionMetadata::new(5, 60_000, 9).with_partitions(&partitions, TransactionVersion::V2, 10)
    }

    fn record(value: Option<TransactionMetadata>) -> TransactionRecord {
        TransactionRecord { transactional_id: "id".into(), value }
    }

    fn read_again(record: &TransactionRecord, version: TransactionVersion) -> TransactionRecord {
        let (key, value) = record.encode(version);
        TransactionRecord::decode(&key, value.as_deref()).unwrap()
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let ended = ongoing().prepared(true, TransactionVersion::V2, 6, 11);
        for value in [None, Some(TransactionMetadata::new(5, 60_000, 9)), Some(ongoing()), Some(ended)] {
            let record = record(value);
            let mut read = read_again(&record, TransactionVersion::V2);
            if let (Some(read), Some(value)) = (&mut read.value, &record.value) {
                assert_eq!(read.last_producer_epoch, NO_PRODUCER_EPOCH, "not in the log");
                read.last_producer_epoch = value.last_producer_epoch;
            }
            assert_eq!(read, record);
        }
    }

    #[test]
    fn version_0_knows_one_producer_id() {
        let ended = ongoing().prepared(true, TransactionVersion::V2, 6, 11);
        let read = read_again(&record(Some(ended)), TransactionVersion::V0).value.unwrap();
        assert_eq!((read.producer_id, read.previous_producer_id, read.next_producer_id), (5, -1, -1));
        assert_eq!(read.client_transaction_version, TransactionVersion::V0);
    }

    #[test]
    fn the_bytes_are_kafkas() {
        let (key, value) = record(Some(TransactionMetadata::new(5, 60_000, 9))).encode(TransactionVersion::V0);
        assert_eq!(key[..], *b"\0\0\0\x02id");
        let empty = b"\0\0\0\0\0\0\0\0\0\x05\0\0\0\0\xea\x60\0\xff\xff\xff\xff\0\0\0\0\0\0\0\x09\xff\xff\xff\xff\xff\xff\xff\xff";
        assert_eq!(value.unwrap()[..], *empty);

        let (_, value) = record(Some(ongoing())).encode(TransactionVersion::V2);
        let fixed = b"\0\x01\0\0\0\0\0\0\0\x05\0\0\0\0\xea\x60\x01";
        let partitions = b"\x02\x02t\x03\0\0\0\x01\0\0\0\x02\0";
        let times = b"\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\x0a";
        let tags = b"\x02\x00\x08\0\0\0\0\0\0\0\x05\x02\x02\0\x02";
        assert_eq!(value.unwrap()[..], [&fixed[..], partitions, times, tags].concat());
    }

    #[test]
    fn records_of_other_releases_are_told_apart() {
        let (key, value) = record(Some(ongoing())).encode(TransactionVersion::V2);
        let value = value.unwrap();
        assert_eq!(TransactionRecord::decode(b"\0\x01\0\x02id", Some(&value)), Err(UnknownRecord));
        assert_eq!(TransactionRecord::decode(&key, Some(&value[..20])), Err(UnknownRecord), "cut short");
        for state in [6, 7, 8, 255] {
            let mut odd = value.to_vec();
            odd[16] = state;
            assert_eq!(TransactionRecord::decode(&key, Some(&odd)), Err(UnknownRecord), "state {state}");
        }
    }

    #[test]
    fn a_record_is_not_larger_than_was_said() {
        let partitions = (0..50).map(|topic| (format!("topic-{topic}"), (0..100).collect())).collect();
        let large = ongoing().with_partitions(&partitions, TransactionVersion::V2, 12);
        for version in [TransactionVersion::V0, TransactionVersion::V2] {
            let record = record(Some(large.clone()));
            let (key, value) = record.encode(version);
            let (size, said) = (key.len() + value.unwrap().len(), record.size_bytes());
            assert!(size <= said && said <= size + 2_000, "{size} bytes, said {said}");
        }
    }
}
