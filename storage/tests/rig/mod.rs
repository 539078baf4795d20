//! What the tests of this crate share: a disk that can be told to fail, and short ways to make logs and batches.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part")]

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use protocol::Uuid;
use protocol::records::BatchBuilder;
use storage::{
    AppendError, AppendOrigin, Appended, Disk, DiskFile, LogConfig, LogDir, OsDisk, PartitionLog, SharedLimits,
    TopicPartition,
};

/// What may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Open,
    Write,
    /// Half of the bytes are written before it fails.
    ShortWrite,
    Sync,
    SyncDir,
    Rename,
    Remove,
    Truncate,
    Reserve,
}

/// What fails, when, how often, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) operation: Operation,
    /// Only on files whose name ends so.
    pub(crate) suffix: &'static str,
    /// How many go well first.
    pub(crate) after: u64,
    /// How many fail then.
    pub(crate) times: u64,
    pub(crate) error: io::ErrorKind,
}

#[derive(Debug, Default)]
struct Plan {
    /// Faults, and how many operations each has seen.
    faults: Mutex<Vec<(Fault, u64)>>,
    failed: AtomicU64,
    syncs: AtomicU64,
    moved: AtomicU64,
    /// Bytes of data files that were read or mapped.
    read_bytes: AtomicU64,
    /// The most bytes of any file that were read, not mapped, at a time.
    largest_read_bytes: AtomicU64,
}

/// The operating system's files, without waiting for the device, and with failures on demand.
#[derive(Clone, Debug, Default)]
pub(crate) struct RigDisk {
    plan: Arc<Plan>,
}

#[derive(Debug)]
struct RigFile {
    name: String,
    file: Arc<dyn DiskFile>,
    plan: Arc<Plan>,
}

impl Plan {
    fn meets(&self, operation: Operation, name: &str) -> io::Result<()> {
        for (fault, seen) in self.faults.lock().unwrap().iter_mut() {
            if fault.operation != operation || !name.ends_with(fault.suffix) {
                continue;
            }
            *seen += 1;
            if *seen > fault.after && *seen - fault.after <= fault.times {
                self.failed.fetch_add(1, Ordering::Relaxed);
                return Err(fault.error.into());
            }
        }
        Ok(())
    }
}

impl RigFile {
    fn count_read(&self, bytes: usize) {
        if self.name.ends_with(".log") {
            self.plan.read_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}

impl RigDisk {
    /// How many bytes of data files were read or mapped since the last time it was asked, and the most bytes of any file
    /// that were read at a time, which is what memory it took.
    pub(crate) fn take_read_bytes(&self) -> (u64, u64) {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        (take(&self.plan.read_bytes), take(&self.plan.largest_read_bytes))
    }

    /// Adds a fault.
    pub(crate) fn fail(&self, fault: Fault) {
        self.plan.faults.lock().unwrap().push((fault, 0));
    }

    /// Everything works from now on.
    pub(crate) fn heal(&self) {
        self.plan.faults.lock().unwrap().clear();
    }

    /// How many operations failed so far.
    pub(crate) fn failures(&self) -> u64 {
        self.plan.failed.load(Ordering::Relaxed)
    }

    /// How many fsyncs of files there were in all.
    pub(crate) fn syncs(&self) -> u64 {
        self.plan.syncs.load(Ordering::Relaxed)
    }

    /// How many bytes of files were read, mapped and written in all.
    pub(crate) fn moved(&self) -> u64 {
        self.plan.moved.load(Ordering::Relaxed)
    }
}

impl Disk for RigDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        OsDisk.list(path)
    }
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let name = path.to_string_lossy().into_owned();
        self.plan.meets(Operation::Open, &name)?;
        Ok(Arc::new(RigFile { name, file: OsDisk.open(path, create)?, plan: Arc::clone(&self.plan) }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.plan.meets(Operation::Rename, &from.to_string_lossy())?;
        OsDisk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.plan.meets(Operation::Remove, &path.to_string_lossy())?;
        OsDisk.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.plan.meets(Operation::SyncDir, &path.to_string_lossy())
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        OsDisk.lock(path)
    }
}

impl DiskFile for RigFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn modified_ms(&self) -> io::Result<i64> {
        self.file.modified_ms()
    }
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.plan.meets(Operation::Write, &self.name)?;
        if let Err(error) = self.plan.meets(Operation::ShortWrite, &self.name) {
            self.file.write_at(&bytes[..bytes.len() / 2], position)?;
            return Err(error);
        }
        self.plan.moved.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.write_at(bytes, position)
    }
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.count_read(buffer.len());
        self.plan.largest_read_bytes.fetch_max(buffer.len() as u64, Ordering::Relaxed);
        let read = self.file.read_at(buffer, position)?;
        self.plan.moved.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
    fn map(&self, position: u64, length: usize) -> io::Result<Bytes> {
        self.plan.moved.fetch_add(length as u64, Ordering::Relaxed);
        self.count_read(length);
        self.file.map(position, length)
    }
    fn to_send(&self) -> Option<Arc<File>> {
        self.file.to_send()
    }
    fn sync(&self) -> io::Result<()> {
        self.plan.syncs.fetch_add(1, Ordering::Relaxed);
        self.plan.meets(Operation::Sync, &self.name)
    }
    fn reserve(&self, position: u64, length: u64) -> io::Result<()> {
        self.plan.meets(Operation::Reserve, &self.name)?;
        self.file.reserve(position, length)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.plan.meets(Operation::Truncate, &self.name)?;
        self.file.truncate(length)
    }
}

