//! The log of one partition.
//!
//! One thread appends at a time; reads never wait for an append's write or for an fsync. Offsets are published after
//! the bytes they stand for, and bytes below the published end never change.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use protocol::Uuid;
use protocol::records::batches;
use protocol::wire::Records;
use tracing::warn;

use crate::checkpoint::Checkpoints;
use crate::cleaner::CleanerState;
use crate::committed::Replacements;
use crate::config::{LogConfig, SharedLimits};
use crate::disk::Disk;
use crate::epochs::LeaderEpochs;
use crate::error::{ReadError, StorageError};
use crate::files::remove_if_there;
use crate::log_dir::TopicPartition;
use crate::log_dir_state::LogDirState;
use crate::new_names::{self, NewDirs, NewNames};
use crate::producers::{Producers, snapshot_path};
use crate::restart::Restarts;
use crate::segment::{ReadRange, Segment};
use crate::tail_cache::{Tail, TailCache};
use crate::transactions::Unstable;
use crate::window::{COPY_MAX_BYTES, SEND_MIN_BYTES, WindowBudget};
use crate::{partition_metadata, recovery};

/// What the logs of one directory share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) cache: TailCache,
    pub(crate) windows: WindowBudget,
    pub(crate) limits: SharedLimits,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) state: Arc<LogDirState>,
    pub(crate) new_dirs: NewDirs,
    /// Bytes that were flushed since the recovery points were written.
    pub(crate) uncheckpointed_bytes: AtomicU64,
}

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// The broker's time in ms, on topics with LogAppendTime.
    pub log_append_time_ms: Option<i64>,
    /// Whether the batch was there already, and nothing was written (KIP-98).
    pub duplicate: bool,
}

/// Whole batches, in order.
#[derive(Clone, Debug, Default)]
pub struct ReadBatches {
    /// In pieces of one or more.
    pub records: Records,
    /// Memory that they keep, bytes. What is mapped, or sent from its file, keeps none.
    pub held_bytes: usize,
    /// Whether there is more below the upper bound, which had no room.
    pub is_cut: bool,
}

/// A partition's log. Without records it has no files.
#[derive(Debug)]
pub struct PartitionLog {
    pub(crate) shared: Arc<Shared>,
    pub(crate) partition: TopicPartition,
    pub(crate) topic_id: Uuid,
    pub(crate) dir: PathBuf,
    config: RwLock<Arc<LogConfig>>,
    pub(crate) log_start_offset: AtomicI64,
    pub(crate) log_end_offset: AtomicI64,
    flushed_offset: AtomicI64,
    /// Bytes that were appended since the log was opened, and those that recovery had to read.
    pub(crate) appended_bytes: AtomicU64,
    /// How many of them are flushed.
    flushed_bytes: AtomicU64,
    segments: RwLock<Arc<Vec<Arc<Segment>>>>,
    /// Locked for a moment only. The file follows with the next flush.
    pub(crate) epochs: Mutex<LeaderEpochs>,
    pub(crate) new_names: NewNames,
    pub(crate) writer: Mutex<Writer>,
    /// Which transactions hold readers of committed records back.
    pub(crate) unstable: Mutex<Unstable>,
    /// Locked after the writer.
    pub(crate) restarts: Mutex<Restarts>,
    pub(crate) cleaner: CleanerState,
    pub(crate) replacements: Replacements,
    /// One flush at a time, so that the flushed offset never claims what another flush is still writing.
    pub(crate) flushing: Mutex<()>,
    pub(crate) tail: Arc<Tail>,
    poisoned: AtomicBool,
    closed: AtomicBool,
    /// Closed, and every file of it is whole.
    complete: AtomicBool,
    deleted: AtomicBool,
}

/// What only the appending thread touches.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) producers: Producers,
    /// Whether the directory is there.
    pub(crate) has_dir: bool,
    /// When producers were last looked through for expired ones.
    pub(crate) expired_at_ms: i64,
}

