//! `ottla.log.retention.total.bytes`: one budget for all logs of the node. What was written longest ago goes first,
//! whichever log it is in.
//!
//! Appends count down what is left of the budget, so that nobody has to add up segments until it is used up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use storage::{ClosedSegment, StorageError};
use tokio::sync::Notify;
use tracing::{error, info, warn};

use super::Partition;

/// Appended bytes after which a budget that cannot be kept is looked at again.
const RECHECK_BYTES: u64 = 1 << 20;
/// Between two complaints of the same kind.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(600);

/// What all logs of one directory have left together.
pub(crate) struct TotalRetention {
    /// Bytes that may be appended before somebody adds up what there is; negative when that was asked for.
    left_bytes: AtomicI64,
    asked: Notify,
    /// When it was last said that the budget cannot be kept, and that deleting failed.
    unkept_said: Complaint,
    failure_said: Complaint,
}

impl Default for TotalRetention {
    /// The first look is asked for: nobody knows yet how much there is.
    fn default() -> TotalRetention {
        let asked = Notify::new();
        asked.notify_one();
        TotalRetention {
            left_bytes: AtomicI64::new(-1),
            asked,
            unkept_said: Complaint::default(),
            failure_said: Complaint::default(),
        }
    }
}

impl TotalRetention {
    /// Counts appended bytes.
    pub(super) fn spend(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let before = self.left_bytes.fetch_sub(bytes, Ordering::AcqRel);
        // Asked for once: below zero a look is on its way.
        if before >= 0 && before < bytes {
            self.asked.notify_one();
        }
    }

    /// Asks for a look soon, because the budget may be another.
    pub(super) fn ask(&self) {
        self.asked.notify_one();
    }

    /// Resolves when somebody should look.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Deletes closed segments, the oldest of all logs first, until all logs have `limit_bytes` together; no limit, no
    /// work. Costs one step for each segment. Blocks on the disk.
    pub(super) fn apply(&self, partitions: &[Arc<Partition>], limit_bytes: Option<u64>) {
        let Some(limit_bytes) = limit_bytes else {
            self.left_bytes.store(i64::MAX, Ordering::Release);
            return;
        };
        let mut total_bytes: u64 = partitions.iter().map(|partition| partition.log().size_bytes()).sum();
        if total_bytes > limit_bytes {
            let (segments, freed_bytes) = self.delete_oldest(partitions, total_bytes - limit_bytes);
            total_bytes = total_bytes.saturating_sub(freed_bytes);
            if segments > 0 {
                info!(
                    segments,
                    freed_bytes,
                    total_bytes,
                    limit_bytes,
                    "all logs together were too large; the oldest segments are deleted"
                );
            }
        }
        let left_bytes = limit_bytes.saturating_sub(total_bytes).max(RECHECK_BYTES);
        self.left_bytes.store(i64::try_from(left_bytes).unwrap_or(i64::MAX), Ordering::Release);
        if total_bytes > limit_bytes && self.unkept_said.is_due(Instant::now()) {
            warn!(
                total_bytes,
                limit_bytes,
                "all logs together exceed ottla.log.retention.total.bytes, and what is left is not deleted: active segments, internal topics, topics without delete in cleanup.policy. Lower segment.bytes or segment.ms, add delete to cleanup.policy, delete topics, or raise the limit"
            );
        }
    }

    /// Answers how many segments went, and their bytes.
    fn delete_oldest(&self, partitions: &[Arc<Partition>], excess_bytes: u64) -> (usize, u64) {
        let deletable = |partition: &Arc<Partition>| match partition.is_internal() {
            true => Vec::new(),
            false => partition.log().deletable_segments(),
        };
        let mut candidates: Vec<Vec<ClosedSegment>> = partitions.iter().map(deletable).collect();
        let (mut count, mut freed_bytes) = (0, 0);
        loop {
            let mut any_failed = false;
            let doomed = oldest(&candidates, excess_bytes.saturating_sub(freed_bytes));
            for ((partition, segments), doomed) in partitions.iter().zip(&mut candidates).zip(doomed) {
                let Some(last) = doomed.checked_sub(1) else { continue };
                match partition.log().delete_segments_below(segments[last].end_offset) {
                    Ok(bytes) => {
                        drop(segments.drain(..doomed));
                        count += doomed;
                        freed_bytes += bytes;
                    }
                    Err(error) => {
                        // What it cannot give, others must.
                        segments.clear();
                        any_failed = true;
                        // Its topic was deleted meanwhile.
                        let is_gone = matches!(error, StorageError::Closed);
                        if !is_gone && self.failure_said.is_due(Instant::now()) {
                            error!(%partition, %error, "old segments could not be deleted, so those of other partitions go; check the disk");
                        }
                    }
                }
            }
            if !any_failed {
                return (count, freed_bytes);
            }
        }
    }
}

