//! Kafka's small text files: a version, a count, and a line each.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::StorageError;
use crate::disk::Disk;
use crate::files::{place_file, read_file, write_file};
use crate::log::PartitionLog;
use crate::log_dir::TopicPartition;

const VERSION: &str = "0";
const RECOVERY_POINTS_FILE: &str = "recovery-point-offset-checkpoint";
const LOG_STARTS_FILE: &str = "log-start-offset-checkpoint";
const CLEANED_FILE: &str = "cleaner-offset-checkpoint";

/// Offsets by partition: `recovery-point-offset-checkpoint`, `log-start-offset-checkpoint` and
/// `cleaner-offset-checkpoint`.
type Offsets = BTreeMap<TopicPartition, i64>;

/// What is remembered of the logs of a directory from one run to the next.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    recovery_points: PathBuf,
    log_starts: PathBuf,
    cleaned: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    recovery_points: Offsets,
    log_starts: Offsets,
    /// Below which logs are compacted.
    cleaned: Offsets,
    /// Whether the files say something else.
    recovery_points_unsaved: bool,
    log_starts_unsaved: bool,
    cleaned_unsaved: bool,
    /// Partitions that are no longer known here, and still stand in the files.
    stale: BTreeSet<TopicPartition>,
}

impl Checkpoints {
    /// Reads the files of a directory.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path) -> Result<Checkpoints, StorageError> {
        let (recovery_points, log_starts) = (dir.join(RECOVERY_POINTS_FILE), dir.join(LOG_STARTS_FILE));
        let cleaned = dir.join(CLEANED_FILE);
        let known = Known {
            recovery_points: read_offsets(disk, &recovery_points)?,
            log_starts: read_offsets(disk, &log_starts)?,
            cleaned: read_offsets(disk, &cleaned)?,
            ..Known::default()
        };
        Ok(Checkpoints { recovery_points, log_starts, cleaned, known: Mutex::new(known) })
    }

    /// A partition's recovery point and log start.
    pub(crate) fn of(&self, partition: &TopicPartition) -> (i64, i64) {
        let known = self.lock();
        let offset = |offsets: &Offsets| offsets.get(partition).copied().unwrap_or(0);
        (offset(&known.recovery_points), offset(&known.log_starts))
    }

    /// The offset below which a partition is compacted; 0 when it never was.
    pub(crate) fn cleaned(&self, partition: &TopicPartition) -> i64 {
        self.lock().cleaned.get(partition).copied().unwrap_or(0)
    }

    /// Notes below which offset a partition is compacted.
    pub(crate) fn set_cleaned(
        &self,
        disk: &dyn Disk,
        partition: &TopicPartition,
        offset: i64,
    ) -> Result<(), StorageError> {
        let mut known = self.lock();
        note(&mut known.cleaned, partition, offset);
        known.cleaned_unsaved = true;
        self.write_cleaned(disk, &mut known)
    }

    fn write_cleaned(&self, disk: &dyn Disk, known: &mut Known) -> Result<(), StorageError> {
        if known.cleaned_unsaved {
            write_offsets(disk, &self.cleaned, &known.cleaned)?;
            known.cleaned_unsaved = false;
        }
        Ok(())
    }

    /// Writes where these logs are now. What is known of logs that are not among them, because they could not be
    /// opened, stays: without it, damage would pass for the trace of a crash next time.
    pub(crate) fn update<'a>(
        &self,
        disk: &dyn Disk,
        logs: impl Iterator<Item = &'a PartitionLog>,
    ) -> Result<(), StorageError> {
        let mut known = self.lock();
        for log in logs.filter(|log| !log.is_deleted()) {
            let moved = note(&mut known.recovery_points, log.partition(), log.flushed_offset());
            known.recovery_points_unsaved |= moved;
            let moved = note(&mut known.log_starts, log.partition(), log.log_start_offset());
            known.log_starts_unsaved |= moved;
        }
        self.write(disk, &mut known)
    }

    /// Forgets a partition that is no more; the files follow when they are written next.
    pub(crate) fn forget(&self, partition: &TopicPartition) {
        let mut known = self.lock();
        let (point, start) = (known.recovery_points.remove(partition), known.log_starts.remove(partition));
        let cleaned = known.cleaned.remove(partition).is_some();
        known.cleaned_unsaved |= cleaned;
        known.recovery_points_unsaved |= point.is_some();
        known.log_starts_unsaved |= start.is_some();
        if point.is_some() || start.is_some() || cleaned {
            known.stale.insert(partition.clone());
        }
    }

    /// Forgets a partition, in the files too.
    pub(crate) fn forget_durably(&self, disk: &dyn Disk, partition: &TopicPartition) -> Result<(), StorageError> {
        self.forget(partition);
        let mut known = self.lock();
        if known.stale.contains(partition) { self.write(disk, &mut known) } else { Ok(()) }
    }

    fn write(&self, disk: &dyn Disk, known: &mut Known) -> Result<(), StorageError> {
        self.write_cleaned(disk, known)?;
        if known.log_starts_unsaved {
            write_offsets(disk, &self.log_starts, &known.log_starts)?;
            known.log_starts_unsaved = false;
        }
        if known.recovery_points_unsaved {
            write_offsets(disk, &self.recovery_points, &known.recovery_points)?;
            known.recovery_points_unsaved = false;
        }
        known.stale.clear();
        Ok(())
    }

    /// The maps hold no invariant that a panic could break half way.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers whether that is news. Nothing is noted of offset 0.
