//! The names of a segment's files: what it is called, aside, in its place, and on its way out.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use tracing::warn;

use super::{Segment, lock};
use crate::StorageError;
use crate::disk::Disk;
use crate::files::remove_if_there;

/// Suffix of files on their way out.
pub(crate) const DELETED_SUFFIX: &str = ".deleted";

/// Twenty digits, so that names sort as numbers do.
pub(crate) fn file_name(base_offset: i64, suffix: &str) -> String {
    format!("{base_offset:020}{suffix}")
}

impl Segment {
    /// Holds all files open for as long as somebody reads: others are about to take their names.
    pub(crate) fn pin(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        self.pinned.store(true, Ordering::Release);
        self.keep_open(disk)?;
        let indexes = &mut *lock(&self.indexes);
        indexes.offset.pin(disk)?;
        indexes.time.pin(disk)?;
        indexes.aborted.pin(disk)
    }

    /// The names stay its own after all.
    pub(crate) fn unpin(&self) {
        self.pinned.store(false, Ordering::Release);
        self.close();
        let indexes = &mut *lock(&self.indexes);
        indexes.offset.unpin();
        indexes.time.unpin();
        indexes.aborted.unpin();
    }

    /// Replaces what the names of the indexes end in after `.index`.
    pub(crate) fn rename_indexes(&mut self, disk: &dyn Disk, suffix: &str) -> Result<(), StorageError> {
        let indexes = &mut *lock(&self.indexes);
        let renamed = |path: &Path| with_suffix(&path.with_extension(""), suffix);
        indexes.offset.rename(disk, renamed(indexes.offset.path()))?;
        indexes.time.rename(disk, renamed(indexes.time.path()))?;
        let to = renamed(indexes.aborted.path());
        indexes.aborted.rename(disk, to)
    }

    /// Replaces what the name of the data ends in after `.log`.
    pub(crate) fn rename_data(&mut self, disk: &dyn Disk, suffix: &str) -> Result<(), StorageError> {
        let to = with_suffix(&self.path.with_extension(""), suffix);
        disk.rename(&self.path, &to).map_err(StorageError::io("rename", &self.path))?;
        self.path = to;
        Ok(())
    }

    /// Removes the files of a segment that never became part of the log.
    pub(crate) fn discard(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        let indexes = lock(&self.indexes);
        for path in [indexes.offset.path(), indexes.time.path(), &self.path] {
            remove_if_there(disk, path).map_err(StorageError::io("remove", path))?;
        }
        indexes.aborted.discard(disk)
    }

    /// The same when something has failed already, which is what must be told.
    pub(crate) fn discard_after_failure(&self, disk: &dyn Disk) {
        if let Err(error) = self.discard(disk) {
            warn!(%error, "a segment that was not rewritten whole stays for now; the next start removes it");
        }
    }

    /// Renames the files so that a restart does not see them. The data goes last: data without indexes is a segment
    /// still, indexes without data are rubbish.
    pub(crate) fn put_aside(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        self.close();
        self.showing.end();
        for path in self.files() {
            match disk.rename(&path, &with_suffix(&path, DELETED_SUFFIX)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StorageError::io("rename", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes what was put aside.
    pub(crate) fn remove(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        for path in self.files() {
            let renamed = with_suffix(&path, DELETED_SUFFIX);
            remove_if_there(disk, &renamed).map_err(StorageError::io("remove", &renamed))?;
        }
        Ok(())
    }

    fn files(&self) -> [PathBuf; 4] {
        let [offset, time, aborted] = self.index_files();
        [offset, time, aborted, self.path.clone()]
    }

    /// Where the indexes are, or will be.
    pub(super) fn index_files(&self) -> [PathBuf; 3] {
        ["index", "timeindex", "txnindex"].map(|suffix| self.path.with_extension(suffix))
    }
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
