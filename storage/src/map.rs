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
    let map = map(file, position, length)?;
    match map.advise(Advice::PopulateRead) {
        // Kernels before 5.14 do not know this advice: the pages are read when they are touched.
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => return Err(error),
        _ => {}
    }
    Ok(Bytes::from_owner(Window(map)))
}

/// The same if all of it is in memory already. Nothing is read, and no page enters this process's tables before somebody
/// looks at it: for whoever lets the kernel send the file on.
pub(crate) fn map_resident(file: &File, position: u64, length: usize) -> io::Result<Option<Bytes>> {
    let map = map(file, position, length)?;
    Ok(is_resident(&map).then(|| Bytes::from_owner(Window(map))))
}

fn map(file: &File, position: u64, length: usize) -> io::Result<Mmap> {
    // Touching a page behind the end of the file would kill the process.
    if file.metadata()?.len() < position.saturating_add(length as u64) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // SAFETY: the map is read-only and private to this process's view of a file that only the log writes. The log
    // appends behind what it has published and maps only what it has published, so no mapped byte changes; it cuts a
    // file only behind its published end, or before anything of it is served, so no mapped page disappears.
    #[allow(unsafe_code)]
    unsafe {
        MmapOptions::new().offset(position).len(length).map(file)
    }
}

/// Whether the page cache has every page of it. False when the kernel does not say.
fn is_resident(map: &Mmap) -> bool {
    let page_bytes = rustix::param::page_size();
    let (from, to) = (map.as_ptr() as usize, map.as_ptr() as usize + map.len());
    let first = from - from % page_bytes;
    let mut pages = vec![0_u8; (to - first).div_ceil(page_bytes)];
    // SAFETY: the range is the whole pages of a live map, and the kernel writes a byte for each of them.
    #[allow(unsafe_code)]
    let answer = unsafe { libc::mincore(first as *mut libc::c_void, to - first, pages.as_mut_ptr().cast()) };
    answer == 0 && pages.iter().all(|page| page & 1 == 1)
}

struct Window(Mmap);

impl AsRef<[u8]> for Window {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