/// How many segments of each log go, so that all of them give `excess_bytes`. A log gives its first one before its
/// second.
fn oldest(logs: &[Vec<ClosedSegment>], excess_bytes: u64) -> Vec<usize> {
    let mut doomed = vec![0; logs.len()];
    let firsts =
        logs.iter().enumerate().filter_map(|(log, segments)| Some(Reverse((segments.first()?.newest_ms, log))));
    let mut firsts: BinaryHeap<_> = firsts.collect();
    let mut left_bytes = excess_bytes;
    while left_bytes > 0
        && let Some(Reverse((_, log))) = firsts.pop()
    {
        left_bytes = left_bytes.saturating_sub(logs[log][doomed[log]].size_bytes);
        doomed[log] += 1;
        if let Some(next) = logs[log].get(doomed[log]) {
            firsts.push(Reverse((next.newest_ms, log)));
        }
    }
    doomed
}

/// When something was last said.
#[derive(Default)]
struct Complaint(Mutex<Option<Instant>>);

impl Complaint {
    /// Whether it may be said again; then it counts as said.
    fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now.saturating_duration_since(last) >= COMPLAINT_INTERVAL);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use protocol::Uuid;
    use protocol::records::BatchBuilder;
    use storage::{AppendOrigin, LogConfig, LogDir, OsDisk, SharedLimits, TopicPartition};

    use super::super::{DiskSpace, Flusher, SharedDisk};
    use super::*;

    /// Partitions of several topics in one directory, a batch to a segment.
    struct Node {
        path: tempfile::TempDir,
        dir: LogDir,
        flusher: Flusher,
        disk: Arc<SharedDisk>,
        partitions: Vec<Arc<Partition>>,
    }

    fn batch(timestamp: i64) -> Bytes {
        let mut builder = BatchBuilder::new(0);
        builder.append(timestamp, Some(b"key"), Some(b"value"), &[]);
        builder.build().into()
    }

    impl Node {
        fn new() -> Node {
            let path = tempfile::tempdir().unwrap();
            let dir = LogDir::open(Arc::new(OsDisk), path.path(), SharedLimits::default()).unwrap();
            let (flusher, _thread) = Flusher::start().unwrap();
            let space = DiskSpace::new(path.path().to_owned(), Some(0));
            let disk = Arc::new(SharedDisk {
                flusher: flusher.clone(),
                space,
                total: TotalRetention::default(),
                checkpoint_due: tokio::sync::Notify::new(),
            });
            Node { path, dir, flusher, disk, partitions: Vec::new() }
        }

        /// A partition with a record of each time; `delete` is in its `cleanup.policy`, or `compact`.
        fn add(&mut self, topic: &str, delete: bool, timestamps: &[i64]) {
            let config = LogConfig { segment_bytes: 80, delete, compact: !delete, ..LogConfig::default() };
            let topic: Arc<str> = topic.into();
            let (name, id) = (TopicPartition { topic: topic.clone(), index: 0 }, Uuid::from_random([7; 16]).unwrap());
            let log = self.dir.open_log(&name, id, config).unwrap();
            for timestamp in timestamps {
                log.append_as_leader(batch(*timestamp), 0, AppendOrigin::Client, 1_000).unwrap();
            }
            self.partitions.push(Arc::new(Partition::new(topic, 0, id, 0, log, Arc::clone(&self.disk))));
        }

        /// Where the logs begin once all of them have at most so many batches.
        fn starts_with(&self, batches: u64) -> Vec<i64> {
            let limit_bytes = batches * batch(0).len() as u64;
            self.disk.total.apply(&self.partitions, Some(limit_bytes));
            self.partitions.iter().map(|partition| partition.log_start_offset()).collect()
        }
    }

    impl Drop for Node {
        fn drop(&mut self) {
            self.flusher.stop();
        }
    }

    #[test]
    fn what_is_internal_compacted_or_active_counts_and_stays() {
        let mut node = Node::new();
        node.add("__consumer_offsets", true, &[1, 2, 3]);
        node.add("compacted", false, &[1, 2, 3]);
        node.add("a", true, &[10, 30, 50, 70]);
        node.add("b", true, &[20, 40]);
        node.add("empty", true, &[]);
        assert_eq!(node.starts_with(12), [0, 0, 0, 0, 0], "no more than allowed");
        assert_eq!(node.starts_with(11), [0, 0, 1, 0, 0]);
        assert_eq!(node.starts_with(9), [0, 0, 2, 1, 0], "of 20 and 30, in two logs");
        assert_eq!(node.starts_with(1), [0, 0, 3, 1, 0], "active segments stay");
    }

    #[test]
    fn what_one_log_cannot_give_others_do() {
        let mut node = Node::new();
        node.add("sick", true, &[10, 20, 30]);
        node.add("sound", true, &[40, 50, 60]);
        std::fs::remove_dir_all(node.path.path().join("sick-0")).unwrap();
        assert_eq!(node.starts_with(4)[1], 2);
    }

    /// Segments of ten bytes.
    fn log(newest_ms: &[i64]) -> Vec<ClosedSegment> {
        let segment = |(i, newest_ms): (usize, &i64)| ClosedSegment {
            end_offset: i as i64 + 1,
            size_bytes: 10,
            newest_ms: *newest_ms,
        };
        newest_ms.iter().enumerate().map(segment).collect()
    }

    #[test]
    fn the_oldest_of_all_logs_goes_first() {
        let logs = [log(&[1, 5, 9]), log(&[]), log(&[2, 3, 4]), log(&[7])];
        assert_eq!(oldest(&logs, 0), [0, 0, 0, 0]);
        assert_eq!(oldest(&logs, 1), [1, 0, 0, 0]);
        assert_eq!(oldest(&logs, 30), [1, 0, 2, 0]);
        assert_eq!(oldest(&logs, 31), [1, 0, 3, 0], "the one after the third");
        assert_eq!(oldest(&logs, 60), [2, 0, 3, 1]);
        assert_eq!(oldest(&logs, u64::MAX), [3, 0, 3, 1], "there is no more");
    }

    #[test]
    fn a_log_gives_its_first_segment_before_an_older_one_behind_it() {
        let logs = [log(&[8, 1]), log(&[5, 6])];
        assert_eq!(oldest(&logs, 20), [0, 2]);
        assert_eq!(oldest(&logs, 30), [1, 2]);
        assert_eq!(oldest(&logs, 40), [2, 2]);
    }

    #[test]
    fn a_thousand_logs_of_a_hundred_segments_take_no_more_steps_than_segments() {
        let logs: Vec<_> = (0..1_000).map(|i| log(&(0..100).map(|j| i + j * 1_000).collect::<Vec<_>>())).collect();
        let doomed = oldest(&logs, 500_000);
        assert!(doomed.iter().all(|doomed| *doomed == 50), "the older half of each");
    }

    #[tokio::test]
    async fn a_look_is_asked_for_once_when_the_budget_is_used_up() {
        let total = TotalRetention::default();
        let is_asked = || async {
            tokio::select! { biased; () = total.asked() => true, () = std::future::ready(()) => false }
        };
        assert!(is_asked().await, "at the start");
        total.apply(&[], None);
        total.spend(usize::MAX / 4);
        assert!(!is_asked().await, "there is no budget");
        total.apply(&[], Some(2 * RECHECK_BYTES));
        total.spend(2 * RECHECK_BYTES as usize);
        assert!(!is_asked().await, "it is used up, and not exceeded");
        total.spend(1);
        assert!(is_asked().await);
        total.spend(1_000);
        assert!(!is_asked().await, "asked for already");
        total.apply(&[], Some(1));
        total.spend(RECHECK_BYTES as usize);
        assert!(!is_asked().await, "a budget that cannot be kept is not looked at with each append");
        total.spend(1);
        assert!(is_asked().await);
    }

    #[test]
    fn the_same_complaint_is_made_once_in_a_while() {
        let (complaint, now) = (Complaint::default(), Instant::now());
        assert!(complaint.is_due(now));
        assert!(!complaint.is_due(now + COMPLAINT_INTERVAL / 2));
        assert!(complaint.is_due(now + COMPLAINT_INTERVAL));
    }
}
