//! One thread appends while others read, flush and delete: readers see whole batches in order, or that they are gone.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod rig;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use fastrand::Rng;
use protocol::records::batches;
use rig::{RigDisk, append, config, idempotent, partition, plain, tempdir, topic_id};
use storage::{LogConfig, LogDir, PartitionLog, ReadError, SharedLimits};

const BATCHES: usize = 4_000;

/// Reads at random places; answers how many batches it saw.
fn read_until(log: &PartitionLog, seed: u64, done: &AtomicBool) -> usize {
    let mut rng = Rng::with_seed(seed);
    let mut seen = 0;
    loop {
        let is_last = done.load(Ordering::Relaxed);
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        let offset = if is_last { end - 1 } else { rng.i64(start..=end) };
        let read = match log.read(offset, rng.usize(..40_000), i64::MAX, true) {
            Ok(read) => read,
            Err(ReadError::OutOfRange { .. }) => continue,
            Err(other) => panic!("reading {offset} of {start}..{end}: {other}"),
        };
        let mut expected = None;
        for batch in read.records.chunks().iter().flat_map(|chunk| batches(chunk)) {
            let batch = batch.unwrap();
            assert!(batch.is_crc_valid());
            match expected {
                None => assert!((batch.base_offset()..=batch.last_offset()).contains(&offset)),
                Some(next) => assert_eq!(batch.base_offset(), next),
            }
            expected = Some(batch.next_offset());
            seen += 1;
        }
        assert!(expected.is_some() || offset == end);
        match log.offset_for_timestamp(offset) {
            Ok(found) => assert!(found.is_none_or(|(_, timestamp)| timestamp >= offset)),
            Err(other) => panic!("looking for {offset}: {other}"),
        }
        if is_last {
            return seen;
        }
    }
}

#[test]
fn readers_are_not_disturbed() {
    let path = tempdir();
    let limits = SharedLimits { tail_cache_bytes: 20_000, ..SharedLimits::default() };
    let dir = LogDir::open(Arc::new(RigDisk::default()), path.path(), limits).unwrap();
    let config = LogConfig { segment_bytes: 30_000, retention_bytes: Some(100_000), ..config() };
    let log = dir.open_log(&partition(0), topic_id(1), config).unwrap();
    let (done, seen, deleted) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for seed in 0..2 {
            let (log, done, seen) = (&log, &done, &seen);
            scope.spawn(move || seen.fetch_add(read_until(log, seed, done), Ordering::Relaxed));
        }
        scope.spawn(|| {
            let mut is_last = false;
            while !is_last {
                is_last = done.load(Ordering::Relaxed);
                log.flush().unwrap();
                deleted.fetch_add(log.apply_retention(0).unwrap(), Ordering::Relaxed);
                dir.checkpoint(std::iter::once(&log)).unwrap();
            }
        });
        let stop = Stop(&done);
        for i in 0..BATCHES {
            append(&log, plain(1 + i % 3, i as i64, &vec![i as u8; i % 700])).unwrap();
        }
        drop(stop);
    });
    assert!(seen.into_inner() > 0 && deleted.into_inner() > 0);
    assert_eq!(log.flush().unwrap(), log.log_end_offset());
}

#[test]
fn a_batch_that_comes_twice_at_once_is_written_once() {
    let path = tempdir();
    let dir = LogDir::open(Arc::new(RigDisk::default()), path.path(), SharedLimits::default()).unwrap();
    let log = dir.open_log(&partition(0), topic_id(1), config()).unwrap();
    for sequence in 0..500 {
        let together = Barrier::new(2);
        let send = || {
            together.wait();
            append(&log, idempotent(7, 0, sequence, 1)).unwrap()
        };
        let (one, other) = thread::scope(|scope| {
            let one = scope.spawn(send);
            (send(), one.join().unwrap())
        });
        assert!(one.duplicate != other.duplicate, "sequence {sequence}");
        assert_eq!((one.base_offset, other.base_offset), (i64::from(sequence), i64::from(sequence)));
    }
    assert_eq!(log.log_end_offset(), 500);
}

/// Ends the other threads even when the writer fails, so that the test ends too.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
