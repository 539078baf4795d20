//! Compaction against a model: the last record of each key stays, nothing moves, and a crash costs nothing.
//!
//! A failure names its seed; `OTTLA_SEED=<seed>` runs that one alone, and `OTTLA_SEEDS=<count>` more of them.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod compacted;
mod rig;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use compacted::{Model, NoLimit, chunks, read};
use fastrand::Rng;
use protocol::records::{BatchBuilder, Codec, batches};
use rig::{Fault, Operation, RigDisk, files, open_one, partition, tempdir, topic_id};
use simdisk::{SimDisk, over_seeds};
use storage::{AppendOrigin, Cleanable, Disk, LogConfig, LogDir, Pace, PartitionLog, SharedLimits, StorageError};

const SEEDS: u64 = 60;
const STEPS: usize = 120;
const RETENTION_MS: i64 = 1_000;
const MAP_BYTES: usize = 1 << 20;

fn config() -> LogConfig {
    LogConfig {
        compact: true,
        delete: false,
        segment_bytes: 3_000,
        index_interval_bytes: 200,
        min_cleanable_dirty_ppm: 0,
        delete_retention_ms: RETENTION_MS as u64,
        ..rig::config()
    }
}

/// Each producer's id, epoch and next sequence.
type Producers = BTreeMap<i64, (i16, i32)>;

struct Run {
    rng: Rng,
    path: tempfile::TempDir,
    disk: RigDisk,
    config: LogConfig,
    open: Option<(LogDir, PartitionLog)>,
    model: Model,
    producers: Producers,
    keys: u32,
    map_bytes: usize,
    now_ms: i64,
}

#[test]
fn the_last_record_of_each_key_stays() {
    if let Some(seed) = rig::number("OTTLA_SEED") {
        return Run::new(seed).go();
    }
    for seed in 0..rig::number("OTTLA_SEEDS").unwrap_or(SEEDS) {
        let run = std::panic::AssertUnwindSafe(|| Run::new(seed).go());
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("seed {seed} failed; OTTLA_SEED={seed} runs it alone");
            std::panic::resume_unwind(panic);
        }
    }
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut rng = Rng::with_seed(seed);
        let keys = [3, 40, 3_000][rng.usize(..3)];
        let config = LogConfig {
            // Large batches of many keys fill the smallest map.
            segment_bytes: if keys > 1_000 { 20_000 } else { [1_500, 4_000][rng.usize(..2)] },
            index_interval_bytes: [0, 300, 4096][rng.usize(..3)],
            segment_index_bytes: [64, 10 << 20][rng.usize(..2)],
            ..config()
        };
        let (path, disk) = (tempdir(), RigDisk::default());
        Run {
            keys,
            map_bytes: [0, MAP_BYTES][rng.usize(..2)],
            rng,
            path,
            disk,
            config,
            open: None,
            model: Model::default(),
            producers: Producers::new(),
            now_ms: 1_000_000,
        }
    }

    fn go(mut self) {
        self.reopen();
        for _ in 0..STEPS {
            self.now_ms += self.rng.i64(0..200);
            match self.rng.u32(..100) {
                0..75 => self.append(),
                75..87 => self.compact(),
                87..90 => self.toggle(),
                90..92 => self.delete_records(),
                92..96 => self.stop(),
                _ => self.crash(),
            }
        }
        self.compact();
        self.stop();
    }

    fn log(&self) -> &PartitionLog {
        &self.open.as_ref().unwrap().1
    }

    fn reopen(&mut self) {
        let limits = SharedLimits { tail_cache_bytes: [0, 1 << 20][self.rng.usize(..2)], ..SharedLimits::default() };
        let dir = LogDir::open(Arc::new(self.disk.clone()), self.path.path(), limits).unwrap();
        let log = dir.open_log(&partition(0), topic_id(1), self.config.clone()).unwrap();
        self.open = Some((dir, log));
        self.model.check(self.log(), true);
        let start = self.log().log_start_offset();
        let live: BTreeSet<i64> = self.model.written.range(start..).map(|(_, record)| record.producer.0).collect();
        let live = live.into_iter().filter(|id| *id >= 0).count();
        assert!(self.log().producer_count() >= live, "a producer is forgotten");
        if self.path.path().join("orders-0").exists() {
            for suffix in [".cleaned", ".swap", ".deleted"] {
                assert!(files(self.path.path(), suffix).is_empty(), "{suffix}");
            }
        }
    }

    fn append(&mut self) {
        let log = &self.open.as_ref().unwrap().1;
        let before = log.log_end_offset();
        let id = self.rng.i64(-1..4);
        let (epoch, sequence) = self.producers.get(&id).copied().unwrap_or((0, 0));
        self.model.append(&mut self.rng, log, self.keys, (id, epoch, sequence), self.now_ms);
        self.producers.insert(id, (epoch, sequence + (log.log_end_offset() - before) as i32));
    }

    fn compact(&mut self) {
        let log = &self.open.as_ref().unwrap().1;
        let before = log.cleaned_offset();
        let held = chunks(log);
        let copy: Vec<Vec<u8>> = held.iter().map(|chunk| chunk.to_vec()).collect();
        let done = log.compact(self.now_ms, self.map_bytes, &NoLimit).unwrap();
        if let Some(done) = done {
            assert!(done.end_offset > before && done.end_offset == log.cleaned_offset());
            // What a batch notes of its tombstones may take a little room.
            assert!(done.after_bytes <= done.before_bytes / 10 * 11 + 200);
            self.model.may_compact(done.end_offset, self.now_ms, RETENTION_MS);
            self.model.end = done.end_offset;
        }
        self.model.check(log, true);
        assert!(held.iter().zip(&copy).all(|(held, copy)| held == copy), "what readers hold has changed");
        if done.is_some() {
            let on_disk = files(self.path.path(), ".log").iter().map(|file| fs::metadata(file).unwrap().len()).sum();
            assert_eq!(log.size_bytes(), on_disk);
        }
    }

    /// For a while records may come without keys.
    fn toggle(&mut self) {
        self.config.compact = !self.config.compact;
        self.log().set_config(self.config.clone());
    }

    fn delete_records(&mut self) {
        let offset = self.rng.i64(self.log().log_start_offset()..=self.log().log_end_offset());
        self.log().advance_log_start_offset(offset, self.now_ms).unwrap();
        self.model.check(self.log(), true);
    }

    fn stop(&mut self) {
        let (dir, log) = self.open.take().unwrap();
        log.close().unwrap();
        dir.close_clean(std::iter::once(&log)).unwrap();
        drop((dir, log));
        self.reopen();
    }

    /// Indexes and snapshots are lost with the process, and everything must be in the batches.
    fn crash(&mut self) {
        let (dir, log) = self.open.take().unwrap();
        // What starts were asked for is only remembered once it was written down.
        dir.checkpoint(std::iter::once(&log)).unwrap();
        drop((dir, log));
        if self.path.path().join("orders-0").exists() {
            for suffix in [".snapshot", ".index", ".timeindex"] {
                for file in files(self.path.path(), suffix).iter().filter(|_| self.rng.bool()).collect::<Vec<_>>() {
                    fs::remove_file(file).unwrap();
                }
            }
        }
        self.reopen();
    }
}

