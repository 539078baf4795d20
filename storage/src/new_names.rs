//! Names that were made and need not be durable yet.
//!
//! The first record of a partition makes a directory and files in it. Nobody may count on them before they are told that
//! the record is durable, so the flush that makes the record durable does it for their names too, and the append waits
//! for no disk. Until then a power cut leaves nothing of the log, or a part without a name that can be believed, which
//! `log_dir.rs` puts aside.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::error::StorageError;
use crate::log::{PartitionLog, lock};
use crate::partition_metadata;

/// Names in the log's directory.
pub(crate) const FILES: u8 = 1;
/// These, the directory's own, and what its `partition.metadata` says.
pub(crate) const DIRECTORY: u8 = 2;

/// What the next flush of a log owes its names.
#[derive(Debug, Default)]
pub(crate) struct NewNames(AtomicU8);

impl NewNames {
    /// Called after the names were made, and before anything is published that needs them.
    pub(crate) fn note(&self, what: u8) {
        self.0.fetch_max(what, Ordering::AcqRel);
    }
}

/// Directories of logs that were made in a log directory. One flush of that makes all of them durable.
#[derive(Debug, Default)]
pub(crate) struct NewDirs {
    made: AtomicU64,
    /// How many of them are durable.
    durable: Mutex<u64>,
}

impl NewDirs {
    pub(crate) fn note(&self) {
        self.made.fetch_add(1, Ordering::AcqRel);
    }

    /// Flushes, unless somebody else did since the caller's was made.
    fn settle(&self, flush: impl FnOnce() -> Result<(), StorageError>) -> Result<(), StorageError> {
        let wanted = self.made.load(Ordering::Acquire);
        let mut durable = lock(&self.durable);
        if *durable < wanted {
            let made = self.made.load(Ordering::Acquire);
            flush()?;
            *durable = made;
        }
        Ok(())
    }
}

impl PartitionLog {
    /// Makes durable what the log's files are called and which leader epochs it knows. The caller holds `flushing`, and
    /// has read before which end it flushes.
    pub(crate) fn settle_names(&self) -> Result<(), StorageError> {
        self.save_epochs()?;
        let owed = self.new_names.0.swap(0, Ordering::AcqRel);
        let settled = self.flush_names(owed);
        if settled.is_err() {
            self.new_names.note(owed);
        }
        settled
    }

    /// From the inside out, so that a directory that is there after a power cut has what belongs to it.
    fn flush_names(&self, owed: u8) -> Result<(), StorageError> {
        let disk = &*self.shared.disk;
        let flush = |dir: &Path| disk.sync_dir(dir).map_err(StorageError::io("flush", dir));
        if owed >= DIRECTORY {
            partition_metadata::sync(disk, &self.dir)?;
        }
        if owed >= FILES {
            flush(&self.dir)?;
        }
        match self.dir.parent() {
            Some(parent) if owed >= DIRECTORY => self.shared.new_dirs.settle(|| flush(parent)),
            _ => Ok(()),
        }
    }

    /// Writes the leader epochs that the file does not have. Readers of epochs do not wait for it.
    fn save_epochs(&self) -> Result<(), StorageError> {
        let Some(unsaved) = lock(&self.epochs).take_unsaved() else { return Ok(()) };
        match unsaved.place(&*self.shared.disk, &self.dir) {
            Ok(()) => self.new_names.note(FILES),
            Err(error) => {
                lock(&self.epochs).keep_unsaved();
                return Err(error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_flush_is_for_all_directories_that_were_there_when_it_began() {
        let (dirs, flushes) = (NewDirs::default(), AtomicU64::new(0));
        let settle = || {
            dirs.settle(|| {
                flushes.fetch_add(1, Ordering::Relaxed);
                Ok(())
            })
        };
        dirs.note();
        dirs.note();
        settle().unwrap();
        settle().unwrap();
        assert_eq!(flushes.load(Ordering::Relaxed), 1);
        dirs.note();
        assert!(dirs.settle(|| Err(StorageError::Closed)).is_err());
        settle().unwrap();
        assert_eq!(flushes.load(Ordering::Relaxed), 2);
    }
}
