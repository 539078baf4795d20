//! Opening a log, after a clean stop or a crash.
//!
//! Batches below the recovery point were flushed, so they are there; everything else is checked batch by batch. In the
//! last segment the log is cut at the first batch that is not whole, because that is what a crash leaves. Anywhere
//! else such a batch is damage: the log stays shut, and says so, rather than lose what was acknowledged.

use std::path::Path;
use std::sync::Arc;

use tracing::{info, warn};

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
    let bases = segment_bases(disk, dir, names)?;
    let Some(first) = bases.first().copied() else { return Ok(nothing(true)) };
    let mut epochs = LeaderEpochs::open(disk, dir)?;
    let mut segments = Vec::with_capacity(bases.len());
    let mut end = first;
    for (place, base) in bases.iter().copied().enumerate() {
        let is_last = place + 1 == bases.len();
        let next = bases.get(place + 1).copied();
        let trusted = known.clean || next.is_some_and(|next| next <= known.recovery_point);
        let opening = Opening { disk, dir, config, now_ms, is_last };
        let (segment, segment_end) = opening.open(base, trusted, &mut epochs)?;
        end = next.unwrap_or(segment_end);
        segments.push(segment);
    }
    if epochs.truncate_from(end) {
        epochs.save(disk, dir)?;
    }
    let log_start_offset = start.max(first).min(end);
    let mut producers = Producers::new(limits.producers_per_log);
    load_producers(disk, dir, &segments, end, now_ms, &mut producers)?;
    producers.expire(now_ms, config.producer_id_expiration_ms);
    Ok(Recovered { segments, log_start_offset, log_end_offset: end, epochs, producers, has_dir: true })
}

/// First offsets of the segments, ascending; what a crash left half done is removed.
fn segment_bases(disk: &dyn Disk, dir: &Path, names: Vec<(String, bool)>) -> Result<Vec<i64>, StorageError> {
    let mut bases = Vec::new();
    for (name, is_dir) in names {
        if is_dir {
            continue;
        }
        if LEFTOVER_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
            remove_file(disk, &dir.join(&name))?;
        } else if let Some(base) = name.strip_suffix(".log").and_then(|base| base.parse().ok()) {
            bases.push(base);
        }
    }
    bases.sort_unstable();
    Ok(bases)
}

/// The circumstances in which a segment is opened.
struct Opening<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    config: &'a LogConfig,
    now_ms: i64,
    is_last: bool,
}

impl Opening<'_> {
    /// The segment, and the offset behind its last record.
    fn open(
        &self,
        base: i64,
        trusted: bool,
        epochs: &mut LeaderEpochs,
    ) -> Result<(Arc<Segment>, i64), StorageError> {
        let probe = Segment::at(self.dir, base, 0, self.now_ms);
        let length = probe.file(self.disk)?.len().map_err(StorageError::io("read", probe.path()))?;
        if trusted {
            let segment = Segment::at(self.dir, base, length, self.now_ms);
            if segment.load_indexes(self.disk)? {
                if !self.is_last {
                    return Ok((Arc::new(segment), base));
                }
                if let Some(end) = self.check_tail(&segment, length)? {
                    return Ok((Arc::new(segment), end));
                }
            }
            warn!(segment = %segment.path().display(), "an index is missing or does not fit; it is rebuilt");
        }
        self.rebuild(base, length, epochs)
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
        Ok((ended.invalid.is_none() && ended.position == length).then_some(end))
    }

    /// Reads the whole segment, rebuilds its indexes, and cuts it where it ends if it is the last.
    fn rebuild(
        &self,
        base: i64,
        length: u64,
        epochs: &mut LeaderEpochs,
    ) -> Result<(Arc<Segment>, i64), StorageError> {
        let segment = Segment::at(self.dir, base, 0, self.now_ms);
        segment.reset_indexes(self.disk)?;
        let file = segment.file(self.disk)?;
        let mut end = base;
        let mut epochs_changed = false;
        let mut failed = None;
        let ended = scan(&*file, segment.path(), 0..length, true, |batch, _| {
            if batch.base_offset() < end {
                return Err(format!("offset {} comes after {end}", batch.base_offset()));
            }
            end = batch.next_offset();
            epochs_changed |= epochs.assign(batch.partition_leader_epoch(), batch.base_offset());
            if let Err(error) = segment.note(self.disk, Extent::of(batch), self.config.index_interval_bytes) {
                failed = Some(error);
                return Err("the index cannot be written".to_owned());
            }
            Ok(())
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if let Some(reason) = ended.invalid {
            let (path, position) = (segment.path().to_owned(), ended.position);
            if !self.is_last {
                return Err(StorageError::Corrupt { path, position, reason });
            }
            let bytes = length - position;
            info!(segment = %path.display(), position, bytes, reason, "the end of the log was not written whole before the crash; it is cut off. Nothing acknowledged with acks=all is in it");
            segment.cut(self.disk)?;
        }
        if epochs_changed {
            epochs.save(self.disk, self.dir)?;
        }
        segment.seal(self.disk)?;
        Ok((Arc::new(segment), end))
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
        let file = segment.file(disk)?;
        let start = segment.position_before(disk, from)?;
        scan(&*file, segment.path(), start..segment.size(), false, |batch, _| {
            if batch.base_offset() >= from {
                let seen_ms = if batch.max_timestamp() >= 0 { batch.max_timestamp().min(now_ms) } else { now_ms };
                producers.note(batch, seen_ms);
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn snapshot_offsets(disk: &dyn Disk, dir: &Path) -> Result<Vec<i64>, StorageError> {
    let names = disk.list(dir).map_err(StorageError::io("list", dir))?;
    let mut offsets: Vec<i64> =
        names.iter().filter_map(|(name, _)| name.strip_suffix(".snapshot")?.parse().ok()).collect();
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
