//! Read-only windows into files: the one place with `unsafe`.

use std::fs::File;
use std::io;

use bytes::Bytes;
use memmap2::{Advice, Mmap, MmapOptions};

/// A part of a file, mapped, with its bytes already in memory: a disk that cannot read answers here with an error
/// rather than with a signal later, and whoever sends the bytes on never waits for the disk.
pub(crate) fn map_range(file: &File, position: u64, length: usize) -> io::Result<Bytes> {
    if length == 0 {
        return Ok(Bytes::new());
    }
    // Touching a page behind the end of the file would kill the process.
    if file.metadata()?.len() < position.saturating_add(length as u64) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // SAFETY: the map is read-only and private to this process's view of a file that only the log writes. The log
    // appends behind what it has published and maps only what it has published, so no mapped byte changes; it cuts a
    // file only behind its published end, or before anything of it is served, so no mapped page disappears.
    #[allow(unsafe_code)]
    let map = unsafe { MmapOptions::new().offset(position).len(length).map(file)? };
    match map.advise(Advice::PopulateRead) {
        // Kernels before 5.14 do not know this advice: the pages are read when they are touched.
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => return Err(error),
        _ => {}
    }
    Ok(Bytes::from_owner(Window(map)))
}

struct Window(Mmap);

impl AsRef<[u8]> for Window {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
