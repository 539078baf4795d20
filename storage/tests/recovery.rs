//! What a log is after its process or its machine stopped: directed cases.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod rig;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use protocol::Uuid;
use protocol::records::{Batch, BatchBuilder, TimestampType, batches};
use rig::{
    RigDisk, append, config, files, idempotent, open_dir, open_one, partition, plain, read_all, tempdir, topic_id,
};
use storage::{
    AppendError, AppendOrigin, LogConfig, LogDir, OsDisk, PartitionLog, ReadError, SharedLimits, StorageError,
    TopicPartition,
};

fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 2_000, index_interval_bytes: 300, ..config() }
}

/// A log with several segments, and its bytes.
fn filled(disk: &RigDisk, path: &Path) -> Vec<u8> {
    let (dir, log) = open_one(disk, path, small_segments());
    for i in 0..20 {
        append(&log, plain(2, i, &[b'v'; 200])).unwrap();
    }
    log.flush().unwrap();
    dir.checkpoint(std::iter::once(&log)).unwrap();
    read_all(&log, 0)
}

fn stop_cleanly(dir: LogDir, log: PartitionLog) {
    log.close().unwrap();
    dir.close_clean(std::iter::once(&log)).unwrap();
    drop((dir, log));
}

fn flip_bit(path: &Path, position: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    file.write_all_at(&[byte[0] ^ 4], position).unwrap();
}

fn open_result(disk: &RigDisk, path: &Path) -> Result<PartitionLog, StorageError> {
    open_dir(disk, path).open_log(&partition(0), topic_id(1), small_segments())
}

#[test]
fn damage_in_an_older_segment_is_reported_and_never_cut() {
    let (disk, path) = (RigDisk::default(), tempdir());
    filled(&disk, path.path());
    // Without a recovery point every segment is checked.
    fs::remove_file(path.path().join("recovery-point-offset-checkpoint")).unwrap();
    let logs = files(path.path(), ".log");
    assert!(logs.len() > 3);
    flip_bit(&logs[1], 300);
    let before: Vec<Vec<u8>> = logs.iter().map(|path| fs::read(path).unwrap()).collect();
    for _ in 0..2 {
        let opened = open_result(&disk, path.path());
        assert!(matches!(&opened, Err(StorageError::Corrupt { path, .. }) if *path == logs[1]), "{opened:?}");
        let after: Vec<Vec<u8>> = logs.iter().map(|path| fs::read(path).unwrap()).collect();
        assert!(before == after, "a damaged log was changed");
    }
}

#[test]
fn flushed_records_of_the_last_segment_are_not_cut_either() {
    let (disk, path) = (RigDisk::default(), tempdir());
    filled(&disk, path.path());
    let last = files(path.path(), ".log").pop().unwrap();
    let before = fs::read(&last).unwrap();
    flip_bit(&last, before.len() as u64 - 20);
    assert!(matches!(open_result(&disk, path.path()), Err(StorageError::Corrupt { .. })));
    flip_bit(&last, before.len() as u64 - 20);
    assert_eq!(fs::read(&last).unwrap(), before);

    // Neither when the file system lost them without a trace.
    let file = OpenOptions::new().write(true).open(&last).unwrap();
    file.set_len(0).unwrap();
    assert!(matches!(open_result(&disk, path.path()), Err(StorageError::Corrupt { .. })));
}

#[test]
fn a_damaged_log_stays_shut_until_it_is_repaired() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let expected = filled(&disk, path.path());
    let last = files(path.path(), ".log").pop().unwrap();
    let length = fs::metadata(&last).unwrap().len();
    flip_bit(&last, length - 20);
    for _ in 0..2 {
        // The rest of the broker runs on, writes its checkpoints, and stops in good order.
        let dir = open_dir(&disk, path.path());
        assert!(!dir.was_clean(), "a clean stop was claimed over a damaged log");
        dir.open_log(&partition(0), topic_id(1), small_segments()).unwrap_err();
        let other = dir.open_log(&partition(1), topic_id(1), small_segments()).unwrap();
        append(&other, plain(1, 0, b"other")).unwrap();
        dir.checkpoint(std::iter::once(&other)).unwrap();
        other.close().unwrap();
        dir.close_clean(std::iter::once(&other)).unwrap();
    }
    flip_bit(&last, length - 20);
    let log = open_result(&disk, path.path()).unwrap();
    assert!(read_all(&log, 0) == expected);
}