/// Appends one record with a key.
fn put(log: &PartitionLog, key: &str, value: Option<&str>, now_ms: i64) {
    let mut builder = BatchBuilder::new(0);
    builder.append(now_ms, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
    log.append_as_leader(builder.build().freeze(), 0, AppendOrigin::Client, now_ms).unwrap();
}

/// Closes the active segment.
fn roll(log: &PartitionLog, now_ms: i64) {
    let config = log.config();
    log.set_config(LogConfig { segment_bytes: 100, ..(*config).clone() });
    put(log, "roll", Some("x"), now_ms);
    log.set_config((*config).clone());
}

fn keys(log: &PartitionLog) -> Vec<String> {
    read(log).into_values().map(|record| String::from_utf8(record.key.unwrap()).unwrap()).collect()
}

#[test]
fn a_tombstone_stays_for_its_time_after_it_was_first_met() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), LogConfig { segment_bytes: 1 << 20, ..config() });
    put(&log, "a", Some("1"), 0);
    put(&log, "a", None, 0);
    let pass = |now_ms| {
        roll(&log, now_ms);
        log.compact(now_ms, MAP_BYTES, &NoLimit).unwrap().unwrap();
        let bytes = chunks(&log).concat();
        let horizon = batches(&bytes).next().and_then(|batch| batch.unwrap().delete_horizon_ms());
        (read(&log).contains_key(&1), horizon)
    };
    assert_eq!(pass(10_000), (true, Some(11_000)));
    assert_eq!(pass(10_999), (true, Some(11_000)));
    assert!(!pass(11_000).0);
    assert_eq!(log.log_start_offset(), 0);
}

