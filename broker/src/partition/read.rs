//! Reading from partitions.

use std::sync::Arc;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::records::{Codec, batches};
use storage::{AbortedTransaction, PartitionLog, ReadError};

use super::Partition;
use crate::clock::wall_ms;
use crate::error::read_code;
use crate::fetch_session::Wanted;
use crate::handlers::fetch::Found;

/// What one fetch may return in all.
#[derive(Clone, Copy)]
pub(crate) struct ReadLimits {
    pub(crate) total_bytes: usize,
    /// Whether the consumer's version knows zstd.
    pub(crate) allow_zstd: bool,
    /// Only what transactions have committed, and what is outside of them.
    pub(crate) read_committed: bool,
}

/// Whole batches of one partition, and where its log stands.
#[derive(Default)]
pub(crate) struct Slice {
    pub(crate) chunks: Vec<Bytes>,
    pub(crate) high_watermark: i64,
    pub(crate) last_stable_offset: i64,
    pub(crate) log_start_offset: i64,
    /// For readers of committed records: the transactions in the chunks that were aborted.
    pub(crate) aborted: Vec<AbortedTransaction>,
    /// Epoch and end offset up to which the reader's log agrees with ours, when it does not agree to its end.
    pub(crate) diverging: Option<(i32, i64)>,
}

impl Slice {
    /// Bytes of records.
    pub(crate) fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }
}

/// Reads each wanted partition in order, until the limit is reached. The first one that has records gives at least
/// one whole batch, however large (KIP-74).
pub(crate) async fn read_all_partitions(
    wanted: &[Wanted],
    partitions: Vec<Result<Arc<Partition>, ErrorCode>>,
    limits: ReadLimits,
) -> Vec<Found> {
    let hot = wanted.iter().zip(&partitions).all(|(wanted, partition)| {
        partition.as_ref().is_ok_and(|partition| partition.log.is_hot(wanted.fetch_offset)) || partition.is_err()
    });
    if hot {
        return read_in_order(wanted, partitions, limits);
    }
    // A page fault on cold data blocks its thread; the runtime's workers must not be that thread.
    let (owned, count) = (wanted.to_vec(), wanted.len());
    let read = tokio::task::spawn_blocking(move || read_in_order(&owned, partitions, limits)).await;
    read.unwrap_or_else(|_| (0..count).map(|_| failed(ErrorCode::KAFKA_STORAGE_ERROR)).collect())
}

fn read_in_order(
    wanted: &[Wanted],
    partitions: Vec<Result<Arc<Partition>, ErrorCode>>,
    limits: ReadLimits,
) -> Vec<Found> {
    let mut left = limits.total_bytes;
    let mut nothing_yet = true;
    let mut found = Vec::with_capacity(wanted.len());
    for (wanted, partition) in wanted.iter().zip(partitions) {
        let one = match partition {
            Ok(partition) => {
                let found = read_one(wanted, &partition, left, nothing_yet, limits);
                Found { partition: Some(partition), ..found }
            }
            Err(code) => failed(code),
        };
        let bytes = one.slice.len();
        nothing_yet &= bytes == 0;
        left = left.saturating_sub(bytes);
        found.push(one);
    }
    found
}

fn failed(error_code: ErrorCode) -> Found {
    let slice = Slice { high_watermark: -1, last_stable_offset: -1, log_start_offset: -1, ..Default::default() };
    Found { partition: None, error_code, slice }
}

