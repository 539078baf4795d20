//! Walking the batches of a segment file in bounded memory.

use std::path::Path;

use protocol::records::{Batch, BatchError, HEADER_LEN, LOG_OVERHEAD};

use crate::StorageError;
use crate::disk::DiskFile;

/// How much is read at a time; a larger batch is read whole.
const BLOCK_BYTES: usize = 1 << 20;

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
    let mut position = range.start;
    let mut block = Vec::new();
    let mut wanted = BLOCK_BYTES;
    while position < range.end {
        let length = usize::try_from(range.end - position).unwrap_or(usize::MAX).min(wanted);
        block.resize(length, 0);
        let got = file.read_at(&mut block, position).map_err(StorageError::io("read", path))?;
        let mut at = 0;
        let reason = loop {
            match Batch::parse(&block[at..got]) {
                Ok(batch) if check_crc && !batch.is_crc_valid() => break Some("the checksum is wrong".to_owned()),
                Ok(batch) => {
                    if let Err(reason) = visit(&batch, position + at as u64) {
                        break Some(reason);
                    }
                    at += batch.size_bytes();
                    if at == got {
                        break None;
                    }
                }
                Err(BatchError::Truncated { .. }) if at > 0 => break None,
                Err(BatchError::Truncated { .. }) if (got as u64) < range.end - position && got == length => {
                    wanted = announced(&block[..got]).max(wanted * 2);
                    break None;
                }
                Err(error) => break Some(error.to_string()),
            }
        };
        position += at as u64;
        if reason.is_some() {
            return Ok(ScanEnd { position, invalid: reason });
        }
        if at > 0 {
            wanted = BLOCK_BYTES;
        }
    }
    Ok(ScanEnd { position, invalid: None })
}

/// The size a batch says it has.
fn announced(block: &[u8]) -> usize {
    if block.len() < HEADER_LEN {
        return HEADER_LEN;
    }
    let size = i32::from_be_bytes([block[8], block[9], block[10], block[11]]);
    usize::try_from(size).unwrap_or(0) + LOG_OVERHEAD
}