/// What opening a log found.
pub(crate) struct Recovered {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) log_start_offset: i64,
    pub(crate) log_end_offset: i64,
    pub(crate) epochs: LeaderEpochs,
    pub(crate) producers: Producers,
    pub(crate) has_dir: bool,
    /// Bytes that were read again because no restart point came after them.
    pub(crate) reread_bytes: u64,
}

impl PartitionLog {
    pub(crate) fn new(
        shared: Arc<Shared>,
        partition: TopicPartition,
        topic_id: Uuid,
        dir: PathBuf,
        config: LogConfig,
        recovered: Recovered,
    ) -> PartitionLog {
        let cleaned = shared.checkpoints.cleaned(&partition);
        PartitionLog {
            cleaner: CleanerState::new(cleaned),
            replacements: Replacements::default(),
            shared,
            partition,
            topic_id,
            dir,
            config: RwLock::new(Arc::new(config)),
            log_start_offset: AtomicI64::new(recovered.log_start_offset),
            log_end_offset: AtomicI64::new(recovered.log_end_offset),
            flushed_offset: AtomicI64::new(recovered.log_end_offset),
            appended_bytes: AtomicU64::new(recovered.reread_bytes),
            flushed_bytes: AtomicU64::new(recovered.reread_bytes),
            segments: RwLock::new(Arc::new(recovered.segments)),
            epochs: Mutex::new(recovered.epochs),
            new_names: NewNames::default(),
            unstable: Mutex::new(Unstable::new(recovered.producers.first_undecided())),
            writer: Mutex::new(Writer { producers: recovered.producers, has_dir: recovered.has_dir, expired_at_ms: 0 }),
            restarts: Mutex::default(),
            flushing: Mutex::new(()),
            tail: Arc::default(),
            poisoned: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            complete: AtomicBool::new(false),
            deleted: AtomicBool::new(false),
        }
    }

    /// Whose log it is.
    pub fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The topic's id.
    pub fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    /// The first offset that may be read.
    pub fn log_start_offset(&self) -> i64 {
        self.log_start_offset.load(Ordering::Acquire)
    }

    /// The offset the next record will get.
    pub fn log_end_offset(&self) -> i64 {
        self.log_end_offset.load(Ordering::Acquire)
    }

    /// Everything below is on the disk for good.
    pub fn flushed_offset(&self) -> i64 {
        self.flushed_offset.load(Ordering::Acquire)
    }

    /// Whether a flush failed in its directory, or its segments were replaced only half way, so that it takes no more
    /// writes until it is opened again.
    pub fn is_poisoned(&self) -> bool {
        self.check_writable().is_err()
    }

    /// Whether its directory takes writes.
    pub fn dir_state(&self) -> &LogDirState {
        &self.shared.state
    }

    /// Bytes that were appended and are not flushed yet.
    pub fn unflushed_bytes(&self) -> u64 {
        self.appended_bytes().saturating_sub(self.flushed_bytes.load(Ordering::Acquire))
    }

    /// Bytes of all logs of the directory that were flushed since recovery points were written.
    pub fn uncheckpointed_bytes(&self) -> u64 {
        self.shared.uncheckpointed_bytes.load(Ordering::Acquire)
    }

    pub(crate) fn appended_bytes(&self) -> u64 {
        self.appended_bytes.load(Ordering::Acquire)
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segments().iter().map(|segment| segment.size()).sum()
    }

    /// How many segments there are.
    pub fn segment_count(&self) -> usize {
        self.segments().len()
    }

    /// Idempotent producers it remembers.
    pub fn producer_count(&self) -> usize {
        lock(&self.writer).producers.len()
    }

    /// Takes new settings, at once.
    pub fn set_config(&self, config: LogConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<LogConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn segments(&self) -> Arc<Vec<Arc<Segment>>> {
        Arc::clone(&self.segments.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn publish_segments(&self, segments: Vec<Arc<Segment>>) {
        *self.segments.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(segments);
    }

    pub(crate) fn check_open(&self) -> Result<(), StorageError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StorageError::Closed);
        }
        self.check_writable()
    }

