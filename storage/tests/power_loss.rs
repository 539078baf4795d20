//! The power fails at any moment: between two operations of an append, a roll, a deletion, a stop or a recovery.
//!
//! Each seed is one life of a log with several failures. `OTTLA_SEED=<seed>` runs one alone, and
//! `OTTLA_SEEDS=<count>` more of them.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod rig;

use std::path::Path;
use std::sync::Arc;

use fastrand::Rng;
use protocol::records::{Batch, batches};
use rig::{idempotent, partition, plain, topic_id};
use simdisk::{SimDisk, over_seeds};
use storage::{AppendOrigin, LogConfig, LogDir, PartitionLog, SharedLimits, StorageError};

const SEEDS: u64 = 1_800;
const LIVES: usize = 5;
const PRODUCER: i64 = 5;

#[test]
fn nothing_that_was_flushed_is_ever_lost() {
    over_seeds("partition log", SEEDS, 9_000, |seed| Run::new(seed).go());
}

/// What a crash may leave depends on a seed.
const CRASHES: u64 = 40;

#[test]
fn a_clean_stop_is_forgotten_before_anything_else_happens() {
    for seed in 0..CRASHES {
        let (disk, mut rng) = (SimDisk::default(), Rng::with_seed(seed));
        let open = || LogDir::open(Arc::new(disk.clone()), Path::new("/data"), SharedLimits::default()).unwrap();
        open().close_clean(std::iter::empty()).unwrap();
        disk.restart(&mut rng);
        assert!(open().was_clean(), "seed {seed}: what was said at the stop is gone");
        disk.restart(&mut rng);
        assert!(!open().was_clean(), "seed {seed}: a crash passes for a clean stop");
    }
}

#[test]
fn a_checkpoint_that_was_written_is_there_after_a_power_cut() {
    for seed in 0..CRASHES {
        let (disk, mut rng) = (SimDisk::default(), Rng::with_seed(seed));
        let open = || {
            let dir = LogDir::open(Arc::new(disk.clone()), Path::new("/data"), SharedLimits::default()).unwrap();
            let log = dir.open_log(&partition(0), topic_id(1), rig::config()).unwrap();
            (dir, log)
        };
        for start in [2, 4] {
            let (dir, log) = open();
            log.append_as_leader(plain(3, 7, b"v"), 0, AppendOrigin::Client, 7).unwrap();
            log.flush().unwrap();
            log.advance_log_start_offset(start, 7).unwrap();
            dir.checkpoint(std::iter::once(&log)).unwrap();
            drop((dir, log));
            disk.restart(&mut rng);
            assert_eq!(open().1.log_start_offset(), start, "seed {seed}");
        }
    }
}

/// A kill at each point of a roll, a start that goes on in the segment it finds, and then a power cut: the segment's name
/// may have been in the page cache alone.
#[test]
fn a_segment_that_is_found_after_a_kill_is_there_after_a_power_cut() {
    for (kill, seed) in (0..20).flat_map(|kill| (0..CRASHES).map(move |seed| (kill, seed))) {
        let (disk, mut rng) = (SimDisk::default(), Rng::with_seed(seed));
        let open = || {
            let dir = LogDir::open(Arc::new(disk.clone()), Path::new("/data"), SharedLimits::default()).unwrap();
            let log =
                dir.open_log(&partition(0), topic_id(1), LogConfig { segment_bytes: 150, ..rig::config() }).unwrap();
            (dir, log)
        };
        let append = |log: &PartitionLog| log.append_as_leader(plain(1, 7, b"v"), 0, AppendOrigin::Client, 7);
        let (dir, log) = open();
        append(&log).unwrap();
        append(&log).unwrap();
        log.flush().unwrap();
        // So that nothing before the new segment has to be read again.
        dir.checkpoint(std::iter::once(&log)).unwrap();
        disk.fail_after(kill);
        let _ = append(&log);
        drop((dir, log));
        disk.end_process();

        let (dir, log) = open();
        append(&log).unwrap();
        let flushed = log.flush().unwrap();
        drop((dir, log));
        disk.restart(&mut rng);
        let end = open().1.log_end_offset();
        assert!(
            end >= flushed,
            "killed after {kill} changes, seed {seed}: {flushed} were flushed, and {end} are there"
        );
    }
}

