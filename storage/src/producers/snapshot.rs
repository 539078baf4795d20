//! Producer snapshots: files in Kafka's format, and a little behind it.
//!
//! Kafka's has the last batch of each producer only, so a producer that had five in flight when the broker stopped is told
//! that its retries are out of order. Ours has all five: the others follow behind Kafka's entries, under the same
//! checksum, where Kafka does not look. Behind those may be a restart point (`restart.rs`).

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::{BATCHES_RETAINED, Producer, Producers, Written};
use crate::StorageError;
use crate::disk::Disk;
use crate::files::{read_file, write_file};
use crate::restart::RestartPoint;

/// Version of the snapshot file.
const SNAPSHOT_VERSION: i16 = 1;
const SNAPSHOT_HEADER_BYTES: usize = 10;
const SNAPSHOT_ENTRY_BYTES: usize = 46;
/// Begins what follows Kafka's entries.
const EARLIER_MAGIC: &[u8; 4] = b"OTL1";
/// Begins a restart point behind that. Those of before there were transactions had another.
const RESTART_MAGIC: &[u8; 4] = b"OTLT";

impl Producers {
    /// Writes the state as of the offset in the file's name, in Kafka's format.
    pub(crate) fn save(
        &self,
        disk: &dyn Disk,
        path: &Path,
        restart: Option<&RestartPoint>,
    ) -> Result<(), StorageError> {
        write_file(disk, path, &self.encode(restart)).map_err(StorageError::io("write", path))
    }

    /// The content of a snapshot file.
    pub(crate) fn encode(&self, restart: Option<&RestartPoint>) -> Vec<u8> {
        let mut body = Vec::with_capacity(4 + self.producers.len() * SNAPSHOT_ENTRY_BYTES);
        let mut earlier = EARLIER_MAGIC.to_vec();
        body.extend_from_slice(&(self.producers.len() as i32).to_be_bytes());
        for (id, producer) in &self.producers {
            body.extend_from_slice(&id.to_be_bytes());
            body.extend_from_slice(&producer.epoch.to_be_bytes());
            let last = producer.batches.back().copied();
            last.unwrap_or(Written::none(producer.last_timestamp)).write(&mut body);
            body.extend_from_slice(&producer.coordinator_epoch.to_be_bytes());
            body.extend_from_slice(&producer.txn_first_offset.unwrap_or(-1).to_be_bytes());

            earlier.extend_from_slice(&producer.last_seen_ms.to_be_bytes());
            earlier.push(producer.batches.len().saturating_sub(1) as u8);
            producer.batches.iter().rev().skip(1).for_each(|batch| batch.write(&mut earlier));
        }
        body.extend_from_slice(&earlier);
        if let Some(point) = restart {
            body.extend_from_slice(RESTART_MAGIC);
            point.write(&mut body);
        }
        let mut file = Vec::with_capacity(6 + body.len());
        file.extend_from_slice(&SNAPSHOT_VERSION.to_be_bytes());
        file.extend_from_slice(&crc32c::crc32c(&body).to_be_bytes());
        file.extend_from_slice(&body);
        file
    }

    /// Reads a snapshot; false when it is missing or damaged, and the log must be read instead.
    pub(crate) fn load(&mut self, disk: &dyn Disk, path: &Path) -> Result<bool, StorageError> {
        Ok(self.load_snapshot(disk, path)?.is_some())
    }

    /// Reads a snapshot that has a restart point; `None` when it is missing or damaged, or has none.
    pub(crate) fn load_with_point(
        &mut self,
        disk: &dyn Disk,
        path: &Path,
    ) -> Result<Option<RestartPoint>, StorageError> {
        Ok(self.load_snapshot(disk, path)?.flatten())
    }

    fn load_snapshot(&mut self, disk: &dyn Disk, path: &Path) -> Result<Option<Option<RestartPoint>>, StorageError> {
        self.clear();
        let Some(file) = read_file(disk, path).map_err(StorageError::io("read", path))? else { return Ok(None) };
        let Some((mut entries, point)) = parse(&file) else { return Ok(None) };
        // Who has an open transaction stays, and of the others who was heard of last.
        entries.sort_by_key(|(_, producer)| Reverse((producer.txn_first_offset.is_some(), producer.last_seen_ms)));
        let limit = self.limit;
        let stays =
            |(place, (_, producer)): &(usize, (i64, Producer))| *place < limit || producer.txn_first_offset.is_some();
        self.restore(entries.into_iter().enumerate().filter(stays).map(|(_, entry)| entry));
        Ok(Some(point))
    }
}

