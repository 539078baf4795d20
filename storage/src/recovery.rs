//! Opening a log, after a clean stop or a crash.
//!
//! Segments are flushed before the next one begins, and the recovery point says how far the last one was; only what is
//! behind it is checked batch by batch, and there the log is cut at the first batch that is not whole, because that is
//! what a crash leaves. Such a batch anywhere else is damage: the log stays shut, and says so, rather than lose what was
//! acknowledged. What was read back is flushed before anybody is told that it is there.

use std::path::Path;
use std::sync::Arc;

use tracing::{info, warn};

use crate::cleaner::finish_interrupted;
use crate::config::{LogConfig, SharedLimits};
use crate::disk::Disk;
use crate::epochs::LeaderEpochs;
use crate::error::StorageError;
use crate::log::{Recovered, remove_file};
use crate::producers::{Producers, snapshot_path};
use crate::scan::scan;
use crate::segment::{DELETED_SUFFIX, Extent, Segment};

/// Files that a crash may leave half made, or half removed.
const LEFTOVER_SUFFIXES: [&str; 4] = [DELETED_SUFFIX, ".tmp", ".cleaned", ".swap"];

/// Of files that are nothing without a segment's data.
const INDEX_SUFFIXES: [&str; 3] = [".index", ".timeindex", ".txnindex"];

/// What is known of a log before it is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkpointed {
    /// Whether the directory was shut down cleanly.
    pub(crate) clean: bool,
    pub(crate) recovery_point: i64,
    pub(crate) log_start_offset: i64,
}

/// Opens the log in `dir`, which may not exist yet.
pub(crate) fn open(
    disk: &dyn Disk,
    dir: &Path,
    config: &LogConfig,
    limits: &SharedLimits,
    known: Checkpointed,
    now_ms: i64,
) -> Result<Recovered, StorageError> {
    let start = known.log_start_offset.max(0);
    let nothing = |has_dir| Recovered {
        segments: Vec::new(),
        log_start_offset: start,
        log_end_offset: start,
        epochs: LeaderEpochs::default(),
        producers: Producers::new(limits.producers_per_log),
        has_dir,
    };
    let names = match disk.list(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(nothing(false)),
        Err(error) => return Err(StorageError::io("list", dir)(error)),
    };
    let names = finish_interrupted(disk, dir, names, now_ms)?;
    let bases = segment_bases(disk, dir, names)?;
    let Some(first) = bases.first().copied() else {
        if known.recovery_point > start {
            let reason = "its segments are missing".to_owned();
            return Err(StorageError::Corrupt { path: dir.to_owned(), position: 0, reason });
        }
        return Ok(nothing(true));
    };
    let (mut epochs, epochs_known) = match LeaderEpochs::open(disk, dir)? {
        Some(epochs) => (epochs, true),
        None => (LeaderEpochs::default(), false),
    };
    let mut segments = Vec::with_capacity(bases.len());
    let mut end = first;
    for (place, base) in bases.iter().copied().enumerate() {
        let next = bases.get(place + 1).copied();
        let trusted = epochs_known && (known.clean || next.is_some_and(|next| next <= known.recovery_point));
        let opening = Opening { disk, dir, config, now_ms, next, recovery_point: known.recovery_point };
        let (segment, segment_end) = opening.open(base, trusted, &mut epochs)?;
        end = next.unwrap_or(segment_end);
        segments.push(segment);
    }
    if end < start {
        return begin_at(disk, dir, &segments, now_ms, nothing(true));
    }
    epochs.truncate_from(end);
    epochs.save(disk, dir)?;
    let mut producers = Producers::new(limits.producers_per_log);
    // A clean stop that left no snapshot had no producers to tell of.
    if !known.clean || !snapshot_offsets(disk, dir)?.is_empty() {
        load_producers(disk, dir, &segments, end, now_ms, &mut producers)?;
    }
    producers.expire(now_ms, config.producer_id_expiration_ms);
    Ok(Recovered {
        segments,
        log_start_offset: start.max(first),
        log_end_offset: end,
        epochs,
        producers,
        has_dir: true,
    })
}

/// A crash took the end of the log, and everything before it was deleted by its owner: no offset is given twice.
fn begin_at(
    disk: &dyn Disk,
    dir: &Path,
    segments: &[Arc<Segment>],
    now_ms: i64,
    mut begun: Recovered,
) -> Result<Recovered, StorageError> {
    let start = begun.log_start_offset;
    warn!(log = %dir.display(), start, "all records were deleted before the crash; the log begins anew behind them");
    for segment in segments {
        segment.put_aside(disk)?;
    }
    for offset in snapshot_offsets(disk, dir)? {
        remove_file(disk, &snapshot_path(dir, offset))?;
    }
    begun.segments = vec![Arc::new(Segment::create(disk, dir, start, now_ms)?)];
    begun.epochs.save(disk, dir)?;
    disk.sync_dir(dir).map_err(StorageError::io("flush", dir))?;
    segments.iter().try_for_each(|segment| segment.remove(disk))?;
    Ok(begun)
}

