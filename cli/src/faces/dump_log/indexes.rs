//! Indexes, and whether they say of their segment what is in it.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use protocol::records::Batch;

use super::segment::{BATCH_MAX_BYTES, Batches, absolute};
use super::{Complaints, first_offset, unreadable};
use crate::failure::{Failure, Outcome};

/// Relative offset and position, 4 bytes each.
const OFFSET_ENTRY_BYTES: usize = 8;
/// A timestamp of 8 bytes and a relative offset of 4.
const TIME_ENTRY_BYTES: usize = 12;
/// An index may have this many bytes: Kafka's segment.index.bytes goes no further.
const INDEX_MAX_BYTES: u64 = i32::MAX as u64;

/// What is wanted of indexes.
pub(super) struct IndexCheck {
    pub(super) sanity_only: bool,
    pub(super) verify_only: bool,
    /// A larger batch than this is taken for none.
    pub(super) max_message_bytes: u64,
}

struct OffsetEntry {
    offset: i64,
    position: u64,
}

struct TimeEntry {
    timestamp: i64,
    offset: i64,
}

/// Shows an offset index.
pub(super) fn dump_offsets(
    out: &mut impl Write,
    path: &Path,
    check: &IndexCheck,
    complaints: &mut Complaints,
) -> Outcome {
    let base = first_offset(path)?;
    let log = sibling(path, "log");
    let bytes = read(path)?;
    std::fs::metadata(&log).map_err(unreadable(&log))?;
    let entries = offset_entries(&bytes, base);
    let Some(last) = entries.last() else { return Ok(writeln!(out, "{} is empty.", path.display())?) };
    if check.sanity_only {
        check_offsets(path, &bytes, base, last.offset)?;
        return Ok(writeln!(out, "{} passed sanity check.", path.display())?);
    }
    let mut mismatches = Vec::new();
    let mut outcome = Ok(());
    for (place, entry) in entries.iter().enumerate() {
        // A file that a crash left longer than what it holds ends in zeros.
        if place > 0 && entry.offset == base {
            break;
        }
        let found = Batches::open(&log, entry.position, check.max_message_bytes)?.next().map_err(unreadable(&log))?;
        let Some(batch) = found.as_deref().and_then(|bytes| Batch::parse(bytes).ok()) else {
            outcome = Err(Failure::Input(format!(
                "{}: there is no batch of at most {} bytes at position {}, where the index has offset {}",
                log.display(),
                check.max_message_bytes,
                entry.position,
                entry.offset
            )));
            break;
        };
        if batch.last_offset() != entry.offset {
            mismatches.push((entry.offset, batch.last_offset()));
        }
        if !check.verify_only {
            writeln!(out, "offset: {} position: {}", entry.offset, entry.position)?;
        }
    }
    mismatches.reverse();
    complain(complaints, &format!("Mismatches in :{}", absolute(path)), &mismatches, |(index, log)| {
        format!("  Index offset: {index}, log offset: {log}")
    });
    outcome
}

fn check_offsets(path: &Path, bytes: &[u8], base: i64, last: i64) -> Outcome {
    if last < base {
        return Err(Failure::Input(format!(
            "Corrupt index found, index file {} has non-zero size but the last offset is {last} which is less than the \
             base offset {base}",
            absolute(path)
        )));
    }
    check_length(path, bytes, OFFSET_ENTRY_BYTES, "Index file")
}

/// Shows a time index.
pub(super) fn dump_times(
    out: &mut impl Write,
    path: &Path,
    check: &IndexCheck,
    complaints: &mut Complaints,
) -> Outcome {
    let base = first_offset(path)?;
    let (log, index) = (sibling(path, "log"), sibling(path, "index"));
    let bytes = read(path)?;
    std::fs::metadata(&log).map_err(unreadable(&log))?;
    let positions = offset_entries(&read(&index)?, base);
    let entries = time_entries(&bytes, base);
    if check.sanity_only {
        check_times(path, &bytes, base, &entries)?;
        return Ok(writeln!(out, "{} passed sanity check.", path.display())?);
    }
    let (mut wrong, mut unordered, mut absent) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = -1;
    for (place, entry) in entries.iter().enumerate() {
        if place > 0 && entry.offset == base {
            break;
        }
        let indexed = positions.partition_point(|found| found.offset <= entry.offset);
        let position = indexed.checked_sub(1).and_then(|place| positions.get(place)).map_or(0, |found| found.position);
        match batch_with(&log, position, entry.offset)? {
            Some((last, timestamp)) if last == entry.offset => {
                if timestamp != entry.timestamp {
                    wrong.push((entry.timestamp, timestamp));
                }
                if before >= entry.timestamp {
                    unordered.push((entry.timestamp, before));
                }
            }
            found => absent.push((entry.offset, found.map_or(-1, |(last, _)| last))),
        }
        if !check.verify_only {
            writeln!(out, "timestamp: {} offset: {}", entry.timestamp, entry.offset)?;
        }
        before = entry.timestamp;
    }
    let name = absolute(path);
    complain(complaints, &format!("Found timestamp mismatch in :{name}"), &wrong, |(index, log)| {
        format!("  Index timestamp: {index}, log timestamp: {log}")
    });
    complain(complaints, &format!("Found out of order timestamp in :{name}"), &unordered, |(index, before)| {
        format!("  Index timestamp: {index}, Previously indexed timestamp: {before}")
    });
    complain(
        complaints,
        &format!("The following indexed offsets are not found in :{name}"),
        &absent,
        |(index, log)| format!("Indexed offset: {index}, found log offset: {log}"),
    );
    Ok(())
}

