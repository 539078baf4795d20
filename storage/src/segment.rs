//! A part of a log: one `.log` file and its indexes.

mod indexing;
mod locate;
mod names;
mod read;
mod resuming;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::records::Batch;
use tracing::warn;

use crate::StorageError;
use crate::disk::{Disk, DiskFile};
use crate::files::{read_exact, remove_if_there};
use crate::index::{
    IndexFile, OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES, offset_entry, parse_offset_entry, parse_time_entry, time_entry,
};
use crate::sendable::Showing;
use crate::txn_index::{AbortedTxn, TxnIndex};

use locate::Ends;
use names::with_suffix;
pub(crate) use names::{DELETED_SUFFIX, file_name};
pub(crate) use read::ReadRange;

/// Room is reserved in steps that grow with the segment, between these.
const RESERVE_MIN_BYTES: u64 = 64 * 1024;
const RESERVE_MAX_BYTES: u64 = 4 << 20;

/// A timestamp that nobody looked up yet.
const NOT_READ: i64 = i64::MIN;
/// The position of a last batch that is not known.
const NO_BATCH: u64 = u64::MAX;
/// Where the largest timestamp stands in a batch.
const MAX_TIMESTAMP_AT: usize = 35;

/// A segment. One thread appends; any number read.
#[derive(Debug)]
pub(crate) struct Segment {
    base_offset: i64,
    path: PathBuf,
    /// Published bytes: everything below is whole batches that readers may see.
    size: AtomicU64,
    /// Where the last batch begins.
    last_position: AtomicU64,
    reserved: AtomicU64,
    max_timestamp: AtomicI64,
    /// Last offset of the batch that has it.
    offset_of_max_timestamp: AtomicI64,
    /// Largest timestamp of the first batch, −1 if that has none, [`NOT_READ`] before anybody asked.
    first_timestamp: AtomicI64,
    created_ms: i64,
    last_append_ms: AtomicI64,
    /// Whether it has bytes that were not flushed.
    dirty: AtomicBool,
    /// Whether a part of a batch stands behind the published end and could not be cut off yet.
    torn: AtomicBool,
    /// Whether its index was found to be wrong: said once.
    astray: AtomicBool,
    /// Whether the files stay open because others take their names.
    pinned: AtomicBool,
    /// Kept open while it is written to.
    file: Mutex<Option<Arc<dyn DiskFile>>>,
    indexes: Mutex<Indexes>,
    /// The file as it is shown to those who send parts of it.
    showing: Showing,
    /// Where reads ended that were sent, and the next ones of the same readers begin.
    ends: Mutex<Ends>,
}

#[derive(Debug)]
struct Indexes {
    offset: IndexFile<OFFSET_ENTRY_BYTES>,
    time: IndexFile<TIME_ENTRY_BYTES>,
    aborted: TxnIndex,
    bytes_since_entry: u64,
}

/// What a batch adds to a segment, known before it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Offset of its last record.
    pub(crate) last_offset: i64,
    /// Its largest timestamp.
    pub(crate) max_timestamp: i64,
    /// Its bytes.
    pub(crate) size: usize,
}

impl Extent {
    /// Of a batch with its final offsets.
    pub(crate) fn of(batch: &Batch<'_>) -> Extent {
        // What compaction left of a batch for its producer's sake has no record that could have a time.
        let max_timestamp = if batch.record_count() > 0 { batch.max_timestamp() } else { -1 };
        Extent { last_offset: batch.last_offset(), max_timestamp, size: batch.size_bytes() }
    }
}

impl Segment {
    /// Makes the file of a new segment; the caller makes the directory's change durable. The indexes get theirs when
    /// they have something to write, or the segment is complete: a file costs more to make than a record to write.
    pub(crate) fn create(disk: &dyn Disk, dir: &Path, base_offset: i64, now_ms: i64) -> Result<Segment, StorageError> {
        let segment = Segment::at(dir, base_offset, 0, now_ms);
        segment.create_data(disk)?;
        for path in segment.index_files() {
            remove_if_there(disk, &path).map_err(StorageError::io("remove", &path))?;
        }
        Ok(segment)
    }