    fn check_writable(&self) -> Result<(), StorageError> {
        self.shared.state.check()?;
        if self.poisoned.load(Ordering::Acquire) { Err(StorageError::Poisoned) } else { Ok(()) }
    }

    /// Closes the active segment, which is durable then, and opens the next: only the last segment of a log can be torn.
    pub(crate) fn roll_with(&self, writer: &mut Writer, now_ms: i64) -> Result<Arc<Segment>, StorageError> {
        let disk = &*self.shared.disk;
        if !writer.has_dir {
            self.create_dir()?;
            writer.has_dir = true;
        }
        let end = self.log_end_offset();
        let mut segments = (*self.segments()).clone();
        if let Some(active) = segments.last() {
            active.seal(disk)?;
            {
                // Another flush of it may be under way, and must have ended well.
                let _one_at_a_time = lock(&self.flushing);
                self.check_open()?;
                self.settle_names()?;
                active.flush(disk)?;
            }
            let mut restarts = lock(&self.restarts);
            restarts.drop_waiting();
            // Of nobody too: without it, a start after a crash would look for producers in all that came before.
            writer.producers.save(disk, &snapshot_path(&self.dir, end), None)?;
        }
        let next = Arc::new(Segment::create(disk, &self.dir, end, now_ms)?);
        let is_first = segments.is_empty();
        if is_first {
            self.new_names.note(new_names::FILES);
        } else {
            disk.sync_dir(&self.dir).map_err(StorageError::io("flush", &self.dir))?;
        }
        segments.push(Arc::clone(&next));
        self.publish_segments(segments);
        if !is_first && let Err(error) = recovery::remove_old_snapshots(disk, &self.dir, end) {
            warn!(partition = %self.partition, %error, "old producer snapshots stay for now");
        }
        Ok(next)
    }

    fn create_dir(&self) -> Result<(), StorageError> {
        let disk = &*self.shared.disk;
        // What was checkpointed of an earlier topic of this name must not be taken for ours after a crash.
        self.shared.checkpoints.forget_durably(disk, &self.partition)?;
        disk.create_dir(&self.dir).map_err(StorageError::io("create", &self.dir))?;
        self.shared.new_dirs.note();
        partition_metadata::write(disk, &self.dir, self.topic_id)?;
        self.new_names.note(new_names::DIRECTORY);
        Ok(())
    }

    /// No more writes: what the disk has is not what memory says, and a restart finds out.
    pub(crate) fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    /// Reads go to the files for what ends before `offset`.
    pub(crate) fn trim_tail(&self, offset: i64) {
        self.tail.trim_below(offset);
    }

    /// Whether a read at `offset` is served from memory: the end of the log, or its cached tail.
    pub fn is_hot(&self, offset: i64) -> bool {
        offset >= self.log_end_offset() || offset < self.log_start_offset() || self.tail.covers(offset)
    }

