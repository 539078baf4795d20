//! `kafka-dump-log`: what is in a segment file, ours or Apache Kafka's.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use protocol::records::{Batch, Record, TimestampType};

use super::flags::{Flag, Parsed, java_only, switch, value};
use crate::failure::{Failure, Outcome};

pub(crate) const FLAGS: &[Flag] = &[
    value("files", "a.log,b.log", "Segments to show; indexes are not possible yet"),
    switch("print-data-log", "Show keys and values too"),
    switch("deep-iteration", "Show records, not only batches"),
    switch("skip-record-metadata", "Of records, only keys and values"),
    value("max-bytes", "n", "Stop after so many bytes"),
    java_only("max-message-size"),
    switch("verify-index-only", "Not possible yet"),
    switch("index-sanity-check", "Not possible yet"),
    switch("offsets-decoder", "Not possible yet"),
    switch("transaction-log-decoder", "Not possible yet"),
    switch("cluster-metadata-decoder", "Not possible: metadata is not in Kafka's format"),
    switch("share-group-state-decoder", "Not possible yet"),
    switch("remote-log-metadata-decoder", "Not possible yet"),
    value("key-decoder-class", "class", "Not possible: Java classes cannot be loaded"),
    value("value-decoder-class", "class", "Not possible: Java classes cannot be loaded"),
];

const NOT_YET: [&str; 9] = [
    "verify-index-only",
    "index-sanity-check",
    "offsets-decoder",
    "transaction-log-decoder",
    "cluster-metadata-decoder",
    "share-group-state-decoder",
    "remote-log-metadata-decoder",
    "key-decoder-class",
    "value-decoder-class",
];
/// Offset and length, which come before what the length counts.
const HEADER_BYTES: usize = 12;
/// A batch may have this many bytes, packed and unpacked.
const BATCH_MAX_BYTES: usize = 256 << 20;

/// What is shown of a batch.
struct Show {
    records: bool,
    data: bool,
    metadata: bool,
}

pub(crate) fn run(parsed: &Parsed) -> Outcome {
    if let Some(flag) = NOT_YET.iter().find(|flag| parsed.has(flag)) {
        return Err(Failure::Input(format!("--{flag} is not possible yet; COMPAT.md lists what is")));
    }
    let data = parsed.has("print-data-log");
    let metadata = !parsed.has("skip-record-metadata");
    let show = Show { records: data || parsed.has("deep-iteration"), data, metadata };
    let max_bytes = parsed.number::<u64>("max-bytes")?.unwrap_or(u64::MAX);
    let mut out = BufWriter::new(io::stdout());
    for file in parsed.required("files")?.split(',') {
        writeln!(out, "Dumping {file}")?;
        let path = Path::new(file);
        let start = path.file_stem().and_then(|stem| stem.to_str()?.parse::<i64>().ok());
        let (Some(start), Some("log")) = (start, path.extension().and_then(|extension| extension.to_str())) else {
            out.flush()?;
            return Err(Failure::Input(format!(
                "{file}: only segments, as 00000000000000000000.log, are possible yet"
            )));
        };
        writeln!(out, "Log starting offset: {start}")?;
        dump(&mut out, path, max_bytes, &show)?;
    }
    Ok(out.flush()?)
}

fn dump(out: &mut impl Write, path: &Path, max_bytes: u64, show: &Show) -> Outcome {
    let input = |error: io::Error| Failure::Input(format!("{}: {error}", path.display()));
    let mut file = BufReader::new(File::open(path).map_err(input)?).take(max_bytes);
    let mut position = 0;
    loop {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        (&mut file).take(HEADER_BYTES as u64).read_to_end(&mut bytes).map_err(input)?;
        let Some(length) = bytes.get(8..HEADER_BYTES) else { break };
        let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > BATCH_MAX_BYTES {
            break;
        }
        (&mut file).take(length as u64).read_to_end(&mut bytes).map_err(input)?;
        let Ok(batch) = Batch::parse(&bytes) else { break };
        write_batch(out, &batch, position)?;
        if show.records {
            let invalid = |error: protocol::records::BatchError| {
                Failure::Input(format!("{} at position {position}: {error}", path.display()))
            };
            for record in batch.records(BATCH_MAX_BYTES).map_err(invalid)?.iter() {
                write_record(out, &batch, &record.map_err(invalid)?, show)?;
            }
        }
        position += batch.size_bytes() as u64;
    }
    let whole = std::fs::metadata(path).map_err(input)?.len().min(max_bytes);
    if position < whole {
        writeln!(out, "Found {} invalid bytes at the end of {}", whole - position, name(path))?;
    }
    Ok(())
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
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

fn write_record(out: &mut impl Write, batch: &Batch<'_>, record: &Record<'_>, show: &Show) -> io::Result<()> {
    let mut line = String::from("|");
    // Writing to a string cannot fail.
    if show.metadata {
        let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
        let keys: Vec<_> = record.headers.iter().map(|header| String::from_utf8_lossy(header.key)).collect();
        let sequence = match batch.base_sequence() {
            base if base < 0 => -1,
            base => (i64::from(base) + record.offset - batch.base_offset()) % (i64::from(i32::MAX) + 1),
        };
        let _ = write!(
            line,
            " offset: {} {}: {} keySize: {} valueSize: {} sequence: {sequence} headerKeys: [{}]",
            record.offset,
            kind(batch),
            record.timestamp,
            size(record.key),
            size(record.value),
            keys.join(",")
        );
    }
    if batch.is_control() {
        let marker = match record.key.and_then(|key| key.get(2..4)) {
            Some([0, 0]) => "ABORT",
            Some([0, 1]) => "COMMIT",
            _ => "UNKNOWN",
        };
        let epoch = record
            .value
            .and_then(|value| value.get(2..6))
            .map_or(-1, |bytes| bytes.iter().fold(0_i32, |epoch, byte| epoch << 8 | i32::from(*byte)));
        let _ = write!(line, " endTxnMarker: {marker} coordinatorEpoch: {epoch}");
    } else if show.data {
        for (what, bytes) in [("key", record.key), ("payload", record.value)] {
            if let Some(bytes) = bytes {
                let _ = write!(line, " {what}: {}", String::from_utf8_lossy(bytes));
            }
        }
    }
    writeln!(out, "{line}")
}