fn read_one(wanted: &Wanted, partition: &Partition, left: usize, at_least_one: bool, limits: ReadLimits) -> Found {
    if let Err(code) = partition.check_leader_epoch(wanted.current_leader_epoch) {
        return failed(code);
    }
    let high_watermark = partition.high_watermark();
    let mut slice = Slice {
        high_watermark,
        last_stable_offset: partition.log.last_stable_offset(high_watermark),
        log_start_offset: partition.log_start_offset(),
        ..Default::default()
    };
    match diverging(wanted, partition) {
        Ok(None) => {}
        Ok(diverging) => {
            slice.diverging = diverging;
            return Found { partition: None, error_code: ErrorCode::NONE, slice };
        }
        Err(code) => return failed(code),
    }
    let max_bytes = usize::try_from(wanted.max_bytes).unwrap_or(0).min(left);
    let upper_bound = if limits.read_committed { slice.last_stable_offset } else { slice.high_watermark };
    // Those that do not know zstd need somebody to look for it, and the aborted transactions are looked up by the batches.
    let is_passed_on = limits.allow_zstd && !limits.read_committed;
    let read = if is_passed_on { PartitionLog::read_to_send } else { PartitionLog::read };
    match read(&partition.log, wanted.fetch_offset, max_bytes, upper_bound, at_least_one) {
        Ok(read) => slice.chunks = read.chunks,
        Err(ReadError::OutOfRange { .. }) => return failed(ErrorCode::OFFSET_OUT_OF_RANGE),
        Err(error) => return failed(read_code(partition, &error)),
    }
    if limits.read_committed {
        match aborted(partition, wanted.fetch_offset, &slice) {
            Ok(aborted) => slice.aborted = aborted,
            Err(ReadError::OutOfRange { .. }) => return failed(ErrorCode::OFFSET_OUT_OF_RANGE),
            Err(error) => return failed(read_code(partition, &error)),
        }
    }
    if !limits.allow_zstd && has_zstd(&slice.chunks) {
        return failed(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    }
    Found { partition: None, error_code: ErrorCode::NONE, slice }
}

/// The aborted transactions that have records in what is returned.
fn aborted(partition: &Partition, from: i64, slice: &Slice) -> Result<Vec<AbortedTransaction>, ReadError> {
    let last = slice.chunks.last().and_then(|chunk| batches(chunk).filter_map(Result::ok).last());
    match last {
        Some(last) => partition.log.aborted_transactions(from, last.next_offset().min(slice.last_stable_offset)),
        None => Ok(Vec::new()),
    }
}

/// Where the reader's log and ours part, by the epoch of the record it fetched last (KIP-595). There is no such place
/// when that epoch is one that never was.
fn diverging(wanted: &Wanted, partition: &Partition) -> Result<Option<(i32, i64)>, ErrorCode> {
    if wanted.last_fetched_epoch < 0 {
        return Ok(None);
    }
    let known = partition.end_offset_for_epoch(wanted.last_fetched_epoch);
    let (epoch, end_offset) = known.ok_or(ErrorCode::OFFSET_OUT_OF_RANGE)?;
    let agrees = epoch == wanted.last_fetched_epoch && end_offset >= wanted.fetch_offset;
    Ok((!agrees).then_some((epoch, end_offset)))
}

fn has_zstd(chunks: &[Bytes]) -> bool {
    chunks.iter().any(|chunk| batches(chunk).any(|batch| batch.is_ok_and(|batch| batch.codec() == Codec::Zstd)))
}

impl Partition {
    /// Reads from `offset` to the end of the log, at most `max_bytes` but at least one batch. For coordinators that
    /// load their state.
    ///
    /// # Errors
    /// The log's.
    pub(crate) async fn read_all(self: &Arc<Self>, offset: i64, max_bytes: usize) -> Result<Vec<Bytes>, ReadError> {
        let partition = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || {
            partition.log.read(offset, max_bytes, partition.log_end_offset(), true)
        });
        read.await.unwrap_or(Err(ReadError::Closed)).map(|read| read.chunks)
    }

    /// First offsets of segments that were last written at or before `timestamp`, newest first, at most `max_count`: what
    /// consumers before Kafka 0.10.1 ask for. −1 is the log end, −2 the log start.
    pub(crate) fn segment_offsets_before(&self, timestamp: i64, max_count: i32) -> Vec<i64> {
        let (start, end) = (self.log_start_offset(), self.log_end_offset());
        let starts = self.log.segment_base_offsets().into_iter().map(|(offset, ms)| (offset.max(start), ms));
        let mut offsets: Vec<(i64, i64)> = std::iter::once((end, wall_ms())).chain(starts).collect();
        offsets.dedup_by_key(|(offset, _)| *offset);
        let count = usize::try_from(max_count).unwrap_or(0);
        let wanted = |(_, written_ms): &(i64, i64)| match timestamp {
            -1 => true,
            moment => *written_ms <= moment,
        };
        match timestamp {
            -2 => [start].into_iter().take(count).collect(),
            _ => {
                offsets.into_iter().skip_while(|offset| !wanted(offset)).take(count).map(|(offset, _)| offset).collect()
            }
        }
    }

    /// The first record at or after `moment`, or, without one, the record with the largest timestamp: its offset and
    /// timestamp.
    ///
    /// # Errors
    /// The log's.
    pub(crate) async fn find_by_time(self: Arc<Self>, moment: Option<i64>) -> Result<Option<(i64, i64)>, ReadError> {
        let looked_up = tokio::task::spawn_blocking(move || match moment {
            Some(moment) => self.log.offset_for_timestamp(moment),
            None => self.log.offset_of_max_timestamp(),
        });
        looked_up.await.unwrap_or(Err(ReadError::Closed))
    }
}
