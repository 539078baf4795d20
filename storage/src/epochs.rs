//! `leader-epoch-checkpoint`: the first offset of each leader epoch (KIP-101).

use std::path::{Path, PathBuf};

use crate::StorageError;
use crate::checkpoint::{place_rows, read_rows, write_rows};
use crate::disk::Disk;

/// The file's name.
const FILE: &str = "leader-epoch-checkpoint";

/// Leader epochs and where each began, both ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeaderEpochs {
    entries: Vec<(i32, i64)>,
    /// Whether the file says something else: writing it may have failed.
    unsaved: bool,
}

impl LeaderEpochs {
    /// Reads the file of a partition directory; `None` when it is missing or damaged, and the batches must tell.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path) -> Result<Option<LeaderEpochs>, StorageError> {
        let Some(rows) = read_rows(disk, &path(dir))? else { return Ok(None) };
        let mut epochs = LeaderEpochs::default();
        for row in rows {
            let mut words = row.split(' ');
            let entry = (words.next().and_then(|w| w.parse().ok()), words.next().and_then(|w| w.parse().ok()));
            let (Some(epoch), Some(start)) = entry else { return Ok(None) };
            epochs.assign(epoch, start);
        }
        epochs.unsaved = false;
        Ok(Some(epochs))
    }

    /// Writes the file, if it does not say the same already.
    pub(crate) fn save(&mut self, disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
        if self.unsaved {
            write_rows(disk, &path(dir), self.rows())?;
            self.unsaved = false;
        }
        Ok(())
    }

    /// What the file does not say yet, for [`LeaderEpochs::place`]; it counts as saved from now on.
    pub(crate) fn take_unsaved(&mut self) -> Option<LeaderEpochs> {
        std::mem::take(&mut self.unsaved).then(|| self.clone())
    }

    /// It was not saved after all.
    pub(crate) fn keep_unsaved(&mut self) {
        self.unsaved = true;
    }

    /// Writes the file; the caller makes the directory's change durable.
    pub(crate) fn place(&self, disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
        place_rows(disk, &path(dir), self.rows())
    }

    fn rows(&self) -> impl ExactSizeIterator<Item = String> {
        self.entries.iter().map(|(epoch, start)| format!("{epoch} {start}"))
    }

    /// Notes that `epoch` wrote at `offset`; true if that is news.
    pub(crate) fn assign(&mut self, epoch: i32, offset: i64) -> bool {
        if epoch < 0 || self.entries.last().is_some_and(|(last, _)| *last >= epoch) {
            return false;
        }
        // An epoch that wrote nothing leaves no trace.
        self.entries.retain(|(_, start)| *start < offset);
        self.entries.push((epoch, offset));
        self.unsaved = true;
        true
    }

    /// The epoch that wrote `offset`.
    pub(crate) fn of_offset(&self, offset: i64) -> Option<i32> {
        self.entries.iter().rev().find(|(_, start)| *start <= offset).map(|(epoch, _)| *epoch)
    }

    /// The largest epoch not above `epoch`, and the offset where its records end. One older than all that are known
    /// ends where they begin (KIP-279).
    pub(crate) fn end_of(&self, epoch: i32, log_end: i64) -> Option<(i32, i64)> {
        let Some(place) = self.entries.partition_point(|(other, _)| *other <= epoch).checked_sub(1) else {
            return self.entries.first().map(|(_, start)| (epoch, *start));
        };
        let end = self.entries.get(place + 1).map_or(log_end, |(_, start)| *start);
        Some((self.entries[place].0, end))
    }

    /// Forgets what begins at `offset` or after; true if there was any.
    pub(crate) fn truncate_from(&mut self, offset: i64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(_, start)| *start < offset);
        self.unsaved |= self.entries.len() != before;
        self.entries.len() != before
    }

    /// Forgets epochs that ended before `offset`; true if there was any.
    pub(crate) fn truncate_until(&mut self, offset: i64) -> bool {
        let first = self.entries.partition_point(|(_, start)| *start <= offset).saturating_sub(1);
        self.entries.drain(..first);
        let moved = self.entries.first_mut().is_some_and(|(_, start)| {
            let old = *start;
            *start = old.max(offset);
            old < offset
        });
        self.unsaved |= first > 0 || moved;
        first > 0 || moved
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_where_the_next_epoch_begins() {
        let mut epochs = LeaderEpochs::default();
        assert!(epochs.assign(1, 0) && epochs.assign(3, 10) && !epochs.assign(2, 20));
        assert_eq!(epochs.end_of(0, 30), Some((0, 0)));
        assert_eq!(LeaderEpochs::default().end_of(0, 30), None);
        assert_eq!(epochs.end_of(1, 30), Some((1, 10)));
        assert_eq!(epochs.end_of(2, 30), Some((1, 10)));
        assert_eq!(epochs.end_of(9, 30), Some((3, 30)));
        assert_eq!((epochs.of_offset(9), epochs.of_offset(10)), (Some(1), Some(3)));
    }

    #[test]
    fn truncation_forgets() {
        let mut epochs = LeaderEpochs::default();
        epochs.assign(1, 0);
        epochs.assign(2, 10);
        epochs.assign(3, 20);
        assert!(epochs.truncate_until(15));
        assert_eq!((epochs.of_offset(12), epochs.of_offset(15)), (None, Some(2)));
        assert!(epochs.truncate_from(20) && epochs.of_offset(1 << 40) == Some(2));
    }
}
