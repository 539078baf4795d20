//! A disk that fails: what was written stays readable, what was not is never shown, and nobody panics.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod rig;

use std::io::ErrorKind;

use protocol::records::batches;
use rig::{
    Fault, Operation, RigDisk, append, config, idempotent, open_dir, open_one, partition, plain, read_all, tempdir,
    topic_id,
};
use storage::{AppendError, LogConfig, PartitionLog, ReadError, StorageError, files};

const OPERATIONS: [Operation; 9] = [
    Operation::Open,
    Operation::Write,
    Operation::ShortWrite,
    Operation::Sync,
    Operation::SyncDir,
    Operation::Rename,
    Operation::Remove,
    Operation::Truncate,
    Operation::Reserve,
];

fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 700, index_interval_bytes: 0, ..config() }
}

fn once(operation: Operation, suffix: &'static str, error: ErrorKind) -> Fault {
    Fault { operation, suffix, after: 0, times: 1, error }
}

/// The records' values that a log has, by reading all of it.
fn values(log: &PartitionLog) -> Vec<Vec<u8>> {
    let bytes = read_all(log, log.log_start_offset());
    let mut values = Vec::new();
    for batch in batches(&bytes) {
        let set = batch.unwrap();
        let set = set.records(1 << 20).unwrap();
        values.extend(set.iter().map(|record| record.unwrap().value.unwrap().to_vec()));
    }
    values
}

/// Appends until the disk is whole again and a little longer, deletes a few records, flushes and reopens: whatever the
/// disk did, the log has what was acknowledged, each record once, in order.
fn live_through(fault: Fault) -> u64 {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), small_segments());
    disk.fail(fault);
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    for i in 0..14u8 {
        let value = vec![i; 100 + usize::from(i)];
        match append(&log, plain(1, i64::from(i), &value)) {
            Ok(appended) => {
                assert_eq!(appended.base_offset, acknowledged.len() as i64);
                acknowledged.push(value);
            }
            Err(AppendError::Storage(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
        assert_eq!(log.log_end_offset(), acknowledged.len() as i64);
    }
    let flushed = log.flush();
    assert!(flushed.is_err() || flushed.unwrap() == log.log_end_offset());
    let failures = disk.failures();
    disk.heal();
    // Refusing has a cause, and a failure that nobody heard of did no harm.
    assert!(refused == 0 || failures > 0, "{fault:?}");
    assert!(values(&log) == acknowledged, "{fault:?}");
    drop((dir, log));

    let (_dir, log) = open_one(&disk, path.path(), small_segments());
    assert!(values(&log) == acknowledged, "after a restart: {fault:?}");
    assert_eq!(append(&log, plain(1, 0, b"next")).unwrap().base_offset, acknowledged.len() as i64);
    failures
}

#[test]
fn any_one_failure_costs_no_acknowledged_record() {
    for operation in OPERATIONS {
        for error in [ErrorKind::StorageFull, ErrorKind::Other] {
            let mut met = 0;
            for after in 0..40 {
                for times in [1, 5] {
                    met += live_through(Fault { operation, suffix: "", after, times, error });
                }
            }
            assert!(met > 0, "nothing ever failed: {operation:?}");
        }
    }
}

#[test]
fn a_failed_fsync_stops_the_log() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), config());
    append(&log, plain(1, 0, b"durable")).unwrap();
    assert_eq!(log.flush().unwrap(), 1);
    append(&log, plain(1, 0, b"who knows")).unwrap();
    disk.fail(once(Operation::Sync, ".log", ErrorKind::Other));
    assert!(matches!(log.flush(), Err(StorageError::Io { operation: "flush", .. })));
    disk.heal();

    // The kernel would report success now, and have dropped the bytes.
    assert!(matches!(log.flush(), Err(StorageError::Offline { .. })));
    assert!(matches!(append(&log, plain(1, 0, b"x")), Err(AppendError::Storage(StorageError::Offline { .. }))));
    assert!(matches!(log.apply_retention(0), Err(StorageError::Offline { .. })));
    assert_eq!(log.flushed_offset(), 1);
    assert!(log.read(0, 100, i64::MAX, true).is_ok());

    assert!(matches!(log.close(), Err(StorageError::Offline { .. })));
    assert!(matches!(dir.close_clean(std::iter::once(&log)), Err(StorageError::Offline { .. })));
    drop((dir, log));
    assert!(!open_dir(&disk, path.path()).was_clean(), "a clean stop was claimed after a failed fsync");
}

#[test]
fn an_fsync_that_fails_while_a_segment_is_closed_stops_it_too() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), small_segments());
    append(&log, plain(1, 0, &[1; 400])).unwrap();
    disk.fail(once(Operation::Sync, ".log", ErrorKind::Other));
    append(&log, plain(1, 0, &[2; 400])).unwrap_err();
    disk.heal();
    assert!(matches!(log.flush(), Err(StorageError::Offline { .. })));
    assert_eq!((log.log_end_offset(), log.flushed_offset()), (1, 0));
}

