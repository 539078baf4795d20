//! Where the batches that a reader wants stand in a segment's file: for sending them on without looking at them.
//!
//! The index says where to begin and how far to go at least; from there a few headers are read. Whatever is unusual is
//! left to [`Segment::read`], which looks at every batch.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use protocol::records::{Batch, HEADER_LEN};

use super::{ReadRange, Segment, lock};
use crate::StorageError;
use crate::disk::{Disk, DiskFile};
use crate::files::read_exact;
use crate::index::parse_offset_entry;
use crate::sendable::Shown;

/// Headers closer together than this are read at once.
const BLOCK_BYTES: usize = 1024;
/// So many headers are looked at, at most: an index has an entry for every few kilobytes.
const HEADERS_MAX: usize = 256;

/// So many readers at a time find where they left off without the index.
const ENDS_MAX: usize = 16;

/// Where batches end, by the offset behind them: of the reads that were located last.
#[derive(Debug, Default)]
pub(super) struct Ends(VecDeque<(i64, u64)>);

impl Ends {
    /// Notes that the batch behind `position` is the first at or behind `offset`.
    fn note(&mut self, offset: i64, position: u64) {
        if self.0.len() == ENDS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((offset, position));
    }

    /// Where the first batch at or behind `offset` begins, if a read ended there.
    fn of(&self, offset: i64) -> Option<u64> {
        self.0.iter().rev().find(|(end, _)| *end == offset).map(|(_, position)| *position)
    }
}

/// What the header of a batch says.
struct Header {
    position: u64,
    size_bytes: u64,
    base_offset: i64,
    last_offset: i64,
}

impl Segment {
    /// The file as it is shown to those who send parts of it; `None` when it cannot be sent.
    pub(crate) fn shown(&self, disk: &dyn Disk) -> Result<Option<Arc<Shown>>, StorageError> {
        self.showing.get(self.size(), || self.file(disk))
    }

    /// Where in the file the same whole batches stand that [`Segment::read`] finds, and the offset behind them. `None` when
    /// that takes a closer look.
    pub(crate) fn locate(
        &self,
        disk: &dyn Disk,
        file: &dyn DiskFile,
        wanted: ReadRange,
    ) -> Result<Option<(Range<u64>, i64)>, StorageError> {
        let mut headers = Headers::new(file, &self.path, self.size());
        let Some(first) = self.first_wanted(disk, &mut headers, wanted.offset)? else { return Ok(None) };
        if first.base_offset >= wanted.upper_bound || first.size_bytes > wanted.max_bytes as u64 {
            return Ok(None);
        }
        let Some((end, next_offset)) = self.end_wanted(disk, &mut headers, &first, wanted)? else { return Ok(None) };
        lock(&self.ends).note(next_offset, end);
        Ok(Some((first.position..end, next_offset)))
    }

    /// The batch that holds `offset`, or the first behind it.
    fn first_wanted(
        &self,
        disk: &dyn Disk,
        headers: &mut Headers<'_>,
        offset: i64,
    ) -> Result<Option<Header>, StorageError> {
        let known = lock(&self.ends).of(offset);
        let begin = match known {
            Some(position) => position,
            None => self.position_before(disk, offset)?,
        };
        let mut position = begin;
        while let Some(header) = headers.at(position)? {
            if position == begin && begin > 0 && known.is_none() && header.base_offset > offset {
                return Ok(None);
            }
            if header.last_offset >= offset {
                return Ok(Some(header));
            }
            position += header.size_bytes;
        }
        Ok(None)
    }

    /// The end of the last batch that is wanted, from `first` on, and the offset behind it.
    fn end_wanted(
        &self,
        disk: &dyn Disk,
        headers: &mut Headers<'_>,
        first: &Header,
        wanted: ReadRange,
    ) -> Result<Option<(u64, i64)>, StorageError> {
        let limit = first.position.saturating_add(wanted.max_bytes as u64).min(headers.size);
        let (mut end, mut next_offset) = (first.position + first.size_bytes, first.last_offset + 1);
        if let Some((last_offset, position)) = self.entry_before(disk, limit, wanted.upper_bound)?
            && position > first.position
        {
            match headers.at(position)? {
                Some(header) if header.last_offset == last_offset => {
                    (end, next_offset) = (position, header.base_offset)
                }
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
            (end, next_offset) = (next, header.last_offset + 1);
        }
        Ok(Some((end, next_offset)))
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
