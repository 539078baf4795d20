//! A partition for tests, on a disk whose flushes wait until they are told to go on, or fail.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::Uuid;
use protocol::records::BatchBuilder;
use storage::{Disk, DiskFile, LogConfig, LogDir, OsDisk, SharedLimits, TopicPartition};

use super::{DiskSpace, Flusher, Partition, SharedDisk, TotalRetention};

/// Much longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// What becomes of a flush of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flushes {
    #[default]
    Succeed,
    Wait,
    Fail,
}

#[derive(Debug, Default)]
struct Gate {
    /// What flushes do, and how many wait.
    state: Mutex<(Flushes, usize)>,
    changed: Condvar,
}

/// The operating system's files, with a gate before each flush of records.
#[derive(Clone, Debug, Default)]
pub(crate) struct GateDisk(Arc<Gate>);

#[derive(Debug)]
struct GateFile {
    file: Arc<dyn DiskFile>,
    gate: Option<Arc<Gate>>,
}

impl GateDisk {
    /// From now on flushes do so, those that wait too.
    pub(crate) fn flushes(&self, what: Flushes) {
        self.0.state.lock().unwrap().0 = what;
        self.0.changed.notify_all();
    }

    /// Returns when a flush waits.
    pub(crate) fn until_one_waits(&self) {
        let deadline = Instant::now() + DEADLINE;
        let mut state = self.0.state.lock().unwrap();
        while state.1 == 0 {
            let left = deadline.checked_duration_since(Instant::now()).expect("no flush came");
            state = self.0.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

impl Disk for GateDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        OsDisk.list(path)
    }
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let has_records = path.extension().is_some_and(|extension| extension == "log");
        let gate = has_records.then(|| Arc::clone(&self.0));
        Ok(Arc::new(GateFile { file: OsDisk.open(path, create)?, gate }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_dir(path)
    }
    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        OsDisk.lock(path)
    }
}

impl DiskFile for GateFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn modified_ms(&self) -> io::Result<i64> {
        self.file.modified_ms()
    }
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.file.write_at(bytes, position)
    }
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buffer, position)
    }
    fn map(&self, position: u64, length: usize) -> io::Result<Bytes> {
        self.file.map(position, length)
    }
    fn sync(&self) -> io::Result<()> {
        let Some(gate) = &self.gate else { return Ok(()) };
        let mut state = gate.state.lock().unwrap();
        state.1 += 1;
        gate.changed.notify_all();
        let mut state = gate.changed.wait_while(state, |state| state.0 == Flushes::Wait).unwrap();
        state.1 -= 1;
        if state.0 == Flushes::Fail { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
    }
    fn reserve(&self, position: u64, length: u64) -> io::Result<()> {
        self.file.reserve(position, length)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }
}

/// A partition of its own.
pub(crate) struct Rig {
    pub(crate) disk: GateDisk,
    pub(crate) partition: Arc<Partition>,
    flusher: Flusher,
    log_dir: LogDir,
    path: tempfile::TempDir,
}

impl Rig {
    /// With so many bytes of the volume held back from producers.
    pub(crate) fn new(reserve_bytes: u64) -> Rig {
        let (disk, path) = (GateDisk::default(), tempfile::tempdir().unwrap());
        // What is read comes from the file.
        let limits = SharedLimits { tail_cache_bytes: 0, ..SharedLimits::default() };
        let log_dir = LogDir::open(Arc::new(disk.clone()), path.path(), limits).unwrap();
        let topic: Arc<str> = Arc::from("orders");
        let (name, id) = (TopicPartition { topic: Arc::clone(&topic), index: 0 }, Uuid::from_random([7; 16]).unwrap());
        let log = log_dir.open_log(&name, id, LogConfig::default()).unwrap();
        // It ends when the rig does.
        let (flusher, _thread) = Flusher::start().unwrap();
        let space = DiskSpace::new(path.path().to_owned(), Some(reserve_bytes));
        let shared = Arc::new(SharedDisk {
            flusher: flusher.clone(),
            space,
            total: TotalRetention::default(),
            checkpoint_due: tokio::sync::Notify::new(),
        });
        let partition = Arc::new(Partition::new(topic, 0, id, 0, log, shared));
        Rig { disk, partition, flusher, log_dir, path }
    }

    /// As when its topic is deleted.
    pub(crate) fn delete(&self) {
        self.partition.abandon();
        self.log_dir.delete_log(&self.partition.log).unwrap();
    }

    /// The file with its records.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.path.path().join("orders-0/00000000000000000000.log")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.disk.flushes(Flushes::Succeed);
        self.flusher.stop();
    }
}

/// One record, with a time that no limit refuses.
pub(crate) fn record() -> Bytes {
    let mut builder = BatchBuilder::new(0);
    builder.append(crate::clock::wall_ms(), Some(b"key"), Some(b"value"), &[]);
    builder.build().into()
}

/// One record of an idempotent producer.
pub(crate) fn idempotent(sequence: i32) -> Bytes {
    let mut builder = BatchBuilder::new(0).producer(5, 0, sequence);
    builder.append(crate::clock::wall_ms(), Some(b"key"), Some(b"value"), &[]);
    builder.build().into()
}
