//! Sparse indexes beside a segment: offset to position, and time to offset, in Kafka's formats. The index of aborted
//! transactions (`txn_index.rs`) is a file of the same kind.
//!
//! New entries gather in memory and are written in blocks; after a crash those of the last segment are built again from
//! the newest restart point on, so they are fsynced only when the segment is complete. Lookups search the file in place:
//! the page cache is the cache.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use crate::StorageError;
use crate::disk::{Disk, DiskFile};
use crate::files::read_exact;
use crate::restart::IndexMark;

/// Entries gathered before they are written, bytes.
const PENDING_BYTES: usize = 4096;
/// How much of an index is read at a time to be checked, bytes.
const CHECKED_BYTES: usize = 48 << 10;

/// So much of an index is read at once when the place that is looked for is in it, bytes.
const SEARCHED_BYTES: usize = 1024;

/// Of a file that is being built; recovery removes it.
const ASIDE_SUFFIX: &str = ".tmp";

/// Bytes of an entry of the offset index: relative offset and position, 4 bytes each.
pub(crate) const OFFSET_ENTRY_BYTES: usize = 8;
/// Bytes of an entry of the time index: a timestamp of 8 bytes and a relative offset of 4.
pub(crate) const TIME_ENTRY_BYTES: usize = 12;

/// One index file: fixed-size entries, ascending.
#[derive(Debug)]
pub(crate) struct IndexFile<const N: usize> {
    path: PathBuf,
    /// Entries in the file.
    written: usize,
    /// Entries behind them, in memory.
    pending: Vec<[u8; N]>,
    last: Option<[u8; N]>,
    /// Whether the file may go on behind `written` with what an earlier run wrote there.
    leftover: bool,
    /// Held open because another file is about to take its name.
    pinned: Option<Arc<dyn DiskFile>>,
}

impl<const N: usize> IndexFile<N> {
    /// A new, empty index; the file appears when entries are written.
    pub(crate) fn create(path: PathBuf) -> IndexFile<N> {
        IndexFile { path, written: 0, pending: Vec::new(), last: None, leftover: false, pinned: None }
    }

