//! Making batches from records.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::attributes::{CONTROL, DELETE_HORIZON, LOG_APPEND_TIME, TRANSACTIONAL};
use super::batch::MAGIC_V2;
use super::patch::renew_crc;
use super::varint::{put, size_of};
use super::{Batch, Codec, HEADER_LEN, Header, LOG_OVERHEAD, Record, TimestampType, compress};

const NO_TIMESTAMP: i64 = -1;

/// Collects records and writes them as one batch, byte for byte as the Java classes would.
///
/// Everything but the records is said first, each setting by a method that returns the builder.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    base_offset: i64,
    leader_epoch: i32,
    codec: Codec,
    level: Option<i32>,
    attributes: i16,
    append_timestamp: Option<i64>,
    delete_horizon_ms: Option<i64>,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    /// The least that the header's last offset delta shall be.
    reach: i64,
    /// Of the records so far, or what the batch says as long as it is empty.
    max_timestamp: i64,
    first_timestamp: Option<i64>,
    /// Relative to the base offset.
    next_offset_delta: i64,
    record_count: i32,
    /// Room for the header, then the records uncompressed.
    buffer: BytesMut,
}

impl BatchBuilder {
    /// A batch of user records without a producer id, uncompressed, with the producer's timestamps.
    pub fn new(base_offset: i64) -> BatchBuilder {
        BatchBuilder {
            base_offset,
            leader_epoch: -1,
            codec: Codec::None,
            level: None,
            attributes: 0,
            append_timestamp: None,
            delete_horizon_ms: None,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            reach: -1,
            max_timestamp: NO_TIMESTAMP,
            first_timestamp: None,
            next_offset_delta: 0,
            record_count: 0,
            buffer: BytesMut::zeroed(HEADER_LEN),
        }
    }

    /// A batch that takes the place of `original` with fewer records, for compaction.
    ///
    /// It covers the same offsets and says the same about producer, transaction, codec, leader epoch and delete
    /// horizon. Without any record left it is a header alone, which still carries the producer's last sequence number.
    pub fn like(original: &Batch<'_>) -> BatchBuilder {
        BatchBuilder {
            leader_epoch: original.partition_leader_epoch(),
            codec: original.codec(),
            attributes: original.attributes() & (TRANSACTIONAL | CONTROL),
            append_timestamp: (original.timestamp_type() == TimestampType::LogAppendTime)
                .then(|| original.max_timestamp()),
            delete_horizon_ms: original.delete_horizon_ms(),
            producer_id: original.producer_id(),
            producer_epoch: original.producer_epoch(),
            base_sequence: original.base_sequence(),
            reach: i64::from(original.last_offset_delta()),
            max_timestamp: original.max_timestamp(),
            ..BatchBuilder::new(original.base_offset())
        }
    }

    /// Compresses the records, at a level of `compression.<codec>.level` or else the codec's default.
    pub fn codec(mut self, codec: Codec, level: Option<i32>) -> BatchBuilder {
        (self.codec, self.level) = (codec, level);
        self
    }

    /// Gives all records the time in ms at which the batch is appended.
    pub fn log_append_time(mut self, now_ms: i64) -> BatchBuilder {
        self.append_timestamp = Some(now_ms);
        self
    }