fn check_times(path: &Path, bytes: &[u8], base: i64, entries: &[TimeEntry]) -> Outcome {
    let what = format!("Corrupt time index found, time index file ({}) has non-zero size but the last", absolute(path));
    if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
        let (from, to) = (first.timestamp, last.timestamp);
        if to < from {
            return Err(Failure::Input(format!(
                "{what} timestamp is {to} which is less than the first timestamp {from}"
            )));
        }
        if last.offset < base {
            let offset = last.offset;
            return Err(Failure::Input(format!(
                "{what} offset is {offset} which is less than the first offset {base}"
            )));
        }
    }
    check_length(path, bytes, TIME_ENTRY_BYTES, "Time index file")
}

fn check_length(path: &Path, bytes: &[u8], entry_bytes: usize, what: &str) -> Outcome {
    if bytes.len().is_multiple_of(entry_bytes) {
        return Ok(());
    }
    Err(Failure::Input(format!(
        "{what} {} is corrupt, found {} bytes which is neither positive nor a multiple of {entry_bytes}",
        absolute(path),
        bytes.len()
    )))
}

/// The first batch from a position on that ends at or behind an offset: its last offset, and the newest timestamp in it.
fn batch_with(log: &Path, position: u64, offset: i64) -> Result<Option<(i64, i64)>, Failure> {
    let mut batches = Batches::open(log, position, u64::MAX)?;
    while let Some(bytes) = batches.next().map_err(unreadable(log))? {
        let Ok(batch) = Batch::parse(&bytes) else { break };
        if batch.last_offset() < offset {
            continue;
        }
        let invalid = |error: protocol::records::BatchError| Failure::Input(format!("{}: {error}", log.display()));
        let mut newest = -1;
        for record in batch.records(BATCH_MAX_BYTES).map_err(invalid)?.iter() {
            newest = newest.max(record.map_err(invalid)?.timestamp);
        }
        return Ok(Some((batch.last_offset(), newest)));
    }
    Ok(None)
}

fn complain<T>(complaints: &mut Complaints, heading: &str, found: &[T], line: impl Fn(&T) -> String) {
    if found.is_empty() {
        return;
    }
    let mut text = format!("{heading}\n");
    for row in found {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line(row));
    }
    complaints.push(text);
}

/// The file of the same segment with another suffix.
fn sibling(path: &Path, suffix: &str) -> PathBuf {
    path.with_extension(suffix)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let length = std::fs::metadata(path).map_err(unreadable(path))?.len();
    if length > INDEX_MAX_BYTES {
        return Err(Failure::Input(format!("{}: {length} bytes are too many for an index", path.display())));
    }
    std::fs::read(path).map_err(unreadable(path))
}

fn offset_entries(bytes: &[u8], base: i64) -> Vec<OffsetEntry> {
    let entry = |row: &[u8; OFFSET_ENTRY_BYTES]| {
        let [offset, position] = [&row[..4], &row[4..]].map(number);
        OffsetEntry { offset: base.saturating_add(offset), position: u64::try_from(position).unwrap_or(0) }
    };
    bytes.as_chunks().0.iter().map(entry).collect()
}

fn time_entries(bytes: &[u8], base: i64) -> Vec<TimeEntry> {
    let entry = |row: &[u8; TIME_ENTRY_BYTES]| TimeEntry {
        timestamp: row[..8].iter().fold(0, |number, byte| number << 8 | i64::from(*byte)),
        offset: base.saturating_add(number(&row[8..])),
    };
    bytes.as_chunks().0.iter().map(entry).collect()
}

/// Four bytes as Java reads them.
fn number(bytes: &[u8]) -> i64 {
    bytes.iter().fold(0_i32, |number, byte| number << 8 | i32::from(*byte)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets come from a file's name and from bytes that may be anybody's.
    #[test]
    fn offsets_beyond_all_others_are_the_largest() {
        let bytes = [0x7f; OFFSET_ENTRY_BYTES + TIME_ENTRY_BYTES];
        assert!(offset_entries(&bytes[..OFFSET_ENTRY_BYTES], i64::MAX).iter().all(|entry| entry.offset == i64::MAX));
        assert!(time_entries(&bytes[..TIME_ENTRY_BYTES], i64::MAX).iter().all(|entry| entry.offset == i64::MAX));
        let bytes = [0xff; OFFSET_ENTRY_BYTES];
        assert!(offset_entries(&bytes, i64::MIN).iter().all(|entry| entry.offset == i64::MIN && entry.position == 0));
    }
}
