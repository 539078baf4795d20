//! Reading the log back after a stop, clean or not.
//!
//! A crash may leave the end of the last file torn: half a record, zeros, or garbage. What was acknowledged had been
//! flushed before, so reading ends at the first bad record there and the rest is cut off. The files before the last
//! were flushed as a whole before it was created; a bad record in one of them is a broken disk, and nothing is
//! started on top of it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::files::{self, FileReader};
use storage::{Disk, DiskFile};

use super::ledger::{Ledger, Position};
use super::record::{self, FORMAT_VERSION, Record};
use super::writer::{self, ActiveFile};
use crate::error::RaftError;
use crate::frame::{self, FrameReader, ReadError};
use crate::types::LogId;

/// What was read back.
pub(super) struct Recovered {
    pub(super) ledger: Ledger,
    pub(super) active: ActiveFile,
    /// Bytes cut off the end.
    pub(super) cut_bytes: u64,
}

/// Opens the log in `dir`, or begins one.
pub(super) fn recover(disk: &dyn Disk, dir: &Path, file_bytes_max: u64) -> Result<Recovered, RaftError> {
    let mut paths = crate::listing::list(disk, dir, ".log")?;
    let Some(last) = paths.pop() else { return begin(disk, dir, file_bytes_max) };
    let mut replay = Replay { disk, ledger: Ledger::new(file_bytes_max), paths: BTreeMap::new() };
    for path in &paths {
        let end = replay.read_file(path)?;
        if let Some(reason) = end.bad {
            return Err(corrupt(path, end.position, reason));
        }
    }
    let (active, cut_bytes) = replay.read_last_file(&last, paths.is_empty())?;
    let ledger = replay.finish(dir, &last)?;
    Ok(Recovered { ledger, active, cut_bytes })
}

fn begin(disk: &dyn Disk, dir: &Path, file_bytes_max: u64) -> Result<Recovered, RaftError> {
    let number = 0;
    let path = writer::path(dir, number);
    let mut ledger = Ledger::new(file_bytes_max);
    let head = ledger.head(number);
    let file = files::create_file(disk, &path).map_err(RaftError::io("create", &path))?;
    // Not flushed here: the first record that matters flushes the head with it.
    file.write_at(&head, 0).map_err(RaftError::io("write", &path))?;
    let bytes = head.len() as u64;
    ledger.note_file(number, bytes);
    Ok(Recovered { ledger, active: ActiveFile { file, bytes }, cut_bytes: 0 })
}

fn corrupt(path: &Path, position: u64, reason: impl Into<String>) -> RaftError {
    RaftError::Corrupt { path: path.to_owned(), position, reason: reason.into() }
}

/// Where reading a file ended, and why, if not at its end.
struct FileEnd {
    position: u64,
    bad: Option<&'static str>,
}

/// Where a record was found.
struct Place {
    file: u64,
    position: u64,
    size: usize,
    seed: u32,
}

struct Replay<'a> {
    disk: &'a dyn Disk,
    ledger: Ledger,
    paths: BTreeMap<u64, PathBuf>,
}