    /// Whole batches from the one that holds `offset` on, below `upper_bound`; at most `max_bytes` in all, but at least
    /// one batch if `at_least_one`. Nothing at the log's end.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] outside the log; the disk's.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        upper_bound: i64,
        at_least_one: bool,
    ) -> Result<ReadBatches, ReadError> {
        self.read_with(ReadRange { offset, max_bytes, upper_bound, at_least_one }, Self::read_files)
    }

    /// The same for whoever sends the batches on and does not look at them: what the page cache has of them comes as
    /// bytes that nobody has touched yet, and [`crate::file_behind`] knows where they stand.
    ///
    /// # Errors
    /// As [`PartitionLog::read`].
    pub fn read_to_send(
        &self,
        offset: i64,
        max_bytes: usize,
        upper_bound: i64,
        at_least_one: bool,
    ) -> Result<ReadBatches, ReadError> {
        let wanted = ReadRange { offset, max_bytes, upper_bound, at_least_one };
        self.read_with(wanted, |log, wanted| match log.window_to_send(wanted)? {
            Some((window, next_offset)) => {
                let is_cut = next_offset < wanted.upper_bound;
                Ok(ReadBatches { records: window.into(), held_bytes: 0, is_cut })
            }
            None => log.read_files(wanted),
        })
    }

    fn read_with(
        &self,
        wanted: ReadRange,
        read_files: impl Fn(&PartitionLog, ReadRange) -> Result<ReadBatches, StorageError>,
    ) -> Result<ReadBatches, ReadError> {
        let ReadRange { offset, max_bytes, upper_bound, at_least_one } = wanted;
        // The end first: a start that moves meanwhile only makes the answer OutOfRange.
        let (end, start) = (self.log_end_offset(), self.log_start_offset());
        if self.closed.load(Ordering::Acquire) {
            return Err(ReadError::Closed);
        }
        if offset < start || offset > end {
            return Err(ReadError::OutOfRange { offset, start, end });
        }
        let upper_bound = upper_bound.min(end);
        if offset >= upper_bound || (max_bytes == 0 && !at_least_one) {
            return Ok(ReadBatches { is_cut: offset < upper_bound, ..Default::default() });
        }
        if let Some((records, next_offset)) = self.tail.read(offset, max_bytes, upper_bound, at_least_one) {
            return Ok(ReadBatches { held_bytes: records.len(), records, is_cut: next_offset < upper_bound });
        }
        let read = read_files(self, ReadRange { upper_bound, ..wanted });
        // Files may have gone while they were read, or be another topic's of the same name by now.
        if self.closed.load(Ordering::Acquire) {
            return Err(ReadError::Closed);
        }
        let start = self.log_start_offset();
        if offset < start {
            return Err(ReadError::OutOfRange { offset, start, end });
        }
        Ok(read?)
    }

    /// What is wanted of the segment that holds it, if that is much, and the offset behind it.
    fn window_to_send(&self, wanted: ReadRange) -> Result<Option<(Bytes, i64)>, StorageError> {
        if (wanted.max_bytes as u64) < SEND_MIN_BYTES {
            return Ok(None);
        }
        let segments = self.segments();
        let place = segments.partition_point(|segment| segment.base_offset() <= wanted.offset);
        let Some(segment) = place.checked_sub(1).map(|place| &segments[place]) else { return Ok(None) };
        let disk = &*self.shared.disk;
        let Some(shown) = segment.shown(disk)? else { return Ok(None) };
        match segment.locate(disk, shown.disk_file(), wanted)? {
            Some((range, next_offset)) if range.end - range.start >= SEND_MIN_BYTES => {
                let window = shown.window(range, segment.size()).map_err(StorageError::io("read", segment.path()))?;
                Ok(window.map(|window| (window, next_offset)))
            }
            _ => Ok(None),
        }
    }

    fn read_files(&self, wanted: ReadRange) -> Result<ReadBatches, StorageError> {
        let segments = self.segments();
        let first = segments.partition_point(|segment| segment.base_offset() <= wanted.offset).saturating_sub(1);
        for segment in &segments[first..] {
            if segment.base_offset() >= wanted.upper_bound {
                break;
            }
            let bytes = segment.read(&*self.shared.disk, &self.shared.windows, wanted)?;
            // Only a gap that compaction left makes a segment empty-handed; the next one has what follows.
            let bounded = segment.size() > 0 && bytes.is_empty() && !wanted.at_least_one;
            if !bytes.is_empty() || bounded {
                let held_bytes = if bytes.len() <= COPY_MAX_BYTES { bytes.len() } else { 0 };
                let last = batches(&bytes).filter_map(Result::ok).last();
                let is_cut = last.map_or(wanted.offset, |batch| batch.next_offset()) < wanted.upper_bound;
                return Ok(ReadBatches { records: bytes.into(), held_bytes, is_cut });
            }
        }
        Ok(ReadBatches::default())
    }

    /// The leader epoch that wrote `offset`.
    pub fn epoch_for_offset(&self, offset: i64) -> Option<i32> {
        lock(&self.epochs).of_offset(offset)
    }

    /// The largest known epoch not above `epoch`, and the offset where its records end.
    pub fn end_offset_for_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        lock(&self.epochs).end_of(epoch, self.log_end_offset())
    }

    /// First offsets of the segments, the newest first, and the log end before them: what ListOffsets v0 answers.
    pub fn segment_base_offsets(&self) -> Vec<(i64, i64)> {
        self.segments().iter().rev().map(|segment| (segment.base_offset(), segment.last_append_ms())).collect()
    }

    /// Makes everything appended so far durable; answers the offset below which it is. Blocks on the disk.
    ///
    /// # Errors
    /// The disk's. After a failed fsync the kernel may have dropped the data and report success next time, so the log
    /// directory takes no more writes: a restart finds out what is on the disk.
    pub fn flush(&self) -> Result<i64, StorageError> {
        let _one_at_a_time = lock(&self.flushing);
        if self.deleted.load(Ordering::Acquire) {
            return Err(StorageError::Closed);
        }
        self.check_writable()?;
        let (end, bytes) = (self.log_end_offset(), self.appended_bytes());
        self.settle_names()?;
        let segments = self.segments();
        let active = segments.last().map_or(-1, |segment| segment.base_offset());
        for segment in segments.iter() {
            segment.flush(&*self.shared.disk)?;
            if segment.base_offset() != active {
                segment.close();
            }
        }
        self.flushed_offset.store(end, Ordering::Release);
        let before = self.flushed_bytes.swap(bytes, Ordering::AcqRel);
        self.shared.uncheckpointed_bytes.fetch_add(bytes.saturating_sub(before), Ordering::AcqRel);
        Ok(end)
    }

    /// Whether there is anything to flush.
    pub fn is_dirty(&self) -> bool {
        self.flushed_offset() < self.log_end_offset()
    }

    /// Makes everything durable and completes the files for a clean restart; no more reads or appends.
    ///
    /// # Errors
    /// The disk's; the next start must recover then.
    pub fn close(&self) -> Result<(), StorageError> {
        // A compaction that is under way sees it and ends.
        self.closed.store(true, Ordering::Release);
        let _compacting = self.cleaner.wait();
        let writer = lock(&self.writer);
        if self.deleted.load(Ordering::Acquire) {
            return Ok(());
        }
        self.flush()?;
        let disk = &*self.shared.disk;
        if let Some(active) = self.segments().last() {
            active.seal(disk)?;
            active.close();
            // The indexes may have got their files just now.
            disk.sync_dir(&self.dir).map_err(StorageError::io("flush", &self.dir))?;
        }
        if writer.has_dir {
            let mut restarts = lock(&self.restarts);
            restarts.drop_waiting();
            self.write_last_snapshot(&writer.producers)?;
        }
        self.complete.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether everything is on the disk and nothing follows.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// No more reads or appends: the directory is about to go.
    pub(crate) fn abandon(&self) -> bool {
        // A compaction that is under way sees it and ends; one that came later would write into the directory of the
        // next topic of this name.
        self.closed.store(true, Ordering::Release);
        let _compacting = self.cleaner.wait();
        let writer = lock(&self.writer);
        // A flush that is under way still needs its files.
        let _flushing = lock(&self.flushing);
        lock(&self.restarts).drop_waiting();
        self.deleted.store(true, Ordering::Release);
        self.tail.clear();
        self.segments().iter().for_each(|segment| segment.close());
        writer.has_dir
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }
}

/// Removes a file if it is there.
pub(crate) fn remove_file(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    remove_if_there(disk, path).map_err(StorageError::io("remove", path))
}

/// A writer that panicked left nothing half published: publishing is the last step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
