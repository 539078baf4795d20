//! Logs that lose power again and again, and what lies on the disk after each recovery and each clean stop.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastrand::Rng;
use protocol::records::{BatchBuilder, Codec};
use simdisk::SimDisk;
use storage::{AppendOrigin, Disk, LogConfig, LogDir, PartitionLog, SharedLimits, StorageError};

use crate::compacted::{NoLimit, chunks};
use crate::rig::{self, partition, topic_id};

const FAILURES: usize = 5;
const STEPS: usize = 80;
const DATA: &str = "/data";

/// A state, in real files.
pub(crate) struct Left {
    pub(crate) path: PathBuf,
    /// The log's first offset.
    pub(crate) start: i64,
    /// What the log gives from there on.
    pub(crate) content: Vec<u8>,
}

struct Life {
    rng: Rng,
    disk: SimDisk,
    config: LogConfig,
    now_ms: i64,
    epoch: i32,
}

/// One log's life; its states are put below `to`.
pub(crate) fn live(seed: u64, to: &Path) -> Vec<Left> {
    let mut rng = Rng::with_seed(seed);
    let config = LogConfig {
        segment_bytes: [1_500, 4_000][rng.usize(..2)],
        index_interval_bytes: [0, 300][rng.usize(..2)],
        compact: !seed.is_multiple_of(3),
        min_cleanable_dirty_ppm: 0,
        delete_retention_ms: 500,
        ..rig::config()
    };
    let mut life = Life { rng, disk: SimDisk::default(), config, now_ms: 1_700_000_000_000, epoch: 0 };
    let mut states = Vec::new();
    for failure in 0..FAILURES {
        life.disk.fail_after(life.rng.u64(..800));
        // Whatever fails now fails for want of power.
        let _ = life.go_on();
        life.disk.restart(&mut life.rng);
        let (dir, log) = life.open().unwrap_or_else(|error| panic!("seed {seed}: the log does not open: {error}"));
        let path = to.join(format!("{seed}-{failure}"));
        let (start, content) = (log.log_start_offset(), chunks(&log).concat());
        write_out(&life.disk, Path::new(DATA), &path);
        log.close().unwrap();
        dir.close_clean(std::iter::once(&log)).unwrap();
        let stopped = path.with_extension("stopped");
        write_out(&life.disk, Path::new(DATA), &stopped);
        states.push(Left { path, start, content: content.clone() });
        states.push(Left { path: stopped, start, content });
    }
    // Where nothing was ever written, there is no directory.
    states.retain(|left| left.path.join("orders-0").exists());
    states
}

/// Copies what is below `from` into real files.
fn write_out(disk: &SimDisk, from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for (name, is_dir) in disk.list(from).unwrap() {
        let (from, to) = (from.join(&name), to.join(&name));
        if is_dir {
            write_out(disk, &from, &to);
            continue;
        }
        let file = disk.open(&from, false).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
        std::fs::write(to, bytes).unwrap();
    }
}

impl Life {
    fn open(&self) -> Result<(LogDir, PartitionLog), StorageError> {
        let limits = SharedLimits { tail_cache_bytes: 0, ..SharedLimits::default() };
        let dir = LogDir::open(Arc::new(self.disk.clone()), Path::new(DATA), limits)?;
        let log = dir.open_log(&partition(0), topic_id(1), self.config.clone())?;
        Ok((dir, log))
    }

    fn go_on(&mut self) -> Result<(), Box<dyn Error>> {
        let (dir, log) = self.open()?;
        // Of each life a producer of its own: what an earlier one had acknowledged is not asked here.
        let (producer, mut sequence) = (self.now_ms, 0);
        for _ in 0..STEPS {
            self.now_ms += self.rng.i64(0..100);
            match self.rng.u32(..20) {
                0..14 => sequence += self.append(&log, producer, sequence)?,
                14 => drop(log.flush()?),
                15 => dir.checkpoint(std::iter::once(&log))?,
                16..18 => drop(log.compact(self.now_ms, 1 << 20, &NoLimit)?),
                18 if self.rng.bool() => {
                    let offset = self.rng.i64(log.log_start_offset()..=log.log_end_offset());
                    log.advance_log_start_offset(offset, self.now_ms)?;
                }
                _ => self.epoch += 1,
            }
        }
        Ok(())
    }

    /// Answers by how much the producer's sequence went on.
    fn append(&mut self, log: &PartitionLog, producer: i64, sequence: i32) -> Result<i32, Box<dyn Error>> {
        let mut builder = BatchBuilder::new(0).codec(Codec::ALL[self.rng.usize(..Codec::ALL.len())], None);
        let (is_idempotent, count) = (self.rng.bool(), self.rng.i32(1..8));
        if is_idempotent {
            builder = builder.producer(producer, 0, sequence);
        }
        for _ in 0..count {
            let key = format!("key {}", self.rng.u32(..30));
            let value = (self.rng.u32(..5) > 0).then(|| "value ".repeat(self.rng.usize(1..20)));
            let timestamp = self.now_ms + self.rng.i64(-50..50);
            builder.append(timestamp, Some(key.as_bytes()), value.as_deref().map(str::as_bytes), &[]);
        }
        log.append_as_leader(builder.build().freeze(), self.epoch, AppendOrigin::Client, self.now_ms)?;
        Ok(if is_idempotent { count } else { 0 })
    }
}
