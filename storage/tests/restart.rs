//! A start after a crash reads what follows the newest restart point, and finds the same as if it had read everything.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod rig;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use protocol::records::BatchBuilder;
use rig::{
    RigDisk, append, config, files, idempotent, open_dir, open_one, partition, plain, read_all, tempdir, topic_id,
};
use storage::{AppendOrigin, LogConfig, LogDir, PartitionLog, StorageError};

const KIB: usize = 1 << 10;
const BATCHES: i64 = 400;
const BATCH_BYTES: usize = 40 * KIB;
const BLOCK_BYTES: u64 = 256 << 10;

/// The last batch, which no restart point knows, was flushed and written down by nobody.
const BEHIND: &[u8] = b"behind";

/// Appends sixteen mebibytes, with times that go up and down, leader epochs and an idempotent producer.
fn fill(dir: &LogDir, log: &PartitionLog) {
    for i in 0..BATCHES {
        let timestamp = if i == 17 { 1_000_000 } else { 1_000 + i * 3 - (i % 7) * 10 };
        let batch = plain(2, timestamp, &vec![b'v'; BATCH_BYTES / 2]);
        log.append_as_leader(batch, (i / 100) as i32, AppendOrigin::Client, 1_000).unwrap();
        if i % 50 == 0 {
            append_idempotent(log, (i / 50) as i32);
            log.flush().unwrap();
            dir.checkpoint(std::iter::once(log)).unwrap();
        }
    }
    log.flush().unwrap();
    dir.checkpoint(std::iter::once(log)).unwrap();
    log.append_as_leader(plain(1, 2_000, BEHIND), 3, AppendOrigin::Client, 1_000).unwrap();
}

fn append_idempotent(log: &PartitionLog, sequence: i32) {
    log.append_as_leader(idempotent(7, 0, sequence, 1), 3, AppendOrigin::Client, 1_000).unwrap();
}

/// Everything that can be asked of a log.
fn answers(log: &PartitionLog) -> impl PartialEq + std::fmt::Debug + use<> {
    let by_time: Vec<_> =
        [0, 1_000, 1_500, 2_000, 2_195, 1_000_000, 1_000_001].map(|at| log.offset_for_timestamp(at).unwrap()).into();
    let by_offset: Vec<_> = (0..log.log_end_offset())
        .step_by(37)
        .map(|offset| {
            (log.epoch_for_offset(offset), log.read(offset, 1, i64::MAX, true).unwrap().records.chunks().concat().len())
        })
        .collect();
    let newest = log.offset_of_max_timestamp().unwrap();
    (log.log_end_offset(), log.producer_count(), by_time, by_offset, newest)
}

fn crashed() -> (RigDisk, tempfile::TempDir) {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), config());
    fill(&dir, &log);
    drop((dir, log));
    disk.take_read_bytes();
    (disk, path)
}

fn open_result(disk: &RigDisk, path: &Path) -> Result<PartitionLog, StorageError> {
    open_dir(disk, path).open_log(&partition(0), topic_id(1), config())
}

/// Opens it, and again without any help from outside the data.
fn assert_same_as_read_in_full(disk: &RigDisk, path: &Path) -> u64 {
    disk.take_read_bytes();
    let log = open_result(disk, path).unwrap();
    let (read_bytes, largest_bytes) = disk.take_read_bytes();
    assert!(largest_bytes <= BLOCK_BYTES, "{largest_bytes} bytes were read at a time");
    let (found, content) = (answers(&log), read_all(&log, 0));
    drop(log);
    for suffix in [".snapshot", "index"] {
        files(path, suffix).iter().for_each(|file| fs::remove_file(file).unwrap());
    }
    fs::remove_file(path.join("recovery-point-offset-checkpoint")).unwrap();
    fs::remove_file(path.join("orders-0/leader-epoch-checkpoint")).unwrap();
    let log = open_result(disk, path).unwrap();
    assert!(disk.take_read_bytes().0 > BATCHES as u64 * BATCH_BYTES as u64);
    assert_eq!(found, answers(&log));
    assert!(content == read_all(&log, 0));
    for sequence in 3..8 {
        let again = log.append_as_leader(idempotent(7, 0, sequence, 1), 3, AppendOrigin::Client, 1_000).unwrap();
        assert!(again.duplicate, "sequence {sequence} was forgotten");
    }
    read_bytes
}

#[test]
fn only_what_follows_the_restart_point_is_read() {
    let (disk, path) = crashed();
    let read_bytes = assert_same_as_read_in_full(&disk, path.path());
    // The batch before the restart point, to believe it, and the one behind.
    assert!(read_bytes < 2 * BATCH_BYTES as u64, "{read_bytes} bytes were read");
}

#[test]
fn producers_are_remembered_through_a_restart_point() {
    let (disk, path) = crashed();
    let log = open_result(&disk, path.path()).unwrap();
    for sequence in 3..8 {
        let again = log.append_as_leader(idempotent(7, 0, sequence, 1), 3, AppendOrigin::Client, 1_000).unwrap();
        assert!(again.duplicate, "sequence {sequence} was forgotten");
    }
    assert!(!log.append_as_leader(idempotent(7, 0, 8, 1), 3, AppendOrigin::Client, 1_000).unwrap().duplicate);
}

