//! Random schedules against a log that is a list in memory.
//!
//! Each seed is one schedule: appends of every kind, reads, lookups by time, deletions, and stops of every kind. A
//! failure names its seed; `OTTLA_SEED=<seed>` runs that one alone, and
//! `OTTLA_SEEDS=<count>` more of them.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod model_log;
mod rig;

use std::fs;
use std::path::Path;

use bytes::Bytes;
use fastrand::Rng;
use model_log::{Model, Stored, Verdict};
use protocol::records::{BatchBuilder, Codec, TimestampType, patch};
use rig::{RigDisk, TOPIC, partition, topic_id};
use storage::{AppendError, AppendOrigin, LogConfig, LogDir, PartitionLog, ReadError, SharedLimits};

const SEEDS: u64 = 300;
const STEPS: usize = 90;

#[test]
fn a_log_behaves_like_a_list() {
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

struct Run {
    rng: Rng,
    path: tempfile::TempDir,
    disk: RigDisk,
    limits: SharedLimits,
    config: LogConfig,
    open: Option<(LogDir, PartitionLog)>,
    model: Model,
    now_ms: i64,
    epoch: i32,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut rng = Rng::with_seed(seed);
        let config = random_config(&mut rng);
        let limits = SharedLimits {
            tail_cache_bytes: [0, 3_000, 1 << 20][rng.usize(..3)],
            mapped_bytes: [0, 100_000, 64 << 20][rng.usize(..3)],
            producers_per_log: 100,
            restart_interval_bytes: [0, 1 << 20][rng.usize(..2)],
        };
        let (path, disk) = (rig::tempdir(), RigDisk::default());
        Run { rng, path, disk, limits, config, open: None, model: Model::default(), now_ms: 1_000_000, epoch: 0 }
    }

    fn go(mut self) {
        self.reopen();
        for _ in 0..STEPS {
            self.now_ms += self.rng.i64(0..2_000);
            match self.rng.u32(..100) {
                0..48 => self.append(),
                48..51 => self.append_rubbish(),
                51..72 => self.read(),
                72..79 => self.look_up(),
                79..82 => self.delete_records(),
                82..84 => self.retain(),
                84..87 => assert_eq!(self.log().flush().unwrap(), self.model.end()),
                87..90 => self.checkpoint(),
                90..92 => self.epoch += self.rng.i32(1..3),
                92..94 => self.change_config(),
                94..97 => self.stop_cleanly(),
                _ => self.crash(),
            }
            self.check_ends();
        }
        self.read_everything();
        self.stop_cleanly();
    }

    fn log(&self) -> &PartitionLog {
        &self.open.as_ref().unwrap().1
    }

    fn reopen(&mut self) {
        let dir = LogDir::open(std::sync::Arc::new(self.disk.clone()), self.path.path(), self.limits).unwrap();
        let log = dir.open_log(&partition(0), topic_id(1), self.config.clone()).unwrap();
        self.open = Some((dir, log));
    }

    fn check_ends(&self) {
        let log = self.log();
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (self.model.start, self.model.end()));
        assert!(log.flushed_offset() <= log.log_end_offset());
        assert_eq!(log.is_dirty(), log.flushed_offset() < log.log_end_offset());
    }

    fn append(&mut self) {
        let count = 1 + self.rng.usize(..5);
        let producer = self.rng.bool().then(|| self.model.next_of_producer(&mut self.rng, count));
        let (sent, timestamps) = self.batch(count, producer);
        let log = &self.open.as_ref().unwrap().1;
        let result = log.append_as_leader(sent.clone(), self.epoch, AppendOrigin::Client, self.now_ms);
        let verdict = producer.map_or(Verdict::New, |producer| self.model.judge(producer, count));
        match verdict {
            Verdict::New => {
                let appended = result.unwrap();
                let base = self.model.end();
                assert!(!appended.duplicate);
                assert_eq!((appended.base_offset, appended.last_offset), (base, base + count as i64 - 1));
                let stored = self.stored(&sent, &timestamps, base);
                self.model.append(stored, producer);
            }
            Verdict::Duplicate(base, last) => {
                let appended = result.unwrap();
                assert!(appended.duplicate);
                assert_eq!((appended.base_offset, appended.last_offset), (base, last));
            }
            Verdict::OutOfOrder => assert!(matches!(result, Err(AppendError::OutOfOrderSequence { .. })), "{result:?}"),
            Verdict::OldEpoch => assert!(matches!(result, Err(AppendError::InvalidProducerEpoch { .. })), "{result:?}"),
        }
    }

    fn batch(&mut self, count: usize, producer: Option<(i64, i16, i32)>) -> (Bytes, Vec<i64>) {
        let rng = &mut self.rng;
        let mut builder = BatchBuilder::new(0).codec(Codec::ALL[rng.usize(..Codec::ALL.len())], None);
        if let Some((id, epoch, sequence)) = producer {
            builder = builder.producer(id, epoch, sequence);
        }
        let no_time = rng.u32(..8) == 0;
        let mut timestamps = Vec::new();
        for _ in 0..count {
            let timestamp = match rng.u32(..10) {
                _ if no_time => -1,
                0 => self.now_ms + rng.i64(0..500_000),
                1 => self.now_ms - rng.i64(0..500_000),
                _ => self.now_ms + rng.i64(-50..50),
            };
            let size = if rng.u32(..15) == 0 { rng.usize(..5_500) } else { rng.usize(..400) };
            let value: Vec<u8> = (0..size).map(|_| rng.u8(..)).collect();
            builder.append(timestamp, Some(b"key"), Some(&value), &[]);
            timestamps.push(timestamp);
        }
        (builder.build().freeze(), timestamps)
    }

    /// What must stand in the log after `sent` was appended.
    fn stored(&self, sent: &Bytes, timestamps: &[i64], base: i64) -> Stored {
        let mut bytes = bytes::BytesMut::from(&sent[..]);
        let mut timestamps = timestamps.to_vec();
        if self.config.timestamp_type == TimestampType::LogAppendTime {
            patch::set_log_append_time(&mut bytes, self.now_ms);
            timestamps.fill(self.now_ms);
        }
        patch::set_base_offset(&mut bytes, base);
        patch::set_partition_leader_epoch(&mut bytes, self.epoch);
        Stored { base, bytes: bytes.to_vec(), timestamps, epoch: self.epoch, appended_ms: self.now_ms }
    }

    fn append_rubbish(&mut self) {
        let (sent, _) = self.batch(2, None);
        let mut broken = sent.to_vec();
        match self.rng.u32(..3) {
            0 => broken.truncate(self.rng.usize(..sent.len())),
            1 => *broken.last_mut().unwrap() ^= 1,
            _ => broken.extend_from_slice(&sent),
        }
        let log = &self.open.as_ref().unwrap().1;
        log.append_as_leader(broken.into(), self.epoch, AppendOrigin::Client, self.now_ms).unwrap_err();
    }

    fn read(&mut self) {
        let (start, end) = (self.model.start, self.model.end());
        let offset = self.rng.i64(start - 2..end + 3);
        let max_bytes = [0, 1, self.rng.usize(..3_000), 50_000, 1 << 30][self.rng.usize(..5)];
        let upper = if self.rng.bool() { i64::MAX } else { self.rng.i64(start..end + 2) };
        let at_least_one = self.rng.bool();
        let read = self.log().read(offset, max_bytes, upper, at_least_one);
        if offset < start || offset > end {
            assert!(matches!(read, Err(ReadError::OutOfRange { .. })), "{read:?}");
            return;
        }
        let got: Vec<u8> = read.unwrap().records.chunks().concat();
        self.model.check_read(offset, max_bytes, upper.min(end), at_least_one, &got);
    }

    fn read_everything(&mut self) {
        let start = self.model.start;
        let expected: Vec<u8> = self.model.batches_from(start).flat_map(|batch| batch.bytes.clone()).collect();
        assert!(rig::read_all(self.log(), start) == expected, "the log is not what was written to it");
        let known_from = start.max(self.model.epochs_from);
        for batch in self.model.batches_from(known_from) {
            let offset = batch.base.max(known_from);
            assert_eq!(self.log().epoch_for_offset(offset), Some(batch.epoch), "of {offset}");
        }
        for epoch in 0..=self.epoch + 1 {
            if let Some(expected) = self.model.end_of_epoch(epoch) {
                assert_eq!(self.log().end_offset_for_epoch(epoch), Some(expected), "epoch {epoch}");
            }
        }
    }

    fn look_up(&mut self) {
        let records: Vec<(i64, i64)> = self.model.records().collect();
        let wanted = match self.rng.u32(..4) {
            0 => self.now_ms + self.rng.i64(-500_000..500_000),
            1 => self.rng.i64(-2..3),
            _ => self.rng.choice(&records).map_or(0, |(_, timestamp)| *timestamp),
        };
        let expected = records.iter().find(|(_, timestamp)| *timestamp >= wanted).copied();
        assert_eq!(self.log().offset_for_timestamp(wanted).unwrap(), expected, "timestamp {wanted}");
        let largest = records.iter().map(|(_, timestamp)| *timestamp).max().filter(|largest| *largest >= 0);
        let expected = records.iter().find(|(_, timestamp)| Some(*timestamp) == largest).copied();
        assert_eq!(self.log().offset_of_max_timestamp().unwrap(), expected);
    }

    fn delete_records(&mut self) {
        let offset = self.rng.i64(self.model.start - 1..self.model.end() + 2);
        let start = self.log().advance_log_start_offset(offset, self.now_ms).unwrap();
        self.model.advance(offset);
        assert_eq!(start, self.model.start);
    }

    fn retain(&mut self) {
        let bases: Vec<i64> = self.log().segment_base_offsets().iter().rev().map(|(base, _)| *base).collect();
        let expected = self.model.retained_start(&bases, &self.config, self.now_ms);
        self.log().apply_retention(self.now_ms).unwrap();
        self.model.advance(expected);
    }

    fn checkpoint(&mut self) {
        let (dir, log) = self.open.as_ref().unwrap();
        dir.checkpoint(std::iter::once(log)).unwrap();
        self.model.checkpointed_start = self.model.start;
    }

    fn change_config(&mut self) {
        let timestamp_type = self.config.timestamp_type;
        self.config = LogConfig { timestamp_type, ..random_config(&mut self.rng) };
        self.log().set_config(self.config.clone());
    }

    fn stop_cleanly(&mut self) {
        self.checkpoint();
        let (dir, log) = self.open.take().unwrap();
        log.close().unwrap();
        assert!(matches!(log.read(self.model.start, 1, i64::MAX, true), Err(ReadError::Closed)));
        dir.close_clean(std::iter::once(&log)).unwrap();
        drop((dir, log));
        self.model.restarted();
        self.reopen();
        assert!(self.open.as_ref().unwrap().0.was_clean());
        self.read_everything();
    }

    /// The process ends without warning, and the disk has whatever a crash may leave behind the last batch.
    fn crash(&mut self) {
        let first = self.log().segment_base_offsets().last().map(|(base, _)| *base);
        drop(self.open.take());
        self.model.crashed(first);
        let dir = self.path.path().join(format!("{TOPIC}-0"));
        if dir.exists() && !rig::files(self.path.path(), ".log").is_empty() {
            self.damage(&dir);
        }
        self.reopen();
        assert!(!self.open.as_ref().unwrap().0.was_clean());
        assert_eq!(self.log().flushed_offset(), self.model.end(), "what was read back is durable");
        self.check_ends();
        self.read_everything();
        if dir.exists() {
            for leftover in [".deleted", ".tmp", ".cleaned"] {
                assert!(rig::files(self.path.path(), leftover).is_empty());
            }
        }
    }

    fn damage(&mut self, dir: &Path) {
        let active = rig::files(self.path.path(), ".log").pop().unwrap();
        let mut tail = match self.rng.u32(..4) {
            0 => Vec::new(),
            1 => vec![0; self.rng.usize(1..9_000)],
            2 => (0..self.rng.usize(1..300)).map(|_| self.rng.u8(..)).collect(),
            _ => self.half_a_batch(),
        };
        let mut content = fs::read(&active).unwrap();
        content.append(&mut tail);
        fs::write(&active, content).unwrap();
        self.damage_index(&active.with_extension("index"));
        self.damage_index(&active.with_extension("timeindex"));
        if let Some(older) = self.rng.choice(rig::files(self.path.path(), ".index")) {
            self.damage_index(&older);
        }
        if self.rng.u32(..4) == 0 {
            let _ = fs::remove_file(dir.join("leader-epoch-checkpoint"));
        }
        for leftover in ["00000000000000000000.log.deleted", "00000000000000000777.timeindex", "x.tmp", "9.cleaned"] {
            fs::write(dir.join(leftover), b"left over").unwrap();
        }
    }

    /// A batch that would come next, up to somewhere before its end.
    fn half_a_batch(&mut self) -> Vec<u8> {
        let (sent, timestamps) = self.batch(3, None);
        let mut bytes = self.stored(&sent, &timestamps, self.model.end()).bytes;
        bytes.truncate(self.rng.usize(1..bytes.len()));
        bytes
    }

    fn damage_index(&mut self, path: &Path) {
        let mut content = fs::read(path).unwrap_or_default();
        match self.rng.u32(..5) {
            0 => return fs::remove_file(path).unwrap_or_default(),
            1 => content.push(7),
            2 if !content.is_empty() => {
                let place = self.rng.usize(..content.len());
                content[place] ^= self.rng.u8(1..);
            }
            3 if path.extension().is_some_and(|end| end == "index") => content.truncate(content.len() / 16 * 8),
            _ => {}
        }
        fs::write(path, content).unwrap();
    }
}

fn random_config(rng: &mut Rng) -> LogConfig {
    LogConfig {
        segment_bytes: [30_000, 60_000, 200_000][rng.usize(..3)],
        segment_ms: [5_000, 50_000, u64::MAX][rng.usize(..3)],
        segment_index_bytes: [16, 10 << 20][rng.usize(..2)],
        index_interval_bytes: [0, 500, 4096][rng.usize(..3)],
        retention_ms: [None, Some(20_000), Some(200_000)][rng.usize(..3)],
        retention_bytes: [None, Some(0), Some(30_000)][rng.usize(..3)],
        delete: rng.u32(..8) != 0,
        preallocate: rng.u32(..8) == 0,
        timestamp_type: if rng.u32(..4) == 0 { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
        ..rig::config()
    }
}