/// First offsets of the segments, ascending; what a crash left half done is removed.
fn segment_bases(disk: &dyn Disk, dir: &Path, names: Vec<(String, bool)>) -> Result<Vec<i64>, StorageError> {
    let mut bases = Vec::new();
    let mut beside = Vec::new();
    for (name, is_dir) in names {
        if is_dir {
            continue;
        }
        if LEFTOVER_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
            remove_file(disk, &dir.join(&name))?;
        } else if let Some(base) = offset_of(&name, ".log") {
            bases.push(base);
        } else if let Some(base) = INDEX_SUFFIXES.iter().find_map(|suffix| offset_of(&name, suffix)) {
            beside.push((base, name));
        }
    }
    bases.sort_unstable();
    for (base, name) in beside {
        if bases.binary_search(&base).is_err() {
            remove_file(disk, &dir.join(&name))?;
        }
    }
    Ok(bases)
}

/// The offset that names a file: twenty digits.
pub(crate) fn offset_of(name: &str, suffix: &str) -> Option<i64> {
    let digits = name.strip_suffix(suffix)?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits { digits.parse().ok() } else { None }
}

/// The circumstances in which a segment is opened.
struct Opening<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    config: &'a LogConfig,
    now_ms: i64,
    /// First offset of the next segment; the last one has none.
    next: Option<i64>,
    recovery_point: i64,
}

impl Opening<'_> {
    /// The segment, and the offset behind its last record.
    fn open(&self, base: i64, trusted: bool, epochs: &mut LeaderEpochs) -> Result<(Arc<Segment>, i64), StorageError> {
        let (length, modified_ms) = self.examine(base)?;
        if trusted {
            let segment = Segment::at(self.dir, base, length, self.now_ms);
            segment.touch(modified_ms);
            if segment.load_indexes(self.disk)? {
                if self.next.is_some() {
                    return Ok((Arc::new(segment), base));
                }
                if let Some(end) = self.check_tail(&segment, length)? {
                    return Ok((Arc::new(segment), end));
                }
            }
            warn!(segment = %segment.path().display(), "an index is missing or does not fit; it is rebuilt");
        }
        let (segment, end) = self.rebuild(base, length, epochs)?;
        segment.touch(modified_ms);
        Ok((Arc::new(segment), end))
    }

    /// A segment's length in bytes, and when it was last written.
    fn examine(&self, base: i64) -> Result<(u64, i64), StorageError> {
        let segment = Segment::at(self.dir, base, 0, self.now_ms);
        let file = segment.file(self.disk)?;
        let length = file.len().map_err(StorageError::io("read", segment.path()))?;
        Ok((length, file.modified_ms().map_err(StorageError::io("read", segment.path()))?))
    }

    /// Reads what follows the last index entry of a log that was shut down cleanly; `None` when it does not end with a
    /// whole batch after all.
    fn check_tail(&self, segment: &Segment, length: u64) -> Result<Option<i64>, StorageError> {
        let file = segment.file(self.disk)?;
        let from = segment.position_before(self.disk, i64::from(i32::MAX) + segment.base_offset())?;
        let mut end = segment.base_offset();
        let ended = scan(&*file, segment.path(), from..length, true, |batch, _| {
            end = batch.next_offset();
            Ok(())
        })?;
        // A log that ends below its recovery point lost something, and a full check finds out what.
        let whole = ended.invalid.is_none() && end >= self.recovery_point;
        Ok(whole.then_some(end))
    }

    /// Reads the whole segment, rebuilds its indexes, and cuts it where it ends if that is what a crash leaves.
    fn rebuild(&self, base: i64, length: u64, epochs: &mut LeaderEpochs) -> Result<(Segment, i64), StorageError> {
        let segment = Segment::at(self.dir, base, 0, self.now_ms);
        match self.next {
            Some(_) => segment.begin_indexes_aside(self.disk)?,
            // Nobody trusts the last segment's before they are complete.
            None => segment.reset_indexes(self.disk)?,
        }
        let file = segment.file(self.disk)?;
        let mut end = base;
        let ended = scan(&*file, segment.path(), 0..length, true, |batch, _| {
            if batch.base_offset() < end || batch.last_offset() < batch.base_offset() {
                return Err(format!("offset {} comes after {end}", batch.base_offset()));
            }
            // The checksum does not cover the offset.
            if !segment.can_hold(batch.last_offset()) {
                return Err(format!("offset {} does not belong here", batch.last_offset()));
            }
            end = batch.next_offset();
            epochs.assign(batch.partition_leader_epoch(), batch.base_offset());
            segment.note(self.disk, Extent::of(batch), self.config.index_interval_bytes);
            Ok(())
        })?;
        if let Some(reason) = ended.invalid {
            self.may_cut(&segment, ended.position, end, reason, length)?;
        } else if let Some(next) = self.next.filter(|next| *next < end) {
            let reason = format!("it ends at offset {end}, and the next segment begins at {next}");
            return Err(StorageError::Corrupt { path: segment.path().to_owned(), position: ended.position, reason });
        } else if self.next.is_none() && end < self.recovery_point {
            self.may_cut(&segment, length, end, "records that were flushed are missing".to_owned(), length)?;
        }
        epochs.save(self.disk, self.dir)?;
        if self.next.is_some() {
            segment.move_indexes_in_place(self.disk)?;
            self.disk.sync_dir(self.dir).map_err(StorageError::io("flush", self.dir))?;
        } else {
            // Bytes that survived the process are not yet bytes that survive the machine. The indexes grow on, and are
            // rebuilt again should the next stop be like the last.
            segment.cut(self.disk)?;
        }
        Ok((segment, end))
    }

    /// Only what comes after everything that was flushed may be cut away.
    fn may_cut(
        &self,
        segment: &Segment,
        position: u64,
        end: i64,
        reason: String,
        length: u64,
    ) -> Result<(), StorageError> {
        let path = segment.path().to_owned();
        if self.next.is_some() || end < self.recovery_point {
            return Err(StorageError::Corrupt { path, position, reason });
        }
        let bytes = length - position;
        info!(segment = %path.display(), position, bytes, reason, "the end of the log was not written whole before the crash; it is cut off. Nothing acknowledged with acks=all is in it");
        Ok(())
    }
}