impl Replay<'_> {
    fn read_file(&mut self, path: &Path) -> Result<FileEnd, RaftError> {
        let file = self.open(path)?;
        let mut reader = FrameReader::new(FileReader::new(file));
        let mut number = None;
        loop {
            let frame = match reader.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(ReadError::Bad(reason)) => {
                    return Ok(FileEnd { position: reader.position(), bad: Some(reason) });
                }
                Err(ReadError::Io(source)) => return Err(RaftError::io("read", path)(source)),
            };
            let (position, checksum) = (frame.position, frame.checksum);
            let record = record::decode(frame.kind, frame.payload);
            let Some(file) = number else {
                match self.begin_file(path, record)? {
                    Ok(found) => number = Some(found),
                    // The rest is no more of this log than the header is.
                    Err(reason) => return Ok(FileEnd { position: 0, bad: Some(reason) }),
                }
                self.ledger.note_checksum(checksum);
                reader.chained_to(checksum);
                continue;
            };
            // Its checksum is right, so it was written like this: not a torn end, whichever file it is in.
            let record = record.map_err(|reason| corrupt(path, position, reason))?;
            let at = Place { file, position, size: frame.size, seed: frame.seed.unwrap_or_default() };
            self.ledger.note_checksum(checksum);
            self.note(path, record, at)?;
        }
        // A file in the middle has at least its header; the last one may have lost it.
        let bad = number.is_none().then_some("the file is empty");
        Ok(FileEnd { position: reader.position(), bad })
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn DiskFile>, RaftError> {
        self.disk.open(path, false).map_err(RaftError::io("open", path))
    }

    /// Takes note of a file by its first record; a reason if that is not the header of this file, as when a crash left
    /// room in which another file had stood.
    fn begin_file(
        &mut self,
        path: &Path,
        record: Result<Record, &'static str>,
    ) -> Result<Result<u64, &'static str>, RaftError> {
        let Ok(Record::FileHeader { version, number, follows }) = record else {
            return Ok(Err("the file does not begin with its header"));
        };
        check_version(path, version)?;
        if number_in_name(path) != Some(number) {
            return Ok(Err("the file was written under another number"));
        }
        // An old file may have stayed where those after it are gone; then the entries tell whether any are missing.
        let is_next = self.paths.last_key_value().is_some_and(|(last, _)| last + 1 == number);
        if is_next && follows != self.ledger.checksum() {
            return Ok(Err("the file does not follow the one before it"));
        }
        self.ledger.note_file(number, 0);
        self.paths.insert(number, path.to_owned());
        Ok(Ok(number))
    }

    fn note(&mut self, path: &Path, record: Record, at: Place) -> Result<(), RaftError> {
        let Place { file, position, size, seed } = at;
        match record {
            Record::FileHeader { .. } => return Err(corrupt(path, position, "the file has a second header")),
            Record::Vote(vote) => self.ledger.vote = Some(vote),
            Record::Committed(log_id) => self.ledger.committed = Some(log_id),
            Record::TruncateFrom(index) => self.ledger.note_truncate(index),
            Record::PurgeUpTo(log_id) => self.ledger.note_purge(log_id),
            Record::Entry(log_id) => {
                if self.ledger.end_index().is_some_and(|end| end != log_id.index) {
                    let reason = format!("entry {} does not follow the one before it", log_id.index);
                    return Err(corrupt(path, position, reason));
                }
                let too_far = |_| corrupt(path, position, "the file is larger than any that is written");
                let offset = u32::try_from(position).map_err(too_far)?;
                let size = u32::try_from(size).map_err(too_far)?;
                self.ledger.note_entry(log_id, Position { file, offset, size, seed });
            }
        }
        Ok(())
    }

    /// Reads the last file, cuts off what is torn, and leaves it ready to be written to.
    fn read_last_file(&mut self, path: &Path, is_first: bool) -> Result<(ActiveFile, u64), RaftError> {
        let end = self.read_file(path)?;
        let number = number_in_name(path).ok_or_else(|| corrupt(path, 0, "the name of the file has no number"))?;
        let file = self.open(path)?;
        let length = file.len().map_err(RaftError::io("read", path))?;
        let mut bytes = end.position;
        if length > bytes {
            file.truncate(bytes).map_err(RaftError::io("truncate", path))?;
        }
        if bytes == 0 {
            // The crash came between creating the file and flushing its head.
            if is_first && number > 0 {
                return Err(corrupt(path, 0, "the file is empty, and those before it are gone"));
            }
            let head = self.ledger.head(number);
            file.write_at(&head, 0).map_err(RaftError::io("write", path))?;
            bytes = head.len() as u64;
            self.paths.insert(number, path.to_owned());
            self.ledger.note_file(number, bytes);
        }
        // Whatever was read is taken for durable from here on, and after a kill it is in the page cache at best.
        file.sync().map_err(RaftError::io("flush", path))?;
        self.ledger.set_active_bytes(bytes);
        Ok((ActiveFile { file, bytes }, length - end.position))
    }

    /// Checks that what was read is whole, and finds the last entry.
    fn finish(mut self, dir: &Path, last_file: &Path) -> Result<Ledger, RaftError> {
        let ledger = &mut self.ledger;
        let expected = ledger.purged.map_or(0, |purged| purged.index + 1);
        if let Some(first) = ledger.first_index()
            && first != expected
        {
            let path = ledger.position(first).and_then(|at| self.paths.get(&at.file));
            let reason = format!("the log begins at entry {first}, where entry {expected} is needed");
            return Err(corrupt(path.map_or(last_file, PathBuf::as_path), 0, reason));
        }
        ledger.last = match ledger.end_index().and_then(|end| ledger.position(end - 1)) {
            Some(position) => Some(read_log_id(self.disk, dir, position)?),
            None => ledger.purged,
        };
        if ledger.committed > ledger.last {
            // Not flushed on its own, so after a crash it may tell of entries that were lost.
            tracing::warn!(committed = ?ledger.committed, last = ?ledger.last, "the metadata log lost its unflushed end");
            ledger.committed = ledger.last;
        }
        Ok(self.ledger)
    }
}

fn check_version(path: &Path, version: u16) -> Result<(), RaftError> {
    if version == FORMAT_VERSION {
        return Ok(());
    }
    let whose = if version > FORMAT_VERSION { "a newer release" } else { "a release from before 0.1.0" };
    let reason = format!("it was written by {whose} (version {version}): use that release to read it");
    Err(RaftError::Mismatch { path: path.to_owned(), reason })
}

fn number_in_name(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.strip_prefix("wal-")?.parse().ok()
}

fn read_log_id(disk: &dyn Disk, dir: &Path, position: Position) -> Result<LogId, RaftError> {
    let path = writer::path(dir, position.file);
    let bytes =
        disk.open(&path, false).and_then(|file| read_record(&*file, position)).map_err(RaftError::io("read", &path))?;
    match frame::decode(&bytes, position.seed).map(|(kind, payload)| record::decode(kind, payload)) {
        Ok(Ok(Record::Entry(log_id))) => Ok(log_id),
        _ => Err(corrupt(&path, u64::from(position.offset), "an entry changed while it was read")),
    }
}

/// The bytes of one record.
pub(super) fn read_record(file: &dyn DiskFile, position: Position) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; position.size as usize];
    files::read_exact(file, &mut bytes, u64::from(position.offset))?;
    Ok(bytes)
}
