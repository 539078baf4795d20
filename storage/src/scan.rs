//! Walking the batches of a segment file in bounded memory.

use std::path::Path;

use protocol::records::{Batch, BatchError, HEADER_LEN, LOG_OVERHEAD};

use crate::StorageError;
use crate::disk::DiskFile;
use crate::files::read_exact;

/// How much is read at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// Where a walk ended.
#[derive(Debug)]
pub(crate) struct ScanEnd {
    /// Behind the last batch that was accepted.
    pub(crate) position: u64,
    /// What is wrong with what follows, if anything follows.
    pub(crate) invalid: Option<String>,
}

/// Calls `visit` with each batch between two positions, and its position. With `check_crc`, a batch whose checksum is
/// wrong ends the walk; `visit` ends it by answering a reason.
///
/// # Errors
/// The disk's.
pub(crate) fn scan(
    file: &dyn DiskFile,
    path: &Path,
    range: std::ops::Range<u64>,
    check_crc: bool,
    mut visit: impl FnMut(&Batch<'_>, u64) -> Result<(), String>,
) -> Result<ScanEnd, StorageError> {
    let read_error = |error| StorageError::io("read", path)(error);
    let mut position = range.start;
    let mut block = Vec::new();
    while position < range.end {
        let left = range.end - position;
        block.resize(usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK_BYTES), 0);
        read_exact(file, &mut block, position).map_err(read_error)?;
        let (taken, mut reason) = walk(&block, position, check_crc, &mut visit);
        position += taken as u64;
        if taken == 0 && reason.is_none() {
            // A batch larger than a block is mapped: its length may be rubbish, and memory is not there for that.
            let needed = announced(&block);
            if needed as u64 > left {
                let invalid = Some(format!("a batch of {needed} bytes is announced, and {left} are there"));
                return Ok(ScanEnd { position, invalid });
            }
            let map = file.map(position, needed).map_err(read_error)?;
            let (taken, found) = walk(&map, position, check_crc, &mut visit);
            position += taken as u64;
            reason = found;
        }
        if reason.is_some() {
            return Ok(ScanEnd { position, invalid: reason });
        }
    }
    Ok(ScanEnd { position, invalid: None })
}

/// Visits the whole batches in `block`; answers how many bytes they have, and what is wrong with what follows.
fn walk(
    block: &[u8],
    position: u64,
    check_crc: bool,
    visit: &mut impl FnMut(&Batch<'_>, u64) -> Result<(), String>,
) -> (usize, Option<String>) {
    let mut at = 0;
    while at < block.len() {
        match Batch::parse(&block[at..]) {
            Ok(batch) if check_crc && !batch.is_crc_valid() => return (at, Some("the checksum is wrong".to_owned())),
            Ok(batch) => {
                if let Err(reason) = visit(&batch, position + at as u64) {
                    return (at, Some(reason));
                }
                at += batch.size_bytes();
            }
            Err(BatchError::Truncated { .. }) => break,
            Err(error) => return (at, Some(error.to_string())),
        }
    }
    (at, None)
}

/// The size a batch says it has.
fn announced(block: &[u8]) -> usize {
    if block.len() < HEADER_LEN {
        return HEADER_LEN;
    }
    let size = i32::from_be_bytes([block[8], block[9], block[10], block[11]]);
    usize::try_from(size).unwrap_or(0) + LOG_OVERHEAD
}
