//! Reading for those who want committed records only: batches, and which of them are void.
//!
//! The two are looked up one after the other, and compaction may replace segments in between. In the end those that come
//! have neither an aborted transaction's records nor its entry in the index, while a slow reader has the records from those
//! that went. So what was found counts only if no segment was replaced meanwhile.

use std::sync::atomic::{self, AtomicU64, Ordering};
use std::thread;

use protocol::records::batches;

use crate::error::ReadError;
use crate::log::{PartitionLog, ReadBatches};
use crate::segment::ReadRange;
use crate::transactions::AbortedTransaction;

/// How often segments were replaced, twice over; odd while memory is between the old ones and the new.
#[derive(Debug, Default)]
pub(crate) struct Replacements(AtomicU64);

impl Replacements {
    /// Replaces segments in memory.
    pub(crate) fn replacing(&self, replace: impl FnOnce()) {
        /// Readers wait for the second count, so it comes even when replacing panics.
        struct Replaced<'a>(&'a AtomicU64);

        impl Drop for Replaced<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::AcqRel);
            }
        }

        self.0.fetch_add(1, Ordering::AcqRel);
        let _replaced = Replaced(&self.0);
        replace();
    }

    /// Looks until nothing was replaced under the look. Each further look costs somebody a compacted segment.
    fn undisturbed<T>(&self, look: impl Fn() -> T) -> T {
        loop {
            let before = self.0.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                let found = look();
                // No read of the look may come after this one.
                atomic::fence(Ordering::Acquire);
                if self.0.load(Ordering::Acquire) == before {
                    return found;
                }
            }
            thread::yield_now();
        }
    }
}

impl PartitionLog {
    /// As [`PartitionLog::read`], and the aborted transactions that have records in what is returned. The upper bound is
    /// not above the last stable offset.
    ///
    /// # Errors
    /// As [`PartitionLog::read`].
    pub fn read_committed(
        &self,
        offset: i64,
        max_bytes: usize,
        upper_bound: i64,
        at_least_one: bool,
    ) -> Result<(ReadBatches, Vec<AbortedTransaction>), ReadError> {
        self.read_and_look_up(ReadRange { offset, max_bytes, upper_bound, at_least_one }, || ())
    }

    fn read_and_look_up(
        &self,
        wanted: ReadRange,
        between: impl Fn(),
    ) -> Result<(ReadBatches, Vec<AbortedTransaction>), ReadError> {
        let ReadRange { offset, max_bytes, upper_bound, at_least_one } = wanted;
        self.replacements.undisturbed(|| {
            let read = self.read(offset, max_bytes, upper_bound, at_least_one)?;
            between();
            let last = read.records.chunks().last().and_then(|chunk| batches(chunk).filter_map(Result::ok).last());
            let aborted = match last {
                Some(last) => self.aborted_transactions(offset, last.next_offset().min(upper_bound))?,
                None => Vec::new(),
            };
            Ok((read, aborted))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use protocol::Uuid;
    use protocol::records::BatchBuilder;

    use super::*;
    use crate::{
        AppendOrigin, LogConfig, LogDir, OsDisk, Pace, SharedLimits, TopicPartition, TransactionCheck, TxnMarker,
    };

    const NOW_MS: i64 = 1_000;
    const ALL: ReadRange = ReadRange { offset: 0, max_bytes: 1 << 20, upper_bound: 2, at_least_one: true };

    #[test]
    fn readers_go_on_when_replacing_panics() {
        let replacements = Replacements::default();
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| replacements.replacing(|| panic!("planned"))));
        assert!(panicked.is_err());
        assert_eq!(replacements.undisturbed(|| 7), 7);
    }

    struct NoLimit;

    impl Pace for NoLimit {
        fn spend(&self, _bytes: u64, _is_cancelled: &dyn Fn() -> bool) -> bool {
            true
        }
    }

    fn append(log: &PartitionLog, transactional: bool) {
        let mut builder = BatchBuilder::new(0);
        if transactional {
            builder = builder.producer(7, 0, -1).transactional();
        }
        builder.append(NOW_MS, Some(b"key"), Some(b"value"), &[]);
        let bytes = builder.build().freeze();
        log.append_in_transaction(bytes, 0, AppendOrigin::Coordinator, TransactionCheck::Off, NOW_MS).unwrap();
    }

    /// A record at 0 that the marker at 1 makes void, in a closed segment; and some of nobody's behind them.
    fn with_aborted(log: &PartitionLog) {
        append(log, true);
        let marker = TxnMarker {
            producer_id: 7,
            producer_epoch: 1,
            coordinator_epoch: 0,
            committed: false,
            transaction_version: 2,
        };
        log.append_marker(marker, 0, NOW_MS).unwrap();
        for _ in 0..4 {
            append(log, false);
        }
    }

    /// Reads while something else happens to the log.
    fn read_under(
        tail_cache_bytes: usize,
        happens: impl Fn(&PartitionLog),
    ) -> Result<(ReadBatches, Vec<AbortedTransaction>), ReadError> {
        let path = tempfile::tempdir().unwrap();
        let limits = SharedLimits { tail_cache_bytes, ..SharedLimits::default() };
        let dir = LogDir::open(Arc::new(OsDisk), path.path(), limits).unwrap();
        let config = LogConfig { segment_bytes: 200, compact: true, delete: true, ..LogConfig::default() };
        let partition = TopicPartition { topic: "topic".into(), index: 0 };
        let log = dir.open_log(&partition, Uuid([1; 16]), config).unwrap();
        with_aborted(&log);
        let looks = Cell::new(0);
        log.read_and_look_up(ALL, || {
            if looks.replace(looks.get() + 1) == 0 {
                happens(&log);
            }
        })
    }

    #[test]
    fn whoever_reads_what_is_void_is_told_so_whatever_compaction_does_meanwhile() {
        for tail_cache_bytes in [0, 1 << 20] {
            let found = |happens: &dyn Fn(&PartitionLog)| {
                let (read, aborted) = read_under(tail_cache_bytes, happens).unwrap();
                let reads = read.records.chunks().iter().flat_map(|chunk| batches(chunk));
                let has_void = reads.map(Result::unwrap).any(|batch| batch.is_transactional() && !batch.is_control());
                (has_void, aborted.len())
            };
            assert_eq!(found(&|_| ()), (true, 1));
            // The first pass drops the records, and the next one the entry.
            let compact = |log: &PartitionLog| {
                log.compact(NOW_MS, 1 << 20, &NoLimit).unwrap().unwrap();
                (0..4).for_each(|_| append(log, false));
                log.compact(NOW_MS, 1 << 20, &NoLimit).unwrap().unwrap();
            };
            assert_eq!(found(&compact), (false, 0), "cached: {}", tail_cache_bytes > 0);
        }
    }

    #[test]
    fn whoever_reads_what_is_void_is_not_left_without_the_list_when_it_is_deleted() {
        let delete = |log: &PartitionLog| {
            log.advance_log_start_offset(4, NOW_MS).unwrap();
        };
        let read = read_under(0, delete);
        assert!(matches!(read, Err(ReadError::OutOfRange { offset: 0, start: 4, .. })), "{read:?}");
    }
}
