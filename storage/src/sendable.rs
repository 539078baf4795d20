//! Files that are shown to somebody who will send parts of them, found by their address.
//!
//! What travels through the broker is bytes, wherever they are. Who writes them to a socket asks here whether they are a
//! part of a file, and lets the kernel send that from the page cache. Everybody else sees bytes like any others.
//!
//! A file is mapped once for many reads; that costs addresses, and memory only for what somebody looks at.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use rustix::fs::{Advice, fadvise};

use crate::disk::DiskFile;
use crate::map::FileMap;

/// So many files stay shown, and open, when nobody sends a part of them just now.
const KEPT_MAX: usize = 64;
/// Files are shown in steps of this, so that one that grows need not be shown again for each read. Bytes.
const STEP_BYTES: u64 = 64 << 20;
/// A reader of what is not in memory will want as much behind it soon, bytes.
const AHEAD_BYTES: u64 = 4 << 20;

/// What is shown, by the address of its first byte. Addresses belong to the process, and so does this.
static SHOWN: Mutex<BTreeMap<usize, Place>> = Mutex::new(BTreeMap::new());
/// Those that were read last.
static KEPT: Mutex<VecDeque<Arc<Shown>>> = Mutex::new(VecDeque::new());

struct Place {
    length: usize,
    file: Arc<File>,
}

/// Where bytes stand in a file.
#[derive(Clone, Debug)]
pub struct FilePart {
    /// The file. It stays readable here when its name is gone.
    pub file: Arc<File>,
    /// Of the first of the bytes.
    pub position: u64,
}

/// The file that `bytes` are a part of, if they are a window that was made to be sent, or a part of one.
pub fn file_behind(bytes: &[u8]) -> Option<FilePart> {
    let address = bytes.as_ptr() as usize;
    let shown = lock(&SHOWN);
    let (start, place) = shown.range(..=address).next_back()?;
    let position = address - start;
    let is_inside = position.checked_add(bytes.len()).is_some_and(|end| end <= place.length);
    (is_inside && !bytes.is_empty()).then(|| FilePart { file: Arc::clone(&place.file), position: position as u64 })
}

/// A file that is shown.
#[derive(Debug)]
pub(crate) struct Shown {
    map: FileMap,
    disk_file: Arc<dyn DiskFile>,
    file: Arc<File>,
}

impl Shown {
    /// Shows a file of `size` bytes and what will be written behind them. `None` for what cannot be sent, and when there
    /// are no addresses left.
    fn new(disk_file: Arc<dyn DiskFile>, size: u64) -> Option<Arc<Shown>> {
        let file = disk_file.to_send()?;
        let length = usize::try_from(size.max(1).next_multiple_of(STEP_BYTES)).ok()?;
        let map = FileMap::new(&file, length).ok()?;
        lock(&SHOWN).insert(map.address(), Place { length, file: Arc::clone(&file) });
        Some(Arc::new(Shown { map, disk_file, file }))
    }

    pub(crate) fn disk_file(&self) -> &dyn DiskFile {
        &*self.disk_file
    }

    /// A part of the file that was written and is not cut off any more, all of it in the page cache: if it is not there,
    /// it is read, and what follows up to `size` is soon. `None` when it was forgotten at once, and for what is longer
    /// than addresses.
    pub(crate) fn window(self: &Arc<Self>, range: Range<u64>, size: u64) -> io::Result<Option<Bytes>> {
        let (Ok(start), Ok(end)) = (usize::try_from(range.start), usize::try_from(range.end)) else { return Ok(None) };
        if end > self.map.length() || self.disk_file.len()? < range.end {
            return Ok(None);
        }
        let range = start..end;
        if !self.map.is_resident(&range) {
            // A map of its own, so that these pages do not stay in this process's tables.
            drop(self.disk_file.map(start as u64, range.len())?);
            self.read_ahead(end as u64..size.min(end as u64 + AHEAD_BYTES));
            if !self.map.is_resident(&range) {
                return Ok(None);
            }
        }
        Ok(Some(Bytes::from_owner(Window { shown: Arc::clone(self), range })))
    }

