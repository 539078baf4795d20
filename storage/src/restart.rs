//! Where recovery may begin in the active segment.
//!
//! A restart point is what a log knows of its active segment at one offset: how many bytes and index entries it has, its
//! largest timestamp, its last batch. It stands in the producers' snapshot of that offset, under the same checksum,
//! behind what Kafka reads. It is only written once everything below its offset is flushed, so it also proves that; but
//! it is not flushed itself, because a crash of the process loses no file, and after a power cut an older one, or the
//! segment's start, only makes recovery longer. Nothing of it is believed before the files agree with it.

use std::path::Path;

use tracing::warn;

use crate::disk::Disk;
use crate::error::StorageError;
use crate::files::write_unflushed;
use crate::index::{OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES};
use crate::log::{PartitionLog, lock};
use crate::producers::{Producers, snapshot_path};
use crate::recovery;
use crate::segment::Segment;
use crate::txn_index::TXN_ENTRY_BYTES;

/// A restart point is worth so many times its own size of reading.
const INTERVAL_SNAPSHOTS: u64 = 8;

/// A place behind which recovery reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RestartPoint {
    /// Of the segment.
    pub(crate) base_offset: i64,
    /// Everything below is flushed.
    pub(crate) offset: i64,
    /// Where that offset's batch will begin, or begins.
    pub(crate) position: u64,
    /// Where the batch before it begins.
    pub(crate) last_position: u64,
    pub(crate) max_timestamp: i64,
    pub(crate) offset_of_max_timestamp: i64,
    pub(crate) bytes_since_entry: u64,
    pub(crate) offset_index: IndexMark<OFFSET_ENTRY_BYTES>,
    pub(crate) time_index: IndexMark<TIME_ENTRY_BYTES>,
    pub(crate) txn_index: IndexMark<TXN_ENTRY_BYTES>,
}

/// How far an index goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexMark<const N: usize> {
    /// Entries; 0 when there are none.
    pub(crate) count: u32,
    /// The last of them, or zeros.
    pub(crate) last: [u8; N],
}

impl RestartPoint {
    const BYTES: usize = 7 * 8 + (4 + OFFSET_ENTRY_BYTES) + (4 + TIME_ENTRY_BYTES) + (4 + TXN_ENTRY_BYTES);

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.base_offset.to_be_bytes());
        to.extend_from_slice(&self.offset.to_be_bytes());
        to.extend_from_slice(&self.position.to_be_bytes());
        to.extend_from_slice(&self.last_position.to_be_bytes());
        to.extend_from_slice(&self.max_timestamp.to_be_bytes());
        to.extend_from_slice(&self.offset_of_max_timestamp.to_be_bytes());
        to.extend_from_slice(&self.bytes_since_entry.to_be_bytes());
        to.extend_from_slice(&self.offset_index.count.to_be_bytes());
        to.extend_from_slice(&self.offset_index.last);
        to.extend_from_slice(&self.time_index.count.to_be_bytes());
        to.extend_from_slice(&self.time_index.last);
        to.extend_from_slice(&self.txn_index.count.to_be_bytes());
        to.extend_from_slice(&self.txn_index.last);
    }

    pub(crate) fn read(from: &[u8]) -> Option<RestartPoint> {
        let from: &[u8; RestartPoint::BYTES] = from.first_chunk()?;
        let long = |at: usize| from[at..at + 8].try_into().map(i64::from_be_bytes).ok();
        let size = |at: usize| u64::try_from(long(at)?).ok();
        let count = |at: usize| from[at..at + 4].try_into().map(u32::from_be_bytes).ok();
        Some(RestartPoint {
            base_offset: long(0)?,
            offset: long(8)?,
            position: size(16)?,
            last_position: size(24)?,
            max_timestamp: long(32)?,
            offset_of_max_timestamp: long(40)?,
            bytes_since_entry: size(48)?,
            offset_index: IndexMark { count: count(56)?, last: from[60..68].try_into().ok()? },
            time_index: IndexMark { count: count(68)?, last: from[72..84].try_into().ok()? },
            txn_index: IndexMark { count: count(84)?, last: from[88..122].try_into().ok()? },
        })
    }
}

/// What a log remembers of its restart points.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    /// How many bytes had been appended when the newest was taken.
    taken_at_bytes: u64,
    /// How many have to come until the next, at least.
    worth_bytes: u64,
    /// Taken, and waiting for the flush that makes it true.
    waiting: Option<Box<(RestartPoint, Vec<u8>)>>,
}