#[test]
fn only_what_follows_the_recovery_point_is_cut() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let mut expected = filled(&disk, path.path());
    let (_dir, log) = open_one(&disk, path.path(), LogConfig { segment_bytes: 1 << 20, ..config() });
    append(&log, plain(1, 0, b"kept")).unwrap();
    expected.extend(read_all(&log, 40));
    append(&log, plain(1, 0, b"torn")).unwrap();
    drop((_dir, log));
    let last = files(path.path(), ".log").pop().unwrap();
    let file = OpenOptions::new().write(true).open(&last).unwrap();
    file.set_len(file.metadata().unwrap().len() - 3).unwrap();
    let (_dir, log) = open_one(&disk, path.path(), config());
    assert_eq!((log.log_end_offset(), log.flushed_offset()), (41, 41));
    assert!(read_all(&log, 0) == expected);
    append(&log, plain(1, 0, b"again")).unwrap();
    assert_eq!(log.log_end_offset(), 42);
}

#[test]
fn an_offset_that_cannot_be_is_no_panic() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), config());
    append(&log, plain(1, 0, b"first")).unwrap();
    let size = log.size_bytes();
    append(&log, plain(1, 0, b"second")).unwrap();
    drop((dir, log));
    // The checksum does not cover the offset.
    flip_bit(&files(path.path(), ".log")[0], size);
    let (_dir, log) = open_one(&disk, path.path(), config());
    assert_eq!(log.log_end_offset(), 1);
}

#[test]
fn the_cache_and_the_files_give_the_same_bytes() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let without_cache = SharedLimits { tail_cache_bytes: 0, ..SharedLimits::default() };
    let (dir, log) = open_one(&disk, path.path(), small_segments());
    for i in 0..30 {
        append(&log, plain(3, i * 7, &vec![b'x'; 50 * i as usize % 400])).unwrap();
        assert!(log.is_hot(0));
    }
    let around = log.read(47, 1, i64::MAX, true).unwrap().records.chunks().concat();
    assert_eq!(Batch::parse(&around).unwrap().base_offset(), 45);
    let cached = read_all(&log, 0);
    drop((dir, log));
    for limits in [without_cache, SharedLimits { mapped_bytes: 0, ..without_cache }] {
        let dir = LogDir::open(Arc::new(disk.clone()), path.path(), limits).unwrap();
        let log = dir.open_log(&partition(0), topic_id(1), small_segments()).unwrap();
        assert!(!log.is_hot(0));
        assert!(read_all(&log, 0) == cached);
        for offset in 45..48 {
            let around = log.read(offset, 1, i64::MAX, true).unwrap().records.chunks().concat();
            assert_eq!(Batch::parse(&around).unwrap().base_offset(), 45);
        }
    }
}

#[test]
fn windows_in_use_outlive_the_segment_and_the_log() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let limits = SharedLimits { tail_cache_bytes: 0, ..SharedLimits::default() };
    let dir = LogDir::open(Arc::new(disk), path.path(), limits).unwrap();
    let big = LogConfig { segment_bytes: 300_000, ..config() };
    let log = dir.open_log(&partition(0), topic_id(1), big).unwrap();
    for _ in 0..4 {
        append(&log, plain(1, 0, &[b'w'; 100_000])).unwrap();
    }
    let held = log.read(0, 1 << 20, i64::MAX, true).unwrap();
    let copy = held.records.chunks().concat();
    log.advance_log_start_offset(4, 0).unwrap();
    dir.delete_log(&log).unwrap();
    dir.remove_deleted().unwrap();
    drop((log, dir));
    assert!(copy.len() > 200_000 && held.records.chunks().concat() == copy);
}

