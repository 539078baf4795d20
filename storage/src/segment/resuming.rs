//! Where recovery may begin in a segment, and beginning there.

use std::sync::atomic::Ordering;

use super::{NO_BATCH, Segment, lock};
use crate::StorageError;
use crate::disk::Disk;
use crate::index::{IndexFile, parse_offset_entry, parse_time_entry};
use crate::restart::RestartPoint;
use crate::scan::scan;
use crate::txn_index::TxnIndex;

impl Segment {
    /// Where recovery may begin once everything up to here is flushed; `offset` is the log's end, and this its active
    /// segment. Nothing without a batch.
    pub(crate) fn mark(&self, offset: i64) -> Option<RestartPoint> {
        let last_position = self.last_position.load(Ordering::Acquire);
        if self.size() == 0 || last_position == NO_BATCH {
            return None;
        }
        let indexes = lock(&self.indexes);
        Some(RestartPoint {
            base_offset: self.base_offset,
            offset,
            position: self.size(),
            last_position,
            max_timestamp: self.max_timestamp(),
            offset_of_max_timestamp: self.offset_of_max_timestamp.load(Ordering::Acquire),
            bytes_since_entry: indexes.bytes_since_entry,
            offset_index: indexes.offset.mark(),
            time_index: indexes.time.mark(),
            txn_index: indexes.aborted.mark(),
        })
    }

    /// Takes the state of a restart point; false when the files do not agree with it, and nothing is taken then.
    pub(crate) fn resume(&self, disk: &dyn Disk, point: &RestartPoint, length: u64) -> Result<bool, StorageError> {
        if point.last_position >= point.position || point.position > length {
            return Ok(false);
        }
        let indexes = &mut *lock(&self.indexes);
        let path = indexes.offset.path().to_owned();
        let offset = IndexFile::open_to(disk, path, &point.offset_index, |before, next| {
            let ((before, at), (next, then)) = (parse_offset_entry(before), parse_offset_entry(next));
            next > before && then > at
        })?;
        let path = indexes.time.path().to_owned();
        let time = IndexFile::open_to(disk, path, &point.time_index, |before, next| {
            let ((before, at), (next, then)) = (parse_time_entry(before), parse_time_entry(next));
            next > before && then > at
        })?;
        let aborted = TxnIndex::open_to(disk, indexes.aborted.path().to_owned(), &point.txn_index)?;
        let (Some(offset), Some(time), Some(aborted)) = (offset, time, aborted) else { return Ok(false) };
        let mut end = None;
        let file = self.file(disk)?;
        let ended = scan(&*file, &self.path, point.last_position..point.position, true, |batch, _| {
            end = Some(batch.next_offset());
            Ok(())
        })?;
        if ended.invalid.is_some() || end != Some(point.offset) {
            return Ok(false);
        }
        (indexes.offset, indexes.time, indexes.aborted) = (offset, time, aborted);
        indexes.bytes_since_entry = point.bytes_since_entry;
        self.size.store(point.position, Ordering::Release);
        self.reserved.store(point.position, Ordering::Release);
        self.last_position.store(point.last_position, Ordering::Release);
        self.max_timestamp.store(point.max_timestamp, Ordering::Release);
        self.offset_of_max_timestamp.store(point.offset_of_max_timestamp, Ordering::Release);
        Ok(true)
    }
}
