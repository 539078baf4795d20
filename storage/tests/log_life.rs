//! From an append to a deletion: when segments are closed, what is reserved, who is remembered, what goes.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod compacted;
mod rig;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use compacted::{NoLimit, chunks, read};
use protocol::records::{BatchBuilder, batches, patch};
use rig::{RigDisk, append, config, files, idempotent, open_dir, open_one, partition, plain, tempdir, topic_id};
use storage::{AppendError, AppendOrigin, ClosedSegment, LogConfig, LogDir, OsDisk, Pace, PartitionLog, SharedLimits};

const MAP_BYTES: usize = 1 << 20;

fn append_at(log: &PartitionLog, batch: Bytes, now_ms: i64) {
    log.append_as_leader(batch, 0, AppendOrigin::Client, now_ms).unwrap();
}

/// First offsets of the segments, the oldest first.
fn bases(log: &PartitionLog) -> Vec<i64> {
    log.segment_base_offsets().iter().rev().map(|(base, _)| *base).collect()
}

/// Closes the active segment with a record of its own.
fn roll(log: &PartitionLog) {
    let config = log.config();
    log.set_config(LogConfig { segment_bytes: 100, ..(*config).clone() });
    append(log, keyed("roll", "x")).unwrap();
    log.set_config((*config).clone());
}

fn keyed(key: &str, value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(0);
    builder.append(1_000, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    builder.build().freeze()
}

#[test]
fn jitter_closes_segments_earlier_and_not_all_at_once() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let dir = open_dir(&disk, path.path());
    let jittery = LogConfig { segment_ms: 10_000, segment_jitter_ms: 4_000, ..config() };
    let age_of_roll = |index| {
        let log = dir.open_log(&partition(index), topic_id(1), jittery.clone()).unwrap();
        append_at(&log, plain(1, 0, b"v"), 0);
        (1..).map(|step| step * 100).find(|ms| {
            append_at(&log, plain(1, *ms, b"v"), 0);
            bases(&log).len() == 2
        })
    };
    let ages: BTreeSet<i64> = (0..20).map(|index| age_of_roll(index).unwrap()).collect();
    assert!(ages.iter().all(|age| (6_000..=10_100).contains(age)), "{ages:?}");
    assert!(ages.len() > 10, "they close together: {ages:?}");
    assert!(ages.last().unwrap() - ages.first().unwrap() > 2_000, "{ages:?}");
}

#[test]
fn max_compaction_lag_closes_segments_of_compacted_logs_only() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), LogConfig { max_compaction_lag_ms: Some(500), ..config() });
    let at = |timestamp| {
        let mut builder = BatchBuilder::new(0);
        builder.append(timestamp, Some(b"k"), Some(b"v"), &[]);
        append(&log, builder.build().freeze()).unwrap();
    };
    at(0);
    at(501);
    assert_eq!(bases(&log), [0]);
    log.set_config(LogConfig { compact: true, ..(*log.config()).clone() });
    at(500);
    assert_eq!(bases(&log), [0]);
    at(501);
    assert_eq!(bases(&log), [0, 3]);
}

#[test]
fn a_batch_across_the_largest_relative_offset_goes_to_the_next_segment_whole() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), config());
    append(&log, plain(1, 1, b"v")).unwrap();
    log.close().unwrap();
    drop((dir, log));
    // As compaction leaves it: a record at the start, and the next one two thousand million later.
    let far = i64::from(i32::MAX) - 1;
    let mut batch = BytesMut::from(&plain(1, 2, b"far")[..]);
    patch::set_base_offset(&mut batch, far);
    let file = &files(path.path(), ".log")[0];
    fs::write(file, [fs::read(file).unwrap(), batch.to_vec()].concat()).unwrap();
    let (_dir, log) = open_one(&disk, path.path(), config());
    append(&log, plain(2, 3, b"both")).unwrap();
    assert_eq!(bases(&log), [0, far + 1]);
}

#[test]
fn a_full_index_of_either_kind_closes_its_segment() {
    // Of the offset index 8 bytes an entry, of the time index 12.
    let indexed = LogConfig { index_interval_bytes: 0, segment_index_bytes: 48, ..config() };
    let segments = |timestamp: fn(i64) -> i64| {
        let (disk, path) = (RigDisk::default(), tempdir());
        let (_dir, log) = open_one(&disk, path.path(), indexed.clone());
        (0..20).for_each(|i| append_at(&log, plain(1, timestamp(i), b"v"), 0));
        for suffix in [".index", ".timeindex"] {
            for file in files(path.path(), suffix).iter().rev().skip(1) {
                // The last entry of the time index is made when the segment is closed.
                assert!(fs::metadata(file).unwrap().len() <= 48 + 12, "{}", file.display());
            }
        }
        bases(&log).len()
    };
    assert_eq!(segments(|i| i), 4, "five batches to a segment: four entries of each, and the first batch has none");
    assert_eq!(segments(|_| 7), 3, "one time, so the offsets fill theirs: six entries");
}