/// Of a file or a directory, in a flush, a roll, a checkpoint or the first append of a log: there is one disk below.
#[test]
fn the_first_failed_fsync_is_the_directorys_last() {
    for (operation, suffix) in [
        (Operation::Sync, ".log"),
        (Operation::Sync, ".timeindex"),
        (Operation::Sync, ".snapshot.tmp"),
        (Operation::Sync, "leader-epoch-checkpoint.tmp"),
        (Operation::Sync, "recovery-point-offset-checkpoint.tmp"),
        (Operation::SyncDir, "orders-1"),
        (Operation::SyncDir, ""),
    ] {
        let (disk, path) = (RigDisk::default(), tempdir());
        let dir = open_dir(&disk, path.path());
        let logs: Vec<PartitionLog> =
            (0..3).map(|index| dir.open_log(&partition(index), topic_id(1), small_segments()).unwrap()).collect();
        append(&logs[0], plain(1, 0, b"durable")).unwrap();
        logs[0].flush().unwrap();
        assert!(dir.state().offline().is_none());
        disk.fail(once(operation, suffix, ErrorKind::Other));
        for i in 0..3 {
            let _ = append(&logs[1], plain(1, i, &[1; 400]));
        }
        let _ = (logs[1].flush(), dir.checkpoint(logs.iter()));
        let reason = dir.state().offline().unwrap_or_else(|| panic!("{operation:?} {suffix} stopped nothing"));
        assert!(reason.path.to_string_lossy().ends_with(suffix), "{reason:?}");
        disk.heal();

        let syncs = disk.syncs();
        for log in &logs {
            let refused = append(log, plain(1, 0, b"x"));
            assert!(matches!(refused, Err(AppendError::Storage(StorageError::Offline { .. }))), "{refused:?}");
            assert!(matches!(log.flush(), Err(StorageError::Offline { .. })));
        }
        assert!(matches!(dir.checkpoint(logs.iter()), Err(StorageError::Offline { .. })));
        assert_eq!(disk.syncs(), syncs, "an fsync was tried again");
        assert_eq!(values(&logs[0]), [b"durable"], "what is there can be read");
        drop((logs, dir));
        let dir = open_dir(&disk, path.path());
        assert!(!dir.was_clean() && dir.state().offline().is_none());
        let log = dir.open_log(&partition(2), topic_id(1), small_segments()).unwrap();
        append(&log, plain(1, 0, b"after")).unwrap();
        log.flush().unwrap();
    }
}

/// Nothing was flushed and nothing was lost.
#[test]
fn a_directory_that_cannot_be_opened_to_be_flushed_stops_nothing() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), config());
    let missing = Fault { times: 2, ..once(Operation::SyncDir, "orders-0", ErrorKind::NotFound) };
    disk.fail(missing);
    append(&log, plain(1, 0, b"v")).unwrap();
    for _ in 0..missing.times {
        log.flush().unwrap_err();
        assert!(dir.state().offline().is_none());
        assert_eq!(log.flushed_offset(), 0, "what has no durable name is not durable");
    }
    append(&log, plain(1, 0, b"v")).unwrap();
    assert_eq!(log.flush().unwrap(), 2);
}

/// Whoever made the directories above ours may have been killed before their names were durable.
#[test]
fn a_failure_above_a_directory_is_told_and_a_closed_door_is_not() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let dir = path.path().join("mount/data");
    files::create_dir(&disk, &dir).unwrap();
    for error in [ErrorKind::Other, ErrorKind::StorageFull] {
        disk.fail(once(Operation::SyncDir, "mount", error));
        assert_eq!(files::create_dir(&disk, &dir).unwrap_err().kind(), error);
        files::create_dir(&disk, &dir).unwrap();
    }
    use ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    for (place, error) in [InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported].into_iter().enumerate() {
        disk.fail(once(Operation::SyncDir, "mount", error));
        files::create_dir(&disk, &dir).unwrap();
        disk.fail(once(Operation::SyncDir, "data", error));
        let new = dir.join(place.to_string());
        assert_eq!(files::create_dir(&disk, &new).unwrap_err().kind(), error, "the new name is not durable");
    }
}