#[test]
fn retries_are_known_after_any_stop() {
    // Many segments, whose ends are snapshots, and one that has none before the stop.
    for (clean, segment_bytes) in [(true, 300), (false, 300), (true, 1 << 20), (false, 1 << 20)] {
        let config = LogConfig { segment_bytes, ..config() };
        let (disk, path) = (RigDisk::default(), tempdir());
        let (mut dir, mut log) = open_one(&disk, path.path(), config.clone());
        for i in 0..8 {
            append(&log, idempotent(7, 0, i * 2, 2)).unwrap();
        }
        for _ in 0..3 {
            if clean {
                stop_cleanly(dir, log)
            } else {
                drop((dir, log))
            }
            (dir, log) = open_one(&disk, path.path(), config.clone());
            assert!(segment_bytes > 300 || log.segment_base_offsets().len() > 2);
            for i in 3..8 {
                let again = append(&log, idempotent(7, 0, i * 2, 2)).unwrap();
                assert!(again.duplicate, "batch {i} was forgotten; clean: {clean}");
                assert_eq!(again.base_offset, i64::from(i) * 2);
            }
            let too_old = append(&log, idempotent(7, 0, 4, 2));
            assert!(matches!(too_old, Err(AppendError::OutOfOrderSequence { .. })));
        }
    }
}

#[test]
fn damaged_snapshots_are_made_up_for_from_the_log() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), LogConfig { segment_bytes: 300, ..config() });
    // Of this one there is nothing but the first batch of all.
    append(&log, idempotent(9, 0, 0, 1)).unwrap();
    for i in 0..8 {
        append(&log, idempotent(7, 0, i * 2, 2)).unwrap();
    }
    stop_cleanly(dir, log);
    let snapshots = files(path.path(), ".snapshot");
    assert_eq!(snapshots.len(), 2);
    for (damaged, snapshot) in snapshots.iter().rev().enumerate() {
        flip_bit(snapshot, 20);
        let (dir, log) = open_one(&disk, path.path(), config());
        assert!(append(&log, idempotent(7, 0, 6, 2)).unwrap().duplicate, "with {damaged} more damaged");
        assert!(append(&log, idempotent(9, 0, 0, 1)).unwrap().duplicate, "with {damaged} more damaged");
        drop((dir, log));
    }
}

#[test]
fn a_snapshot_from_beyond_the_end_is_not_believed() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), config());
    append(&log, idempotent(7, 0, 0, 2)).unwrap();
    stop_cleanly(dir, log);
    let snapshot = files(path.path(), ".snapshot").pop().unwrap();
    let beyond = snapshot.with_file_name("00000000000000000009.snapshot");
    fs::copy(&snapshot, &beyond).unwrap();
    let (dir, log) = open_one(&disk, path.path(), config());
    assert!(!beyond.exists());
    append(&log, idempotent(7, 0, 2, 2)).unwrap();
    drop((dir, log));
    fs::copy(&snapshot, &beyond).unwrap();
    let (_dir, log) = open_one(&disk, path.path(), config());
    assert!(append(&log, idempotent(7, 0, 2, 2)).unwrap().duplicate);
}

#[test]
fn a_topic_of_the_same_name_inherits_nothing() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), config());
    for _ in 0..20 {
        append(&log, plain(5, 0, b"old")).unwrap();
    }
    log.advance_log_start_offset(90, 0).unwrap();
    log.flush().unwrap();
    dir.checkpoint(std::iter::once(&log)).unwrap();
    dir.delete_log(&log).unwrap();
    let recreated = dir.open_log(&partition(0), topic_id(2), config()).unwrap();
    assert_eq!((recreated.log_start_offset(), recreated.log_end_offset()), (0, 0));
    append(&recreated, plain(3, 0, b"new")).unwrap();

    // What still holds the old log must not touch the new one's files.
    assert!(matches!(log.read(95, 100, i64::MAX, true), Err(ReadError::Closed)));
    assert!(matches!(log.advance_log_start_offset(100, 0), Err(StorageError::Closed)));
    assert!(matches!(log.apply_retention(i64::MAX), Err(StorageError::Closed)));
    assert!(matches!(log.flush(), Err(StorageError::Closed)));
    assert!(matches!(append(&log, plain(1, 0, b"x")), Err(AppendError::Closed)));

    // A crash before the next checkpoint: the offsets of the old one are not the new one's.
    drop((log, recreated, dir));
    let dir = open_dir(&disk, path.path());
    let found = dir.partitions().unwrap();
    assert_eq!((found.len(), found[0].topic_id), (1, Some(topic_id(2))));
    let log = dir.open_log(&partition(0), topic_id(2), config()).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 3));
    let text = read_all(&log, 0);
    assert_eq!(batches(&text).count(), 1);
}