#[test]
fn a_preallocated_segment_has_its_room_until_it_is_closed() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let whole = LogConfig { preallocate: true, segment_bytes: 3 << 20, ..config() };
    let (_dir, log) = open_one(&disk, path.path(), whole.clone());
    let occupied = |file: &Path| fs::metadata(file).unwrap().blocks() * 512;
    append(&log, plain(1, 0, b"v")).unwrap();
    let first = files(path.path(), ".log").remove(0);
    assert!(occupied(&first) >= 3 << 20, "{} bytes", occupied(&first));
    assert_eq!(fs::metadata(&first).unwrap().len(), log.size_bytes(), "readers of the file see batches only");
    log.set_config(LogConfig { preallocate: false, ..whole });
    roll(&log);
    assert!(occupied(&first) < 64 << 10, "{} bytes", occupied(&first));
    let second = files(path.path(), ".log").remove(1);
    assert!(occupied(&second) < 1 << 20, "{} bytes", occupied(&second));
}

#[test]
fn producers_are_forgotten_after_their_time_and_when_there_are_too_many() {
    let path = tempdir();
    let limits = SharedLimits { producers_per_log: 3, ..SharedLimits::default() };
    let dir = LogDir::open(std::sync::Arc::new(OsDisk), path.path(), limits).unwrap();
    let config = LogConfig { producer_id_expiration_ms: 5_000, ..config() };
    let log = dir.open_log(&partition(0), topic_id(1), config.clone()).unwrap();
    for id in 0..5 {
        append_at(&log, idempotent(id, 0, 0, 1), 1_000 + id);
    }
    assert_eq!(log.producer_count(), 3, "the three that were heard of last");
    let retry = |id| log.append_as_leader(idempotent(id, 0, 0, 1), 0, AppendOrigin::Client, 1_100).map(|a| a.duplicate);
    assert_eq!([retry(4).unwrap(), retry(3).unwrap(), retry(2).unwrap()], [true; 3]);
    assert!(!retry(0).unwrap(), "nobody knows it any more");

    // Of 4, 3 and 2 the retries were nothing new; 0 came at 1100 in the place of 2.
    log.apply_retention(6_003).unwrap();
    assert_eq!(log.producer_count(), 2);
    log.set_config(LogConfig { producer_id_expiration_ms: 4_000, ..config });
    log.apply_retention(6_003).unwrap();
    assert_eq!(log.producer_count(), 0, "a shorter time holds at once");
    append_at(&log, idempotent(4, 0, 9, 1), 6_004);
    assert_eq!(log.producer_count(), 1, "who was forgotten is taken at its word, as in Kafka");
}

#[test]
fn the_last_batch_of_a_live_producer_outlives_its_records() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let compacted = LogConfig { compact: true, delete: false, min_cleanable_dirty_ppm: 0, ..config() };
    let (dir, log) = open_one(&disk, path.path(), compacted.clone());
    let of_producer = |sequence| {
        let mut builder = BatchBuilder::new(0).producer(7, 2, sequence);
        builder.append(1_000, Some(b"k"), Some(b"v"), &[]);
        builder.build().freeze()
    };
    append(&log, of_producer(0)).unwrap();
    append(&log, of_producer(1)).unwrap();
    append(&log, keyed("k", "of nobody")).unwrap();
    roll(&log);
    log.compact(1_000, MAP_BYTES, &NoLimit).unwrap().unwrap();
    let bytes = chunks(&log).concat();
    let left: Vec<_> = batches(&bytes).map(Result::unwrap).map(|b| (b.base_offset(), b.record_count())).collect();
    assert_eq!(left, [(1, 0), (2, 1), (3, 1)], "an empty batch says where the producer is");

    // A crash, after which only the batches can tell.
    dir.checkpoint(std::iter::once(&log)).unwrap();
    drop((dir, log));
    files(path.path(), ".snapshot").iter().for_each(|file| fs::remove_file(file).unwrap());
    let (_dir, log) = open_one(&disk, path.path(), compacted);
    let again = append(&log, of_producer(1)).unwrap();
    assert_eq!((again.duplicate, again.base_offset), (true, 1));
    let gap = append(&log, of_producer(3));
    assert!(matches!(gap, Err(AppendError::OutOfOrderSequence { expected: 2, .. })), "{gap:?}");
    assert_eq!(append(&log, of_producer(2)).unwrap().base_offset, 4);
    // It wrote something later, so the empty batch has no use any more.
    roll(&log);
    log.compact(1_000, MAP_BYTES, &NoLimit).unwrap().unwrap();
    assert_eq!(read(&log).keys().copied().collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(batches(&chunks(&log).concat()).next().unwrap().unwrap().base_offset(), 3);
}