/// A log's first record makes a directory and files, whose names become durable with it. The power fails at each moment
/// of that; or the process is killed there, a start believes what it finds, and the power fails then. There are two logs,
/// for one flush of what is above them may do for both.
#[test]
fn first_records_that_were_flushed_are_there_with_all_that_belongs_to_them() {
    const EPOCH: i32 = 3;
    for (changes, seed) in (0..40).flat_map(|changes| (0..CRASHES).map(move |seed| (changes, seed))) {
        let (disk, mut rng) = (SimDisk::default(), Rng::with_seed(seed));
        let open = || {
            let dir = LogDir::open(Arc::new(disk.clone()), Path::new("/data"), SharedLimits::default()).unwrap();
            let logs = [0, 1].map(|index| dir.open_log(&partition(index), topic_id(1), rig::config()).unwrap());
            (dir, logs)
        };
        let append = |log: &PartitionLog| log.append_as_leader(plain(1, 7, b"v"), EPOCH, AppendOrigin::Client, 7);
        let (dir, logs) = open();
        disk.fail_after(changes);
        let is_one_by_one = rng.bool();
        let mut known = [0, 0];
        let _ = logs.iter().zip(&mut known).try_for_each(|(log, known)| {
            append(log)?;
            *known = if is_one_by_one { log.flush()? } else { 0 };
            Ok::<(), storage::AppendError>(())
        });
        for (log, known) in logs.iter().zip(&mut known) {
            *known = log.flush().unwrap_or(*known);
        }
        drop((dir, logs));
        if rng.bool() {
            disk.end_process();
            let (dir, logs) = open();
            let found = logs.each_ref().map(PartitionLog::log_end_offset);
            assert!(found[0] >= known[0] && found[1] >= known[1], "a kill after {changes} changes, seed {seed}");
            known = found;
            drop((dir, logs));
        }
        disk.restart(&mut rng);
        let (dir, logs) = open();
        for (log, known) in logs.iter().zip(known) {
            let end = log.log_end_offset();
            assert!(end >= known, "after {changes} changes, seed {seed}: {known} were flushed, {end} are there");
            assert!(end == 0 || log.epoch_for_offset(0) == Some(EPOCH), "seed {seed}");
            append(log).unwrap();
            assert_eq!(log.flush().unwrap(), end + 1);
        }
        drop((dir, logs));
    }
}

