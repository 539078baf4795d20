//! Opening a log, after a clean stop or a crash.
//!
//! Segments are flushed before the next one begins, and the recovery point and the restart points (`restart.rs`) say how
//! far the last one was. It is read from its newest restart point on, batch by batch, and is cut at the first batch that
//! is not whole if that comes behind everything that was flushed, because that is what a crash leaves. Such a batch
//! anywhere else is damage: the log stays shut, and says so, rather than lose what was acknowledged. What was read back
//! is flushed before anybody is told that it is there.

use std::path::Path;
use std::sync::Arc;

use tracing::warn;

use crate::cleaner::finish_interrupted;
use crate::config::{LogConfig, SharedLimits};
use crate::disk::Disk;
use crate::epochs::LeaderEpochs;
use crate::error::StorageError;
use crate::log::{Recovered, remove_file};
use crate::producers::{Producers, snapshot_path};
use crate::recovery_segment::{CheckedActive, Opening};
use crate::restart;
use crate::scan::scan;
use crate::segment::{DELETED_SUFFIX, Segment};

/// Files that a crash may leave half made, or half removed.
const LEFTOVER_SUFFIXES: [&str; 4] = [DELETED_SUFFIX, ".tmp", ".cleaned", ".swap"];

/// So many snapshots are kept, in case the newest is damaged.
const SNAPSHOTS_KEPT: usize = 2;

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
        reread_bytes: 0,
    };
    let names = match disk.list(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(nothing(false)),
        Err(error) => return Err(StorageError::io("list", dir)(error)),
    };
    if !known.clean {
        // The last run may have been killed between making these names and flushing them.
        disk.sync_dir(dir).map_err(StorageError::io("flush", dir))?;
    }
    let names = finish_interrupted(disk, dir, names, now_ms)?;
    let bases = segment_bases(disk, dir, names)?;
    let (Some(first), Some((active, older))) = (bases.first().copied(), bases.split_last()) else {
        if known.recovery_point > start {
            let reason = "its segments are missing".to_owned();
            return Err(StorageError::Corrupt { path: dir.to_owned(), position: 0, reason });
        }
        return Ok(nothing(true));
    };
    let known_epochs = LeaderEpochs::open(disk, dir)?;
    let (epochs_known, mut epochs) = (known_epochs.is_some(), known_epochs.unwrap_or_default());
    let opening = Opening { disk, dir, config, limits, now_ms, next: None, recovery_point: known.recovery_point };
    let mut segments = Vec::with_capacity(bases.len());
    for (base, next) in older.iter().zip(&bases[1..]) {
        let trusted = epochs_known && (known.clean || *next <= known.recovery_point);
        let opening = Opening { next: Some(*next), ..opening };
        segments.push(open_closed(&opening, *base, trusted, &mut epochs, &segments)?);
    }
    let trusted = if epochs_known && known.clean { opening.open_trusted(*active)? } else { None };
    let (end, mut producers, reread_bytes) = match trusted {
        Some((segment, end)) => {
            segments.push(segment);
            let mut producers = Producers::new(limits.producers_per_log);
            // A clean stop that left no snapshot had no producers to tell of.
            if !snapshot_offsets(disk, dir)?.is_empty() {
                load_producers(disk, dir, &segments, end, now_ms, &mut producers)?;
            }
            (end, producers, 0)
        }
        None => {
            let checked = check_active(&opening, *active, &segments, &mut epochs, epochs_known)?;
            segments.push(Arc::new(checked.segment));
            (checked.end, checked.producers, checked.read_bytes)
        }
    };
    if end < start {
        return begin_at(disk, dir, &segments, now_ms, nothing(true));
    }
    epochs.truncate_from(end);
    epochs.save(disk, dir)?;
    remove_snapshots_beyond(disk, dir, end)?;
    producers.expire(now_ms, config.producer_id_expiration_ms);
    Ok(Recovered {
        segments,
        log_start_offset: start.max(first),
        log_end_offset: end,
        epochs,
        producers,
        has_dir: true,
        reread_bytes,
    })
}

/// Opens a segment that another one follows.
fn open_closed(
    opening: &Opening<'_>,
    base: i64,
    trusted: bool,
    epochs: &mut LeaderEpochs,
    older: &[Arc<Segment>],
) -> Result<Arc<Segment>, StorageError> {
    if trusted && let Some((segment, _)) = opening.open_trusted(base)? {
        return Ok(segment);
    }
    opening.rebuild(base, epochs, older)
}

/// Reads what a crash may have left of the last segment, from where it is known to be whole.
fn check_active(
    opening: &Opening<'_>,
    base: i64,
    older: &[Arc<Segment>],
    epochs: &mut LeaderEpochs,
    epochs_known: bool,
) -> Result<CheckedActive, StorageError> {
    let (disk, dir) = (opening.disk, opening.dir);
    let (length, _) = opening.examine(base)?;
    let fresh = || (Segment::at(dir, base, 0, opening.now_ms), Producers::new(opening.limits.producers_per_log));
    let (mut resumed, flushed) = restart::resume(disk, dir, fresh, length, &snapshot_offsets(disk, dir)?)?;
    if !epochs_known {
        // Every batch is to be asked for its epoch.
        resumed = None;
    }
    let mut producers = Producers::new(opening.limits.producers_per_log);
    if resumed.is_none() {
        load_producers(disk, dir, older, base, opening.now_ms, &mut producers)?;
    }
    let opening = Opening { recovery_point: opening.recovery_point.max(flushed), ..*opening };
    opening.check_active(base, epochs, resumed, producers)
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

/// The producers' state at an offset, from the newest usable snapshot before it and the batches after that.
pub(crate) fn load_producers(
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
        if (from..=end).contains(&offset) && producers.load(disk, &path)? {
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

/// Removes snapshots of what a crash took.
fn remove_snapshots_beyond(disk: &dyn Disk, dir: &Path, end: i64) -> Result<(), StorageError> {
    for beyond in snapshot_offsets(disk, dir)?.into_iter().filter(|offset| *offset > end) {
        remove_file(disk, &snapshot_path(dir, beyond))?;
    }
    Ok(())
}

/// Removes all snapshots but the newest, and the one that is durable for certain: of the active segment's beginning.
pub(crate) fn remove_old_snapshots(disk: &dyn Disk, dir: &Path, active_base: i64) -> Result<(), StorageError> {
    let offsets = snapshot_offsets(disk, dir)?;
    let durable = offsets.iter().rev().find(|offset| **offset <= active_base);
    for offset in offsets.iter().rev().skip(SNAPSHOTS_KEPT).filter(|offset| Some(*offset) != durable) {
        remove_file(disk, &snapshot_path(dir, *offset))?;
    }
    Ok(())
}
