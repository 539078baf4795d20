//! Whether a log directory can be trusted with writes.
//!
//! After a failed fsync the kernel may have dropped what it could not write, and report success the next time. So the
//! first failure, of whichever file or directory, stops the whole directory for good: nothing is flushed again, nothing
//! is acknowledged, and a restart finds out what is on the disk. What was durable before can be read on.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rustix::io::Errno;
use tracing::error;

use crate::StorageError;
use crate::disk::{Disk, DiskFile};

/// Whether a log directory takes writes. It only ever changes from yes to no.
#[derive(Debug, Default)]
pub struct LogDirState {
    offline: OnceLock<OfflineReason>,
}

/// Why a log directory takes no more writes.
#[derive(Clone, Debug)]
pub struct OfflineReason {
    /// The file or directory that could not be flushed.
    pub path: PathBuf,
    /// What the operating system said.
    pub error: String,
}

impl LogDirState {
    /// Why the directory takes no more writes; `None` while it does.
    pub fn offline(&self) -> Option<&OfflineReason> {
        self.offline.get()
    }

    /// # Errors
    /// [`StorageError::Offline`] when the directory takes no more writes.
    pub(crate) fn check(&self) -> Result<(), StorageError> {
        match self.offline() {
            None => Ok(()),
            Some(OfflineReason { path, error }) => {
                Err(StorageError::Offline { path: path.clone(), error: error.clone() })
            }
        }
    }

    /// Flushes, unless a flush has failed before.
    fn flush(&self, path: &Path, flush: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if let Some(reason) = self.offline() {
            let text = format!("not tried, because flushing {} failed: {}", reason.path.display(), reason.error);
            return Err(io::Error::other(text));
        }
        let flushed = flush();
        if let Err(error) = &flushed
            && !was_not_tried(error)
        {
            let reason = OfflineReason { path: path.to_owned(), error: error.to_string() };
            // Of several that fail at once, one tells.
            if self.offline.set(reason).is_ok() {
                error!(path = %path.display(), %error, "flushing failed, so the log directory takes no more writes until the broker is restarted; what is there can be read. Check the disk (dmesg), then restart");
            }
        }
        flushed
    }
}

/// A directory is opened to be flushed; when there is none, or no file descriptor for it, nothing was lost.
fn was_not_tried(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || Errno::from_io_error(error).is_some_and(|errno| [Errno::MFILE, Errno::NFILE].contains(&errno))
}

/// The disk of one log directory, on which the first failed fsync is the last fsync.
#[derive(Debug)]
pub(crate) struct WatchedDisk {
    disk: Arc<dyn Disk>,
    state: Arc<LogDirState>,
}

#[derive(Debug)]
struct WatchedFile {
    file: Arc<dyn DiskFile>,
    path: Box<Path>,
    state: Arc<LogDirState>,
}

impl WatchedDisk {
    pub(crate) fn new(disk: Arc<dyn Disk>, state: Arc<LogDirState>) -> WatchedDisk {
        WatchedDisk { disk, state }
    }
}

impl Disk for WatchedDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        self.disk.list(path)
    }
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(path, create)?;
        Ok(Arc::new(WatchedFile { file, path: path.into(), state: Arc::clone(&self.state) }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.state.flush(path, || self.disk.sync_dir(path))
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(path)
    }
}

impl DiskFile for WatchedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn modified_ms(&self) -> io::Result<i64> {
        self.file.modified_ms()
    }
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.file.write_at(bytes, position)
    }
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buffer, position)
    }
    fn map(&self, position: u64, length: usize) -> io::Result<Bytes> {
        self.file.map(position, length)
    }
    fn to_send(&self) -> Option<Arc<File>> {
        self.file.to_send()
    }
    fn sync(&self) -> io::Result<()> {
        self.state.flush(&self.path, || self.file.sync())
    }
    fn reserve(&self, position: u64, length: u64) -> io::Result<()> {
        self.file.reserve(position, length)
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_one_flush_has_failed_no_other_is_tried() {
        let (state, path) = (LogDirState::default(), Path::new("log"));
        assert!(state.flush(path, || Err(Errno::IO.into())).is_err());
        let mut tried = false;
        let again = state.flush(path, || {
            tried = true;
            Ok(())
        });
        assert!(again.is_err() && !tried);
    }
}
