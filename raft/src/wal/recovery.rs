//! Reading the log back after a stop, clean or not.
//!
//! A crash may leave the end of the last file torn: half a record, zeros, or garbage. What was acknowledged had been
//! flushed before, so reading ends at the first bad record there and the rest is cut off. The files before the last
//! were flushed as a whole before it was created; a bad record in one of them is a broken disk, and nothing is
//! started on top of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::ledger::{Ledger, Position};
use super::record::{self, FORMAT_VERSION, Record};
use super::writer::{self, ActiveFile};
use crate::error::RaftError;
use crate::files;
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
pub(super) fn recover(dir: &Path) -> Result<Recovered, RaftError> {
    let mut paths = files::list(dir, "log")?;
    let Some(last) = paths.pop() else { return begin(dir) };
    let mut replay = Replay::default();
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

fn begin(dir: &Path) -> Result<Recovered, RaftError> {
    let number = 0;
    let path = writer::path(dir, number);
    let mut ledger = Ledger::default();
    let head = ledger.head(number);
    let file = files::create(&path).map_err(RaftError::io("create", &path))?;
    // Not flushed here: the first record that matters flushes the head with it.
    file.write_all_at(&head, 0).map_err(RaftError::io("write", &path))?;
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

#[derive(Default)]
struct Replay {
    ledger: Ledger,
    paths: BTreeMap<u64, PathBuf>,
}

impl Replay {
    fn read_file(&mut self, path: &Path) -> Result<FileEnd, RaftError> {
        let file = files::open(path).map_err(RaftError::io("open", path))?;
        let mut reader = FrameReader::new(file);
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
            let (position, size) = (frame.position, frame.size);
            // Its checksum is right, so it was written like this: not a torn end, whichever file it is in.
            let record = record::decode(frame.kind, frame.payload).map_err(|reason| corrupt(path, position, reason))?;
            match (number, record) {
                (None, Record::FileHeader { version, number: found }) => {
                    check_header(path, version, found)?;
                    number = Some(found);
                    self.ledger.note_file(found, 0);
                    self.paths.insert(found, path.to_owned());
                }
                (Some(file), record) => self.note(path, record, file, position, size)?,
                (None, _) => return Err(corrupt(path, position, "the file does not begin with its header")),
            }
        }
        // A file in the middle has at least its header; the last one may have lost it.
        let bad = number.is_none().then_some("the file is empty");
        Ok(FileEnd { position: reader.position(), bad })
    }

    fn note(&mut self, path: &Path, record: Record, file: u64, position: u64, size: usize) -> Result<(), RaftError> {
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
                self.ledger.note_entry(log_id, Position { file, offset, size });
            }
        }
        Ok(())
    }

    /// Reads the last file, cuts off what is torn, and leaves it ready to be written to.
    fn read_last_file(&mut self, path: &Path, is_first: bool) -> Result<(ActiveFile, u64), RaftError> {
        let end = self.read_file(path)?;
        let number = number_in_name(path).ok_or_else(|| corrupt(path, 0, "the name of the file has no number"))?;
        let file = files::open(path).map_err(RaftError::io("open", path))?;
        let length = file.metadata().map_err(RaftError::io("read", path))?.len();
        let mut bytes = end.position;
        if length > bytes {
            file.set_len(bytes).map_err(RaftError::io("truncate", path))?;
        }
        if bytes == 0 {
            // The crash came between creating the file and flushing its head.
            if is_first && number > 0 {
                return Err(corrupt(path, 0, "the file is empty, and those before it are gone"));
            }
            let head = self.ledger.head(number);
            file.write_all_at(&head, 0).map_err(RaftError::io("write", path))?;
            bytes = head.len() as u64;
            self.paths.insert(number, path.to_owned());
            self.ledger.note_file(number, bytes);
        }
        if length > end.position {
            file.sync_all().map_err(RaftError::io("flush", path))?;
        }
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
            Some(position) => Some(read_log_id(dir, position)?),
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

fn check_header(path: &Path, version: u16, number: u64) -> Result<(), RaftError> {
    if version > FORMAT_VERSION {
        let reason = format!("it was written by a newer release (version {version}): use that release to read it");
        return Err(RaftError::Mismatch { path: path.to_owned(), reason });
    }
    if number_in_name(path) != Some(number) {
        return Err(corrupt(path, 0, format!("the file was written as number {number}")));
    }
    Ok(())
}

fn number_in_name(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.strip_prefix("wal-")?.parse().ok()
}

fn read_log_id(dir: &Path, position: Position) -> Result<LogId, RaftError> {
    let path = writer::path(dir, position.file);
    let bytes =
        File::open(&path).and_then(|file| read_record(&file, position)).map_err(RaftError::io("read", &path))?;
    match frame::decode(&bytes).map(|(kind, payload)| record::decode(kind, payload)) {
        Ok(Ok(Record::Entry(log_id))) => Ok(log_id),
        _ => Err(corrupt(&path, u64::from(position.offset), "an entry changed while it was read")),
    }
}

/// The bytes of one record.
pub(super) fn read_record(file: &File, position: Position) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; position.size as usize];
    file.read_exact_at(&mut bytes, u64::from(position.offset))?;
    Ok(bytes)
}