#[test]
fn the_active_segment_and_young_records_are_not_compacted() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let lagging = LogConfig { segment_bytes: 1 << 20, min_compaction_lag_ms: 500, ..config() };
    let (_dir, log) = open_one(&disk, path.path(), lagging);
    put(&log, "a", Some("1"), 1_000);
    put(&log, "a", Some("2"), 1_000);
    assert_eq!(log.cleanable(9_000), None, "there is only the active segment");
    roll(&log, 1_000);
    assert_eq!(log.cleanable(1_499), None, "the newest is 499 ms old");
    assert_eq!(log.compact(1_499, MAP_BYTES, &NoLimit).unwrap(), None);
    assert_eq!(log.cleanable(1_500), Some(Cleanable { dirty_ppm: 1_000_000 }));
    assert_eq!(log.compact(1_500, MAP_BYTES, &NoLimit).unwrap().unwrap().end_offset, 2);
    assert_eq!(keys(&log), ["a", "roll"]);
    assert_eq!(log.cleanable(9_000), None);
}

#[test]
fn a_log_is_due_by_its_dirty_share_or_by_the_age_of_its_records() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let half = LogConfig { segment_bytes: 1 << 20, min_cleanable_dirty_ppm: 500_000, ..config() };
    let (_dir, log) = open_one(&disk, path.path(), half.clone());
    (0..20).for_each(|key| put(&log, &format!("key {key}"), Some("1"), 0));
    roll(&log, 0);
    log.compact(0, MAP_BYTES, &NoLimit).unwrap().unwrap();
    put(&log, "key 0", Some("2"), 100);
    roll(&log, 100);
    assert_eq!(log.cleanable(1_000_000), None, "one of twenty is not half");
    log.set_config(LogConfig { max_compaction_lag_ms: Some(400), ..half });
    assert_eq!(log.cleanable(399), None);
    assert!(log.cleanable(501).is_some());
    log.set_config(LogConfig { compact: false, ..(*log.config()).clone() });
    assert_eq!(log.cleanable(1_000_000), None);
}

#[test]
fn old_segments_of_a_compacted_log_are_deleted_too_if_asked() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let both = LogConfig { delete: true, retention_ms: Some(1_000), segment_bytes: 1 << 20, ..config() };
    let (_dir, log) = open_one(&disk, path.path(), both);
    put(&log, "old", Some("1"), 0);
    roll(&log, 5_000);
    log.compact(5_000, MAP_BYTES, &NoLimit).unwrap().unwrap();
    assert_eq!(keys(&log), ["old", "roll"]);
    assert_eq!(log.apply_retention(5_500).unwrap(), 1);
    assert_eq!((log.log_start_offset(), keys(&log)), (1, vec!["roll".to_owned()]));
}

#[test]
fn what_was_compacted_is_remembered_and_forgotten_with_the_topic() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let config = LogConfig { segment_bytes: 1 << 20, ..config() };
    let (dir, log) = open_one(&disk, path.path(), config.clone());
    put(&log, "a", Some("1"), 0);
    roll(&log, 0);
    log.compact(0, MAP_BYTES, &NoLimit).unwrap().unwrap();
    let file = path.path().join("cleaner-offset-checkpoint");
    assert_eq!(fs::read_to_string(&file).unwrap(), "0\n1\norders 0 1\n");
    log.close().unwrap();
    let log = dir.open_log(&partition(0), topic_id(1), config.clone()).unwrap();
    assert_eq!((log.cleaned_offset(), log.cleanable(0)), (1, None));
    dir.delete_log(&log).unwrap();
    assert_eq!(log.compact(0, MAP_BYTES, &NoLimit).unwrap(), None);

    let log = dir.open_log(&partition(0), topic_id(2), config.clone()).unwrap();
    assert_eq!(log.cleaned_offset(), 0);
    put(&log, "a", Some("1"), 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "0\n0\n");

    // A log that ends before what was compacted is another one.
    log.close().unwrap();
    drop((dir, log));
    fs::write(&file, "0\n1\norders 0 700\n").unwrap();
    let (_dir, log) = open_one_of(&disk, path.path(), 2, config);
    assert_eq!(log.cleaned_offset(), 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "0\n0\n");
}

fn open_one_of(disk: &RigDisk, path: &Path, topic: u8, config: LogConfig) -> (LogDir, PartitionLog) {
    let dir = rig::open_dir(disk, path);
    let log = dir.open_log(&partition(0), topic_id(topic), config).unwrap();
    (dir, log)
}

struct StopAfter(Cell<u32>);

impl Pace for StopAfter {
    fn spend(&self, _bytes: u64, _is_cancelled: &dyn Fn() -> bool) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() > 0
    }
}