    /// Names the idempotent producer. The base sequence is -1 in markers.
    pub fn producer(mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> BatchBuilder {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (producer_id, producer_epoch, base_sequence);
        self
    }

    /// Makes the batch part of its producer's transaction.
    pub fn transactional(mut self) -> BatchBuilder {
        self.attributes |= TRANSACTIONAL;
        self
    }

    /// Marks the batch as a broker's own, not for users.
    pub fn control(mut self) -> BatchBuilder {
        self.attributes |= CONTROL;
        self
    }

    /// Says under which leader the batch is appended; -1, the default, when that is not known yet.
    pub fn leader_epoch(mut self, leader_epoch: i32) -> BatchBuilder {
        self.leader_epoch = leader_epoch;
        self
    }

    /// Says from when, in ms, compaction may drop the tombstones in the batch (KIP-534).
    pub fn delete_horizon(mut self, delete_horizon_ms: i64) -> BatchBuilder {
        self.delete_horizon_ms = Some(delete_horizon_ms);
        self
    }

    /// Makes the batch reach to `last_offset`, less than 2^31 after the base offset, should its last record stand
    /// before that.
    pub fn last_offset(mut self, last_offset: i64) -> BatchBuilder {
        self.reach = last_offset.saturating_sub(self.base_offset);
        self
    }

    /// Adds a record at the next offset. Its timestamp is in ms, or -1 for none.
    pub fn append(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) {
        let header_bytes = headers.iter().map(|header| sized(Some(header.key)) + sized(header.value)).sum();
        let offset_delta = self.next_offset_delta;
        self.begin(Shape { timestamp, offset_delta, key, value, header_count: headers.len(), header_bytes });
        for header in headers {
            put_sized(&mut self.buffer, Some(header.key));
            put_sized(&mut self.buffer, header.value);
        }
    }

    /// Adds a record that was read from a batch, at the offset it has.
    ///
    /// # Errors
    /// When that is not after the offset of the record before, or too far from the base offset. The builder is as it
    /// was.
    pub fn append_record(&mut self, record: &Record<'_>) -> Result<(), OffsetOutOfOrder> {
        let in_order = self.next_offset_delta..=i64::from(i32::MAX);
        let offset_delta = record.offset.checked_sub(self.base_offset).filter(|delta| in_order.contains(delta));
        let Some(offset_delta) = offset_delta else {
            let expected = self.base_offset.saturating_add(self.next_offset_delta);
            return Err(OffsetOutOfOrder { offset: record.offset, expected });
        };
        self.begin(Shape {
            timestamp: record.timestamp,
            offset_delta,
            key: record.key,
            value: record.value,
            header_count: record.headers.count,
            header_bytes: record.headers.bytes.len(),
        });
        self.buffer.extend_from_slice(record.headers.bytes);
        Ok(())
    }

    /// Writes all of a record but the headers themselves.
    fn begin(&mut self, record: Shape<'_>) {
        let base_timestamp = self.base_timestamp(record.timestamp);
        let timestamp_delta = record.timestamp.wrapping_sub(base_timestamp);
        let length = 1
            + size_of(timestamp_delta)
            + size_of(record.offset_delta)
            + sized(record.key)
            + sized(record.value)
            + size_of(record.header_count as i64)
            + record.header_bytes;
        self.buffer.reserve(size_of(length as i64) + length);
        put(&mut self.buffer, length as i64);
        self.buffer.put_u8(0);
        put(&mut self.buffer, timestamp_delta);
        put(&mut self.buffer, record.offset_delta);
        put_sized(&mut self.buffer, record.key);
        put_sized(&mut self.buffer, record.value);
        put(&mut self.buffer, record.header_count as i64);

        self.max_timestamp = match self.record_count {
            0 => record.timestamp.max(NO_TIMESTAMP),
            _ => record.timestamp.max(self.max_timestamp),
        };
        self.first_timestamp.get_or_insert(record.timestamp);
        self.next_offset_delta = record.offset_delta + 1;
        self.record_count += 1;
    }

    /// What timestamps count from: the delete horizon takes the place of the first one.
    fn base_timestamp(&self, otherwise: i64) -> i64 {
        self.delete_horizon_ms.or(self.first_timestamp).unwrap_or(otherwise)
    }

    /// How many records have been added.
    pub fn record_count(&self) -> usize {
        self.record_count as usize
    }

    /// Whether no record has been added.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// The size of the batch so far in bytes, header included, before compression.
    pub fn size_estimate(&self) -> usize {
        self.buffer.len()
    }

    /// Writes the batch. One without records is a header alone, neither compressed nor with a delete horizon.
    ///
    /// # Panics
    /// When the records take 2 GiB or more, or reach 2^31 offsets or more, which the header cannot say.
    pub fn build(mut self) -> BytesMut {
        if self.is_empty() {
            (self.codec, self.delete_horizon_ms) = (Codec::None, None);
        }
        let base_timestamp = self.base_timestamp(NO_TIMESTAMP);
        let last_offset_delta = i32::try_from(self.reach.max(self.next_offset_delta - 1));
        let attributes = self.attributes
            | i16::from(self.codec.id())
            | self.append_timestamp.map_or(0, |_| LOG_APPEND_TIME)
            | self.delete_horizon_ms.map_or(0, |_| DELETE_HORIZON);

        let mut batch = self.buffer;
        if self.codec != Codec::None {
            let compressed = compress(self.codec, self.level, &batch[HEADER_LEN..]);
            batch.truncate(HEADER_LEN);
            batch.extend_from_slice(&compressed);
        }
        let length = i32::try_from(batch.len() - LOG_OVERHEAD).expect("a batch is smaller than 2 GiB");
        let mut header = &mut batch[..HEADER_LEN];
        header.put_i64(self.base_offset);
        header.put_i32(length);
        header.put_i32(self.leader_epoch);
        header.put_i8(MAGIC_V2);
        header.put_u32(0);
        header.put_i16(attributes);
        header.put_i32(last_offset_delta.expect("a batch reaches less than 2^31 offsets"));
        header.put_i64(base_timestamp);
        header.put_i64(self.append_timestamp.unwrap_or(self.max_timestamp));
        header.put_i64(self.producer_id);
        header.put_i16(self.producer_epoch);
        header.put_i32(self.base_sequence);
        header.put_i32(self.record_count);
        renew_crc(&mut batch);
        batch
    }
}

/// One record, as far as it is written before its headers.
struct Shape<'a> {
    timestamp: i64,
    offset_delta: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    header_count: usize,
    header_bytes: usize,
}

