//! Read-only windows into files: the one place with `unsafe`.

use std::fs::File;
use std::io;

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};

/// A part of a file, mapped. The bytes are read from the disk when they are first touched.
pub(crate) fn map_range(file: &File, position: u64, length: usize) -> io::Result<Bytes> {
    if length == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the map is read-only and private to this process's view of a file that only the log writes. The log
    // appends behind what it has published and maps only what it has published, so no mapped byte changes; it cuts a
    // file only behind its published end, or before anything of it is served, so no mapped page disappears.
    #[allow(unsafe_code)]
    let map = unsafe { MmapOptions::new().offset(position).len(length).map(file)? };
    Ok(Bytes::from_owner(Window(map)))
}

struct Window(Mmap);

impl AsRef<[u8]> for Window {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
