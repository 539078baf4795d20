//! What stands in the log.

use openraft::{CommittedLeaderId, EntryPayload, LogId as OpenraftLogId};

use crate::frame;
use crate::types::{Entry, LogId, Vote};

/// The version of the files, in their first record.
pub(crate) const FORMAT_VERSION: u16 = 2;

const FILE_HEADER: u8 = 0;
const VOTE: u8 = 1;
pub(crate) const ENTRY: u8 = 2;
const TRUNCATE_FROM: u8 = 3;
const PURGE_UP_TO: u8 = 4;
const COMMITTED: u8 = 5;

const BLANK: u8 = 0;
const PROPOSAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// Term, node and index.
const LOG_ID_BYTES: usize = 24;

/// A record, as recovery needs it: of an entry only the id is decoded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    /// The first record of each file, the only one that is not chained: it names the checksum that it follows.
    FileHeader { version: u16, number: u64, follows: u32 },
    /// openraft's promise to a candidate or leader.
    Vote(Vote),
    /// An entry with this id.
    Entry(LogId),
    /// Entries from this index on are void.
    TruncateFrom(u64),
    /// Entries up to this one, inclusive, are in a snapshot and may be gone.
    PurgeUpTo(LogId),
    /// Entries up to this one, inclusive, are committed.
    Committed(LogId),
}

pub(crate) fn encode_file_header(out: &mut Vec<u8>, number: u64, follows: u32) {
    frame::encode(out, FILE_HEADER, |out| {
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&number.to_le_bytes());
        out.extend_from_slice(&follows.to_le_bytes());
    });
}

pub(crate) fn encode_vote(out: &mut Vec<u8>, vote: &Vote) {
    frame::encode(out, VOTE, |out| {
        out.extend_from_slice(&vote.leader_id.term.to_le_bytes());
        out.extend_from_slice(&vote.leader_id.node_id.to_le_bytes());
        out.push(u8::from(vote.committed));
    });
}

pub(crate) fn encode_truncate(out: &mut Vec<u8>, from: u64) {
    frame::encode(out, TRUNCATE_FROM, |out| out.extend_from_slice(&from.to_le_bytes()));
}

pub(crate) fn encode_purge(out: &mut Vec<u8>, up_to: &LogId) {
    frame::encode(out, PURGE_UP_TO, |out| put_log_id(out, up_to));
}

pub(crate) fn encode_committed(out: &mut Vec<u8>, up_to: &LogId) {
    frame::encode(out, COMMITTED, |out| put_log_id(out, up_to));
}

pub(crate) fn encode_entry(out: &mut Vec<u8>, entry: &Entry) -> Result<(), serde_json::Error> {
    let body = match &entry.payload {
        EntryPayload::Blank => Vec::new(),
        EntryPayload::Normal(proposal) => serde_json::to_vec(proposal)?,
        EntryPayload::Membership(membership) => serde_json::to_vec(membership)?,
    };
    frame::encode(out, ENTRY, |out| {
        put_log_id(out, &entry.log_id);
        out.push(match &entry.payload {
            EntryPayload::Blank => BLANK,
            EntryPayload::Normal(_) => PROPOSAL,
            EntryPayload::Membership(_) => MEMBERSHIP,
        });
        out.extend_from_slice(&body);
    });
    Ok(())
}

fn put_log_id(out: &mut Vec<u8>, id: &LogId) {
    out.extend_from_slice(&id.leader_id.term.to_le_bytes());
    out.extend_from_slice(&id.leader_id.node_id.to_le_bytes());
    out.extend_from_slice(&id.index.to_le_bytes());
}

/// Reads a record; a reason if the payload is not what its kind promises.
pub(crate) fn decode(kind: u8, payload: &[u8]) -> Result<Record, &'static str> {
    let mut input = Input(payload);
    let record = match kind {
        FILE_HEADER => {
            let version = u16::from_le_bytes(input.take()?);
            if version != FORMAT_VERSION {
                // Whatever else another release has put here.
                return Ok(Record::FileHeader { version, number: 0, follows: 0 });
            }
            let (number, follows) = (input.u64()?, u32::from_le_bytes(input.take()?));
            Record::FileHeader { version, number, follows }
        }
        VOTE => {
            let (term, node_id, [committed]) = (input.u64()?, input.u64()?, input.take()?);
            let mut vote = Vote::new(term, node_id);
            vote.committed = committed == 1;
            Record::Vote(vote)
        }
        ENTRY => return Ok(Record::Entry(input.log_id()?)),
        TRUNCATE_FROM => Record::TruncateFrom(input.u64()?),
        PURGE_UP_TO => Record::PurgeUpTo(input.log_id()?),
        COMMITTED => Record::Committed(input.log_id()?),
        _ => return Err("it holds a kind of record that this release does not know"),
    };
    if input.0.is_empty() { Ok(record) } else { Err("a record is longer than its kind allows") }
}

/// Reads an entry as a whole.
pub(crate) fn decode_entry(payload: &[u8]) -> Result<Entry, String> {
    let mut input = Input(payload);
    let log_id = input.log_id()?;
    let [kind] = input.take()?;
    let payload = match kind {
        BLANK => EntryPayload::Blank,
        PROPOSAL => EntryPayload::Normal(serde_json::from_slice(input.0).map_err(|e| e.to_string())?),
        MEMBERSHIP => EntryPayload::Membership(serde_json::from_slice(input.0).map_err(|e| e.to_string())?),
        _ => return Err("it holds a kind of entry that this release does not know".to_owned()),
    };
    Ok(Entry { log_id, payload })
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (taken, rest) = self.0.split_first_chunk().ok_or("a record is shorter than its kind allows")?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u64(&mut self) -> Result<u64, &'static str> {
        self.take().map(u64::from_le_bytes)
    }

    fn log_id(&mut self) -> Result<LogId, &'static str> {
        if self.0.len() < LOG_ID_BYTES {
            return Err("a record is shorter than its kind allows");
        }
        let (term, node_id, index) = (self.u64()?, self.u64()?, self.u64()?);
        Ok(OpenraftLogId::new(CommittedLeaderId::new(term, node_id), index))
    }
}
