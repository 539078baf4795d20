//! How much of the files readers may have mapped at a time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::disk::DiskFile;
use crate::files::read_exact;

/// A window smaller than this is copied: a map costs more than the copy.
const MAP_MIN_BYTES: usize = 16 * 1024;
/// What is copied at a time when nothing more may be mapped, unless one batch is larger.
pub(crate) const COPY_MAX_BYTES: usize = 256 * 1024;

/// Less than this goes to a socket from memory: a map and a system call of its own cost more than the copy.
pub(crate) const SEND_MIN_BYTES: u64 = 32 * 1024;

/// The budget of mapped bytes. When it is used up, reads copy a little into memory instead.
#[derive(Debug)]
pub(crate) struct WindowBudget {
    mapped_bytes: Arc<AtomicUsize>,
    limit_bytes: usize,
}

impl WindowBudget {
    /// A budget of `limit_bytes`.
    pub(crate) fn new(limit_bytes: usize) -> WindowBudget {
        WindowBudget { mapped_bytes: Arc::default(), limit_bytes }
    }

    /// A part of a file for reading, at least `needed` and at most `length` bytes of it; the file has that many.
    pub(crate) fn window(&self, file: &dyn DiskFile, position: u64, length: usize, needed: usize) -> io::Result<Bytes> {
        let used = self.mapped_bytes.fetch_add(length, Ordering::AcqRel);
        let lease = Lease { mapped_bytes: Arc::clone(&self.mapped_bytes), length };
        if length < MAP_MIN_BYTES || used.saturating_add(length) > self.limit_bytes {
            drop(lease);
            let mut copy = vec![0; length.min(needed.max(COPY_MAX_BYTES))];
            read_exact(file, &mut copy, position)?;
            return Ok(copy.into());
        }
        let map = file.map(position, length)?;
        Ok(Bytes::from_owner(Leased { map, _lease: lease }))
    }
}

struct Lease {
    mapped_bytes: Arc<AtomicUsize>,
    length: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.mapped_bytes.fetch_sub(self.length, Ordering::AcqRel);
    }
}

struct Leased {
    map: Bytes,
    _lease: Lease,
}

impl AsRef<[u8]> for Leased {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}