#[test]
fn a_directory_of_another_topic_makes_way() {
    let (disk, path) = (RigDisk::default(), tempdir());
    filled(&disk, path.path());
    let dir = open_dir(&disk, path.path());
    let log = dir.open_log(&partition(0), topic_id(9), config()).unwrap();
    assert_eq!(log.log_end_offset(), 0);
    append(&log, plain(1, 0, b"new")).unwrap();
    assert_eq!(files(path.path(), ".log").len(), 1);
}

#[test]
fn records_of_nobody_knows_whom_are_kept_aside() {
    let (disk, path) = (RigDisk::default(), tempdir());
    filled(&disk, path.path());
    fs::write(path.path().join("orders-0/partition.metadata"), b"").unwrap();
    let dir = open_dir(&disk, path.path());
    dir.open_log(&partition(0), topic_id(1), config()).unwrap();
    dir.remove_deleted().unwrap();
    let names: Vec<String> =
        fs::read_dir(path.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().any(|name| name.ends_with("-stray")), "{names:?}");
    drop(dir);
    open_dir(&disk, path.path());
    let stray = names.iter().find(|name| name.ends_with("-stray")).unwrap();
    assert!(fs::read_dir(path.path().join(stray)).unwrap().count() > 1, "a start removed records");
}

/// What a power cut may leave of a log before its first flush: names, and files without content.
#[test]
fn a_directory_without_records_is_not_kept() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let empty = |name: &str| {
        let dir = path.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("partition.metadata"), b"").unwrap();
        fs::write(dir.join("00000000000000000000.log"), b"").unwrap();
    };
    let names = || -> Vec<String> {
        let entries = fs::read_dir(path.path()).unwrap().map(|entry| entry.unwrap());
        let dirs = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        dirs.map(|dir| dir.file_name().into_string().unwrap()).collect()
    };
    // One of this run, one that an earlier release kept, and one that is somebody else's.
    empty("orders-0");
    empty("orders-1.0123456789abcdef0123456789abcdef-stray");
    empty("holiday.photos-stray");
    let dir = open_dir(&disk, path.path());
    assert_eq!(dir.set_aside(&partition(0)).unwrap(), None);
    dir.remove_deleted().unwrap();
    assert_eq!(names(), ["holiday.photos-stray"]);

    // What compaction was about to put in the place of others has their records.
    empty("orders-0");
    fs::write(path.path().join("orders-0/00000000000000000000.log.swap"), b"records").unwrap();
    assert!(dir.set_aside(&partition(0)).unwrap().is_some());

    filled(&disk, &path.path().join("other"));
    fs::rename(path.path().join("other/orders-0"), path.path().join("orders-0")).unwrap();
    let kept = dir.set_aside(&partition(0)).unwrap().expect("it has records");
    dir.remove_deleted().unwrap();
    assert!(fs::read_dir(&kept).unwrap().count() > 1, "{}", kept.display());
}

#[test]
fn an_index_that_leads_astray_hides_nothing() {
    for place in [8, 12] {
        let (disk, path) = (RigDisk::default(), tempdir());
        let config = LogConfig { index_interval_bytes: 0, segment_bytes: 10_000, ..config() };
        let (dir, log) = open_one(&disk, path.path(), config.clone());
        for i in 0..60 {
            append(&log, idempotent(1, 0, i * 2, 2)).unwrap();
        }
        let expected = read_all(&log, 0);
        stop_cleanly(dir, log);
        // An entry that says of an early offset that it is late in the file, or in the middle of a batch.
        let index = &files(path.path(), ".index")[0];
        let mut content = fs::read(index).unwrap();
        let last = content.len() - 8;
        if place == 8 {
            content.copy_within(last + 4.., 12)
        } else {
            content[15] ^= 3
        }
        fs::write(index, content).unwrap();
        let (_dir, log) = open_one(&disk, path.path(), config);
        for offset in 0..120 {
            let read = log.read(offset, 1, i64::MAX, true).unwrap().records.chunks().concat();
            assert_eq!(Batch::parse(&read).unwrap().base_offset(), offset / 2 * 2);
        }
        assert!(read_all(&log, 0) == expected);
    }
}

