//! Batches that somebody will send: the same as those that are read, and where they stand in a file.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod rig;

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rig::{append, config, number, partition, plain, tempdir, topic_id};
use storage::{LogConfig, LogDir, OsDisk, PartitionLog, SharedLimits, file_behind};

const BATCHES: usize = 400;

fn open(path: &Path) -> (LogDir, PartitionLog) {
    open_with(path, 0)
}

fn open_with(path: &Path, tail_cache_bytes: usize) -> (LogDir, PartitionLog) {
    let limits = SharedLimits { tail_cache_bytes, ..SharedLimits::default() };
    let dir = LogDir::open(Arc::new(OsDisk), path, limits).unwrap();
    let log = dir.open_log(&partition(0), topic_id(1), LogConfig { segment_bytes: 500_000, ..config() }).unwrap();
    (dir, log)
}

fn fill(log: &PartitionLog, rng: &mut fastrand::Rng) {
    for _ in 0..BATCHES {
        // Large and small ones, so that the index knows some of them and others have to be walked to.
        let value = vec![b'x'; if rng.bool() { rng.usize(..200) } else { rng.usize(..6_000) }];
        append(log, plain(rng.usize(1..4), 0, &value)).unwrap();
    }
}

/// Reads from everywhere, in all sizes; answers how many answers were windows to send.
fn compare(log: &PartitionLog, rng: &mut fastrand::Rng, is_index_right: bool) -> usize {
    let (end, mut windows) = (log.log_end_offset(), 0);
    for _ in 0..2_000 {
        let (offset, max_bytes) = (rng.i64(0..=end), rng.usize(..400_000));
        let (upper, at_least_one) = (if rng.bool() { i64::MAX } else { rng.i64(0..=end) }, rng.bool());
        let read = log.read(offset, max_bytes, upper, at_least_one).unwrap();
        let to_send = log.read_to_send(offset, max_bytes, upper, at_least_one).unwrap();
        let at = format!("offset {offset}, {max_bytes} bytes below {upper}");
        let (read_is_cut, is_cut) = (read.is_cut, to_send.is_cut);
        let (read, to_send) = (read.records.chunks().concat(), to_send.records);
        for chunk in to_send.chunks() {
            if let Some(part) = file_behind(chunk) {
                let mut sent = vec![0; chunk.len()];
                part.file.read_exact_at(&mut sent, part.position).unwrap();
                assert!(sent == chunk[..], "{at}");
                windows += 1;
            }
        }
        let to_send = to_send.chunks().concat();
        let (shorter, longer) = if read.len() < to_send.len() { (&read, &to_send) } else { (&to_send, &read) };
        assert!(longer.starts_with(shorter) && shorter.is_empty() == longer.is_empty(), "{at}");
        // Who is led astray by an index finds the way, but perhaps less at a time.
        assert!(!is_index_right || shorter == longer, "{at}");
        assert!(shorter != longer || read_is_cut == is_cut, "{at}");
    }
    windows
}

#[test]
fn what_is_sent_is_what_is_read() {
    let seed = number("SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let (mut rng, path) = (fastrand::Rng::with_seed(seed), tempdir());
    let (_dir, log) = open(path.path());
    fill(&log, &mut rng);
    assert!(log.segment_count() > 1);
    let windows = compare(&log, &mut rng, true);
    assert!(windows > 500);
}

#[test]
fn an_index_that_is_wrong_changes_nothing_of_what_is_sent() {
    let seed = number("SEED").unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..3 {
        let path = tempdir();
        let (dir, log) = open(path.path());
        fill(&log, &mut rng);
        log.close().unwrap();
        dir.close_clean(std::iter::once(&log)).unwrap();
        drop((dir, log));
        let index = &rig::files(path.path(), ".index")[0];
        let mut content = fs::read(index).unwrap();
        // Not the last: what is wrong with that is found when the log is opened.
        for _ in 0..3 {
            let place = rng.usize(..content.len() / 8 - 1) * 8 + rng.usize(6..8);
            content[place] ^= rng.u8(1..);
        }
        fs::write(index, content).unwrap();
        let (_dir, log) = open(path.path());
        compare(&log, &mut rng, false);
    }
}

/// Whoever sends it later has to count it, or readers that do not read would have all memory.
#[test]
fn memory_that_is_kept_for_a_reader_is_told() {
    for (tail_cache_bytes, max_bytes, is_kept) in [(16 << 20, 400_000, true), (0, 100_000, true), (0, 400_000, false)] {
        let path = tempdir();
        let (_dir, log) = open_with(path.path(), tail_cache_bytes);
        for _ in 0..90 {
            append(&log, plain(1, 0, &[b'x'; 5_000])).unwrap();
        }
        let read = log.read(0, max_bytes, i64::MAX, true).unwrap();
        assert!(read.records.len() > max_bytes - 6_000, "{} bytes", read.records.len());
        assert_eq!(read.held_bytes, if is_kept { read.records.len() } else { 0 }, "{tail_cache_bytes}, {max_bytes}");
    }
}
