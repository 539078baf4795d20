//! Reading from partitions.

use std::sync::Arc;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::records::{Codec, batches};
use protocol::wire::Records;
use storage::{AbortedTransaction, PartitionLog, ReadError};

use super::Partition;
use crate::clock::wall_ms;
use crate::error::read_code;
use crate::fetch_session::Wanted;
use crate::handlers::fetch::Found;
use crate::memory::{ByteBudget, BytePermit};

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
    pub(crate) records: Records,
    /// Memory that the records keep, bytes.
    pub(crate) held_bytes: usize,
    /// What counts towards a reader's minimum: as many bytes as were allowed, when there are more than those. Whole
    /// batches may be fewer.
    pub(crate) readable_bytes: usize,
    pub(crate) high_watermark: i64,
    pub(crate) last_stable_offset: i64,
    pub(crate) log_start_offset: i64,
    /// For readers of committed records: the transactions in the chunks that were aborted.
    pub(crate) aborted: Vec<AbortedTransaction>,
    /// Epoch and end offset up to which the reader's log agrees with ours, when it does not agree to its end.
    pub(crate) diverging: Option<(i32, i64)>,
}

impl Slice {
    /// What is told with an error.
    pub(crate) const UNKNOWN: Slice = Slice {
        records: Records::EMPTY,
        held_bytes: 0,
        readable_bytes: 0,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        aborted: Vec::new(),
        diverging: None,
    };

