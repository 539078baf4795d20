//! `ottla log`: what is in the directory of a partition, without a broker.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use protocol::records::{Batch, BatchError};

use crate::arguments::LogDumpArgs;
use crate::faces::{BATCH_MAX_BYTES, Batches};
use crate::failure::{Failure, Outcome};

/// Keys and values are shown up to so many bytes.
const SHOWN_BYTES: usize = 120;

/// Shows the segments of a directory, or one of them.
pub(crate) fn dump(args: &LogDumpArgs) -> Outcome {
    let segments = segments(&args.path)?;
    let mut out = BufWriter::new(io::stdout());
    let mut is_sound = true;
    for segment in &segments {
        is_sound &= show(&mut out, segment, args.records)?;
    }
    out.flush()?;
    match is_sound {
        true => Ok(()),
        false => Err(Failure::Input(format!("{}: not everything can be read", args.path.display()))),
    }
}

/// The segments at a path, by their first offsets.
fn segments(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let about = |error: io::Error| Failure::Input(format!("{}: {error}", path.display()));
    if !path.metadata().map_err(about)?.is_dir() {
        return Ok(vec![path.into()]);
    }
    let mut found = Vec::new();
    for entry in path.read_dir().map_err(about)? {
        let path = entry.map_err(about)?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        let text = format!(
            "{}: no segment is here; give the directory of a partition, as DATA/TOPIC-0, or a .log file",
            path.display()
        );
        return Err(Failure::Input(text));
    }
    Ok(found)
}

/// Shows one segment; answers whether all of it could be read.
fn show(out: &mut impl Write, path: &Path, with_records: bool) -> Result<bool, Failure> {
    let about = |error: io::Error| Failure::Input(format!("{}: {error}", path.display()));
    let size = path.metadata().map_err(about)?.len();
    writeln!(out, "{}  {size} bytes", path.display())?;
    let mut batches = Batches::open(path, 0, u64::MAX)?;
    let (mut position, mut count, mut is_sound) = (0, 0_u64, true);
    while let Some(bytes) = batches.next().map_err(about)? {
        let Ok(batch) = Batch::parse(&bytes) else { break };
        is_sound &= batch.is_crc_valid();
        write_batch(out, &batch, position)?;
        if with_records && let Err(error) = write_records(out, &batch)? {
            writeln!(out, "    BROKEN: {error}")?;
            is_sound = false;
        }
        position += batch.size_bytes() as u64;
        count += u64::from(batch.record_count().max(0) as u32);
    }
    writeln!(out, "  {count} records")?;
    if position < size {
        writeln!(out, "  BROKEN: {} bytes from position {position} on are no batch", size - position)?;
        is_sound = false;
    }
    Ok(is_sound)
}

fn write_batch(out: &mut impl Write, batch: &Batch<'_>, position: u64) -> io::Result<()> {
    write!(
        out,
        "  batch {}..{}  records {}  time {}  {}  {} bytes at {position}  epoch {}",
        batch.base_offset(),
        batch.last_offset(),
        batch.record_count(),
        batch.max_timestamp(),
        batch.codec().name(),
        batch.size_bytes(),
        batch.partition_leader_epoch(),
    )?;
    if batch.has_producer_id() {
        let (id, epoch) = (batch.producer_id(), batch.producer_epoch());
        write!(out, "  producer {id}/{epoch} from {}", batch.base_sequence())?;
    }
    for (is_so, word) in [
        (batch.is_transactional(), "transactional"),
        (batch.is_control(), "control"),
        (!batch.is_crc_valid(), "BROKEN: its checksum is another"),
    ] {
        if is_so {
            write!(out, "  {word}")?;
        }
    }
    writeln!(out)
}

/// The records of a batch; the inner error is about the batch.
fn write_records(out: &mut impl Write, batch: &Batch<'_>) -> io::Result<Result<(), BatchError>> {
    let set = match batch.records(BATCH_MAX_BYTES) {
        Ok(set) => set,
        Err(error) => return Ok(Err(error)),
    };
    for record in &set {
        let record = match record {
            Ok(record) => record,
            Err(error) => return Ok(Err(error)),
        };
        let (key, value) = (shown(record.key), shown(record.value));
        write!(out, "    {}  time {}  key {key}  value {value}", record.offset, record.timestamp)?;
        for header in record.headers.iter() {
            write!(out, "  {}={}", header.key.escape_ascii(), shown(header.value))?;
        }
        writeln!(out)?;
    }
    Ok(Ok(()))
}

/// Text as it is, other bytes escaped; what is long is cut, and says how long it is.
fn shown(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "null".into() };
    let head = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let tail = if bytes.len() > SHOWN_BYTES { format!("… ({} bytes)", bytes.len()) } else { String::new() };
    match std::str::from_utf8(head) {
        Ok(text) => format!("{text:?}{tail}"),
        Err(_) => format!("\"{}\"{tail}", head.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use protocol::records::{BatchBuilder, Codec};

    use super::*;

    /// What is shown of a segment with these bytes, and whether it is sound.
    fn shown_of(bytes: &[u8], with_records: bool) -> (String, bool) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("00000000000000000000.log");
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(segments(directory.path()).unwrap(), std::slice::from_ref(&path));
        let mut out = Vec::new();
        let is_sound = show(&mut out, &path, with_records).unwrap();
        (String::from_utf8(out).unwrap(), is_sound)
    }

    fn segment() -> Vec<u8> {
        let mut first = BatchBuilder::new(0).producer(7, 1, 3);
        first.append(5, Some(b"key"), Some("größe".as_bytes()), &[]);
        first.append(6, None, Some(&[0xff, b'a']), &[]);
        let mut second = BatchBuilder::new(2).codec(Codec::Zstd, None);
        second.append(9, None, Some(&[b'x'; 200]), &[]);
        [first.build(), second.build()].concat()
    }

    #[test]
    fn batches_and_records_are_shown_as_they_are() {
        let (text, is_sound) = shown_of(&segment(), true);
        let lines: Vec<&str> = text.lines().collect();
        assert!(is_sound && lines.len() == 7, "{text}");
        assert!(lines[1].starts_with("  batch 0..1  records 2  time 6  none  "), "{text}");
        assert!(lines[1].ends_with("  producer 7/1 from 3"), "{text}");
        assert_eq!(lines[2], "    0  time 5  key \"key\"  value \"größe\"");
        assert_eq!(lines[3], "    1  time 6  key null  value \"\\xffa\"");
        assert!(lines[4].contains("batch 2..2") && lines[4].contains("zstd"), "{text}");
        assert!(lines[5].ends_with("… (200 bytes)") && lines[6] == "  3 records", "{text}");
    }

    #[test]
    fn what_is_broken_is_said_and_where() {
        let whole = segment();
        let (text, is_sound) = shown_of(&whole[..whole.len() - 1], false);
        assert!(!is_sound && text.contains("BROKEN") && text.contains("2 records"), "{text}");
        let mut flipped = whole;
        flipped[70] ^= 1;
        let (text, is_sound) = shown_of(&flipped, false);
        assert!(!is_sound && text.contains("BROKEN: its checksum is another"), "{text}");
    }

    #[test]
    fn a_path_without_segments_says_what_to_give() {
        let directory = tempfile::tempdir().unwrap();
        let refused = segments(directory.path()).unwrap_err().to_string();
        assert!(refused.contains("the directory of a partition"), "{refused}");
        assert!(segments(&directory.path().join("gone")).is_err());
    }
}
