//! The index of aborted transactions beside a segment (`.txnindex`), in Kafka's format.
//!
//! An entry stands in the segment that has the marker. It is a function of the log, as those of the other indexes are, and
//! is written, completed and built again with them; but a log without aborted transactions has no such file.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::StorageError;
use crate::index::IndexFile;
use crate::restart::IndexMark;

/// Bytes of an entry: version, producer id, first offset, last offset, last stable offset.
pub(crate) const TXN_ENTRY_BYTES: usize = 34;
const VERSION: [u8; 2] = [0, 0];

/// An aborted transaction, in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AbortedTxn {
    pub(crate) producer_id: i64,
    /// Of its first record.
    pub(crate) first_offset: i64,
    /// Of its marker.
    pub(crate) last_offset: i64,
    /// The last stable offset behind the marker: whatever was aborted before it stands in the index by then.
    pub(crate) last_stable_offset: i64,
}

impl AbortedTxn {
    fn entry(&self) -> [u8; TXN_ENTRY_BYTES] {
        let mut entry = [0; TXN_ENTRY_BYTES];
        let words = [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset];
        entry[..2].copy_from_slice(&VERSION);
        entry[2..].copy_from_slice(words.map(i64::to_be_bytes).as_flattened());
        entry
    }

    fn parse(entry: &[u8; TXN_ENTRY_BYTES]) -> AbortedTxn {
        let words = entry[2..].as_chunks::<8>().0;
        let word = |place: usize| i64::from_be_bytes(words[place]);
        AbortedTxn { producer_id: word(0), first_offset: word(1), last_offset: word(2), last_stable_offset: word(3) }
    }

    fn is_plausible(&self) -> bool {
        self.producer_id >= 0
            && (0..self.last_offset).contains(&self.first_offset)
            && (0..=self.last_offset + 1).contains(&self.last_stable_offset)
    }
}

/// Where an entry's marker stands.
fn last_offset(entry: &[u8; TXN_ENTRY_BYTES]) -> i64 {
    AbortedTxn::parse(entry).last_offset
}

fn is_plausible(entry: &[u8; TXN_ENTRY_BYTES]) -> bool {
    entry[..2] == VERSION && AbortedTxn::parse(entry).is_plausible()
}

/// The index of one segment.
#[derive(Debug)]
pub(crate) struct TxnIndex {
    file: IndexFile<TXN_ENTRY_BYTES>,
    /// Whether the file's name is durable.
    is_named: bool,
}

impl TxnIndex {
    /// A new one, without a file.
    pub(crate) fn create(path: PathBuf) -> TxnIndex {
        TxnIndex { file: IndexFile::create(path), is_named: false }
    }