struct Run {
    rng: Rng,
    disk: SimDisk,
    config: LogConfig,
    /// Batches that were appended, as they stand in the log, from offset 0 on.
    written: Vec<Vec<u8>>,
    /// Everything below was flushed.
    flushed: i64,
    /// The largest log start that was asked for.
    deleted: i64,
    sequence: i32,
    epoch: i32,
    /// Topics of the same name follow one another.
    topic: u8,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut rng = Rng::with_seed(seed);
        let config = LogConfig {
            segment_bytes: [300, 1_000, 1 << 20][rng.usize(..3)],
            index_interval_bytes: [0, 200][rng.usize(..2)],
            retention_bytes: [None, Some(2_000)][rng.usize(..2)],
            ..rig::config()
        };
        let (disk, written) = (SimDisk::default(), Vec::new());
        Run { rng, disk, config, written, flushed: 0, deleted: 0, sequence: 0, epoch: 0, topic: 1 }
    }

    /// The number of crash states that were looked at.
    fn go(mut self) -> u64 {
        for _ in 0..LIVES {
            self.disk.fail_after(self.rng.u64(..200));
            // Whatever fails now fails for want of power.
            let _ = self.live();
            self.fail();
            while self.rng.u32(..4) == 0 {
                // Again, while it recovers.
                self.disk.fail_after(self.rng.u64(..20));
                let _ = self.open();
                self.fail();
            }
            self.inspect();
        }
        LIVES as u64
    }

    /// The machine loses its power, or only the process is killed.
    fn fail(&mut self) {
        match self.rng.u32(..4) {
            0 => self.disk.end_process(),
            _ => self.disk.restart(&mut self.rng),
        }
    }

    fn open(&self) -> Result<(LogDir, PartitionLog), StorageError> {
        let limits = SharedLimits { tail_cache_bytes: 0, restart_interval_bytes: 0, ..SharedLimits::default() };
        let dir = LogDir::open(Arc::new(self.disk.clone()), Path::new("/data"), limits)?;
        let log = dir.open_log(&partition(0), topic_id(self.topic), self.config.clone())?;
        Ok((dir, log))
    }

    fn live(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        let (dir, mut log) = self.open()?;
        for _ in 0..60 {
            match self.rng.u32(..20) {
                0 if self.rng.u32(..8) == 0 => {
                    // The cluster has decided that it is deleted, and soon that there is another.
                    (self.topic, self.epoch, self.sequence) = (self.topic + 1, 0, 0);
                    (self.flushed, self.deleted) = (0, 0);
                    self.written.clear();
                    dir.delete_log(&log)?;
                    log = dir.open_log(&partition(0), topic_id(self.topic), self.config.clone())?;
                }
                0..13 => self.append(&log)?,
                13..16 => self.flushed = self.flushed.max(log.flush()?),
                16 => {
                    dir.checkpoint(std::iter::once(&log))?;
                    if self.rng.bool() {
                        // What waited for a flush is written now.
                        self.flushed = self.flushed.max(log.flush()?);
                        dir.checkpoint(std::iter::once(&log))?;
                    }
                }
                17 if self.rng.bool() => {
                    let offset = self.rng.i64(log.log_start_offset()..=log.log_end_offset());
                    self.deleted = self.deleted.max(offset);
                    log.advance_log_start_offset(offset, 0)?;
                }
                17 => {
                    self.deleted = self.deleted.max(log.log_end_offset());
                    log.apply_retention(0)?;
                }
                18 => self.epoch += 1,
                _ => {
                    log.close()?;
                    self.flushed = log.log_end_offset();
                    dir.close_clean(std::iter::once(&log))?;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, log: &PartitionLog) -> Result<(), Box<dyn std::error::Error>> {
        let count = self.rng.usize(1..4);
        let is_idempotent = self.rng.bool();
        let sent = if is_idempotent {
            idempotent(PRODUCER, 0, self.sequence, count)
        } else {
            plain(count, self.rng.i64(990..1_010), &vec![self.rng.u8(..); self.rng.usize(..200)])
        };
        let mut stored = bytes::BytesMut::from(&sent[..]);
        protocol::records::patch::set_base_offset(&mut stored, log.log_end_offset());
        protocol::records::patch::set_partition_leader_epoch(&mut stored, self.epoch);
        log.append_as_leader(sent, self.epoch, AppendOrigin::Client, 7)?;
        self.written.push(stored.to_vec());
        if is_idempotent {
            self.sequence += count as i32;
        }
        Ok(())
    }

    /// Opens the log after a failure and looks at everything; what was lost is forgotten here too.
    fn inspect(&mut self) {
        let (dir, log) = self.open().unwrap_or_else(|error| panic!("the log does not open: {error}"));
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        assert!(end >= self.flushed, "{} was flushed, and the log ends at {end}", self.flushed);
        assert!(start <= self.deleted, "the log starts at {start}, and {} were deleted", self.deleted);
        self.written.retain(|bytes| Batch::parse(bytes).unwrap().next_offset() <= end);
        let expected: Vec<u8> =
            self.batches().filter(|batch| batch.next_offset() > start).fold(Vec::new(), |mut all, b| {
                all.extend_from_slice(b.as_bytes());
                all
            });
        let found = rig::read_all(&log, start);
        assert!(found == expected, "from {start} to {end} the log has something else than was written");
        for batch in batches(&found).map(Result::unwrap).filter(|batch| batch.base_offset() >= self.deleted) {
            assert_eq!(log.epoch_for_offset(batch.base_offset()), Some(batch.partition_leader_epoch()));
        }
        let newest = batches(&found).map(|batch| batch.unwrap().max_timestamp()).max();
        let first = batches(&found).map(Result::unwrap).find(|batch| Some(batch.max_timestamp()) == newest);
        let expected = first.map(|batch| (batch.base_offset().max(start), batch.max_timestamp()));
        assert_eq!(log.offset_of_max_timestamp().unwrap(), expected);
        assert_eq!(newest.and_then(|newest| log.offset_for_timestamp(newest).unwrap()), expected);
        // What came back is durable, whatever happens next.
        assert_eq!(log.flushed_offset(), end);
        self.flushed = end;
        self.check_retries(&log, start);
        drop((dir, log));
    }

    fn batches(&self) -> impl Iterator<Item = Batch<'_>> {
        self.written.iter().map(|bytes| Batch::parse(bytes).unwrap())
    }

    /// The producer sends its last five batches again, as after a failure: those in the log are known.
    fn check_retries(&mut self, log: &PartitionLog, start: i64) {
        let of_producer: Vec<Batch<'_>> = self.batches().filter(|batch| batch.producer_id() == PRODUCER).collect();
        for batch in of_producer.iter().rev().take(5).rev().filter(|batch| batch.base_offset() >= start) {
            let count = batch.record_count() as usize;
            let again = idempotent(PRODUCER, 0, batch.base_sequence(), count);
            let again = log.append_as_leader(again, self.epoch, AppendOrigin::Client, 7).unwrap();
            assert!(again.duplicate, "sequence {} is in the log and not known", batch.base_sequence());
            assert_eq!(again.base_offset, batch.base_offset());
        }
        self.sequence = of_producer.last().map_or(0, |batch| batch.last_sequence() + 1);
    }
}
