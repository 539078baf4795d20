//! Read-only windows into files: the one place with `unsafe`.

use std::fs::File;
use std::io;
use std::ops::Range;

use bytes::Bytes;
use memmap2::{Advice, Mmap, MmapOptions, MmapRaw};

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

/// The addresses of a file, from its first byte to somewhere behind its end. Nothing is read, and no page enters this
/// process's tables before somebody looks at it.
#[derive(Debug)]
pub(crate) struct FileMap(MmapRaw);

impl FileMap {
    /// # Errors
    /// The system's, when there are no such addresses.
    pub(crate) fn new(file: &File, length: usize) -> io::Result<FileMap> {
        Ok(FileMap(MmapOptions::new().len(length).map_raw_read_only(file)?))
    }

    /// Of its first byte.
    pub(crate) fn address(&self) -> usize {
        self.0.as_ptr() as usize
    }

    /// In bytes.
    pub(crate) fn length(&self) -> usize {
        self.0.len()
    }

    /// Whether the page cache has every page of a range, ready to be read. False when the kernel does not say.
    pub(crate) fn is_resident(&self, range: &Range<usize>) -> bool {
        let page_bytes = rustix::param::page_size();
        let first = range.start - range.start % page_bytes;
        if range.end > self.length() {
            return false;
        }
        let mut pages = vec![0_u8; (range.end - first).div_ceil(page_bytes)];
        // SAFETY: the range is whole pages of a live map, and the kernel writes a byte for each of them.
        #[allow(unsafe_code)]
        let answer = unsafe {
            libc::mincore((self.address() + first) as *mut libc::c_void, range.end - first, pages.as_mut_ptr().cast())
        };
        answer == 0 && pages.iter().all(|page| page & 1 == 1)
    }

    /// The bytes of a range that the file has, all of them published: see [`map`].
    pub(crate) fn slice(&self, range: &Range<usize>) -> &[u8] {
        assert!(range.start <= range.end && range.end <= self.length(), "a part of the map");
        // SAFETY: the range is in the map, which lives as long as the slice. What is published is neither changed nor cut
        // off while it is served; whoever makes a window has seen that the file is that long.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(self.0.as_ptr().add(range.start), range.len())
        }
    }
}

struct Window(Mmap);

impl AsRef<[u8]> for Window {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
