//! The batches and records of a segment.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use protocol::records::{Batch, ControlType, Record, TimestampType};

use super::decoder::Decoder;
use super::{Complaints, NO_LIMIT, first_offset, unreadable};
use crate::failure::{Failure, Outcome};

/// Offset and length, which come before what the length counts.
const HEADER_BYTES: usize = 12;
/// A batch may have this many bytes, packed and unpacked.
pub(crate) const BATCH_MAX_BYTES: usize = 256 << 20;

/// What is shown of a batch.
pub(super) struct Show {
    pub(super) records: bool,
    pub(super) data: bool,
    pub(super) metadata: bool,
    pub(super) max_bytes: u64,
    pub(super) decoder: Decoder,
}

/// The batches of a segment, one after the other.
pub(crate) struct Batches {
    file: io::Take<BufReader<File>>,
}

impl Batches {
    /// From a position on, in the next `max_bytes`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn open(path: &Path, position: u64, max_bytes: u64) -> Result<Batches, Failure> {
        let mut file = File::open(path).map_err(unreadable(path))?;
        file.seek(SeekFrom::Start(position)).map_err(unreadable(path))?;
        Ok(Batches { file: BufReader::new(file).take(max_bytes) })
    }

    /// The bytes of the next batch, or `None` where no whole one follows.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        (&mut self.file).take(HEADER_BYTES as u64).read_to_end(&mut bytes)?;
        let Some(length) = bytes.get(8..HEADER_BYTES) else { return Ok(None) };
        let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        let Some(length) = usize::try_from(length).ok().filter(|length| *length <= BATCH_MAX_BYTES) else {
            return Ok(None);
        };
        (&mut self.file).take(length as u64).read_to_end(&mut bytes)?;
        Ok(Batch::parse(&bytes).is_ok().then_some(bytes))
    }
}

/// Shows a segment, or a snapshot of Kafka's metadata, which is made of the same.
pub(super) fn dump(out: &mut impl Write, path: &Path, name: &str, show: &Show, complaints: &mut Complaints) -> Outcome {
    heading(out, path, name)?;
    let mut batches = Batches::open(path, 0, show.max_bytes)?;
    let (mut position, mut last_offset, mut gaps) = (0, None, Vec::new());
    while let Some(bytes) = batches.next().map_err(unreadable(path))? {
        let Ok(batch) = Batch::parse(&bytes) else { break };
        write_batch(out, &batch, position)?;
        if show.records {
            let invalid = |error: protocol::records::BatchError| {
                Failure::Input(format!("{} at position {position}: {error}", path.display()))
            };
            for record in batch.records(BATCH_MAX_BYTES).map_err(invalid)?.iter() {
                let record = record.map_err(invalid)?;
                let is_gap = |last: &i64| last.checked_add(1) != Some(record.offset);
                gaps.extend(last_offset.filter(is_gap).map(|last| (last, record.offset)));
                last_offset = Some(record.offset);
                write_record(out, &batch, &record, show)?;
            }
        }
        position += batch.size_bytes() as u64;
    }
    if !gaps.is_empty() {
        let mut text = format!("Non-consecutive offsets in {}\n", absolute(path));
        let _ = gaps.iter().rev().try_for_each(|(last, next)| writeln!(text, "  {last} is followed by {next}"));
        complaints.push(text);
    }
    let whole = std::fs::metadata(path).map_err(unreadable(path))?.len();
    if position < whole && show.max_bytes == NO_LIMIT {
        writeln!(out, "Found {} invalid bytes at the end of {name}", whole - position)?;
    }
    Ok(())
}

fn heading(out: &mut impl Write, path: &Path, name: &str) -> Outcome {
    let Some(snapshot) = name.strip_suffix(".checkpoint") else {
        return Ok(writeln!(out, "Log starting offset: {}", first_offset(path)?)?);
    };
    if snapshot == "bootstrap" {
        return Ok(writeln!(out, "KRaft bootstrap snapshot")?);
    }
    let parts = snapshot.split_once('-').and_then(|(offset, epoch)| Some((offset.parse::<i64>().ok()?, epoch)));
    let parts = parts.and_then(|(offset, epoch)| Some((offset, epoch.parse::<i32>().ok()?)));
    let invalid = || Failure::Input(format!("{}: the name has no offset and epoch", path.display()));
    let (offset, epoch) = parts.ok_or_else(invalid)?;
    Ok(writeln!(out, "Snapshot end offset: {offset}, epoch: {epoch}")?)
}

