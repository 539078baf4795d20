//! Windows into files that somebody will send, found by their address.
//!
//! What travels through the broker is bytes, wherever they are. Who writes them to a socket asks here whether they are a
//! part of a file, and lets the kernel send that from the page cache. Everybody else sees bytes like any others.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// So many windows are known at a time. The kernel gives a process 65,530 maps.
const WINDOWS_MAX: usize = 16 * 1024;

/// By the address of the first byte. Addresses belong to the process, and so does this.
static WINDOWS: Mutex<BTreeMap<usize, Place>> = Mutex::new(BTreeMap::new());

struct Place {
    length: usize,
    file: FilePart,
}

/// Where bytes stand in a file.
#[derive(Clone, Debug)]
pub struct FilePart {
    /// The file. It stays readable here when its name is gone.
    pub file: Arc<File>,
    /// Of the first of the bytes.
    pub position: u64,
}

/// The file that `bytes` are a part of, if they are a window, or a part of one, that was made to be sent.
pub fn file_behind(bytes: &[u8]) -> Option<FilePart> {
    let address = bytes.as_ptr() as usize;
    let windows = lock();
    let (start, place) = windows.range(..=address).next_back()?;
    let skipped = address - start;
    let is_inside = skipped.checked_add(bytes.len()).is_some_and(|end| end <= place.length);
    let position = place.file.position + skipped as u64;
    (is_inside && !bytes.is_empty()).then(|| FilePart { file: Arc::clone(&place.file.file), position })
}

/// Makes `map`, which shows `file` from `position` on, known for as long as the answer lives; `None` when too many are.
pub(crate) fn keep(map: Bytes, file: Arc<File>, position: u64) -> Option<Bytes> {
    let mut windows = lock();
    if windows.len() >= WINDOWS_MAX || map.is_empty() {
        return None;
    }
    let place = Place { length: map.len(), file: FilePart { file, position } };
    windows.insert(map.as_ptr() as usize, place);
    drop(windows);
    Some(Bytes::from_owner(Known(map)))
}

struct Known(Bytes);

impl AsRef<[u8]> for Known {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        // Before the map goes, and another may come in its place.
        lock().remove(&(self.0.as_ptr() as usize));
    }
}

/// Every change is one step.
fn lock() -> MutexGuard<'static, BTreeMap<usize, Place>> {
    WINDOWS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_and_its_parts_are_known_while_it_lives() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let memory = Bytes::from(vec![7; 100]);
        assert!(file_behind(&memory).is_none());
        let window = keep(memory.clone(), file, 1000).unwrap();
        assert_eq!(file_behind(&window).unwrap().position, 1000);
        let part = window.slice(10..20);
        drop(window);
        assert_eq!(file_behind(&part).unwrap().position, 1010);
        assert!(file_behind(&[1, 2, 3]).is_none());
        drop(part);
        assert!(file_behind(&memory).is_none());
    }
}