#[test]
fn indexes_that_a_crash_has_damaged_are_built_again() {
    type Damage = fn(&Path, u64);
    let damages: [Damage; 5] = [
        |path, _| fs::remove_file(path).unwrap(),
        |path, length| OpenOptions::new().write(true).open(path).unwrap().set_len(length / 2).unwrap(),
        // A page that was not written, in the middle and at the end.
        |path, length| zero(path, length / 3),
        |path, length| zero(path, length - 40),
        // Entries behind the end, of batches that are no more.
        |path, _| {
            let mut content = fs::read(path).unwrap();
            content.extend([0x7f; 96]);
            fs::write(path, content).unwrap();
        },
    ];
    for suffix in [".index", ".timeindex"] {
        for damage in damages {
            let (disk, path) = crashed();
            let index = files(path.path(), suffix).remove(0);
            damage(&index, fs::metadata(&index).unwrap().len());
            assert_same_as_read_in_full(&disk, path.path());
        }
    }
}

fn zero(path: &Path, position: u64) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(&[0; 40], position).unwrap();
}

#[test]
fn a_damaged_restart_point_gives_way_to_an_older_one() {
    let (disk, path) = crashed();
    let newest = files(path.path(), ".snapshot").pop().unwrap();
    let length = fs::metadata(&newest).unwrap().len();
    zero(&newest, length - 40);
    let read_bytes = assert_same_as_read_in_full(&disk, path.path());
    assert!(read_bytes > BATCH_BYTES as u64 && read_bytes < BATCHES as u64 * BATCH_BYTES as u64 / 4, "{read_bytes}");
}

#[test]
fn what_a_restart_point_says_was_flushed_is_never_cut() {
    for cut in [false, true] {
        let (disk, path) = crashed();
        fs::remove_file(path.path().join("recovery-point-offset-checkpoint")).unwrap();
        let data = files(path.path(), ".log").remove(0);
        let length = fs::metadata(&data).unwrap().len();
        if cut {
            // Both batches are gone, the one behind the restart point and the one before it.
            OpenOptions::new().write(true).open(&data).unwrap().set_len(length - BATCH_BYTES as u64).unwrap();
        } else {
            // In the batch before the restart point, which is read to believe it.
            zero(&data, length - 8 * KIB as u64);
        }
        let before = fs::read(&data).unwrap();
        for _ in 0..2 {
            let opened = open_result(&disk, path.path());
            assert!(matches!(opened, Err(StorageError::Corrupt { .. })), "{opened:?}");
        }
        assert!(fs::read(&data).unwrap() == before, "a damaged log was changed");
    }
}

#[test]
fn a_torn_end_is_cut_behind_a_restart_point() {
    let (disk, path) = crashed();
    let data = files(path.path(), ".log").remove(0);
    let file = OpenOptions::new().write(true).open(&data).unwrap();
    file.set_len(file.metadata().unwrap().len() - 3).unwrap();
    let log = open_result(&disk, path.path()).unwrap();
    let end = BATCHES * 2 + 8;
    assert_eq!((log.log_end_offset(), log.flushed_offset()), (end, end));
    assert_eq!(append(&log, plain(1, 0, b"again")).unwrap().base_offset, end);
    assert_same_as_read_in_full(&disk, path.path());
}

/// One after another, as a broker that is killed whenever it has started.
#[test]
fn crashes_in_a_row_read_no_more_each_time() {
    let (disk, path) = crashed();
    for _ in 0..5 {
        let dir = open_dir(&disk, path.path());
        let log = dir.open_log(&partition(0), topic_id(1), config()).unwrap();
        append(&log, plain(1, 0, &[1; 600 * KIB])).unwrap();
        log.flush().unwrap();
        dir.checkpoint(std::iter::once(&log)).unwrap();
    }
    let read_bytes = assert_same_as_read_in_full(&disk, path.path());
    assert!(read_bytes < 3 << 20, "{read_bytes} bytes were read");
}

#[test]
fn a_clean_start_reads_no_data() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), LogConfig { segment_bytes: 4 << 20, ..config() });
    fill(&dir, &log);
    log.close().unwrap();
    dir.close_clean(std::iter::once(&log)).unwrap();
    drop((dir, log));
    for clean in [true, false] {
        disk.take_read_bytes();
        let dir = open_dir(&disk, path.path());
        assert_eq!(dir.was_clean(), clean);
        let log = dir.open_log(&partition(0), topic_id(1), config()).unwrap();
        let (read_bytes, _) = disk.take_read_bytes();
        // What follows the last index entry, or the last batch: no log ends without one.
        assert!(read_bytes <= 2 * BATCH_BYTES as u64, "{read_bytes} bytes were read; clean: {clean}");
        drop((dir, log));
    }
}

/// A batch larger than what is read at a time is mapped: its length may be rubbish, and memory is not there for that.
#[test]
fn large_batches_are_not_held_in_memory() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), LogConfig { max_message_bytes: 8 << 20, ..config() });
    let mut builder = BatchBuilder::new(0);
    builder.append(1, None, Some(&vec![b'x'; 5 << 20]), &[]);
    append(&log, builder.build().freeze()).unwrap();
    drop((dir, log));
    assert_eq!(open_result(&disk, path.path()).unwrap().log_end_offset(), 1);
}