#[test]
fn a_short_write_leaves_nothing_behind() {
    for cut_fails in [false, true] {
        let (disk, path) = (RigDisk::default(), tempdir());
        let (dir, log) = open_one(&disk, path.path(), config());
        append(&log, plain(1, 0, b"before")).unwrap();
        disk.fail(once(Operation::ShortWrite, ".log", ErrorKind::StorageFull));
        if cut_fails {
            disk.fail(once(Operation::Truncate, ".log", ErrorKind::Other));
        }
        let refused = append(&log, plain(1, 0, &[7; 500]));
        assert!(matches!(refused, Err(AppendError::Storage(StorageError::Io { .. }))), "{refused:?}");
        let file = rig::files(path.path(), ".log").remove(0);
        let is_torn = file.metadata().unwrap().len() > log.size_bytes();
        assert_eq!(is_torn, cut_fails);
        append(&log, plain(1, 0, b"after")).unwrap();
        assert_eq!(file.metadata().unwrap().len(), log.size_bytes(), "torn bytes are still there");
        let seen = values(&log);
        drop((dir, log));
        let (_dir, log) = open_one(&disk, path.path(), config());
        assert_eq!(values(&log), seen);
        assert_eq!(seen.last().unwrap(), b"after");
    }
}

#[test]
fn a_retry_after_a_failed_write_is_no_duplicate() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), config());
    append(&log, idempotent(1, 0, 0, 2)).unwrap();
    disk.fail(once(Operation::Write, ".log", ErrorKind::StorageFull));
    append(&log, idempotent(1, 0, 2, 2)).unwrap_err();
    let retried = append(&log, idempotent(1, 0, 2, 2)).unwrap();
    assert_eq!((retried.base_offset, retried.duplicate), (2, false));
}

#[test]
fn an_index_that_cannot_be_written_stops_nobody() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let config = LogConfig { index_interval_bytes: 0, ..config() };
    let (dir, log) = open_one(&disk, path.path(), config.clone());
    append(&log, plain(1, 0, b"v")).unwrap();
    disk.fail(Fault {
        operation: Operation::Write,
        suffix: "index",
        after: 0,
        times: u64::MAX,
        error: ErrorKind::Other,
    });
    for i in 1..1_200 {
        append(&log, plain(1, i, b"v")).unwrap();
    }
    assert!(disk.failures() > 0);
    assert_eq!(log.offset_for_timestamp(700).unwrap(), Some((700, 700)));
    // Only a stop that counts on the index hears of it.
    log.close().unwrap_err();
    disk.heal();
    drop((dir, log));
    let (_dir, log) = open_one(&disk, path.path(), config);
    assert_eq!(log.offset_for_timestamp(700).unwrap(), Some((700, 700)));
}

#[test]
fn an_epoch_that_could_not_be_written_is_written_later() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), config());
    append(&log, plain(1, 0, b"v")).unwrap();
    log.flush().unwrap();
    log.append_as_leader(plain(1, 0, b"w"), 3, storage::AppendOrigin::Client, 0).unwrap();
    disk.fail(once(Operation::Rename, "leader-epoch-checkpoint.tmp", ErrorKind::StorageFull));
    log.flush().unwrap_err();
    assert_eq!(log.flushed_offset(), 1);
    log.close().unwrap();
    dir.close_clean(std::iter::once(&log)).unwrap();
    drop((dir, log));
    let (_dir, log) = open_one(&disk, path.path(), config());
    assert_eq!((log.epoch_for_offset(0), log.epoch_for_offset(1)), (Some(0), Some(3)));
}

#[test]
fn bytes_that_were_read_back_are_made_durable_before_they_count() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), config());
    append(&log, plain(1, 0, b"v")).unwrap();
    drop((dir, log));
    disk.fail(once(Operation::Sync, ".log", ErrorKind::Other));
    let opened = open_dir(&disk, path.path()).open_log(&partition(0), topic_id(1), config());
    assert!(matches!(opened, Err(StorageError::Io { operation: "flush", .. })), "{opened:?}");
}

#[test]
fn reads_report_a_disk_that_cannot_read() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), config());
    append(&log, plain(1, 0, b"v")).unwrap();
    drop((dir, log));
    let (_dir, log) = open_one(&disk, path.path(), config());
    disk.fail(once(Operation::Open, ".log", ErrorKind::Other));
    let read = log.read(0, 100, i64::MAX, true);
    assert!(matches!(read, Err(ReadError::Storage(StorageError::Io { .. }))), "{read:?}");
    assert!(!log.read(0, 100, i64::MAX, true).unwrap().records.is_empty());
}

#[test]
fn a_deletion_that_fails_half_way_leaves_a_log() {
    for operation in [Operation::Rename, Operation::SyncDir, Operation::Sync, Operation::Open] {
        for after in 0..12 {
            let (disk, path) = (RigDisk::default(), tempdir());
            let (dir, log) = open_one(&disk, path.path(), small_segments());
            for i in 0..9u8 {
                append(&log, plain(1, 0, &[i; 250])).unwrap();
            }
            disk.fail(Fault { operation, suffix: "", after, times: 1, error: ErrorKind::Other });
            let _ = log.advance_log_start_offset(5, 0);
            disk.heal();
            let expected = read_all(&log, 5);
            drop((dir, log));
            let (_dir, log) = open_one(&disk, path.path(), small_segments());
            assert!(log.log_start_offset() <= 5 && log.log_end_offset() == 9);
            assert!(read_all(&log, 5) == expected);
        }
    }
}
