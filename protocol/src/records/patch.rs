//! Rewriting header fields in place: those that belong to the broker, and the sequence number of a producer that sends the
//! same batch over and over.
//!
//! Each function takes bytes that [`Batch::parse`](super::Batch::parse) has accepted, and changes their first batch;
//! bytes after it are left alone. Handing in fewer bytes is a mistake in the caller, and panics.

use super::attributes::LOG_APPEND_TIME;
use super::batch::{ATTRIBUTES, BASE_OFFSET, BASE_SEQUENCE, BATCH_LENGTH, CRC, MAX_TIMESTAMP, PARTITION_LEADER_EPOCH};
use super::{HEADER_LEN, LOG_OVERHEAD};

/// Gives the batch its place in the log. The checksum does not cover it.
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) {
    write(batch, BASE_OFFSET, base_offset.to_be_bytes());
}

/// Says under which leader the batch was appended. The checksum does not cover it.
pub fn set_partition_leader_epoch(batch: &mut [u8], leader_epoch: i32) {
    write(batch, PARTITION_LEADER_EPOCH, leader_epoch.to_be_bytes());
}

/// Makes `now_ms` the timestamp of every record, and renews the checksum.
///
/// The base timestamp and the deltas stay as the producer wrote them: readers that see LogAppendTime take the largest
/// timestamp for all records.
pub fn set_log_append_time(batch: &mut [u8], now_ms: i64) {
    let attributes = i16::from_be_bytes([batch[ATTRIBUTES], batch[ATTRIBUTES + 1]]);
    write(batch, ATTRIBUTES, (attributes | LOG_APPEND_TIME).to_be_bytes());
    write(batch, MAX_TIMESTAMP, now_ms.to_be_bytes());
    renew_crc(batch);
}

/// Corrects the largest timestamp in ms that a producer claimed, and renews the checksum.
pub fn set_max_timestamp(batch: &mut [u8], max_timestamp: i64) {
    write(batch, MAX_TIMESTAMP, max_timestamp.to_be_bytes());
    renew_crc(batch);
}

/// Gives the first record its sequence number. [`renew_crc`] has to follow.
pub fn set_base_sequence(batch: &mut [u8], base_sequence: i32) {
    write(batch, BASE_SEQUENCE, base_sequence.to_be_bytes());
}

/// Writes the checksum of everything after it.
pub fn renew_crc(batch: &mut [u8]) {
    let length: [u8; 4] = *batch[BATCH_LENGTH..].first_chunk().expect("a whole header");
    let end = i32::from_be_bytes(length) as usize + LOG_OVERHEAD;
    let crc = crc32c::crc32c(&batch[ATTRIBUTES..end]);
    write(batch, CRC, crc.to_be_bytes());
}

pub(super) fn write<const N: usize>(batch: &mut [u8], at: usize, value: [u8; N]) {
    assert!(batch.len() >= HEADER_LEN, "only a whole batch can be patched");
    batch[at..at + N].copy_from_slice(&value);
}
