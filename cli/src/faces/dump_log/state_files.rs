//! The small files beside segments: what producers have written, which transactions came to nothing, leader epochs.

use std::io::Write;
use std::path::Path;

use super::{Complaints, first_offset, unreadable};
use crate::failure::{Failure, Outcome};

/// Version, producer id, first and last offset, last stable offset.
const ABORTED_BYTES: usize = 34;
/// Version and checksum, and how many producers there are.
const SNAPSHOT_HEADER_BYTES: usize = 10;
const PRODUCER_BYTES: usize = 46;
/// The version of the snapshot, the only one there ever was.
const SNAPSHOT_VERSION: i16 = 1;
/// A file may have this many bytes: more than a million producers.
const FILE_MAX_BYTES: u64 = 64 << 20;

/// Shows a `.txnindex`.
pub(super) fn dump_aborted_transactions(out: &mut impl Write, path: &Path) -> Outcome {
    first_offset(path)?;
    let bytes = read(path)?;
    let (rows, rest) = bytes.as_chunks::<ABORTED_BYTES>();
    if let Some(row) = rows.iter().find(|row| row[0] as i8 > 0) {
        return Err(Failure::Input(format!(
            "Unexpected aborted transaction version {} in transaction index {}, current version is 0",
            row[0],
            path.display()
        )));
    }
    for row in rows {
        let number = |from: usize| row[from..from + 8].iter().fold(0, |number, byte| number << 8 | i64::from(*byte));
        writeln!(
            out,
            "version: {} producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
            row[0],
            number(2),
            number(10),
            number(18),
            number(26)
        )?;
    }
    match rest {
        [] => Ok(()),
        _ => Err(Failure::Input(format!("{}: ends in the middle of an entry", path.display()))),
    }
}

/// Shows a `.snapshot` of producers.
pub(super) fn dump_producers(out: &mut impl Write, path: &Path, complaints: &mut Complaints) -> Outcome {
    match producers(&read(path)?) {
        Ok(lines) => Ok(out.write_all(lines.as_bytes())?),
        Err(reason) => {
            complaints.push(format!("{reason}\n"));
            Ok(())
        }
    }
}

/// A line for each producer. Behind them there may be more, which Kafka does not read.
fn producers(file: &[u8]) -> Result<String, String> {
    let short = || "Snapshot failed schema validation: it is cut short".to_string();
    let (header, rows) = file.split_first_chunk::<SNAPSHOT_HEADER_BYTES>().ok_or_else(short)?;
    let version = i16::from_be_bytes([header[0], header[1]]);
    if version != SNAPSHOT_VERSION {
        return Err(format!("Snapshot failed schema validation: Snapshot contained an unknown file version {version}"));
    }
    let stored = u32::from_be_bytes([header[2], header[3], header[4], header[5]]);
    let count = i32::from_be_bytes([header[6], header[7], header[8], header[9]]);
    let rows = rows.as_chunks::<PRODUCER_BYTES>().0;
    let count = usize::try_from(count).ok().filter(|count| *count <= rows.len()).ok_or_else(short)?;
    let computed = crc32c::crc32c(&file[6..]);
    if stored != computed {
        return Err(format!(
            "Snapshot is corrupt (CRC is no longer valid). Stored crc: {stored}. Computed crc: {computed}"
        ));
    }
    Ok(rows.iter().take(count).map(producer).collect())
}

fn producer(row: &[u8; PRODUCER_BYTES]) -> String {
    let number = |from: usize, bytes: usize| {
        let unsigned = row[from..from + bytes].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        // The sign bit moves to where an i64 has it, and back.
        ((unsigned << (64 - 8 * bytes)) as i64) >> (64 - 8 * bytes)
    };
    let (last_sequence, last_offset, delta, timestamp) = (number(10, 4), number(14, 8), number(22, 4), number(26, 8));
    let transaction = match number(38, 8) {
        first if first >= 0 => format!("OptionalLong[{first}]"),
        _ => "OptionalLong.empty".into(),
    };
    let mut line = format!(
        "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {transaction} lastTimestamp: \
         {timestamp} ",
        number(0, 8),
        number(8, 2),
        number(34, 4)
    );
    if last_offset >= 0 {
        // Sequence numbers go round after the largest.
        let first_sequence = (last_sequence - delta).rem_euclid(1 << 31);
        line.push_str(&format!(
            "firstSequence: {first_sequence} lastSequence: {last_sequence} lastOffset: {last_offset} offsetDelta: \
             {delta} timestamp: {timestamp}"
        ));
    }
    line + "\n"
}

/// Shows a `leader-epoch-checkpoint`: version, number of rows, and a row for each epoch.
pub(super) fn dump_epochs(out: &mut impl Write, path: &Path) -> Outcome {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    for row in text.lines().skip(2) {
        let Some((epoch, start)) = row.split_once(' ') else {
            return Err(Failure::Input(format!("{}: {row:?} is no epoch and offset", path.display())));
        };
        writeln!(out, "epoch: {epoch} startOffset: {start}")?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let length = std::fs::metadata(path).map_err(unreadable(path))?.len();
    if length > FILE_MAX_BYTES {
        return Err(Failure::Input(format!("{}: {length} bytes are more than such a file has", path.display())));
    }
    std::fs::read(path).map_err(unreadable(path))
}