impl Written {
    const BYTES: usize = 24;

    /// What Kafka writes of a producer that has written nothing but a transaction's end.
    fn none(timestamp: i64) -> Written {
        Written { first_sequence: -1, last_sequence: -1, last_offset: -1, offset_delta: 0, timestamp }
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.last_sequence.to_be_bytes());
        to.extend_from_slice(&self.last_offset.to_be_bytes());
        to.extend_from_slice(&self.offset_delta.to_be_bytes());
        to.extend_from_slice(&self.timestamp.to_be_bytes());
    }

    fn read(from: &[u8]) -> Option<Written> {
        let last_sequence = i32::from_be_bytes(from.get(..4)?.try_into().ok()?);
        let offset_delta = i32::from_be_bytes(from.get(12..16)?.try_into().ok()?);
        Some(Written {
            first_sequence: before(last_sequence, offset_delta),
            last_sequence,
            last_offset: i64::from_be_bytes(from.get(4..12)?.try_into().ok()?),
            offset_delta,
            timestamp: i64::from_be_bytes(from.get(16..24)?.try_into().ok()?),
        })
    }
}

/// What a snapshot file has.
type Snapshot = (Vec<(i64, Producer)>, Option<RestartPoint>);

fn parse(file: &[u8]) -> Option<Snapshot> {
    let header = file.get(..SNAPSHOT_HEADER_BYTES)?;
    let version = i16::from_be_bytes(header[..2].try_into().ok()?);
    let crc = u32::from_be_bytes(header[2..6].try_into().ok()?);
    let count = usize::try_from(i32::from_be_bytes(header[6..10].try_into().ok()?)).ok()?;
    if version != SNAPSHOT_VERSION || crc32c::crc32c(file.get(6..)?) != crc {
        return None;
    }
    let (rows, rest) = file[SNAPSHOT_HEADER_BYTES..].split_at_checked(count.checked_mul(SNAPSHOT_ENTRY_BYTES)?)?;
    let mut entries = rows.chunks_exact(SNAPSHOT_ENTRY_BYTES).map(parse_entry).collect::<Option<Vec<_>>>()?;
    let mut point = None;
    if let Some(rest) = rest.strip_prefix(EARLIER_MAGIC) {
        let rest = parse_earlier(rest, &mut entries)?;
        point = rest.strip_prefix(RESTART_MAGIC).and_then(RestartPoint::read);
    }
    Some((entries, point))
}

fn parse_entry(row: &[u8]) -> Option<(i64, Producer)> {
    let last = Written::read(&row[10..34])?;
    let epoch = i16::from_be_bytes(row[8..10].try_into().ok()?);
    let txn_first_offset = i64::from_be_bytes(row[38..46].try_into().ok()?);
    let producer = Producer {
        epoch,
        batches: if last.last_offset >= 0 { VecDeque::from([last]) } else { VecDeque::new() },
        last_timestamp: last.timestamp,
        coordinator_epoch: i32::from_be_bytes(row[34..38].try_into().ok()?),
        txn_first_offset: (txn_first_offset >= 0).then_some(txn_first_offset),
        last_seen_ms: last.timestamp,
    };
    Some((i64::from_be_bytes(row[..8].try_into().ok()?), producer))
}

/// For each producer when it was heard of, and its earlier batches, the newest first. Answers what follows.
fn parse_earlier<'a>(mut rest: &'a [u8], entries: &mut [(i64, Producer)]) -> Option<&'a [u8]> {
    for (_, producer) in entries {
        let (head, rows) = rest.split_at_checked(9)?;
        producer.last_seen_ms = i64::from_be_bytes(head[..8].try_into().ok()?);
        let (rows, next) = rows.split_at_checked(usize::from(head[8]) * Written::BYTES)?;
        for row in rows.chunks_exact(Written::BYTES).take(BATCHES_RETAINED - 1) {
            producer.batches.push_front(Written::read(row)?);
        }
        rest = next;
    }
    Some(rest)
}

/// The sequence `delta` before, on a circle of 2^31.
fn before(sequence: i32, delta: i32) -> i32 {
    ((i64::from(sequence) - i64::from(delta)).rem_euclid(1 << 31)) as i32
}

/// The snapshot file of an offset.
pub(crate) fn snapshot_path(dir: &Path, offset: i64) -> PathBuf {
    dir.join(format!("{offset:020}.snapshot"))
}