#[test]
fn a_pass_that_is_stopped_leaves_a_log_and_no_rubbish() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), config());
    let (mut model, mut rng) = (Model::default(), Rng::with_seed(1));
    (0..60).for_each(|_| model.append(&mut rng, &log, 5, (-1, 0, 0), 1_000));
    for spent in 1..200 {
        if log.compact(0, MAP_BYTES, &StopAfter(Cell::new(spent))).unwrap().is_some() {
            assert!(spent > 60);
            return;
        }
        model.check(&log, false);
        assert!(files(path.path(), ".cleaned").is_empty());
    }
    panic!("no pass came to its end");
}

#[test]
fn of_two_failures_the_first_is_told() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), config());
    let (mut model, mut rng) = (Model::default(), Rng::with_seed(1));
    (0..60).for_each(|_| model.append(&mut rng, &log, 5, (-1, 0, 0), 1_000));
    let fault = |operation, suffix, error| Fault { operation, suffix, after: 0, times: u64::MAX, error };
    disk.fail(fault(Operation::Rename, ".index.cleaned", ErrorKind::StorageFull));
    disk.fail(fault(Operation::Remove, ".index.cleaned", ErrorKind::PermissionDenied));
    match log.compact(0, MAP_BYTES, &NoLimit) {
        Err(StorageError::Io { source, .. }) => assert_eq!(source.kind(), ErrorKind::StorageFull),
        other => panic!("{other:?}"),
    }
    model.check(&log, false);
    // What could not be removed is in nobody's way.
    disk.heal();
    assert!(log.compact(0, MAP_BYTES, &NoLimit).unwrap().is_some());
}

#[test]
fn damage_ends_a_pass_and_changes_nothing() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), config());
    let (mut model, mut rng) = (Model::default(), Rng::with_seed(1));
    (0..60).for_each(|_| model.append(&mut rng, &log, 5, (-1, 0, 0), 1_000));
    let first = &files(path.path(), ".log")[1];
    let sound = fs::read(first).unwrap();
    let mut damaged = sound.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(first, damaged).unwrap();
    let result = log.compact(0, MAP_BYTES, &NoLimit);
    assert!(matches!(result, Err(StorageError::Corrupt { .. })), "{result:?}");
    fs::write(first, sound).unwrap();
    model.check(&log, true);
    assert!(log.compact(0, MAP_BYTES, &NoLimit).unwrap().is_some());
}

fn open_power(disk: &SimDisk) -> Result<(LogDir, PartitionLog), StorageError> {
    let limits = SharedLimits { tail_cache_bytes: 0, ..SharedLimits::default() };
    let dir = LogDir::open(Arc::new(disk.clone()), Path::new("/data"), limits)?;
    let log = dir.open_log(&partition(0), topic_id(1), LogConfig { segment_bytes: 900, ..config() })?;
    Ok((dir, log))
}

/// The power fails before each operation of two passes, and again while the log recovers.
#[test]
fn the_power_may_fail_at_every_operation() {
    over_seeds("compaction", 2, 200, |seed| {
        let mut operations = 0;
        while !crash(seed, operations) {
            operations += 1;
        }
        operations + 1
    });
}

/// Whether both passes came to their end before the power failed.
fn crash(seed: u64, operations: u64) -> bool {
    let (disk, mut rng, mut model) = (SimDisk::default(), Rng::with_seed(seed), Model::default());
    let (dir, log) = open_power(&disk).unwrap();
    // Of few keys hardly anything stays, of many enough that segments grow together.
    let keys = [6, 40][(seed % 2) as usize];
    let mut done = true;
    for (pass, now_ms) in [1_000, 6_000].into_iter().enumerate() {
        (0..25).for_each(|_| model.append(&mut rng, &log, keys, (-1, 0, 0), now_ms));
        log.flush().unwrap();
        dir.checkpoint(std::iter::once(&log)).unwrap();
        model.may_compact(i64::MAX, now_ms, RETENTION_MS);
        if pass == 1 || operations.is_multiple_of(2) {
            // Every other life the first pass is the one that fails.
            disk.fail_after(operations / 2);
        }
        done = log.compact(now_ms, MAP_BYTES, &NoLimit).is_ok();
        if !done {
            break;
        }
        disk.fail_after(u64::MAX);
    }
    drop((dir, log));
    let mut weather = Rng::with_seed(seed * 1_000_003 + operations);
    disk.restart(&mut weather);
    for again in [weather.u64(..12), weather.u64(..30)] {
        disk.fail_after(again);
        let _ = open_power(&disk);
        disk.restart(&mut weather);
    }
    let (dir, log) = open_power(&disk).unwrap_or_else(|error| panic!("the log does not open: {error}"));
    assert_eq!(log.flushed_offset(), log.log_end_offset());
    check_files(&disk);
    model.check(&log, false);
    model.may_compact(i64::MAX, 9_000, RETENTION_MS);
    put(&log, "key 0", Some("x"), 9_000);
    let all = read(&log);
    log.compact(9_000, MAP_BYTES, &NoLimit).unwrap();
    let after = read(&log);
    assert!(after.iter().all(|(offset, record)| all.get(offset) == Some(record)));
    for (name, _) in disk.list(Path::new("/data/orders-0")).unwrap() {
        assert!(![".cleaned", ".swap", ".deleted"].iter().any(|suffix| name.ends_with(suffix)), "{name} is left over");
    }
    drop((dir, log));
    done
}