    /// Makes the files of a segment that is built beside the log, under names that end in `suffix`.
    pub(crate) fn create_aside(
        disk: &dyn Disk,
        dir: &Path,
        base_offset: i64,
        now_ms: i64,
        suffix: &str,
    ) -> Result<Segment, StorageError> {
        let mut segment = Segment::at(dir, base_offset, 0, now_ms);
        segment.path = with_suffix(&segment.path, suffix);
        {
            let indexes = &mut *lock(&segment.indexes);
            indexes.offset.set_path(with_suffix(indexes.offset.path(), suffix));
            indexes.time.set_path(with_suffix(indexes.time.path(), suffix));
            indexes.aborted.set_path(with_suffix(indexes.aborted.path(), suffix));
        }
        segment.create_data(disk)?;
        segment.reset_indexes(disk)?;
        Ok(segment)
    }

    fn create_data(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        let file = disk.open(&self.path, true).map_err(StorageError::io("create", &self.path))?;
        // An attempt that failed may have left something. Nothing behind the log's end was ever published.
        file.truncate(0).map_err(StorageError::io("truncate", &self.path))?;
        *lock(&self.file) = Some(file);
        Ok(())
    }

    /// A segment whose state is filled in by recovery.
    pub(crate) fn at(dir: &Path, base_offset: i64, size: u64, now_ms: i64) -> Segment {
        let path = |suffix| dir.join(file_name(base_offset, suffix));
        let indexes = Indexes {
            offset: IndexFile::create(path(".index")),
            time: IndexFile::create(path(".timeindex")),
            aborted: TxnIndex::create(path(".txnindex")),
            bytes_since_entry: 0,
        };
        Segment {
            base_offset,
            path: path(".log"),
            size: AtomicU64::new(size),
            last_position: AtomicU64::new(NO_BATCH),
            reserved: AtomicU64::new(size),
            max_timestamp: AtomicI64::new(-1),
            offset_of_max_timestamp: AtomicI64::new(base_offset),
            first_timestamp: AtomicI64::new(NOT_READ),
            created_ms: now_ms,
            last_append_ms: AtomicI64::new(now_ms),
            dirty: AtomicBool::new(false),
            torn: AtomicBool::new(false),
            astray: AtomicBool::new(false),
            pinned: AtomicBool::new(false),
            file: Mutex::new(None),
            indexes: Mutex::new(indexes),
            showing: Showing::default(),
            ends: Mutex::default(),
        }
    }

    /// Notes where the last batch begins of a segment that was not read.
    pub(crate) fn note_last_position(&self, position: u64) {
        self.last_position.store(position, Ordering::Release);
    }

    /// Whatever stands behind the published end, like room that a crash left reserved, goes before the next append.
    pub(crate) fn distrust_end(&self) {
        self.torn.store(true, Ordering::Release);
    }

