//! What is in the log, and where: the part of the store that is in memory.
//!
//! The ledger changes when openraft asks for a write, not when the disk has done it; openraft waits for the disk
//! where it matters. It plans where each record goes, so that an entry can be read as soon as it was handed over.

use std::collections::VecDeque;
use std::sync::Arc;

use super::record;
use crate::frame;
use crate::types::{Entry, LogId, Vote};

/// The usual size of a file.
pub(super) const FILE_BYTES_MAX: u64 = 4 << 20;
/// So many of the last entries are kept in memory, at most…
const CACHED_ENTRIES_MAX: usize = 4096;
/// …and so many bytes of them, as they are on disk.
const CACHED_BYTES_MAX: usize = 1 << 20;

/// Where an entry lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The number of the file.
    pub(super) file: u64,
    /// Where in it the record begins.
    pub(super) offset: u32,
    /// The size of the record.
    pub(super) size: u32,
    /// The checksum of the record before it.
    pub(super) seed: u32,
}

/// One of the files.
#[derive(Clone, Copy, Debug)]
struct WalFile {
    number: u64,
    /// The highest entry that was ever written to it.
    last_index: Option<u64>,
}

/// What is in the log. See the module.
#[derive(Default)]
pub(super) struct Ledger {
    /// A new file is begun when the active one would grow beyond this.
    file_bytes_max: u64,
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    /// The last entry, or what was purged when there is none.
    pub(super) last: Option<LogId>,
    /// The index of the first position.
    first: u64,
    positions: VecDeque<Position>,
    /// The last entries; each has a position.
    cache: VecDeque<(Arc<Entry>, usize)>,
    cached_bytes: usize,
    files: VecDeque<WalFile>,
    /// Bytes planned for the active file, the last of `files`.
    active_bytes: u64,
    /// The checksum of the last record.
    checksum: u32,
    /// `committed` is not in any file yet.
    committed_is_news: bool,
}

/// Bytes for the writer, and what to do around them.
#[derive(Default, Debug)]
pub(super) struct Plan {
    /// First begin this file, with this head.
    pub(super) roll: Option<(u64, Vec<u8>)>,
    /// Then write these.
    pub(super) bytes: Vec<u8>,
    /// When they are durable, remove these files.
    pub(super) obsolete: Vec<u64>,
}

/// An entry that was looked up.
pub(super) enum Found {
    Cached(Arc<Entry>),
    OnDisk(u64, Position),
}

impl Ledger {
    pub(super) fn new(file_bytes_max: u64) -> Ledger {
        Ledger { file_bytes_max, ..Ledger::default() }
    }

    /// The index that the next entry must have, or `None` when the log is empty and may begin anywhere.
    pub(super) fn next_index(&self) -> Option<u64> {
        self.last.map(|last| last.index + 1)
    }

    pub(super) fn first_index(&self) -> Option<u64> {
        (!self.positions.is_empty()).then_some(self.first)
    }

    /// Plans to write entries; `sizes` are the sizes of their records in `bytes`, in order.
    ///
    /// The caller has checked that they follow the last one.
    pub(super) fn append(&mut self, entries: Vec<Entry>, bytes: Vec<u8>, sizes: &[u32], written_end: u64) -> Plan {
        let length = bytes.len();
        let (plan, mut offset, mut seed) = self.plan(bytes);
        let file = self.active_number();
        let mut at = plan.bytes.len() - length;
        for (entry, size) in entries.into_iter().zip(sizes) {
            self.note_entry(entry.log_id, Position { file, offset, size: *size, seed });
            seed = frame::checksum_of(&plan.bytes[at..]);
            at += *size as usize;
            self.last = Some(entry.log_id);
            self.cached_bytes += *size as usize;
            self.cache.push_back((Arc::new(entry), *size as usize));
            offset += size;
        }
        self.shrink_cache(written_end);
        plan
    }

    pub(super) fn save_vote(&mut self, vote: Vote) -> Plan {
        let mut bytes = Vec::new();
        record::encode_vote(&mut bytes, &vote);
        self.vote = Some(vote);
        self.plan(bytes).0
    }

    /// Takes note of what is committed; it reaches the disk with the next write, because losing it costs nothing.
    pub(super) fn save_committed(&mut self, committed: Option<LogId>) {
        self.committed_is_news |= committed != self.committed;
        self.committed = committed;
    }

    /// Plans to write what was committed since the last write, if anything.
    pub(super) fn flush_committed(&mut self) -> Plan {
        self.plan(Vec::new()).0
    }

    /// Plans to drop entries from `from` on; `last` is the entry before it.
    pub(super) fn truncate(&mut self, from: u64, last: Option<LogId>) -> Plan {
        let mut bytes = Vec::new();
        record::encode_truncate(&mut bytes, from);
        self.note_truncate(from);
        self.last = last;
        while self.cache.back().is_some_and(|(entry, _)| entry.log_id.index >= from) {
            let dropped = self.cache.pop_back();
            self.cached_bytes -= dropped.map_or(0, |(_, size)| size);
        }
        self.plan(bytes).0
    }