#[test]
fn readers_go_on_while_segments_are_replaced() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let limits = SharedLimits { tail_cache_bytes: 0, ..SharedLimits::default() };
    let dir = LogDir::open(Arc::new(disk), path.path(), limits).unwrap();
    let log = dir.open_log(&partition(0), topic_id(1), LogConfig { segment_bytes: 1_000, ..config() }).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let (mut rng, mut model) = (Rng::with_seed(3), Model::default());
    (0..50).for_each(|_| model.append(&mut rng, &log, 20, (-1, 0, 0), 1_000));
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (log, done) = (&log, &done);
            scope.spawn(move || {
                let mut rng = Rng::with_seed(seed);
                while !done.load(std::sync::atomic::Ordering::Acquire) {
                    let offset = rng.i64(0..log.log_end_offset());
                    let read = log.read(offset, 3_000, i64::MAX, true).unwrap();
                    let mut next = offset;
                    for batch in read.records.chunks().iter().flat_map(|chunk| batches(chunk)) {
                        let batch = batch.unwrap();
                        assert!(batch.is_crc_valid() && batch.last_offset() >= next, "{offset}");
                        next = batch.next_offset();
                    }
                }
            });
        }
        for _ in 0..150 {
            (0..8).for_each(|_| model.append(&mut rng, &log, 20, (-1, 0, 0), 1_000));
            log.compact(1_000, MAP_BYTES, &NoLimit).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Release);
    });
}

/// No segment reaches into the next.
fn check_files(disk: &SimDisk) {
    let dir = Path::new("/data/orders-0");
    let mut end = 0;
    for (name, _) in disk.list(dir).unwrap().iter().filter(|(name, _)| name.ends_with(".log")) {
        let file = disk.open(&dir.join(name), false).unwrap();
        let bytes = file.map(0, file.len().unwrap() as usize).unwrap();
        let base: i64 = name.trim_end_matches(".log").parse().unwrap();
        assert!(base >= end, "{name} begins before {end}");
        end = batches(&bytes).last().map_or(base, |last| last.unwrap().next_offset());
    }
}

#[test]
fn a_batch_that_loses_records_keeps_everything_else() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), LogConfig { segment_bytes: 1 << 20, ..config() });
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::new(0).codec(codec, None).producer(7, 3, log.log_end_offset() as i32);
        (0..4).for_each(|i| builder.append(500 + i, Some(&[i as u8]), Some(&[codec.id(); 50]), &[]));
        builder.append(900, Some(&[100 + codec.id()]), Some(b"only here"), &[]);
        log.append_as_leader(builder.build().freeze(), 4, AppendOrigin::Client, 0).unwrap();
    }
    roll(&log, 0);
    log.compact(0, MAP_BYTES, &NoLimit).unwrap().unwrap();
    let bytes = chunks(&log).concat();
    let shrunk: Vec<_> = batches(&bytes).map(Result::unwrap).take(Codec::ALL.len() - 1).collect();
    for (i, batch) in shrunk.iter().enumerate() {
        let base = i as i64 * 5;
        assert_eq!((batch.base_offset(), batch.last_offset(), batch.record_count()), (base, base + 4, 1));
        assert_eq!((batch.base_sequence(), batch.last_sequence()), (base as i32, base as i32 + 4));
        assert_eq!((batch.producer_id(), batch.producer_epoch(), batch.partition_leader_epoch()), (7, 3, 4));
        assert_eq!((batch.codec(), batch.max_timestamp()), (Codec::ALL[i], 900));
        let records = batch.records(1_000).unwrap();
        assert_eq!(records.iter().next().unwrap().unwrap().offset, base + 4);
    }
}