/// How many bytes [`put_sized`] writes.
fn sized(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| size_of(bytes.len() as i64) + bytes.len())
}

/// Writes a length and the bytes, or -1 for null.
fn put_sized(out: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        None => put(out, -1),
        Some(bytes) => {
            put(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}

/// A record's offset is not one that can come next in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetOutOfOrder {
    /// The record's offset.
    pub offset: i64,
    /// The smallest offset that could have come next.
    pub expected: i64,
}

impl fmt::Display for OffsetOutOfOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a record with offset {} cannot stand in a batch where {} is next", self.offset, self.expected)
    }
}

impl std::error::Error for OffsetOutOfOrder {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_may_skip_but_not_go_back() {
        let mut source = BatchBuilder::new(100);
        (0..5).for_each(|i| source.append(i, None, Some(b"v"), &[]));
        let source = source.build();
        let records = Batch::parse(&source).unwrap().records(1000).unwrap();
        let records: Vec<Record<'_>> = records.iter().map(|record| record.unwrap()).collect();

        let mut builder = BatchBuilder::new(98).last_offset(110);
        builder.append_record(&records[1]).unwrap();
        let refused = Err(OffsetOutOfOrder { offset: 101, expected: 102 });
        assert_eq!(builder.append_record(&records[1]), refused);
        builder.append_record(&records[4]).unwrap();
        builder.append(9, None, None, &[]);
        let bytes = builder.build();
        let batch = Batch::parse(&bytes).unwrap();
        assert_eq!((batch.base_offset(), batch.last_offset(), batch.record_count()), (98, 110, 3));
        let set = batch.records(1000).unwrap();
        let offsets: Vec<i64> = set.iter().map(|record| record.unwrap().offset).collect();
        assert_eq!(offsets, [101, 104, 105]);

        let far = BatchBuilder::new(i64::MIN).append_record(&records[0]);
        assert_eq!(far, Err(OffsetOutOfOrder { offset: 100, expected: i64::MIN }));
        let before = BatchBuilder::new(101).append_record(&records[0]);
        assert_eq!(before, Err(OffsetOutOfOrder { offset: 100, expected: 101 }));
    }

    #[test]
    fn a_batch_without_records_is_a_header() {
        let bytes = BatchBuilder::new(7).codec(Codec::Gzip, None).delete_horizon(5).last_offset(9).build();
        let batch = Batch::parse(&bytes).unwrap();
        assert_eq!(batch.size_bytes(), HEADER_LEN);
        assert!(batch.is_crc_valid() && !batch.has_delete_horizon());
        assert_eq!((batch.codec(), batch.record_count(), batch.last_offset()), (Codec::None, 0, 9));
        assert_eq!(batch.records(0).unwrap().iter().count(), 0);
    }

    #[test]
    fn extreme_timestamps_come_back() {
        let timestamps = [i64::MAX, i64::MIN, 0, -1, i64::MIN, i64::MAX];
        let mut builder = BatchBuilder::new(0);
        timestamps.into_iter().for_each(|timestamp| builder.append(timestamp, None, None, &[]));
        let bytes = builder.build();
        let batch = Batch::parse(&bytes).unwrap();
        let set = batch.records(1000).unwrap();
        let found: Vec<i64> = set.iter().map(|record| record.unwrap().timestamp).collect();
        assert_eq!((found.as_slice(), batch.max_timestamp()), (&timestamps[..], i64::MAX));
    }
}