fn note(offsets: &mut Offsets, partition: &TopicPartition, offset: i64) -> bool {
    match offsets.get_mut(partition) {
        Some(known) if offset > 0 => std::mem::replace(known, offset) != offset,
        Some(_) => offsets.remove(partition).is_some(),
        None if offset > 0 => offsets.insert(partition.clone(), offset).is_none(),
        None => false,
    }
}

/// Reads offsets by partition; nothing if there is no file, or it is damaged: the logs know better then.
fn read_offsets(disk: &dyn Disk, path: &Path) -> Result<Offsets, StorageError> {
    let rows = read_rows(disk, path)?.unwrap_or_default();
    Ok(rows.iter().filter_map(|row| parse_offset(row)).collect())
}

fn parse_offset(row: &str) -> Option<(TopicPartition, i64)> {
    let mut words = row.split(' ');
    let (topic, index, offset) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((TopicPartition { topic: Arc::from(topic), index }, offset))
}

/// Writes offsets by partition.
fn write_offsets(disk: &dyn Disk, path: &Path, offsets: &Offsets) -> Result<(), StorageError> {
    let rows = offsets.iter().map(|(partition, offset)| format!("{} {} {offset}", partition.topic, partition.index));
    write_rows(disk, path, rows)
}

/// The lines of a file, or `None` when it is missing or not whole.
pub(crate) fn read_rows(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<String>>, StorageError> {
    let Some(content) = read_file(disk, path).map_err(StorageError::io("read", path))? else { return Ok(None) };
    let Ok(text) = String::from_utf8(content) else { return Ok(None) };
    let mut lines = text.lines();
    if lines.next() != Some(VERSION) {
        return Ok(None);
    }
    let Some(count) = lines.next().and_then(|count| count.parse::<usize>().ok()) else { return Ok(None) };
    let rows: Vec<String> = lines.map(str::to_owned).collect();
    Ok((rows.len() == count).then_some(rows))
}

/// Replaces a file.
pub(crate) fn write_rows(
    disk: &dyn Disk,
    path: &Path,
    rows: impl ExactSizeIterator<Item = String>,
) -> Result<(), StorageError> {
    write_file(disk, path, text_of(rows).as_bytes()).map_err(StorageError::io("write", path))
}

/// The same; the caller makes the directory's change durable.
pub(crate) fn place_rows(
    disk: &dyn Disk,
    path: &Path,
    rows: impl ExactSizeIterator<Item = String>,
) -> Result<(), StorageError> {
    let text = text_of(rows);
    place_file(disk, path, |out| out.write_all(text.as_bytes())).map_err(StorageError::io("write", path))
}

fn text_of(rows: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("{VERSION}\n{}\n", rows.len());
    for row in rows {
        text.push_str(&row);
        text.push('\n');
    }
    text
}