#[test]
fn control_batches_stay_where_they_are() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let compacted = LogConfig { compact: true, delete: false, min_cleanable_dirty_ppm: 0, ..config() };
    let (_dir, log) = open_one(&disk, path.path(), compacted);
    // A marker's key is the same each time, and is no key of the topic.
    let marker = || {
        let mut builder = BatchBuilder::new(0).producer(7, 0, -1).transactional().control();
        builder.append(1_000, Some(&[0, 0, 0, 1]), Some(&[0, 0, 0, 0, 0, 0]), &[]);
        builder.build().freeze()
    };
    append(&log, keyed("a", "1")).unwrap();
    let appended = log.append_as_leader(marker(), 0, AppendOrigin::Coordinator, 1_000).unwrap();
    append(&log, keyed("a", "2")).unwrap();
    log.append_as_leader(marker(), 0, AppendOrigin::Coordinator, 1_000).unwrap();
    assert_eq!(appended.base_offset, 1);
    roll(&log);
    let done = log.compact(1_000, MAP_BYTES, &NoLimit).unwrap().unwrap();
    assert_eq!((done.end_offset, done.keys), (4, 1));
    let bytes = chunks(&log).concat();
    let left: Vec<_> = batches(&bytes).map(Result::unwrap).map(|b| (b.base_offset(), b.is_control())).collect();
    assert_eq!(left, [(1, true), (2, false), (3, true), (4, false)]);
}

#[test]
fn a_budget_takes_closed_segments_and_the_start_stays_where_it_was_moved() {
    let (disk, path) = (RigDisk::default(), tempdir());
    // A batch to a segment.
    let small = LogConfig { segment_bytes: 100, ..config() };
    let (dir, log) = open_one(&disk, path.path(), small.clone());
    assert_eq!(log.deletable_segments(), []);
    for timestamp in [500, -1, 300] {
        append_at(&log, plain(2, timestamp, b"v"), 700);
    }
    let size_bytes = log.size_bytes() / 3;
    let first = ClosedSegment { end_offset: 2, size_bytes, newest_ms: 500 };
    let second = ClosedSegment { end_offset: 4, size_bytes, newest_ms: 700 };
    assert_eq!(log.deletable_segments(), [first, second], "without timestamps, when it was written");
    log.set_config(LogConfig { delete: false, compact: true, ..small });
    assert_eq!(log.deletable_segments(), []);
    log.set_config(small.clone());

    assert_eq!(log.delete_segments_below(1).unwrap(), 0, "the first ends behind it");
    assert_eq!(log.delete_segments_below(3).unwrap(), size_bytes);
    assert_eq!((log.log_start_offset(), log.deletable_segments()), (2, vec![second]));
    drop((dir, log));
    let (dir, log) = open_one(&disk, path.path(), small);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (2, 6), "after a crash that no checkpoint saw");
    assert_eq!(log.delete_segments_below(i64::MAX).unwrap(), size_bytes);
    assert_eq!((log.log_start_offset(), read(&log).len()), (4, 2), "the active segment stays");
    assert_eq!(files(path.path(), ".log").len(), 1);
    dir.delete_log(&log).unwrap();
    assert!(log.delete_segments_below(i64::MAX).is_err());
    assert_eq!(log.deletable_segments(), []);
}

/// Deletes what stands in front of an offset, the moment a pass has read this many batches.
struct DeleteAfter<'a> {
    log: &'a PartitionLog,
    left: Cell<usize>,
    end_offset: i64,
}

impl Pace for DeleteAfter<'_> {
    fn spend(&self, _bytes: u64, _is_cancelled: &dyn Fn() -> bool) -> bool {
        if self.left.replace(self.left.get().wrapping_sub(1)) == 0 {
            self.log.delete_segments_below(self.end_offset).unwrap();
        }
        true
    }
}

#[test]
fn segments_may_be_deleted_while_they_are_compacted() {
    let both = LogConfig { compact: true, min_cleanable_dirty_ppm: 0, segment_bytes: 300, ..config() };
    let mut deleted = BTreeSet::new();
    for read_before in 0..60 {
        let (disk, path) = (RigDisk::default(), tempdir());
        let (dir, log) = open_one(&disk, path.path(), both.clone());
        for i in 0..20 {
            append(&log, keyed(&format!("key {}", i % 7), &i.to_string())).unwrap();
        }
        let (bases, end) = (bases(&log), log.log_end_offset());
        let middle = bases[bases.len() / 2];
        let pace = DeleteAfter { log: &log, left: Cell::new(read_before), end_offset: middle };
        let done = log.compact(1_000, MAP_BYTES, &pace).unwrap();
        assert_eq!(done.expect("the rest is compacted").end_offset, *bases.last().unwrap(), "{read_before}");
        let found = read(&log);
        let start = log.log_start_offset();
        assert!(found.keys().all(|offset| *offset >= start), "{read_before}");
        let closed = found.range(..bases.last().unwrap()).filter_map(|(_, record)| record.key.clone());
        let closed: Vec<_> = closed.collect();
        assert_eq!(closed.len(), closed.iter().collect::<BTreeSet<_>>().len(), "{read_before}: a key twice");
        assert!((end - 7..end).all(|offset| found.contains_key(&offset)), "{read_before}: {:?}", found.keys());
        deleted.insert(start);
        drop((dir, log));
        let (_dir, log) = open_one(&disk, path.path(), both.clone());
        assert_eq!(read(&log), found, "{read_before}: after a crash");
        for suffix in [".cleaned", ".swap", ".deleted"] {
            assert!(files(path.path(), suffix).is_empty(), "{suffix}");
        }
    }
    assert!(deleted.len() > 1, "early, and never: {deleted:?}");
}
