//! From what a log stores to what an old consumer can read.

use std::fmt;

use super::super::compression::lz4_with_old_checksum;
use super::super::{Batch, BatchError, Codec, CodecError, Record, TimestampType, batches, compress};
use super::message::Fields;
use super::{LOG_APPEND_TIME, MessageFormat, NO_TIMESTAMP};

/// What to make of batches, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct DownConversion {
    /// What the consumer reads.
    pub format: MessageFormat,
    /// Where it reads from. Single messages before that are left out, because some consumers count on it; a wrapper is
    /// whole, and consumers skip in it.
    pub first_offset: i64,
    /// Bytes that the set may have in all.
    pub max_bytes: usize,
    /// Whether the first message may be larger than that.
    pub at_least_one: bool,
    /// Bytes that the records of one batch may take decompressed.
    pub max_uncompressed_bytes: usize,
}

/// How far a conversion came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownConverted {
    /// Records that were written.
    pub record_count: usize,
    /// The offset after the last batch that was looked at; none if there was none.
    pub next_offset: Option<i64>,
    /// Whether something was left out for want of room, or because it cannot be converted: nothing may follow.
    pub is_full: bool,
}

/// Appends to `set` what an old consumer is given for `batches`, one after the other: whole messages, each wrapper of
/// the codec of its batch. Headers, producers and transactions are forgotten, control batches left out; data of
/// transactions is there whether they were committed or not, as those consumers know of none.
///
/// # Errors
/// When the very first thing to write cannot be converted. What cannot be after something was written ends the set, so
/// that the consumer comes back and is told.
pub fn down_convert(bytes: &[u8], conversion: &DownConversion, set: &mut Vec<u8>) -> Result<DownConverted, DownError> {
    let mut converted = DownConverted { record_count: 0, next_offset: None, is_full: false };
    for batch in batches(bytes) {
        let done = batch.map_err(DownError::Batch).and_then(|batch| {
            let count = convert_batch(&batch, conversion, set)?;
            Ok((batch.next_offset(), count))
        });
        match done {
            Ok((next_offset, Some(count))) => {
                converted.record_count += count;
                converted.next_offset = Some(next_offset);
            }
            Ok((_, None)) => converted.is_full = true,
            Err(_) if !set.is_empty() => converted.is_full = true,
            Err(error) => return Err(error),
        }
        if converted.is_full {
            break;
        }
    }
    Ok(converted)
}

/// How many records were written, or none when not all had room.
fn convert_batch(
    batch: &Batch<'_>,
    conversion: &DownConversion,
    set: &mut Vec<u8>,
) -> Result<Option<usize>, DownError> {
    if batch.is_control() {
        return Ok(Some(0));
    }
    match batch.codec() {
        Codec::None => convert_single(batch, conversion, set),
        Codec::Zstd => Err(DownError::Zstd),
        codec => convert_wrapped(batch, codec, conversion, set),
    }
}

/// A message for each record.
fn convert_single(
    batch: &Batch<'_>,
    conversion: &DownConversion,
    set: &mut Vec<u8>,
) -> Result<Option<usize>, DownError> {
    let attributes = attributes(batch, conversion.format);
    let mut count = 0;
    for record in &batch.records(conversion.max_uncompressed_bytes)? {
        let record = record?;
        if record.offset < conversion.first_offset {
            continue;
        }
        let message = fields(&record, record.offset, attributes);
        if !conversion.has_room(set, message.size_bytes(conversion.format)) {
            return Ok(None);
        }
        message.write(conversion.format, set);
        count += 1;
    }
    Ok(Some(count))
}

/// A wrapper with all records inside.
fn convert_wrapped(
    batch: &Batch<'_>,
    codec: Codec,
    conversion: &DownConversion,
    set: &mut Vec<u8>,
) -> Result<Option<usize>, DownError> {
    // Not worth looking into when only one byte would be left.
    if !conversion.has_room(set, 1) {
        return Ok(None);
    }
    let attributes = attributes(batch, conversion.format);
    let records = batch.records(conversion.max_uncompressed_bytes)?;
    let mut inner = Vec::with_capacity(records.uncompressed_bytes());
    let mut offsets: Option<(i64, i64)> = None;
    let (mut count, mut max_timestamp) = (0, NO_TIMESTAMP);
    for record in &records {
        let record = record?;
        let first = offsets.map_or(record.offset, |(first, _)| first);
        offsets = Some((first, record.offset));
        let offset = match conversion.format {
            MessageFormat::V0 => record.offset,
            MessageFormat::V1 => record.offset.saturating_sub(first),
        };
        let message = fields(&record, offset, attributes);
        // Old messages are larger than records, small ones several times.
        let max_bytes = conversion.max_uncompressed_bytes;
        if inner.len() + message.size_bytes(conversion.format) > max_bytes {
            return Err(BatchError::Compression(CodecError::TooLarge { max_bytes }).into());
        }
        message.write(conversion.format, &mut inner);
        max_timestamp = max_timestamp.max(record.timestamp);
        count += 1;
    }
    let Some((_, last_offset)) = offsets else { return Ok(Some(0)) };
    let value = match (codec, conversion.format) {
        (Codec::Lz4, MessageFormat::V0) => lz4_with_old_checksum(&inner),
        _ => compress(codec, None, &inner),
    };
    let wrapper = Fields {
        offset: last_offset,
        attributes: attributes | codec.id(),
        timestamp: max_timestamp,
        key: None,
        value: Some(&value),
    };
    if !conversion.has_room(set, wrapper.size_bytes(conversion.format)) {
        return Ok(None);
    }
    wrapper.write(conversion.format, set);
    Ok(Some(count))
}

impl DownConversion {
    fn has_room(&self, set: &[u8], size_bytes: usize) -> bool {
        (set.is_empty() && self.at_least_one) || set.len().saturating_add(size_bytes) <= self.max_bytes
    }
}

fn fields<'r>(record: &Record<'r>, offset: i64, attributes: u8) -> Fields<'r> {
    Fields { offset, attributes, timestamp: record.timestamp, key: record.key, value: record.value }
}

fn attributes(batch: &Batch<'_>, format: MessageFormat) -> u8 {
    match (format, batch.timestamp_type()) {
        (MessageFormat::V1, TimestampType::LogAppendTime) => LOG_APPEND_TIME,
        _ => 0,
    }
}

/// Why nothing can be given to an old consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownError {
    /// The batch is compressed with zstd, which no old consumer knows.
    Zstd,
    /// The batch is not what it claims to be, or takes too much memory.
    Batch(BatchError),
}

impl From<BatchError> for DownError {
    fn from(error: BatchError) -> DownError {
        DownError::Batch(error)
    }
}

impl fmt::Display for DownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DownError::Zstd => write!(f, "the batch is compressed with zstd, which old consumers do not know"),
            DownError::Batch(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DownError {}
