//! A file of batches, and where each begins.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const BASE_OFFSET: std::ops::Range<usize> = 0..8;
const CRC: std::ops::Range<usize> = 17..21;
const LAST_OFFSET_DELTA: std::ops::Range<usize> = 23..27;

/// One partition.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    ends: Mutex<Ends>,
    grown: Condvar,
}

#[derive(Default)]
struct Ends {
    next_offset: i64,
    position: u64,
    /// Base offset and position of each batch.
    batches: Vec<(i64, u64)>,
}

impl Log {
    pub(super) fn create(path: &Path) -> io::Result<Log> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Log { path: path.to_owned(), file, ends: Mutex::default(), grown: Condvar::new() })
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks the one batch in `bytes`, gives it its offsets and writes it. Answers its base offset, or `None` when it is
    /// no batch or its checksum is wrong.
    pub(super) fn append(&self, bytes: &mut [u8]) -> io::Result<Option<i64>> {
        if bytes.len() < protocol::records::HEADER_LEN || be32(&bytes[CRC]) as u32 != crc32c::crc32c(&bytes[CRC.end..])
        {
            return Ok(None);
        }
        let count = i64::from(be32(&bytes[LAST_OFFSET_DELTA])) + 1;
        // Written under the lock, so that nobody reads what is not there yet; the kernel lets one writer into a file anyway.
        let mut ends = self.ends();
        let (base_offset, position) = (ends.next_offset, ends.position);
        bytes[BASE_OFFSET].copy_from_slice(&base_offset.to_be_bytes());
        self.file.write_all_at(bytes, position)?;
        ends.batches.push((base_offset, position));
        ends.next_offset += count;
        ends.position += bytes.len() as u64;
        drop(ends);
        self.grown.notify_all();
        Ok(Some(base_offset))
    }

    pub(super) fn end_offset(&self) -> i64 {
        self.ends().next_offset
    }

    /// Whole batches from the one that holds `offset` on, no more than `max_bytes` unless the first is larger.
    pub(super) fn read(&self, offset: i64, max_bytes: usize) -> io::Result<Vec<u8>> {
        let (from, to) = {
            let ends = self.ends();
            let first = ends.batches.partition_point(|(base, _)| *base <= offset).saturating_sub(1);
            match ends.batches.get(first) {
                Some((_, from)) if offset < ends.next_offset => {
                    let limit = from + max_bytes as u64;
                    let after = ends.batches.partition_point(|(_, position)| *position <= limit);
                    // The batch before the first that begins beyond the limit reaches over it.
                    let last = after.saturating_sub(1).max(first + 1);
                    let whole = ends.position <= limit;
                    let to = ends.batches.get(last).filter(|_| !whole).map_or(ends.position, |(_, position)| *position);
                    (*from, to)
                }
                _ => return Ok(Vec::new()),
            }
        };
        let mut bytes = vec![0; (to - from) as usize];
        self.file.read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    }

    /// Waits until there is something at `offset`, or the deadline.
    pub(super) fn wait_for(&self, offset: i64, deadline: Instant) {
        let mut ends = self.ends();
        while ends.next_offset <= offset {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return;
            }
            ends = self.grown.wait_timeout(ends, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn delete(&self) {
        // It is a scratch file: gone already is as good.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn be32(bytes: &[u8]) -> i32 {
    i32::from_be_bytes(bytes.try_into().expect("the ranges above have four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::records::BatchBuilder;

    fn batch(records: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new(0);
        for _ in 0..records {
            builder.append(0, None, Some(&[b'x'; 100]), &[]);
        }
        builder.build().to_vec()
    }

    #[test]
    fn reads_back_whole_batches_from_the_one_that_holds_the_offset() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::create(&directory.path().join("t-0.log")).unwrap();
        for first in [0, 2, 4] {
            let mut batch = batch(2);
            assert_eq!(log.append(&mut batch).unwrap(), Some(first));
        }
        let size = batch(2).len();
        assert_eq!(log.read(3, 1).unwrap().len(), size, "one batch, however small the limit");
        assert_eq!(log.read(0, 2 * size).unwrap().len(), 2 * size);
        assert_eq!(log.read(0, 2 * size + 1).unwrap().len(), 2 * size);
        assert_eq!(log.read(1, usize::MAX / 2).unwrap().len(), 3 * size);
        assert_eq!(log.read(3, usize::MAX / 2).unwrap()[..8], 2_i64.to_be_bytes());
        assert_eq!((log.read(6, 100).unwrap().len(), log.end_offset()), (0, 6));
    }

    #[test]
    fn a_damaged_batch_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::create(&directory.path().join("t-0.log")).unwrap();
        let mut damaged = batch(1);
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(log.append(&mut damaged).unwrap(), None);
        assert_eq!(log.append(&mut [0; 10]).unwrap(), None);
        assert_eq!(log.end_offset(), 0);
    }
}