    /// The disk reads while what came before is sent. A hint: nobody minds if it is not taken.
    fn read_ahead(&self, range: Range<u64>) {
        if let Some(length) = std::num::NonZeroU64::new(range.end.saturating_sub(range.start)) {
            let _ = fadvise(&self.file, range.start, Some(length), Advice::WillNeed);
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // Before the map goes, and another may come in its place.
        lock(&SHOWN).remove(&self.map.address());
    }
}

struct Window {
    shown: Arc<Shown>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Window {
    fn as_ref(&self) -> &[u8] {
        self.shown.map.slice(&self.range)
    }
}

/// Where a segment finds its file as it is shown, as long as it is.
#[derive(Debug, Default)]
pub(crate) struct Showing(Mutex<Weak<Shown>>);

impl Showing {
    /// The file, `size` bytes of it at least, shown anew if need be with what `open` gives.
    pub(crate) fn get<E>(
        &self,
        size: u64,
        open: impl FnOnce() -> Result<Arc<dyn DiskFile>, E>,
    ) -> Result<Option<Arc<Shown>>, E> {
        let mut known = lock(&self.0);
        if let Some(shown) = known.upgrade().filter(|shown| shown.map.length() as u64 >= size) {
            return Ok(Some(shown));
        }
        let Some(shown) = Shown::new(open()?, size) else { return Ok(None) };
        *known = Arc::downgrade(&shown);
        let mut kept = lock(&KEPT);
        kept.push_back(Arc::clone(&shown));
        let oldest = if kept.len() > KEPT_MAX { kept.pop_front() } else { None };
        drop(kept);
        drop(oldest);
        Ok(Some(shown))
    }

    /// Lets the file go, which holds room on the disk when its name is gone; those who send parts of it finish.
    pub(crate) fn end(&self) {
        let Some(shown) = std::mem::take(&mut *lock(&self.0)).upgrade() else { return };
        let mut kept = lock(&KEPT);
        let place = kept.iter().position(|kept| Arc::ptr_eq(kept, &shown));
        let gone = place.and_then(|place| kept.remove(place));
        drop(kept);
        drop(gone);
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        self.end();
    }
}

/// Every change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::disk::{Disk, OsDisk};

    fn shown(showing: &Showing, path: &std::path::Path, size: u64) -> Arc<Shown> {
        let open = || Ok::<_, Infallible>(OsDisk.open(path, true).unwrap());
        showing.get(size, open).unwrap().expect("a file of this system can be shown")
    }

    #[test]
    fn a_window_and_its_parts_are_known_while_it_lives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let content: Vec<u8> = (0..200_000_u32).map(|at| (at / 7) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let showing = Showing::default();
        let window = shown(&showing, &path, 200_000).window(1000..150_000, 200_000).unwrap().unwrap();
        assert!(window[..] == content[1000..150_000]);
        assert_eq!(file_behind(&window).unwrap().position, 1000);
        let part = window.slice(10..20);
        drop(window);
        showing.end();
        assert_eq!(file_behind(&part).unwrap().position, 1010);
        assert!(part[..] == content[1010..1020], "it is readable as long as somebody has a part of it");
        assert!(file_behind(&[1, 2, 3]).is_none());
        let address = part.as_ptr() as usize;
        drop(part);
        assert!(
            lock(&SHOWN).range(..=address).next_back().is_none_or(|(start, place)| start + place.length <= address)
        );
    }

    #[test]
    fn a_file_that_grew_is_shown_again_only_beyond_a_step() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, [1; 5000]).unwrap();
        let showing = Showing::default();
        let first = shown(&showing, &path, 5000);
        std::fs::write(&path, [2; 9000]).unwrap();
        assert!(Arc::ptr_eq(&first, &shown(&showing, &path, 9000)));
        assert_eq!(first.window(5000..9000, 9000).unwrap().unwrap()[..], [2; 4000]);
        assert!(first.window(5000..9001, 9001).unwrap().is_none(), "nothing is there");
        assert!(!Arc::ptr_eq(&first, &shown(&showing, &path, STEP_BYTES + 1)));
    }

    #[test]
    fn files_that_nobody_reads_any_more_are_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let showings: Vec<Showing> = std::iter::repeat_with(Showing::default).take(3 * KEPT_MAX).collect();
        for (index, showing) in showings.iter().enumerate() {
            drop(shown(showing, &dir.path().join(index.to_string()), 1));
        }
        let alive = showings.iter().filter(|showing| lock(&showing.0).upgrade().is_some()).count();
        assert!(alive <= KEPT_MAX, "{alive} files are open");
    }
}