    /// Plans to forget entries up to `up_to`, inclusive, and the files that hold no others.
    pub(super) fn purge(&mut self, up_to: LogId) -> Plan {
        let mut bytes = Vec::new();
        record::encode_purge(&mut bytes, &up_to);
        self.note_purge(up_to);
        self.last = self.last.max(Some(up_to));
        while self.cache.front().is_some_and(|(entry, _)| entry.log_id.index <= up_to.index) {
            let dropped = self.cache.pop_front();
            self.cached_bytes -= dropped.map_or(0, |(_, size)| size);
        }
        let (mut plan, ..) = self.plan(bytes);
        while self.files.len() > 1 && self.files[0].last_index.is_none_or(|last| last <= up_to.index) {
            plan.obsolete.extend(self.files.pop_front().map(|file| file.number));
        }
        plan
    }

    /// Entries from `start` to before `end` that are there, up to the first beyond `bytes_max`.
    pub(super) fn find(&self, start: u64, end: u64, bytes_max: usize) -> Vec<Found> {
        let start = start.max(self.first);
        let end = end.min(self.first + self.positions.len() as u64);
        let cached_from = self.cache.front().map_or(u64::MAX, |(entry, _)| entry.log_id.index);
        let mut bytes = 0;
        let mut found = Vec::new();
        for index in start..end {
            let position = self.positions[index_in(index - self.first)];
            bytes += position.size as usize;
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.push(match index.checked_sub(cached_from) {
                Some(i) => Found::Cached(Arc::clone(&self.cache[index_in(i)].0)),
                None => Found::OnDisk(index, position),
            });
        }
        found
    }

    /// Where the entry with that index lies.
    pub(super) fn position(&self, index: u64) -> Option<Position> {
        self.positions.get(index_in(index.checked_sub(self.first)?)).copied()
    }

    /// Puts `bytes`, and what else is due, into the active file or the next one. The second value is where in the
    /// file `bytes` begin, the third the checksum that they follow.
    fn plan(&mut self, bytes: Vec<u8>) -> (Plan, u32, u32) {
        let mut plan = Plan::default();
        if self.committed_is_news {
            self.committed_is_news = false;
            if let Some(committed) = &self.committed {
                record::encode_committed(&mut plan.bytes, committed);
            }
        }
        let due = plan.bytes.len();
        if self.active_bytes + (due + bytes.len()) as u64 > self.file_bytes_max {
            let number = self.active_number() + 1;
            let head = self.head(number);
            self.files.push_back(WalFile { number, last_index: None });
            self.active_bytes = head.len() as u64;
            plan.roll = Some((number, head));
        }
        let offset = self.active_bytes + due as u64;
        let seed = frame::chain(&mut plan.bytes, self.checksum);
        plan.bytes.extend_from_slice(&bytes);
        self.checksum = frame::chain(&mut plan.bytes[due..], seed);
        self.active_bytes += plan.bytes.len() as u64;
        (plan, u32::try_from(offset).expect("a file ends soon after FILE_BYTES_MAX"), seed)
    }

    /// The first records of a file: what must not be lost with the files before it.
    pub(super) fn head(&mut self, number: u64) -> Vec<u8> {
        let mut head = Vec::new();
        record::encode_file_header(&mut head, number, self.checksum);
        let (header_bytes, header) = (head.len(), frame::checksum_of(&head));
        if let Some(vote) = &self.vote {
            record::encode_vote(&mut head, vote);
        }
        if let Some(purged) = &self.purged {
            record::encode_purge(&mut head, purged);
        }
        self.checksum = frame::chain(&mut head[header_bytes..], header);
        head
    }

    fn active_number(&self) -> u64 {
        self.files.back().map_or(0, |file| file.number)
    }

    /// Entries beyond the limits leave the cache, oldest first, but never one that is not in its file yet.
    fn shrink_cache(&mut self, written_end: u64) {
        while self.cache.len() > CACHED_ENTRIES_MAX || self.cached_bytes > CACHED_BYTES_MAX {
            if self.cache.front().is_none_or(|(entry, _)| entry.log_id.index >= written_end) {
                break;
            }
            let dropped = self.cache.pop_front();
            self.cached_bytes -= dropped.map_or(0, |(_, size)| size);
        }
    }

    // What follows is also how a log is read back.

    /// The index behind the last entry that is there.
    pub(super) fn end_index(&self) -> Option<u64> {
        Some(self.first_index()? + self.positions.len() as u64)
    }

    pub(super) fn checksum(&self) -> u32 {
        self.checksum
    }

    pub(super) fn note_checksum(&mut self, checksum: u32) {
        self.checksum = checksum;
    }

    pub(super) fn set_active_bytes(&mut self, bytes: u64) {
        self.active_bytes = bytes;
    }

    pub(super) fn note_file(&mut self, number: u64, bytes: u64) {
        self.files.push_back(WalFile { number, last_index: None });
        self.active_bytes = bytes;
    }

    pub(super) fn note_entry(&mut self, log_id: LogId, position: Position) {
        if self.positions.is_empty() {
            self.first = log_id.index;
        }
        self.positions.push_back(position);
        if let Some(file) = self.files.back_mut() {
            file.last_index = file.last_index.max(Some(log_id.index));
        }
    }

    pub(super) fn note_truncate(&mut self, from: u64) {
        self.positions.truncate(index_in(from.saturating_sub(self.first)));
    }

    pub(super) fn note_purge(&mut self, up_to: LogId) {
        if self.purged.is_some_and(|purged| purged.index >= up_to.index) {
            return;
        }
        self.purged = Some(up_to);
        let gone = index_in((up_to.index + 1).saturating_sub(self.first)).min(self.positions.len());
        self.positions.drain(..gone);
        self.first = self.first.max(up_to.index + 1);
    }
}

/// A distance between two entries in memory.
fn index_in(distance: u64) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}