/// A number that whoever runs the tests may set.
pub(crate) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// A directory for one test, in memory where the system has such a place: nothing here is to survive the machine.
pub(crate) fn tempdir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// The topic that most tests write to.
pub(crate) const TOPIC: &str = "orders";

pub(crate) fn partition(index: i32) -> TopicPartition {
    TopicPartition { topic: TOPIC.into(), index }
}

pub(crate) fn topic_id(number: u8) -> Uuid {
    Uuid::from_random([number; 16]).unwrap()
}

/// A configuration without limits in time.
pub(crate) fn config() -> LogConfig {
    LogConfig {
        retention_ms: None,
        timestamp_after_max_ms: None,
        producer_id_expiration_ms: i64::MAX as u64,
        ..LogConfig::default()
    }
}

pub(crate) fn open_dir(disk: &RigDisk, path: &Path) -> LogDir {
    LogDir::open(Arc::new(disk.clone()), path, SharedLimits::default()).unwrap()
}

/// Partition 0 of the topic, in a directory of its own.
pub(crate) fn open_one(disk: &RigDisk, path: &Path, config: LogConfig) -> (LogDir, PartitionLog) {
    let dir = open_dir(disk, path);
    let log = dir.open_log(&partition(0), topic_id(1), config).unwrap();
    (dir, log)
}

/// `count` records of one value.
pub(crate) fn plain(count: usize, timestamp: i64, value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new(0);
    (0..count).for_each(|_| builder.append(timestamp, None, Some(value), &[]));
    builder.build().freeze()
}

/// `count` records of an idempotent producer.
pub(crate) fn idempotent(producer_id: i64, epoch: i16, sequence: i32, count: usize) -> Bytes {
    let mut builder = BatchBuilder::new(0).producer(producer_id, epoch, sequence);
    (0..count).for_each(|_| builder.append(1_000, None, Some(b"idempotent"), &[]));
    builder.build().freeze()
}

pub(crate) fn append(log: &PartitionLog, batch: Bytes) -> Result<Appended, AppendError> {
    log.append_as_leader(batch, 0, AppendOrigin::Client, 1_000)
}

/// Everything from an offset to the end of the log.
pub(crate) fn read_all(log: &PartitionLog, from: i64) -> Vec<u8> {
    let (mut offset, mut all) = (from, Vec::new());
    while offset < log.log_end_offset() {
        let read = log.read(offset, 1 << 20, i64::MAX, true).unwrap();
        assert!(!read.records.is_empty(), "nothing at {offset}, the log ends at {}", log.log_end_offset());
        for chunk in read.records.chunks() {
            for batch in protocol::records::batches(chunk) {
                let batch = batch.unwrap();
                assert!(batch.is_crc_valid(), "offset {}", batch.base_offset());
                offset = batch.next_offset();
            }
            all.extend_from_slice(chunk);
        }
    }
    all
}

/// Files of partition 0 with this ending, in order.
pub(crate) fn files(path: &Path, suffix: &str) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(path.join(format!("{TOPIC}-0")))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    found.sort();
    found
}