#[test]
fn what_was_durable_and_is_damaged_does_not_take_the_place_of_anything() {
    let (disk, path) = (RigDisk::default(), tempdir());
    filled(&disk, path.path());
    let swap = path.path().join("orders-0/00000000000000000000.log.swap");
    fs::write(&swap, b"compacted").unwrap();
    assert!(matches!(open_result(&disk, path.path()), Err(StorageError::Corrupt { .. })));
    assert!(swap.exists());
}

#[test]
fn a_directory_belongs_to_one_process() {
    let path = tempdir();
    let open = || LogDir::open(Arc::new(OsDisk), path.path(), SharedLimits::default());
    let first = open().unwrap();
    // Java takes locks of the other kind, which only another process meets.
    let inode = format!(":{} ", fs::metadata(path.path().join(".lock")).unwrap().ino());
    // While other processes take locks, a line may be passed over when the list is read; hardly so often.
    let is_listed = |kind: &str| {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains(&inode) && line.contains(kind) && line.contains("WRITE"))
    };
    for kind in ["FLOCK", "POSIX"] {
        assert!((0..1000).any(|_| is_listed(kind)), "no {kind} lock");
    }
    assert!(matches!(open(), Err(StorageError::Locked { .. })));
    drop(first);
    open().unwrap();
}

#[test]
fn deleted_records_stay_deleted_when_the_tail_is_lost() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), config());
    append(&log, plain(3, 0, b"a")).unwrap();
    let size = log.size_bytes();
    append(&log, plain(5, 0, b"b")).unwrap();
    log.advance_log_start_offset(6, 0).unwrap();
    dir.checkpoint(std::iter::once(&log)).unwrap();
    drop((dir, log));
    let file = OpenOptions::new().write(true).open(&files(path.path(), ".log")[0]).unwrap();
    file.set_len(size).unwrap();
    let (_dir, log) = open_one(&disk, path.path(), config());
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (6, 6));
    assert_eq!(append(&log, plain(1, 0, b"c")).unwrap().base_offset, 6);
}

#[test]
fn deleting_everything_before_an_empty_segment_keeps_that() {
    let (disk, path) = (RigDisk::default(), tempdir());
    filled(&disk, path.path());
    // A crash between closing a segment and the first batch of the next.
    fs::write(path.path().join("orders-0/00000000000000000040.log"), b"").unwrap();
    let (dir, log) = open_one(&disk, path.path(), config());
    assert_eq!(log.advance_log_start_offset(40, 0).unwrap(), 40);
    assert_eq!(files(path.path(), ".log").len(), 1);
    append(&log, plain(1, 0, b"kept")).unwrap();
    drop((dir, log));
    let (_dir, log) = open_one(&disk, path.path(), config());
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (40, 41));
}

#[test]
fn old_records_fill_segments_like_new_ones() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let week = 7 * 24 * 3_600_000;
    let (_dir, log) = open_one(&disk, path.path(), config());
    let now_ms = 1_700_000_000_000;
    let append_at = |timestamp| {
        log.append_as_leader(plain(1, timestamp, b"v"), 0, AppendOrigin::Client, now_ms).unwrap();
        log.segment_base_offsets().len()
    };
    // Twenty years old, all within a week: one segment.
    for day in 0..7 {
        assert_eq!(append_at(1_000_000_000_000 + day * 24 * 3_600_000), 1);
    }
    assert_eq!(append_at(1_000_000_000_000 + week + 1), 2);
    // Time that goes back closes nothing.
    assert_eq!(append_at(5), 2);
}

#[test]
fn segments_without_timestamps_age_by_the_clock() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let config = LogConfig { segment_ms: 1_000, retention_ms: Some(5_000), ..config() };
    let (_dir, log) = open_one(&disk, path.path(), config);
    let append_at = |now_ms| log.append_as_leader(plain(1, -1, b"v"), 0, AppendOrigin::Client, now_ms).unwrap();
    append_at(10_000);
    append_at(10_900);
    append_at(11_500);
    assert_eq!(log.segment_base_offsets(), [(2, 11_500), (0, 10_900)]);
    assert_eq!(log.apply_retention(15_900).unwrap(), 0);
    assert_eq!(log.apply_retention(15_901).unwrap(), 1);
    assert_eq!(log.apply_retention(16_501).unwrap(), 1);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (3, 3));
    // An empty segment stays, however old.
    assert_eq!(log.apply_retention(i64::MAX).unwrap(), 0);
}