    /// The index as it stands on disk, or `None` if it is missing or not made of whole entries.
    pub(crate) fn open(disk: &dyn Disk, path: PathBuf) -> Result<Option<IndexFile<N>>, StorageError> {
        let file = match disk.open(&path, false) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StorageError::io("open", &path)(error)),
        };
        let length = file.len().map_err(StorageError::io("read", &path))? as usize;
        if !length.is_multiple_of(N) {
            return Ok(None);
        }
        let mut index = IndexFile::create(path);
        index.written = length / N;
        if index.written > 0 {
            index.last = Some(index.entry(&*file, index.written - 1)?);
        }
        Ok(Some(index))
    }

    /// The index up to a mark, if the file has its entries and each follows the one before; what comes behind is
    /// compared with what is pushed. Without entries, any file will do.
    pub(crate) fn open_to(
        disk: &dyn Disk,
        path: PathBuf,
        mark: &IndexMark<N>,
        follows: impl Fn(&[u8; N], &[u8; N]) -> bool,
    ) -> Result<Option<IndexFile<N>>, StorageError> {
        let mut index = IndexFile::create(path);
        index.leftover = true;
        if mark.count == 0 {
            return Ok(Some(index));
        }
        let file = match disk.open(&index.path, false) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StorageError::io("open", &index.path)(error)),
        };
        let end = u64::from(mark.count) * N as u64;
        let (mut position, mut before, mut block) = (0, None, vec![0; CHECKED_BYTES / N * N]);
        while position < end {
            let wanted = usize::try_from(end - position).unwrap_or(usize::MAX).min(block.len());
            let count = file.read_at(&mut block[..wanted], position).map_err(StorageError::io("read", &index.path))?;
            if count < wanted {
                return Ok(None);
            }
            for entry in block[..wanted].as_chunks::<N>().0 {
                if before.as_ref().is_some_and(|before| !follows(before, entry)) {
                    return Ok(None);
                }
                before = Some(*entry);
            }
            position += wanted as u64;
        }
        (index.written, index.last) = (mark.count as usize, before);
        Ok((before == Some(mark.last)).then_some(index))
    }

    /// How far it goes.
    pub(crate) fn mark(&self) -> IndexMark<N> {
        IndexMark { count: u32::try_from(self.len()).unwrap_or(0), last: self.last.unwrap_or([0; N]) }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.written + self.pending.len()
    }

    /// Whether some entries are not in the file yet.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether some entries are in the file.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.written > 0
    }

    /// The last entry.
    pub(crate) fn last(&self) -> Option<&[u8; N]> {
        self.last.as_ref()
    }

    /// Adds an entry, which the caller knows to follow the last. An index is only a short cut, so a disk that does not
    /// take it now gets it later; completing the segment insists.
    pub(crate) fn push(&mut self, disk: &dyn Disk, entry: [u8; N]) {
        self.pending.push(entry);
        self.last = Some(entry);
        if self.pending.len().is_multiple_of(PENDING_BYTES / N)
            && let Err(error) = self.write(disk)
        {
            warn!(%error, "an index could not be written; it is tried again");
        }
    }

    /// Writes what is gathered; creates the file if there is none.
    pub(crate) fn write(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        let file = self.open_file(disk, true)?;
        if self.leftover {
            self.compare_leftover(&*file)?;
        }
        file.write_at(self.pending.as_flattened(), (self.written * N) as u64)
            .map_err(StorageError::io("write", &self.path))?;
        self.written += self.pending.len();
        self.pending = Vec::new();
        Ok(())
    }

    /// The same, but leaves a file unmade that would be empty.
    pub(crate) fn write_pending(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        if self.has_pending() { self.write(disk) } else { Ok(()) }
    }

    /// Ends the file where the index ends, when all that recovery found was pushed.
    pub(crate) fn settle(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        if !self.leftover {
            return Ok(());
        }
        if !self.pending.is_empty() {
            self.write(disk)?;
        }
        let file = self.open_file(disk, true)?;
        if self.leftover && file.len().map_err(StorageError::io("read", &self.path))? > self.end_bytes() {
            self.drop_leftover(&*file)?;
        }
        self.leftover = false;
        Ok(())
    }

    /// What stands where the gathered entries go is the same, or goes.
    fn compare_leftover(&mut self, file: &dyn DiskFile) -> Result<(), StorageError> {
        let pending = self.pending.as_flattened();
        let mut found = vec![0; pending.len()];
        let count = file.read_at(&mut found, self.end_bytes()).map_err(StorageError::io("read", &self.path))?;
        if found[..count] != pending[..count] {
            self.drop_leftover(file)?;
        }
        Ok(())
    }

    /// For good: entries of batches that are no more must not come back when the power fails, and pass for ours.
    fn drop_leftover(&mut self, file: &dyn DiskFile) -> Result<(), StorageError> {
        file.truncate(self.end_bytes()).map_err(StorageError::io("truncate", &self.path))?;
        file.sync().map_err(StorageError::io("flush", &self.path))?;
        self.leftover = false;
        Ok(())
    }

    fn end_bytes(&self) -> u64 {
        (self.written * N) as u64
    }

    /// Writes what is gathered, and makes all of it durable.
    pub(crate) fn complete(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        self.write(disk)?;
        self.open_file(disk, false)?.sync().map_err(StorageError::io("flush", &self.path))
    }

    /// Empties it, whatever stands there: it is new, or will be rebuilt.
    pub(crate) fn reset(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        let file = self.open_file(disk, true)?;
        file.truncate(0).map_err(StorageError::io("truncate", &self.path))?;
        (self.written, self.last, self.leftover) = (0, None, false);
        self.pending.clear();
        Ok(())
    }

    /// Begins to build a new one in its place: what stands in the file is compared with what is pushed.
    pub(crate) fn begin_again(&mut self) {
        self.leftover = true;
    }

    /// Begins to build it anew in another file: until that is whole, a crash must find the old one or none, and not a
    /// part that looks like all of it.
    pub(crate) fn begin_aside(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        self.path = IndexFile::<N>::aside(&self.path);
        self.reset(disk)
    }

    /// Where that file is.
    pub(crate) fn aside(place: &Path) -> PathBuf {
        let mut aside = place.as_os_str().to_owned();
        aside.push(ASIDE_SUFFIX);
        aside.into()
    }

    /// Puts what was built aside in its place; the caller makes the directory's change durable.
    pub(crate) fn move_in_place(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        self.complete(disk)?;
        let place = self.path.with_extension("");
        disk.rename(&self.path, &place).map_err(StorageError::io("rename", &self.path))?;
        self.path = place;
        Ok(())
    }

    /// The last entry for which `is_before` holds; entries for which it holds come first.
    pub(crate) fn last_where(
        &self,
        disk: &dyn Disk,
        is_before: impl Fn(&[u8; N]) -> bool,
    ) -> Result<Option<[u8; N]>, StorageError> {
        if let Some(place) = self.pending.partition_point(&is_before).checked_sub(1) {
            return Ok(Some(self.pending[place]));
        }
        if self.written == 0 {
            return Ok(None);
        }
        Ok(self.place_of(&*self.open_file(disk, false)?, is_before)?.1)
    }

    /// Shows the entries behind those for which `is_before` holds, until told to stop.
    pub(crate) fn each_from(
        &self,
        disk: &dyn Disk,
        is_before: impl Fn(&[u8; N]) -> bool,
        mut visit: impl FnMut(&[u8; N]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StorageError> {
        if self.written > 0 {
            let file = self.open_file(disk, false)?;
            let (mut place, _) = self.place_of(&*file, &is_before)?;
            while place < self.written {
                let mut block = vec![[0; N]; (self.written - place).min(CHECKED_BYTES / N)];
                read_exact(&*file, block.as_flattened_mut(), (place * N) as u64)
                    .map_err(StorageError::io("read", &self.path))?;
                if block.iter().try_for_each(&mut visit).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                place += block.len();
            }
        }
        let pending = &self.pending[self.pending.partition_point(&is_before)..];
        Ok(pending.iter().try_for_each(visit))
    }

    /// How many of the entries in the file `is_before` holds for, and the last of them.
    fn place_of(
        &self,
        file: &dyn DiskFile,
        is_before: impl Fn(&[u8; N]) -> bool,
    ) -> Result<(usize, Option<[u8; N]>), StorageError> {
        let (mut low, mut high) = (0, self.written);
        let mut found = None;
        while high - low > SEARCHED_BYTES / N {
            let middle = low.midpoint(high);
            let entry = self.entry(file, middle)?;
            if is_before(&entry) {
                found = Some(entry);
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let mut block = [0; SEARCHED_BYTES];
        let block = &mut block[..(high - low) * N];
        read_exact(file, block, (low * N) as u64).map_err(StorageError::io("read", &self.path))?;
        let entries = block.as_chunks::<N>().0;
        let count = entries.partition_point(is_before);
        Ok((low + count, count.checked_sub(1).map(|last| entries[last]).or(found)))
    }

    /// Keeps the file open: lookups go on in it when another has its name.
    pub(crate) fn pin(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        self.pinned = Some(self.open_file(disk, false)?);
        Ok(())
    }

    /// Opens the file for each lookup again.
    pub(crate) fn unpin(&mut self) {
        self.pinned = None;
    }

    /// The name of a file that is not there yet.
    pub(crate) fn set_path(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// Gives the file another name.
    pub(crate) fn rename(&mut self, disk: &dyn Disk, to: PathBuf) -> Result<(), StorageError> {
        disk.rename(&self.path, &to).map_err(StorageError::io("rename", &self.path))?;
        self.path = to;
        Ok(())
    }

    fn open_file(&self, disk: &dyn Disk, create: bool) -> Result<Arc<dyn DiskFile>, StorageError> {
        if let Some(file) = &self.pinned {
            return Ok(Arc::clone(file));
        }
        disk.open(&self.path, create).map_err(StorageError::io("open", &self.path))
    }

    fn entry(&self, file: &dyn DiskFile, place: usize) -> Result<[u8; N], StorageError> {
        let mut entry = [0; N];
        read_exact(file, &mut entry, (place * N) as u64).map_err(StorageError::io("read", &self.path))?;
        Ok(entry)
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// An entry of the offset index.
pub(crate) fn offset_entry(relative_offset: u32, position: u32) -> [u8; OFFSET_ENTRY_BYTES] {
    let mut entry = [0; OFFSET_ENTRY_BYTES];
    entry[..4].copy_from_slice(&relative_offset.to_be_bytes());
    entry[4..].copy_from_slice(&position.to_be_bytes());
    entry
}

/// Relative offset and position.
pub(crate) fn parse_offset_entry(entry: &[u8; OFFSET_ENTRY_BYTES]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = *entry;
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

/// An entry of the time index.
pub(crate) fn time_entry(timestamp: i64, relative_offset: u32) -> [u8; TIME_ENTRY_BYTES] {
    let mut entry = [0; TIME_ENTRY_BYTES];
    entry[..8].copy_from_slice(&timestamp.to_be_bytes());
    entry[8..].copy_from_slice(&relative_offset.to_be_bytes());
    entry
}

/// Timestamp and relative offset.
pub(crate) fn parse_time_entry(entry: &[u8; TIME_ENTRY_BYTES]) -> (i64, u32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *entry;
    (i64::from_be_bytes([a, b, c, d, e, f, g, h]), u32::from_be_bytes([i, j, k, l]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::OsDisk;

    #[test]
    fn lookups_agree_with_a_scan_wherever_the_entry_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut index = IndexFile::<8>::create(dir.path().join("i"));
        for offset in 0..1300u32 {
            index.push(&OsDisk, offset_entry(offset * 3, offset));
        }
        assert!(index.written > 0 && !index.pending.is_empty());
        for target in [0, 1, 2, 3, 1535, 1536, 3000, 3897, 9999] {
            let found = index.last_where(&OsDisk, |entry| parse_offset_entry(entry).0 <= target).unwrap();
            assert_eq!(parse_offset_entry(&found.unwrap()).1, (target / 3).min(1299), "{target}");
        }
        index.write(&OsDisk).unwrap();
        let reopened = IndexFile::<8>::open(&OsDisk, dir.path().join("i")).unwrap().unwrap();
        assert_eq!((reopened.len(), reopened.last()), (1300, index.last()));
    }

    #[test]
    fn an_index_of_broken_entries_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("i");
        assert!(IndexFile::<8>::open(&OsDisk, path.clone()).unwrap().is_none());
        std::fs::write(&path, [0; 13]).unwrap();
        assert!(IndexFile::<8>::open(&OsDisk, path).unwrap().is_none());
    }
}
