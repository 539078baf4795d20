//! Reading from a segment: the batches that a reader wants, found by the index and then by walking.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use protocol::records::{BatchError, batches};
use tracing::warn;

use super::Segment;
use crate::StorageError;
use crate::disk::{Disk, DiskFile};
use crate::window::WindowBudget;

/// Behind an index entry the wanted batch may be this far, beyond the index interval.
const LOOK_AHEAD_BYTES: u64 = 64 * 1024;

impl Segment {
    /// Whole batches from the one that holds `offset`, below `upper_bound`; at most `max_bytes`, but at least one if
    /// `at_least_one`.
    pub(crate) fn read(
        &self,
        disk: &dyn Disk,
        budget: &WindowBudget,
        wanted: ReadRange,
    ) -> Result<Bytes, StorageError> {
        let file = self.file(disk)?;
        let position = self.position_before(disk, wanted.offset)?;
        match self.read_from(&*file, budget, position, wanted) {
            Err(StorageError::Corrupt { reason, .. }) if position > 0 => {
                // An index is only a short cut: if it leads astray, the batches themselves show the way.
                if !self.astray.swap(true, Ordering::AcqRel) {
                    warn!(segment = %self.path.display(), position, reason, "reading from the segment's start instead");
                }
                self.read_from(&*file, budget, 0, wanted)
            }
            other => other,
        }
    }

    fn read_from(
        &self,
        file: &dyn DiskFile,
        budget: &WindowBudget,
        position: u64,
        wanted: ReadRange,
    ) -> Result<Bytes, StorageError> {
        let size = self.size();
        let usual = LOOK_AHEAD_BYTES.saturating_add(wanted.max_bytes as u64);
        let (mut start, mut length, mut needed) = (position, usual, 0);
        while start < size {
            let longest = (size - start).min(length) as usize;
            let window = budget.window(file, start, longest, needed).map_err(StorageError::io("read", &self.path))?;
            let damaged = |reason| StorageError::Corrupt { path: self.path.clone(), position: start, reason };
            if start == position && position > 0 && !begins_before(&window, wanted.offset) {
                return Err(damaged("no batch begins where the index says".to_owned()));
            }
            let at_end = start + window.len() as u64 == size;
            match select(&window, wanted) {
                Selected::Range(range) => return Ok(window.slice(range)),
                Selected::Beyond { skipped } if start + skipped as u64 == size => break,
                Selected::Beyond { .. } | Selected::Cut { .. } if at_end => {
                    return Err(damaged("the last batch is not whole".to_owned()));
                }
                Selected::Beyond { skipped: 0 } => {
                    needed = window.len() * 2;
                    length = length.max(needed as u64);
                }
                Selected::Beyond { skipped } => {
                    start += skipped as u64;
                    (length, needed) = (usual, 0);
                }
                Selected::Cut { skipped, needed: batch_bytes } => {
                    start += skipped as u64;
                    (length, needed) = (batch_bytes as u64, batch_bytes);
                }
                Selected::Damaged(reason) => return Err(damaged(reason)),
            }
        }
        Ok(Bytes::new())
    }
}

/// Whether a batch stands at the start of `window` from which `offset` is ahead.
fn begins_before(window: &[u8], offset: i64) -> bool {
    match batches(window).next() {
        Some(Ok(batch)) => batch.base_offset() <= offset,
        // Larger than the window: its base offset is there all the same.
        Some(Err(BatchError::Truncated { .. })) => {
            window.first_chunk().is_some_and(|base| i64::from_be_bytes(*base) <= offset)
        }
        _ => false,
    }
}

/// What a reader wants of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadRange {
    pub(crate) offset: i64,
    pub(crate) max_bytes: usize,
    pub(crate) upper_bound: i64,
    pub(crate) at_least_one: bool,
}

enum Selected {
    Range(std::ops::Range<usize>),
    /// The wanted batch is behind the window, of which this much was passed over.
    Beyond {
        skipped: usize,
    },
    /// The first wanted batch is larger than the window.
    Cut {
        skipped: usize,
        needed: usize,
    },
    Damaged(String),
}

fn select(window: &[u8], wanted: ReadRange) -> Selected {
    let (mut start, mut end) = (0, 0);
    let mut found = false;
    for batch in batches(window) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(_) if found => break,
            Err(BatchError::Truncated { needed }) => {
                return if wanted.at_least_one && window.len() - start > protocol::records::HEADER_LEN {
                    Selected::Cut { skipped: start, needed }
                } else {
                    Selected::Beyond { skipped: start }
                };
            }
            Err(error) => return Selected::Damaged(error.to_string()),
        };
        if !found && batch.last_offset() < wanted.offset {
            start += batch.size_bytes();
            end = start;
            continue;
        }
        let fits = end - start + batch.size_bytes() <= wanted.max_bytes || (!found && wanted.at_least_one);
        if !fits || batch.base_offset() >= wanted.upper_bound {
            return Selected::Range(start..end);
        }
        found = true;
        end += batch.size_bytes();
    }
    if found { Selected::Range(start..end) } else { Selected::Beyond { skipped: start } }
}