    /// Bytes of records.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}

/// Whether all that is wanted is in memory, or cannot be had at all.
pub(crate) fn is_hot(wanted: &[Wanted], found: &[Found]) -> bool {
    wanted.iter().zip(found).all(|(wanted, found)| {
        found.partition.as_ref().is_none_or(|partition| partition.log.is_hot(wanted.fetch_offset))
    })
}

/// Reads each wanted partition in order, until the limit is reached. The first one that has records gives at least
/// one whole batch, however large (KIP-74).
pub(crate) async fn read_all_partitions(wanted: &[Wanted], mut found: Vec<Found>, limits: ReadLimits) -> Vec<Found> {
    if is_hot(wanted, &found) {
        read_in_order(wanted, &mut found, limits);
        return found;
    }
    // A page fault on cold data blocks its thread; the runtime's workers must not be that thread.
    let (owned, count) = (wanted.to_vec(), wanted.len());
    let read = tokio::task::spawn_blocking(move || {
        read_in_order(&owned, &mut found, limits);
        found
    });
    let lost = || Found { partition: None, error_code: ErrorCode::KAFKA_STORAGE_ERROR, slice: Slice::UNKNOWN };
    read.await.unwrap_or_else(|_| (0..count).map(|_| lost()).collect())
}

/// Makes the memory that is held count against a budget until the last of it has been sent. False when that has not so
/// much left.
pub(crate) fn hold_until_sent(found: &mut [Found], budget: &Arc<ByteBudget>) -> bool {
    let held_bytes = found.iter().map(|found| found.slice.held_bytes).sum();
    let mut permit = BytePermit::empty(Arc::clone(budget));
    let is_held = permit.try_grow_to(held_bytes);
    if is_held && let Some(last) = found.iter_mut().rev().find(|found| found.slice.held_bytes > 0) {
        let mut chunks = last.slice.records.chunks().to_vec();
        if let Some(chunk) = chunks.pop() {
            chunks.push(permit.keep_with(chunk));
        }
        last.slice.records = Records::from_chunks(chunks);
    }
    is_held
}

/// The same of what is in memory. Whoever has no partition is passed over.
pub(crate) fn read_in_order(wanted: &[Wanted], found: &mut [Found], limits: ReadLimits) {
    let mut left = limits.total_bytes;
    let mut nothing_yet = true;
    for (wanted, found) in wanted.iter().zip(found) {
        let Some(partition) = &found.partition else { continue };
        match read_one(wanted, partition, left, nothing_yet, limits) {
            Ok(slice) => found.slice = slice,
            Err(code) => (found.error_code, found.slice) = (code, Slice::UNKNOWN),
        }
        let bytes = found.slice.len();
        nothing_yet &= bytes == 0;
        left = left.saturating_sub(bytes);
    }
}

fn read_one(
    wanted: &Wanted,
    partition: &Partition,
    left: usize,
    at_least_one: bool,
    limits: ReadLimits,
) -> Result<Slice, ErrorCode> {
    partition.check_leader_epoch(wanted.current_leader_epoch)?;
    let high_watermark = partition.high_watermark();
    let mut slice = Slice {
        high_watermark,
        last_stable_offset: partition.log.last_stable_offset(high_watermark),
        log_start_offset: partition.log_start_offset(),
        ..Default::default()
    };
    slice.diverging = diverging(wanted, partition)?;
    if slice.diverging.is_some() {
        return Ok(slice);
    }
    let max_bytes = usize::try_from(wanted.max_bytes).unwrap_or(0).min(left);
    let upper_bound = if limits.read_committed { slice.last_stable_offset } else { slice.high_watermark };
    // Those that do not know zstd need somebody to look for it, and the aborted transactions are looked up by the batches.
    let is_passed_on = limits.allow_zstd && !limits.read_committed;
    let (log, offset) = (&partition.log, wanted.fetch_offset);
    let read = if limits.read_committed {
        log.read_committed(offset, max_bytes, upper_bound, at_least_one)
    } else {
        let read = if is_passed_on { PartitionLog::read_to_send } else { PartitionLog::read };
        read(log, offset, max_bytes, upper_bound, at_least_one).map(|read| (read, Vec::new()))
    };
    let (read, aborted) = read.map_err(|error| read_code(partition, &error))?;
    slice.readable_bytes = if read.is_cut { read.records.len().max(max_bytes) } else { read.records.len() };
    (slice.records, slice.held_bytes, slice.aborted) = (read.records, read.held_bytes, aborted);
    if !limits.allow_zstd && has_zstd(slice.records.chunks()) {
        return Err(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    }
    Ok(slice)
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
    pub(crate) async fn read_all(self: &Arc<Self>, offset: i64, max_bytes: usize) -> Result<Records, ReadError> {
        let partition = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || {
            partition.log.read(offset, max_bytes, partition.log_end_offset(), true)
        });
        read.await.unwrap_or(Err(ReadError::Closed)).map(|read| read.records)
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

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK_BYTES: usize = 8 << 10;

    /// Two chunks of a partition, which memory keeps or the kernel has.
    fn found(held_bytes: usize) -> Found {
        let records = Records::from_chunks(vec![Bytes::from(vec![1; CHUNK_BYTES]), Bytes::from(vec![2; CHUNK_BYTES])]);
        let slice = Slice { records, held_bytes, ..Slice::default() };
        Found { partition: None, error_code: ErrorCode::NONE, slice }
    }

    fn bytes(found: &[Found]) -> Vec<Bytes> {
        found.iter().flat_map(|found| found.slice.records.chunks().to_vec()).collect()
    }

    #[test]
    fn what_waits_for_its_reader_counts_until_the_last_of_it_is_gone() {
        let budget = ByteBudget::new(5 * CHUNK_BYTES);
        let mut first = vec![found(2 * CHUNK_BYTES), found(2 * CHUNK_BYTES), found(0)];
        let sent = bytes(&first);
        assert!(hold_until_sent(&mut first, &budget));
        assert_eq!((budget.used_bytes(), bytes(&first)), (4 * CHUNK_BYTES, sent.clone()));

        // The next reader's has no room, and nothing of it stays behind.
        let mut second = vec![found(2 * CHUNK_BYTES)];
        assert!(!hold_until_sent(&mut second, &budget));
        assert_eq!((budget.used_bytes(), bytes(&second)), (4 * CHUNK_BYTES, sent[..2].to_vec()));
        // What memory does not keep is always welcome.
        assert!(hold_until_sent(&mut [found(0)], &budget));

        let mut waiting = bytes(&first);
        drop(first);
        // The kernel has the last two; then the chunks go in their order, as a connection sends them.
        waiting.truncate(4);
        while waiting.len() > 1 {
            drop(waiting.remove(0));
            assert_eq!(budget.used_bytes(), 4 * CHUNK_BYTES);
        }
        drop(waiting);
        assert_eq!(budget.used_bytes(), 0);
        assert!(hold_until_sent(&mut second, &budget));
    }
}