    /// Makes everything durable that is in the file.
    pub(crate) fn sync(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        self.file(disk)?.sync().map_err(StorageError::io("flush", &self.path))
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.base_offset
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Bytes of the larger of its indexes.
    pub(crate) fn index_bytes(&self) -> u64 {
        let indexes = lock(&self.indexes);
        (indexes.offset.len() * OFFSET_ENTRY_BYTES).max(indexes.time.len() * TIME_ENTRY_BYTES) as u64
    }

    /// The largest timestamp of its records, −1 if none has one.
    pub(crate) fn max_timestamp(&self) -> i64 {
        self.max_timestamp.load(Ordering::Acquire)
    }

    /// When it was last written, by the broker's clock.
    pub(crate) fn last_append_ms(&self) -> i64 {
        self.last_append_ms.load(Ordering::Acquire)
    }

    /// The time of its newest record; without one, when it was last written.
    pub(crate) fn newest_ms(&self) -> i64 {
        let timestamp = self.max_timestamp();
        if timestamp >= 0 { timestamp } else { self.last_append_ms() }
    }

    /// Notes when it was last written.
    pub(crate) fn touch(&self, ms: i64) {
        self.last_append_ms.store(ms, Ordering::Release);
    }

    /// How long it has been filling when a batch with this largest timestamp comes: by the records' own clock if its
    /// first batch has a timestamp, so that loading old data does not close a segment per batch, else by ours.
    pub(crate) fn age_ms(&self, disk: &dyn Disk, batch_timestamp: i64, now_ms: i64) -> Result<u64, StorageError> {
        let first = self.first_timestamp(disk)?;
        let age =
            if first >= 0 { batch_timestamp.saturating_sub(first) } else { now_ms.saturating_sub(self.created_ms) };
        Ok(u64::try_from(age).unwrap_or(0))
    }

    /// The largest timestamp of the first batch, −1 without one.
    pub(crate) fn first_timestamp(&self, disk: &dyn Disk) -> Result<i64, StorageError> {
        let known = self.first_timestamp.load(Ordering::Acquire);
        if known != NOT_READ || self.size() < protocol::records::HEADER_LEN as u64 {
            return Ok(if known == NOT_READ { -1 } else { known });
        }
        let mut timestamp = [0; 8];
        read_exact(&*self.file(disk)?, &mut timestamp, MAX_TIMESTAMP_AT as u64)
            .map_err(StorageError::io("read", &self.path))?;
        let timestamp = i64::from_be_bytes(timestamp).max(-1);
        self.first_timestamp.store(timestamp, Ordering::Release);
        Ok(timestamp)
    }

    /// Whether an offset can be written relative to the base in an index.
    pub(crate) fn can_hold(&self, offset: i64) -> bool {
        offset.checked_sub(self.base_offset).is_some_and(|relative| i32::try_from(relative).is_ok())
    }

    /// The file, opened if it is not.
    pub(crate) fn file(&self, disk: &dyn Disk) -> Result<Arc<dyn DiskFile>, StorageError> {
        // Opened under the lock: after `pin` its name may be another file's.
        let kept = lock(&self.file);
        if let Some(file) = &*kept {
            return Ok(Arc::clone(file));
        }
        disk.open(&self.path, false).map_err(StorageError::io("open", &self.path))
    }

    /// Whether the file is open.
    pub(crate) fn is_open(&self) -> bool {
        lock(&self.file).is_some()
    }

    /// Keeps the file open, because it will be written to.
    pub(crate) fn keep_open(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        let mut kept = lock(&self.file);
        if kept.is_none() {
            *kept = Some(disk.open(&self.path, false).map_err(StorageError::io("open", &self.path))?);
        }
        Ok(())
    }

    /// Writes a batch behind the last. On an error nothing is published, and what was written is cut off again.
    pub(crate) fn append(
        &self,
        disk: &dyn Disk,
        bytes: &[u8],
        extent: Extent,
        interval_bytes: u64,
        reserve_whole: Option<u64>,
    ) -> Result<(), StorageError> {
        let file = self.file(disk)?;
        let position = self.size();
        if self.torn.load(Ordering::Acquire) {
            // A shorter batch written over a torn one would leave the rest of it standing behind.
            self.cut_torn(&*file, position)?;
        }
        self.reserve(&*file, position + bytes.len() as u64, reserve_whole)?;
        if let Err(error) = file.write_at(bytes, position) {
            self.torn.store(true, Ordering::Release);
            // If this fails too, the next append tries again, and the next start cuts what is left.
            if let Err(error) = self.cut_torn(&*file, position) {
                warn!(%error, "a batch that was not written whole could not be cut off");
            }
            return Err(StorageError::io("write", &self.path)(error));
        }
        self.dirty.store(true, Ordering::Release);
        self.note(disk, extent, interval_bytes);
        Ok(())
    }

    fn cut_torn(&self, file: &dyn DiskFile, position: u64) -> Result<(), StorageError> {
        file.truncate(position).map_err(StorageError::io("truncate", &self.path))?;
        self.reserved.store(position, Ordering::Release);
        self.torn.store(false, Ordering::Release);
        Ok(())
    }

    /// Takes a batch that stands at the end of what was noted so far: index entries, timestamps, size.
    pub(crate) fn note(&self, disk: &dyn Disk, extent: Extent, interval_bytes: u64) {
        let position = self.size();
        if position == 0 {
            self.first_timestamp.store(extent.max_timestamp.max(-1), Ordering::Release);
        }
        if extent.max_timestamp > self.max_timestamp() {
            self.offset_of_max_timestamp.store(extent.last_offset, Ordering::Release);
            self.max_timestamp.store(extent.max_timestamp, Ordering::Release);
        }
        let indexes = &mut *lock(&self.indexes);
        if indexes.bytes_since_entry > interval_bytes {
            let relative = self.relative(extent.last_offset);
            indexes.offset.push(disk, offset_entry(relative, position as u32));
            self.push_time(indexes, disk);
            indexes.bytes_since_entry = 0;
        }
        indexes.bytes_since_entry += extent.size as u64;
        self.last_position.store(position, Ordering::Release);
        self.size.store(position + extent.size as u64, Ordering::Release);
    }

    /// Takes an aborted transaction whose marker stands in this segment, behind those of all others.
    pub(crate) fn note_aborted(&self, disk: &dyn Disk, txn: &AbortedTxn) {
        lock(&self.indexes).aborted.push(disk, txn);
    }

    /// Shows the aborted transactions whose markers stand in this segment at `offset` or behind, in the order of their
    /// markers, until told to stop.
    pub(crate) fn each_aborted(
        &self,
        disk: &dyn Disk,
        offset: i64,
        visit: impl FnMut(AbortedTxn) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StorageError> {
        lock(&self.indexes).aborted.each_from(disk, offset, visit)
    }

    /// The time index grows only with the largest timestamp so far, so it is monotone whatever records carry.
    fn push_time(&self, indexes: &mut Indexes, disk: &dyn Disk) {
        let timestamp = self.max_timestamp();
        let last = indexes.time.last().map(parse_time_entry);
        if timestamp < 0 || last.is_some_and(|(last, _)| timestamp <= last) {
            return;
        }
        let relative = self.relative(self.offset_of_max_timestamp.load(Ordering::Acquire));
        indexes.time.push(disk, time_entry(timestamp, relative));
    }

    fn relative(&self, offset: i64) -> u32 {
        u32::try_from(offset - self.base_offset).expect("a segment is rolled before an offset overflows")
    }

    fn reserve(&self, file: &dyn DiskFile, needed: u64, whole: Option<u64>) -> Result<(), StorageError> {
        let reserved = self.reserved.load(Ordering::Acquire);
        if needed <= reserved {
            return Ok(());
        }
        let step = (needed / 4).clamp(RESERVE_MIN_BYTES, RESERVE_MAX_BYTES);
        let target = whole.unwrap_or(0).max(needed + step);
        let from = reserved.max(self.size());
        match file.reserve(from, target - from) {
            Ok(()) => self.reserved.store(target, Ordering::Release),
            // The batch itself may still fit.
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {}
            Err(error) => return Err(StorageError::io("reserve room in", &self.path)(error)),
        }
        Ok(())
    }

    /// Makes everything durable that was published before.
    pub(crate) fn flush(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        if !self.dirty.load(Ordering::Acquire) {
            return Ok(());
        }
        // A file that could not be opened is still to be flushed.
        let file = self.file(disk)?;
        self.dirty.store(false, Ordering::Release);
        file.sync().map_err(StorageError::io("flush", &self.path))
    }

    /// No more appends: the indexes are completed and durable, reserved room is given back. The file stays open until
    /// flushed.
    pub(crate) fn seal(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        {
            let indexes = &mut *lock(&self.indexes);
            self.push_time(indexes, disk);
            indexes.offset.complete(disk)?;
            indexes.time.complete(disk)?;
            indexes.aborted.complete(disk)?;
        }
        let size = self.size();
        if self.reserved.load(Ordering::Acquire) > size || self.torn.load(Ordering::Acquire) {
            self.cut_torn(&*self.file(disk)?, size)?;
        }
        Ok(())
    }

    /// Closes the file; it is opened again for each read.
    pub(crate) fn close(&self) {
        let mut kept = lock(&self.file);
        if !self.pinned.load(Ordering::Acquire) {
            *kept = None;
        }
    }

    /// Ends the file at the published size, and makes it durable: whatever follows is no batch, or room that was
    /// reserved.
    pub(crate) fn cut(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        let file = self.file(disk)?;
        self.cut_torn(&*file, self.size())?;
        file.sync().map_err(StorageError::io("flush", &self.path))
    }

    /// A position at or before the batch that holds `offset`, if the index is right.
    pub(crate) fn position_before(&self, disk: &dyn Disk, offset: i64) -> Result<u64, StorageError> {
        let Ok(relative) = u32::try_from(offset - self.base_offset) else { return Ok(0) };
        let entry = lock(&self.indexes).offset.last_where(disk, |entry| parse_offset_entry(entry).0 <= relative)?;
        let position = entry.map_or(0, |entry| u64::from(parse_offset_entry(&entry).1));
        Ok(if position < self.size() { position } else { 0 })
    }

    /// The last offset known to come before every record of `timestamp` or later.
    pub(crate) fn offset_before_time(&self, disk: &dyn Disk, timestamp: i64) -> Result<i64, StorageError> {
        let entry = lock(&self.indexes).time.last_where(disk, |entry| parse_time_entry(entry).0 < timestamp)?;
        Ok(entry.map_or(self.base_offset, |entry| self.base_offset + i64::from(parse_time_entry(&entry).1)))
    }

    /// The largest timestamp and the last offset of its batch.
    pub(crate) fn max_timestamp_and_offset(&self) -> (i64, i64) {
        (self.max_timestamp(), self.offset_of_max_timestamp.load(Ordering::Acquire))
    }
}

/// What these guard holds no invariant that a panic could break half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