/// The producers' state from the newest usable snapshot and the batches after it.
fn load_producers(
    disk: &dyn Disk,
    dir: &Path,
    segments: &[Arc<Segment>],
    end: i64,
    now_ms: i64,
    producers: &mut Producers,
) -> Result<(), StorageError> {
    let mut from = segments.first().map_or(end, |segment| segment.base_offset());
    for offset in snapshot_offsets(disk, dir)?.into_iter().rev() {
        let path = snapshot_path(dir, offset);
        if offset > end {
            remove_file(disk, &path)?;
        } else if offset >= from && producers.load(disk, &path)? {
            from = offset;
            break;
        }
    }
    let first = segments.partition_point(|segment| segment.base_offset() <= from).saturating_sub(1);
    for segment in segments.get(first..).unwrap_or_default() {
        if segment.size() == 0 || from >= end {
            continue;
        }
        replay(disk, segment, from, now_ms, producers)?;
    }
    Ok(())
}

/// Tells the producers of every batch of a segment from an offset on.
fn replay(
    disk: &dyn Disk,
    segment: &Segment,
    from: i64,
    now_ms: i64,
    producers: &mut Producers,
) -> Result<(), StorageError> {
    let file = segment.file(disk)?;
    let mut start = segment.position_before(disk, from)?;
    loop {
        let mut is_first = true;
        let ended = scan(&*file, segment.path(), start..segment.size(), false, |batch, _| {
            if is_first && start > 0 && batch.base_offset() > from {
                return Err("the index leads past the wanted batch".to_owned());
            }
            is_first = false;
            // Heard of now, as far as we know: a retry may be under way, whatever time the records carry.
            if batch.base_offset() >= from {
                producers.note(batch, now_ms);
            }
            Ok(())
        })?;
        match ended.invalid {
            None => return Ok(()),
            Some(_) if start > 0 => start = 0,
            Some(reason) => {
                let path = segment.path().to_owned();
                return Err(StorageError::Corrupt { path, position: ended.position, reason });
            }
        }
    }
}

fn snapshot_offsets(disk: &dyn Disk, dir: &Path) -> Result<Vec<i64>, StorageError> {
    let names = disk.list(dir).map_err(StorageError::io("list", dir))?;
    let mut offsets: Vec<i64> = names.iter().filter_map(|(name, _)| offset_of(name, ".snapshot")).collect();
    offsets.sort_unstable();
    Ok(offsets)
}

/// Removes all but the newest snapshots.
pub(crate) fn remove_old_snapshots(disk: &dyn Disk, dir: &Path, keep: usize) -> Result<(), StorageError> {
    let offsets = snapshot_offsets(disk, dir)?;
    for offset in offsets.iter().rev().skip(keep) {
        remove_file(disk, &snapshot_path(dir, *offset))?;
    }
    Ok(())
}
