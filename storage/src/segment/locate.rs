//! Where the batches that a reader wants stand in a segment's file: for sending them on without looking at them.
//!
//! The index says where to begin and how far to go at least; from there a few headers are read. Whatever is unusual is
//! left to [`Segment::read`], which looks at every batch.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use protocol::records::{Batch, HEADER_LEN};

use super::{ReadRange, Segment, lock};
use crate::StorageError;
use crate::disk::{Disk, DiskFile};
use crate::files::read_exact;
use crate::index::parse_offset_entry;

/// Headers closer together than this are read at once.
const BLOCK_BYTES: usize = 1024;
/// So many headers are looked at, at most: an index has an entry for every few kilobytes.
const HEADERS_MAX: usize = 256;

/// A file, and a part of it.
type Located = (Arc<dyn DiskFile>, Range<u64>);

/// What the header of a batch says.
struct Header {
    position: u64,
    size_bytes: u64,
    base_offset: i64,
    last_offset: i64,
}

impl Segment {
    /// The file, and where in it the same whole batches stand that [`Segment::read`] finds. `None` when that takes a
    /// closer look.
    pub(crate) fn locate(&self, disk: &dyn Disk, wanted: ReadRange) -> Result<Option<Located>, StorageError> {
        let file = self.file(disk)?;
        let mut headers = Headers::new(&*file, &self.path, self.size());
        let found = (|| {
            let Some(first) = self.first_wanted(disk, &mut headers, wanted.offset)? else { return Ok(None) };
            if first.base_offset >= wanted.upper_bound || first.size_bytes > wanted.max_bytes as u64 {
                return Ok(None);
            }
            self.end_wanted(disk, &mut headers, &first, wanted)
        })()?;
        Ok(found.map(|range| (file, range)))
    }

    /// The batch that holds `offset`, or the first behind it.
    fn first_wanted(
        &self,
        disk: &dyn Disk,
        headers: &mut Headers<'_>,
        offset: i64,
    ) -> Result<Option<Header>, StorageError> {
        let begin = self.position_before(disk, offset)?;
        let mut position = begin;
        while let Some(header) = headers.at(position)? {
            if position == begin && begin > 0 && header.base_offset > offset {
                return Ok(None);
            }
            if header.last_offset >= offset {
                return Ok(Some(header));
            }
            position += header.size_bytes;
        }
        Ok(None)
    }

    /// From `first` to the end of the last batch that is wanted.
    fn end_wanted(
        &self,
        disk: &dyn Disk,
        headers: &mut Headers<'_>,
        first: &Header,
        wanted: ReadRange,
    ) -> Result<Option<Range<u64>>, StorageError> {
        let limit = first.position.saturating_add(wanted.max_bytes as u64).min(headers.size);
        let mut end = first.position + first.size_bytes;
        if let Some((last_offset, position)) = self.entry_before(disk, limit, wanted.upper_bound)?
            && position > first.position
        {
            match headers.at(position)? {
                Some(header) if header.last_offset == last_offset => end = position,
                // The index is wrong here.
                _ => return Ok(None),
            }
        }
        while end < headers.size {
            let Some(header) = headers.at(end)? else { return Ok(None) };
            let next = end + header.size_bytes;
            if next > limit || header.base_offset >= wanted.upper_bound {
                break;
            }
            end = next;
        }
        Ok(Some(first.position..end))
    }

    /// The last batch in the index that begins at or before a position and ends below an offset: its last offset, and
    /// where it begins.
    fn entry_before(&self, disk: &dyn Disk, limit: u64, below: i64) -> Result<Option<(i64, u64)>, StorageError> {
        let below = below.saturating_sub(self.base_offset);
        let is_before = |entry: &[u8; 8]| {
            let (relative, position) = parse_offset_entry(entry);
            i64::from(relative) < below && u64::from(position) <= limit
        };
        let entry = lock(&self.indexes).offset.last_where(disk, is_before)?;
        Ok(entry.map(|entry| {
            let (relative, position) = parse_offset_entry(&entry);
            (self.base_offset + i64::from(relative), u64::from(position))
        }))
    }
}

/// Reads headers, those that are close together at once.
struct Headers<'a> {
    file: &'a dyn DiskFile,
    path: &'a Path,
    /// Published bytes of the file.
    size: u64,
    left: usize,
    block: [u8; BLOCK_BYTES],
    block_at: Range<u64>,
}

impl<'a> Headers<'a> {
    fn new(file: &'a dyn DiskFile, path: &'a Path, size: u64) -> Headers<'a> {
        Headers { file, path, size, left: HEADERS_MAX, block: [0; BLOCK_BYTES], block_at: 0..0 }
    }

    /// The header of the batch that begins at `position`; `None` when no whole batch does, or too many were looked at.
    fn at(&mut self, position: u64) -> Result<Option<Header>, StorageError> {
        let end = position.saturating_add(HEADER_LEN as u64);
        if end > self.size || self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        if position < self.block_at.start || end > self.block_at.end {
            let length = (self.size - position).min(BLOCK_BYTES as u64);
            let block = &mut self.block[..length as usize];
            read_exact(self.file, block, position).map_err(StorageError::io("read", self.path))?;
            self.block_at = position..position + length;
        }
        let at = (position - self.block_at.start) as usize;
        let Ok((batch, size_bytes)) = Batch::parse_header(&self.block[at..at + HEADER_LEN]) else { return Ok(None) };
        let size_bytes = size_bytes as u64;
        let header =
            Header { position, size_bytes, base_offset: batch.base_offset(), last_offset: batch.last_offset() };
        Ok((position + size_bytes <= self.size).then_some(header))
    }
}