    /// The index as it stands on disk, or `None` if that cannot be right for a segment whose markers are in `offsets`.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: PathBuf,
        offsets: std::ops::Range<i64>,
    ) -> Result<Option<TxnIndex>, StorageError> {
        if !exists(disk, &path)? {
            return Ok(Some(TxnIndex::create(path)));
        }
        let Some(file) = IndexFile::open(disk, path)? else { return Ok(None) };
        let mut before = offsets.start - 1;
        let found = file.each_from(
            disk,
            |_| false,
            |entry| {
                let is_next = is_plausible(entry) && (before + 1..offsets.end).contains(&last_offset(entry));
                before = last_offset(entry);
                if is_next { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            },
        )?;
        Ok(found.is_continue().then_some(TxnIndex { file, is_named: true }))
    }

    /// The index up to a mark, if the file has its entries.
    pub(crate) fn open_to(
        disk: &dyn Disk,
        path: PathBuf,
        mark: &IndexMark<TXN_ENTRY_BYTES>,
    ) -> Result<Option<TxnIndex>, StorageError> {
        let follows = |before: &[u8; TXN_ENTRY_BYTES], next: &[u8; TXN_ENTRY_BYTES]| {
            is_plausible(next) && last_offset(before) < last_offset(next)
        };
        let file = IndexFile::open_to(disk, path, mark, follows)?;
        // The last run may have been killed before it made the name durable.
        Ok(file.map(|file| TxnIndex { file, is_named: false }))
    }

    /// How far it goes.
    pub(crate) fn mark(&self) -> IndexMark<TXN_ENTRY_BYTES> {
        self.file.mark()
    }

    /// Adds a transaction whose marker stands behind those of all others.
    pub(crate) fn push(&mut self, disk: &dyn Disk, txn: &AbortedTxn) {
        self.file.push(disk, txn.entry());
    }

    /// Shows the transactions whose markers stand at `offset` or behind, in the order of their markers, until told to stop.
    pub(crate) fn each_from(
        &self,
        disk: &dyn Disk,
        offset: i64,
        mut visit: impl FnMut(AbortedTxn) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StorageError> {
        self.file.each_from(disk, |entry| last_offset(entry) < offset, |entry| visit(AbortedTxn::parse(entry)))
    }

    /// Writes what is gathered.
    pub(crate) fn write(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        self.file.write_pending(disk)
    }

    /// Makes all of it durable, and its name.
    pub(crate) fn complete(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        if self.file.len() == 0 {
            return Ok(());
        }
        self.file.complete(disk)?;
        if let (false, Some(dir)) = (self.is_named, self.file.path().parent()) {
            disk.sync_dir(dir).map_err(StorageError::io("flush", dir))?;
            self.is_named = true;
        }
        Ok(())
    }

    /// Begins to build a new one in its place; what stands there is compared with what comes.
    pub(crate) fn begin_again(&mut self) {
        self.file.begin_again();
    }

    /// Ends the file where the index ends.
    pub(crate) fn settle(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        if self.file.len() > 0 || exists(disk, self.file.path())? { self.file.settle(disk) } else { Ok(()) }
    }

    /// Empties it; a file that is there goes.
    pub(crate) fn reset(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        self.discard(disk)?;
        *self = TxnIndex::create(self.file.path().to_owned());
        Ok(())
    }

    /// Begins to build it anew in another file.
    pub(crate) fn begin_aside(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        *self = TxnIndex::create(IndexFile::<TXN_ENTRY_BYTES>::aside(self.file.path()));
        self.reset(disk)
    }

    /// Puts what was built aside in its place, durably: the other indexes are trusted without a look at this one.
    pub(crate) fn move_in_place(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        let place = self.file.path().with_extension("");
        if self.file.len() > 0 {
            self.file.move_in_place(disk)?;
        } else if exists(disk, &place)? {
            disk.remove_file(&place).map_err(StorageError::io("remove", &place))?;
            self.file.set_path(place);
        } else {
            self.file.set_path(place);
            return Ok(());
        }
        self.is_named = true;
        let Some(dir) = self.file.path().parent() else { return Ok(()) };
        disk.sync_dir(dir).map_err(StorageError::io("flush", dir))
    }

    /// Keeps the file open: lookups go on in it when another has its name.
    pub(crate) fn pin(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        if self.file.is_on_disk() { self.file.pin(disk) } else { Ok(()) }
    }

    /// Opens the file for each lookup again.
    pub(crate) fn unpin(&mut self) {
        self.file.unpin();
    }

    /// Gives the file another name.
    pub(crate) fn rename(&mut self, disk: &dyn Disk, to: PathBuf) -> Result<(), StorageError> {
        if self.file.is_on_disk() {
            return self.file.rename(disk, to);
        }
        self.file.set_path(to);
        Ok(())
    }

    /// The name of a file that is not there yet.
    pub(crate) fn set_path(&mut self, path: PathBuf) {
        self.file.set_path(path);
    }

    /// Removes the file of a segment that never became part of the log.
    pub(crate) fn discard(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        crate::log::remove_file(disk, self.file.path())
    }

    /// Its file, if there is one.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }
}

fn exists(disk: &dyn Disk, path: &Path) -> Result<bool, StorageError> {
    match disk.open(path, false) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StorageError::io("open", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::OsDisk;

    fn txn(place: i64) -> AbortedTxn {
        let last_offset = place * 10 + 5;
        AbortedTxn {
            producer_id: place,
            first_offset: last_offset - 5,
            last_offset,
            last_stable_offset: last_offset + 1,
        }
    }

    #[test]
    fn an_entry_is_laid_out_as_kafka_does() {
        let entry = AbortedTxn { producer_id: 1, first_offset: 2, last_offset: 3, last_stable_offset: 4 }.entry();
        let mut expected = vec![0; 2];
        (1..5i64).for_each(|word| expected.extend_from_slice(&word.to_be_bytes()));
        assert_eq!(entry[..], expected);
    }

    #[test]
    fn lookups_agree_with_a_scan_wherever_the_entry_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.txnindex");
        let mut index = TxnIndex::create(path.clone());
        index.complete(&OsDisk).unwrap();
        assert!(!path.exists(), "a log without aborted transactions has no file");
        (0..3_000).for_each(|place| index.push(&OsDisk, &txn(place)));
        let from = |index: &TxnIndex, offset| {
            let mut found = Vec::new();
            let visit = |txn: AbortedTxn| {
                found.push(txn.producer_id);
                ControlFlow::Continue(())
            };
            assert!(index.each_from(&OsDisk, offset, visit).unwrap().is_continue());
            found
        };
        for place in [0, 1, 100, 2_000, 2_998, 2_999] {
            assert_eq!(from(&index, place * 10 + 5), (place..3_000).collect::<Vec<_>>());
            assert_eq!(from(&index, place * 10 + 6), (place + 1..3_000).collect::<Vec<_>>());
        }
        index.complete(&OsDisk).unwrap();
        let opened = TxnIndex::open(&OsDisk, path.clone(), 0..40_000).unwrap().unwrap();
        assert_eq!(from(&opened, 25_001), (2_500..3_000).collect::<Vec<_>>());

        assert!(TxnIndex::open(&OsDisk, path.clone(), 0..20_000).unwrap().is_none(), "of another segment");
        assert!(TxnIndex::open(&OsDisk, path.clone(), 10..40_000).unwrap().is_none(), "of an earlier segment");
        let sound = std::fs::read(&path).unwrap();
        for damage in [1, 34 * 2_000 + 10, 34 * 1_500 + 20, 34 * 700 + 2] {
            let mut damaged = sound.clone();
            damaged[damage] = 0x80;
            std::fs::write(&path, &damaged).unwrap();
            assert!(TxnIndex::open(&OsDisk, path.clone(), 0..40_000).unwrap().is_none(), "byte {damage}");
        }
        std::fs::write(&path, &sound[..sound.len() - 1]).unwrap();
        assert!(TxnIndex::open(&OsDisk, path, 0..40_000).unwrap().is_none());
    }
}