impl PartitionLog {
    /// Takes a restart point if there is much behind the newest, and writes it when everything before it is flushed,
    /// now or at a later call. Flushes nothing.
    ///
    /// # Errors
    /// The disk's; recovery then reads more.
    pub(crate) fn keep_restart_point(&self) -> Result<(), StorageError> {
        if self.is_restart_point_due(&lock(&self.restarts)) {
            let writer = lock(&self.writer);
            let active = self.segments().last().cloned();
            let taken = active.and_then(|active| active.mark(self.log_end_offset()));
            let mut restarts = lock(&self.restarts);
            if let Some(point) = taken {
                let snapshot = writer.producers.encode(Some(&point));
                restarts.taken_at_bytes = self.appended_bytes();
                restarts.worth_bytes = snapshot.len() as u64 * INTERVAL_SNAPSHOTS;
                restarts.waiting = Some(Box::new((point, snapshot)));
            }
        }
        let mut restarts = lock(&self.restarts);
        if restarts.waiting.as_ref().is_none_or(|waiting| waiting.0.offset > self.flushed_offset()) {
            return Ok(());
        }
        // Who ends the log, or its active segment, waits for this lock and finds nothing waiting, or we find it ended.
        match restarts.waiting.take() {
            Some(waiting) if !self.is_closed() => self.write_restart_point(&waiting.0, &waiting.1),
            _ => Ok(()),
        }
    }

    fn is_restart_point_due(&self, restarts: &Restarts) -> bool {
        let due_bytes = self.shared.limits.restart_interval_bytes.max(restarts.worth_bytes);
        restarts.waiting.is_none() && self.appended_bytes() - restarts.taken_at_bytes >= due_bytes
    }

    fn write_restart_point(&self, point: &RestartPoint, snapshot: &[u8]) -> Result<(), StorageError> {
        let (disk, segments) = (&*self.shared.disk, self.segments());
        let Some(active) = segments.last().filter(|active| active.base_offset() == point.base_offset) else {
            return Ok(());
        };
        active.write_indexes(disk)?;
        let path = snapshot_path(self.path(), point.offset);
        write_unflushed(disk, &path, snapshot).map_err(StorageError::io("write", &path))?;
        recovery::remove_old_snapshots(disk, self.path(), point.base_offset)
    }

    /// Says where a log that was closed goes on. Who is remembered is durable; where the indexes end need not be.
    pub(crate) fn write_last_snapshot(&self, producers: &Producers) -> Result<(), StorageError> {
        let disk = &*self.shared.disk;
        let segments = self.segments();
        let Some(active) = segments.last() else { return Ok(()) };
        let (end, point) = (self.log_end_offset(), active.mark(self.log_end_offset()));
        let path = snapshot_path(self.path(), end);
        if producers.len() > 0 {
            producers.save(disk, &path, point.as_ref())?;
        } else if let Some(point) = &point {
            let snapshot = producers.encode(Some(point));
            write_unflushed(disk, &path, &snapshot).map_err(StorageError::io("write", &path))?;
        }
        recovery::remove_old_snapshots(disk, self.path(), active.base_offset())
    }
}

impl Restarts {
    /// What waits is of a segment that ends, or of a log that does.
    pub(crate) fn drop_waiting(&mut self) {
        self.waiting = None;
    }
}

/// An active segment of which only the rest is to be read.
pub(crate) struct Resumed {
    pub(crate) segment: Segment,
    /// As they were at the restart point.
    pub(crate) producers: Producers,
    pub(crate) point: RestartPoint,
}

/// Finds the newest restart point of a segment of `length` bytes that its files agree with; and the offset up to which
/// the log was flushed by what the restart points say, whether they are of use or not.
pub(crate) fn resume(
    disk: &dyn Disk,
    dir: &Path,
    fresh: impl Fn() -> (Segment, Producers),
    length: u64,
    snapshots: &[i64],
) -> Result<(Option<Resumed>, i64), StorageError> {
    let mut flushed = 0;
    for offset in snapshots.iter().rev().copied() {
        let (segment, mut producers) = fresh();
        if offset <= segment.base_offset() {
            break;
        }
        let Some(point) = producers.load_with_point(disk, &snapshot_path(dir, offset))? else { continue };
        if (point.base_offset, point.offset) != (segment.base_offset(), offset) {
            continue;
        }
        flushed = flushed.max(offset);
        if segment.resume(disk, &point, length)? {
            return Ok((Some(Resumed { segment, producers, point }), flushed));
        }
        warn!(segment = %segment.path().display(), offset, "the files do not agree with a restart point; more of the log is read");
    }
    Ok((None, flushed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_point_is_read_as_it_was_written() {
        let point = RestartPoint {
            base_offset: 1 << 40,
            offset: (1 << 40) + 7,
            position: 3_000_000_000,
            last_position: 9,
            max_timestamp: -1,
            offset_of_max_timestamp: 1 << 40,
            bytes_since_entry: 5,
            offset_index: IndexMark { count: 2, last: [7; 8] },
            time_index: IndexMark { count: 0, last: [0; 12] },
            txn_index: IndexMark { count: 3, last: [9; 34] },
        };
        let mut bytes = Vec::new();
        point.write(&mut bytes);
        assert_eq!(RestartPoint::read(&bytes), Some(point));
        assert_eq!(RestartPoint::read(&bytes[1..]), None);
    }
}