#[test]
fn log_append_time_is_ours_and_survives() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let config = LogConfig { timestamp_type: TimestampType::LogAppendTime, ..config() };
    let (dir, log) = open_one(&disk, path.path(), config.clone());
    let appended = append(&log, plain(3, 77, b"v")).unwrap();
    assert_eq!(appended.log_append_time_ms, Some(1_000));
    stop_cleanly(dir, log);
    let (_dir, log) = open_one(&disk, path.path(), config);
    assert_eq!(log.offset_for_timestamp(1_000).unwrap(), Some((0, 1_000)));
    assert_eq!(log.offset_for_timestamp(1_001).unwrap(), None);
}

#[test]
fn the_longest_topic_name_can_be_deleted() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let dir = open_dir(&disk, path.path());
    let name = TopicPartition { topic: "n".repeat(249).into(), index: 0 };
    let log = dir.open_log(&name, topic_id(1), config()).unwrap();
    append(&log, plain(1, 0, b"v")).unwrap();
    dir.delete_log(&log).unwrap();
    dir.remove_deleted().unwrap();
    assert!(dir.partitions().unwrap().is_empty());
    assert_ne!(topic_id(1), Uuid::default());
}

#[test]
fn an_offset_too_far_from_the_base_opens_a_new_segment() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), LogConfig { index_interval_bytes: 0, ..config() });
    // An index has 31 bits for what is behind the base; a batch may reach that far by itself.
    let reach = i64::from(i32::MAX);
    let far = || {
        let mut builder = BatchBuilder::new(0).last_offset(reach);
        builder.append(5, Some(b"key"), Some(b"value"), &[]);
        log.append_as_leader(builder.build().freeze(), 0, AppendOrigin::Coordinator, 5).unwrap().last_offset
    };
    assert_eq!(far(), reach);
    assert_eq!(far(), 2 * reach + 1);
    append(&log, plain(1, 6, b"near")).unwrap();
    let bases = [(2 * reach + 2, 1_000), (reach + 1, 5), (0, 5)];
    assert_eq!(log.segment_base_offsets(), bases);
    log.flush().unwrap();
    drop((dir, log));
    let (_dir, log) = open_one(&disk, path.path(), config());
    assert_eq!(log.log_end_offset(), 2 * reach + 3);
    for offset in [0, reach, reach + 1, 2 * reach + 1, 2 * reach + 2] {
        let read = log.read(offset, 1, i64::MAX, true).unwrap().records.chunks().concat();
        let batch = Batch::parse(&read).unwrap();
        assert!((batch.base_offset()..=batch.last_offset()).contains(&offset), "{offset}");
    }
    assert_eq!(log.offset_for_timestamp(6).unwrap(), Some((2 * reach + 2, 6)));
}

#[test]
fn a_clock_that_goes_back_deletes_nothing() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let config = LogConfig { segment_ms: 1_000_000, retention_ms: Some(1_000_000), segment_bytes: 300, ..config() };
    let (_dir, log) = open_one(&disk, path.path(), config);
    let hour = 3_600_000;
    let append_at =
        |now_ms| log.append_as_leader(plain(1, now_ms, &[0; 150]), 0, AppendOrigin::Client, now_ms).unwrap();
    for now_ms in [10 * hour, 9 * hour, 10 * hour + 1] {
        append_at(now_ms);
    }
    let segments = log.segment_base_offsets().len();
    // Back by an hour: nothing is that old.
    assert_eq!(log.apply_retention(9 * hour).unwrap(), 0);
    assert_eq!((log.log_start_offset(), log.segment_base_offsets().len()), (0, segments));
    // The oldest segment keeps what is behind it, whatever times it has.
    assert_eq!(log.apply_retention(10 * hour + 1).unwrap(), 0);
    assert_eq!(log.apply_retention(i64::MIN).unwrap(), 0);
    assert_eq!(log.log_start_offset(), 0);
}
