//! What a client may append: the checks that Kafka makes before a batch gets its offsets.

use bytes::{Bytes, BytesMut};
use protocol::records::{Batch, BatchBuilder, Codec, TimestampType, patch, validate_records};

use crate::config::LogConfig;
use crate::error::AppendError;

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A producer: everything is checked.
    Client,
    /// A coordinator of this broker, whose batches are right by construction and may be control batches.
    Coordinator,
}

/// What one batch may unpack to while it is checked or compressed again, bytes.
const UNCOMPRESSED_MAX_BYTES: usize = 128 << 20;

/// Checks a batch and makes it what the topic stores; offsets are not given yet.
pub(crate) fn prepare(
    bytes: Bytes,
    config: &LogConfig,
    origin: AppendOrigin,
    now_ms: i64,
) -> Result<BytesMut, AppendError> {
    let batch = Batch::parse(&bytes).map_err(|error| match error {
        protocol::records::BatchError::UnsupportedMagic(_) => invalid(error.to_string()),
        other => other.into(),
    })?;
    if batch.size_bytes() != bytes.len() {
        return Err(invalid("a produce request carries exactly one batch per partition".into()));
    }
    if origin == AppendOrigin::Coordinator {
        return Ok(own(bytes));
    }
    if bytes.len() > config.max_message_bytes {
        return Err(AppendError::TooLarge { size: bytes.len(), limit: config.max_message_bytes });
    }
    if !batch.is_crc_valid() {
        return Err(AppendError::Corrupt("its checksum does not match".into()));
    }
    check_header(&batch)?;
    let max_timestamp = check_records(&batch, config)?;
    let recompressed = recompress(&batch, config)?;
    check_timestamps(&batch, max_timestamp, config, now_ms)?;

    let log_append_time = config.timestamp_type == TimestampType::LogAppendTime;
    if let Some(mut recompressed) = recompressed {
        if log_append_time {
            patch::set_log_append_time(&mut recompressed, now_ms);
        }
        return Ok(recompressed);
    }
    let wrong_maximum = max_timestamp.filter(|max| *max != batch.max_timestamp());
    let mut owned = own(bytes);
    if log_append_time {
        patch::set_log_append_time(&mut owned, now_ms);
    } else if let Some(max_timestamp) = wrong_maximum {
        patch::set_max_timestamp(&mut owned, max_timestamp);
    }
    Ok(owned)
}

/// The bytes to write into: those that came if nobody else holds a part of them, else a copy. The tail cache keeps
/// what this answers, and with it the buffer that it lies in. What stands before it there is the caller's to bound, what
/// comes behind it is bounded here.
fn own(bytes: Bytes) -> BytesMut {
    match bytes.try_into_mut() {
        Ok(owned) if owned.capacity() <= 2 * owned.len() => owned,
        Ok(roomy) => BytesMut::from(&roomy[..]),
        Err(shared) => BytesMut::from(&shared[..]),
    }
}

fn invalid(reason: String) -> AppendError {
    AppendError::InvalidRecord { reason, records: Vec::new() }
}

fn check_header(batch: &Batch<'_>) -> Result<(), AppendError> {
    if batch.base_offset() != 0 {
        return Err(invalid(format!("the base offset of a producer's batch is 0, not {}", batch.base_offset())));
    }
    if batch.is_control() {
        return Err(invalid("only coordinators write control batches".into()));
    }
    if batch.record_count() <= 0 {
        return Err(invalid(format!("a batch has at least one record, not {}", batch.record_count())));
    }
    if batch.last_offset_delta() != batch.record_count() - 1 {
        let (delta, count) = (batch.last_offset_delta(), batch.record_count());
        return Err(invalid(format!("the last offset delta {delta} does not fit {count} records")));
    }
    if batch.has_producer_id() && batch.base_sequence() < 0 {
        return Err(invalid("a batch with a producer id has a sequence".into()));
    }
    if batch.timestamp_type() == TimestampType::LogAppendTime {
        return Err(AppendError::InvalidTimestamp("producers do not set the log append time".into()));
    }
    Ok(())
}

/// Walks the records where that is cheap (uncompressed) or needed (keys on a compacted topic), and answers the largest
/// timestamp if it looked. A producer's compressed data is otherwise not unpacked.
fn check_records(batch: &Batch<'_>, config: &LogConfig) -> Result<Option<i64>, AppendError> {
    if batch.codec() != Codec::None && !config.compact && new_codec(batch, config).is_none() {
        return Ok(None);
    }
    let summary = validate_records(batch, UNCOMPRESSED_MAX_BYTES)?;
    if config.compact && summary.null_key_count > 0 {
        return Err(AppendError::InvalidRecord {
            reason: "Compacted topic cannot accept message without key".into(),
            records: summary.null_key_indexes().to_vec(),
        });
    }
    Ok(Some(summary.max_timestamp))
}

fn check_timestamps(
    batch: &Batch<'_>,
    max_timestamp: Option<i64>,
    config: &LogConfig,
    now_ms: i64,
) -> Result<(), AppendError> {
    if config.timestamp_type == TimestampType::LogAppendTime {
        return Ok(());
    }
    let (oldest, newest) = (batch.base_timestamp(), max_timestamp.unwrap_or_else(|| batch.max_timestamp()));
    let is_over = |difference: i64, limit: Option<u64>| {
        limit.is_some_and(|limit| u64::try_from(difference).is_ok_and(|difference| difference > limit))
    };
    // A record without a timestamp has −1.
    let early = oldest >= 0 && is_over(now_ms.saturating_sub(oldest), config.timestamp_before_max_ms);
    let late = newest >= 0 && is_over(newest.saturating_sub(now_ms), config.timestamp_after_max_ms);
    if early || late {
        let key = if early { "message.timestamp.before.max.ms" } else { "message.timestamp.after.max.ms" };
        let reason = format!("timestamps {oldest} to {newest} are outside {key} around {now_ms}");
        return Err(AppendError::InvalidTimestamp(reason));
    }
    Ok(())
}

fn new_codec(batch: &Batch<'_>, config: &LogConfig) -> Option<(Codec, Option<i32>)> {
    config.compression.filter(|(codec, _)| *codec != batch.codec())
}

/// The batch in the topic's own codec, if that is not the producer's.
fn recompress(batch: &Batch<'_>, config: &LogConfig) -> Result<Option<BytesMut>, AppendError> {
    let Some((codec, level)) = new_codec(batch, config) else { return Ok(None) };
    let mut builder = BatchBuilder::like(batch).codec(codec, level);
    let records = batch.records(UNCOMPRESSED_MAX_BYTES)?;
    for record in &records {
        builder.append_record(&record?).map_err(|_| invalid("offsets inside a batch ascend".into()))?;
    }
    Ok(Some(builder.build()))
}
