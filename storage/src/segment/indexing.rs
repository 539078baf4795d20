//! The indexes of a segment: taken from disk, built again in their place or beside it, and written.

use std::sync::atomic::Ordering;

use super::{Segment, lock};
use crate::StorageError;
use crate::disk::Disk;
use crate::index::{IndexFile, parse_offset_entry, parse_time_entry};
use crate::txn_index::TxnIndex;

impl Segment {
    /// Takes the indexes from disk; false when one is missing or damaged. A missing index of aborted transactions says, as
    /// in Kafka, that there are none. The next segment, if there is one, begins at `next`.
    pub(crate) fn load_indexes(&self, disk: &dyn Disk, next: Option<i64>) -> Result<bool, StorageError> {
        let indexes = &mut *lock(&self.indexes);
        let offset = IndexFile::open(disk, indexes.offset.path().to_owned())?;
        let time = IndexFile::open(disk, indexes.time.path().to_owned())?;
        let offsets = self.base_offset..next.unwrap_or(i64::MAX);
        let aborted = TxnIndex::open(disk, indexes.aborted.path().to_owned(), offsets)?;
        let (Some(offset), Some(time), Some(aborted)) = (offset, time, aborted) else { return Ok(false) };
        let size = self.size();
        if offset.last().is_some_and(|last| !is_plausible(parse_offset_entry(last), offset.len(), size)) {
            return Ok(false);
        }
        if let Some(last) = time.last() {
            let (timestamp, relative) = parse_time_entry(last);
            // Zeros are what a file has whose content was lost.
            if timestamp < 0 || i32::try_from(relative).is_err() || (time.len() > 1 && timestamp == 0) {
                return Ok(false);
            }
            self.max_timestamp.store(timestamp, Ordering::Release);
            self.offset_of_max_timestamp.store(self.base_offset + i64::from(relative), Ordering::Release);
        }
        (indexes.offset, indexes.time, indexes.aborted) = (offset, time, aborted);
        Ok(true)
    }

    /// Empties the indexes before they are rebuilt with [`Segment::note`].
    pub(crate) fn reset_indexes(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        let indexes = &mut *lock(&self.indexes);
        indexes.offset.reset(disk)?;
        indexes.time.reset(disk)?;
        indexes.aborted.reset(disk)?;
        indexes.bytes_since_entry = 0;
        self.max_timestamp.store(-1, Ordering::Release);
        self.offset_of_max_timestamp.store(self.base_offset, Ordering::Release);
        Ok(())
    }

    /// Begins to build the indexes anew in their place: what stands there is compared with what comes.
    pub(crate) fn begin_indexes_again(&self) {
        let indexes = &mut *lock(&self.indexes);
        indexes.offset.begin_again();
        indexes.time.begin_again();
        indexes.aborted.begin_again();
    }

    /// Ends the index files where the indexes end.
    pub(crate) fn settle_indexes(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        let indexes = &mut *lock(&self.indexes);
        indexes.offset.settle(disk)?;
        indexes.time.settle(disk)?;
        indexes.aborted.settle(disk)
    }

    /// Writes what the indexes have gathered; durable it is when the segment is sealed.
    pub(crate) fn write_indexes(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        let indexes = &mut *lock(&self.indexes);
        indexes.offset.write_pending(disk)?;
        indexes.time.write_pending(disk)?;
        indexes.aborted.write(disk)
    }

    /// Begins to build the indexes anew, beside those that are there.
    pub(crate) fn begin_indexes_aside(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        let indexes = &mut *lock(&self.indexes);
        indexes.offset.begin_aside(disk)?;
        indexes.time.begin_aside(disk)?;
        indexes.aborted.begin_aside(disk)
    }

    /// Puts the new indexes, complete and durable, in the place of the old; the caller makes that change durable.
    pub(crate) fn move_indexes_in_place(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        let indexes = &mut *lock(&self.indexes);
        self.push_time(indexes, disk);
        indexes.aborted.move_in_place(disk)?;
        indexes.offset.move_in_place(disk)?;
        indexes.time.move_in_place(disk)
    }
}

/// Whether the last of `count` entries of an offset index can be right: it lies within the segment, and behind as many
/// batches as there are entries before it.
fn is_plausible((relative, position): (u32, u32), count: usize, size: u64) -> bool {
    let position = u64::from(position);
    let least = (count - 1) * protocol::records::HEADER_LEN;
    position < size && position >= least as u64 && i32::try_from(relative).is_ok()
}