/// As Java's `getAbsolutePath`.
pub(super) fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.into()).display().to_string()
}

fn write_batch(out: &mut impl Write, batch: &Batch<'_>, position: u64) -> io::Result<()> {
    let horizon = match batch.delete_horizon_ms() {
        Some(moment_ms) => format!("OptionalLong[{moment_ms}]"),
        None => "OptionalLong.empty".into(),
    };
    writeln!(
        out,
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} producerEpoch: {} \
         partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {horizon} position: {position} \
         {}: {} size: {} magic: {} compresscodec: {} crc: {} isvalid: {}",
        batch.base_offset(),
        batch.last_offset(),
        batch.record_count(),
        batch.base_sequence(),
        batch.last_sequence(),
        batch.producer_id(),
        batch.producer_epoch(),
        batch.partition_leader_epoch(),
        batch.is_transactional(),
        batch.is_control(),
        kind(batch),
        batch.max_timestamp(),
        batch.size_bytes(),
        batch.magic(),
        batch.codec().name(),
        batch.crc(),
        batch.is_crc_valid()
    )
}

fn kind(batch: &Batch<'_>) -> &'static str {
    match batch.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

fn write_record(out: &mut impl Write, batch: &Batch<'_>, record: &Record<'_>, show: &Show) -> Outcome {
    let mut line = String::new();
    if show.metadata {
        let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
        let keys: Vec<_> = record.headers.iter().map(|header| String::from_utf8_lossy(header.key)).collect();
        let sequence = match batch.base_sequence() {
            base if base < 0 => -1,
            base => (i64::from(base) + record.offset - batch.base_offset()) % (i64::from(i32::MAX) + 1),
        };
        // Writing to a string cannot fail.
        let _ = write!(
            line,
            "| offset: {} {}: {} keySize: {} valueSize: {} sequence: {sequence} headerKeys: [{}]",
            record.offset,
            kind(batch),
            record.timestamp,
            size(record.key),
            size(record.value),
            keys.join(",")
        );
        if batch.is_control() {
            line.push_str(&control(batch));
        }
    }
    if show.data && !batch.is_control() {
        let (key, payload) = match show.decoder.show(record) {
            Ok(shown) => shown,
            Err(failure) => {
                // Where it went wrong is of use.
                out.write_all(line.as_bytes())?;
                return Err(failure);
            }
        };
        for (what, text) in [("key", key), ("payload", payload)] {
            if let Some(text) = text {
                let prefix = if line.is_empty() { "| " } else { " " };
                let _ = write!(line, "{prefix}{what}: {text}");
            }
        }
    }
    Ok(writeln!(out, "{line}")?)
}

fn control(batch: &Batch<'_>) -> String {
    if let Some(marker) = batch.end_txn_marker() {
        let what = if marker.committed { "COMMIT" } else { "ABORT" };
        return format!(" endTxnMarker: {what} coordinatorEpoch: {}", marker.coordinator_epoch);
    }
    let kind = batch.control_type().unwrap_or(ControlType::Unknown(-1));
    let name = match kind {
        ControlType::Abort => "ABORT",
        ControlType::Commit => "COMMIT",
        ControlType::LeaderChange => "LEADER_CHANGE",
        ControlType::SnapshotHeader => "SNAPSHOT_HEADER",
        ControlType::SnapshotFooter => "SNAPSHOT_FOOTER",
        ControlType::KRaftVersion => "KRAFT_VERSION",
        ControlType::KRaftVoters => "KRAFT_VOTERS",
        ControlType::Unknown(_) => "UNKNOWN",
    };
    format!(" controlType: {name}({})", kind.id())
}
