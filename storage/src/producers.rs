//! What a log remembers of idempotent producers, so that a retry is not written twice (KIP-98).
//!
//! For each producer: its epoch and its last five batches. A batch whose sequence follows is new, one that is among the
//! five is a duplicate and answered with its old offset, anything else is out of order. The state is a function of the
//! batches in the log; snapshots only make loading it short.
//!
//! Kafka's snapshot has the last batch of each producer only, so a producer that had five in flight when the broker
//! stopped is told that its retries are out of order. Ours has all five: the others follow behind Kafka's entries, under
//! the same checksum, where Kafka does not look. Behind those may be a restart point (`restart.rs`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use protocol::records::Batch;

use crate::disk::Disk;
use crate::files::{read_file, write_file};
use crate::restart::RestartPoint;
use crate::{AppendError, StorageError};

/// Batches remembered of one producer: as many as a client has in flight.
const BATCHES_RETAINED: usize = 5;
/// Version of the snapshot file.
const SNAPSHOT_VERSION: i16 = 1;
const SNAPSHOT_HEADER_BYTES: usize = 10;
const SNAPSHOT_ENTRY_BYTES: usize = 46;
/// Begins what follows Kafka's entries.
const EARLIER_MAGIC: &[u8; 4] = b"OTL1";
/// Begins a restart point behind that.
const RESTART_MAGIC: &[u8; 4] = b"OTLR";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Written {
    first_sequence: i32,
    last_sequence: i32,
    last_offset: i64,
    offset_delta: i32,
    timestamp: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Written>,
    /// When it was last heard of, by the broker's clock.
    last_seen_ms: i64,
}

/// The producers of one log.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    producers: BTreeMap<i64, Producer>,
    limit: usize,
}

/// What a batch means to its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// It is next.
    New,
    /// It stands at these offsets already.
    Duplicate {
        /// Of its first record.
        base_offset: i64,
        /// Of its last record.
        last_offset: i64,
        /// Its timestamp, for topics with LogAppendTime.
        timestamp: i64,
    },
}

impl Producers {
    /// Nobody; at most `limit` are remembered.
    pub(crate) fn new(limit: usize) -> Producers {
        Producers { producers: BTreeMap::new(), limit }
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.producers.len()
    }

    /// The last offset of each one's last batch, by producer id.
    pub(crate) fn last_offsets(&self) -> BTreeMap<i64, i64> {
        let last = |(id, producer): (&i64, &Producer)| Some((*id, producer.batches.back()?.last_offset));
        self.producers.iter().filter_map(last).collect()
    }

    /// Compares a batch of an idempotent producer with what it wrote before.
    pub(crate) fn check(&self, batch: &Batch<'_>) -> Result<Sequence, AppendError> {
        let (producer_id, epoch) = (batch.producer_id(), batch.producer_epoch());
        let (first, last) = (batch.base_sequence(), batch.last_sequence());
        // Of a producer that was forgotten any sequence is taken: its earlier batches may have expired.
        let Some(known) = self.producers.get(&producer_id) else { return Ok(Sequence::New) };
        if epoch < known.epoch {
            return Err(AppendError::InvalidProducerEpoch { producer_id, epoch, current: known.epoch });
        }
        if epoch > known.epoch {
            return match first {
                0 => Ok(Sequence::New),
                // What came without an epoch says nothing of where the first one begins.
                _ if known.epoch < 0 => Ok(Sequence::New),
                sequence => Err(AppendError::OutOfOrderSequence { producer_id, sequence, expected: 0 }),
            };
        }
        let same = |written: &&Written| (written.first_sequence, written.last_sequence) == (first, last);
        if let Some(written) = known.batches.iter().find(same) {
            return Ok(Sequence::Duplicate {
                base_offset: written.last_offset - i64::from(written.offset_delta),
                last_offset: written.last_offset,
                timestamp: written.timestamp,
            });
        }
        let expected = known.batches.back().map_or(first, |written| after(written.last_sequence));
        // Without an epoch a producer's sequences are not held to any order, as in Kafka.
        if first == expected || known.epoch < 0 {
            Ok(Sequence::New)
        } else {
            Err(AppendError::OutOfOrderSequence { producer_id, sequence: first, expected })
        }
    }

    /// Takes a batch that is in the log.
    pub(crate) fn note(&mut self, batch: &Batch<'_>, now_ms: i64) {
        if !batch.has_producer_id() || batch.is_control() {
            return;
        }
        if self.producers.len() >= self.limit && !self.producers.contains_key(&batch.producer_id()) {
            self.forget_oldest();
        }
        let fresh = || Producer { epoch: batch.producer_epoch(), batches: VecDeque::new(), last_seen_ms: now_ms };
        let producer = self.producers.entry(batch.producer_id()).or_insert_with(fresh);
        if producer.epoch != batch.producer_epoch() {
            *producer = fresh();
        }
        if producer.batches.len() == BATCHES_RETAINED {
            producer.batches.pop_front();
        }
        producer.last_seen_ms = now_ms;
        producer.batches.push_back(Written {
            first_sequence: batch.base_sequence(),
            last_sequence: batch.last_sequence(),
            last_offset: batch.last_offset(),
            offset_delta: batch.last_offset_delta(),
            timestamp: batch.max_timestamp(),
        });
    }

    fn forget_oldest(&mut self) {
        if let Some(id) = self.producers.iter().min_by_key(|(_, producer)| producer.last_seen_ms).map(|(id, _)| *id) {
            self.producers.remove(&id);
        }
    }

    /// Forgets who was not heard of for `expiration_ms`.
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: u64) {
        let expiration_ms = i64::try_from(expiration_ms).unwrap_or(i64::MAX);
        self.producers.retain(|_, producer| now_ms.saturating_sub(producer.last_seen_ms) < expiration_ms);
    }

    /// Forgets everybody, before the state is built anew.
    pub(crate) fn clear(&mut self) {
        self.producers.clear();
    }

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
        let known = self.producers.iter().filter_map(|(id, producer)| Some((id, producer, producer.batches.back()?)));
        let mut body = Vec::with_capacity(4 + self.producers.len() * SNAPSHOT_ENTRY_BYTES);
        let mut earlier = EARLIER_MAGIC.to_vec();
        body.extend_from_slice(&(known.clone().count() as i32).to_be_bytes());
        for (id, producer, last) in known {
            body.extend_from_slice(&id.to_be_bytes());
            body.extend_from_slice(&producer.epoch.to_be_bytes());
            last.write(&mut body);
            // No coordinator, no open transaction.
            body.extend_from_slice(&(-1i32).to_be_bytes());
            body.extend_from_slice(&(-1i64).to_be_bytes());

            earlier.extend_from_slice(&producer.last_seen_ms.to_be_bytes());
            earlier.push((producer.batches.len() - 1) as u8);
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
        // Who was heard of last stays.
        entries.sort_by_key(|(_, producer)| Reverse(producer.last_seen_ms));
        self.producers.extend(entries.into_iter().take(self.limit));
        Ok(Some(point))
    }
}

impl Written {
    const BYTES: usize = 24;

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

fn after(sequence: i32) -> i32 {
    if sequence == i32::MAX { 0 } else { sequence + 1 }
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
    // Kafka notes producers that have written nothing but a transaction's end.
    let batches = if last.last_offset >= 0 { VecDeque::from([last]) } else { VecDeque::new() };
    let producer = Producer { epoch, batches, last_seen_ms: last.timestamp };
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

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use protocol::records::BatchBuilder;

    use super::*;
    use crate::disk::OsDisk;

    fn batch(epoch: i16, sequence: i32, count: usize, base_offset: i64) -> BytesMut {
        let mut builder = BatchBuilder::new(base_offset).producer(7, epoch, sequence);
        for _ in 0..count {
            builder.append(1000, None, Some(b"v"), &[]);
        }
        builder.build()
    }

    fn check(producers: &Producers, bytes: &[u8]) -> Result<Sequence, AppendError> {
        producers.check(&Batch::parse(bytes).unwrap())
    }

    fn note(producers: &mut Producers, bytes: &[u8]) {
        producers.note(&Batch::parse(bytes).unwrap(), 1000);
    }

    #[test]
    fn sequences_follow_repeat_or_fail() {
        let mut producers = Producers::new(10);
        for i in 0..7 {
            let next = batch(0, i * 2, 2, i64::from(i) * 2);
            assert_eq!(check(&producers, &next).unwrap(), Sequence::New);
            note(&mut producers, &next);
        }
        let duplicate = Sequence::Duplicate { base_offset: 4, last_offset: 5, timestamp: 1000 };
        assert_eq!(check(&producers, &batch(0, 4, 2, 0)).unwrap(), duplicate);
        // The sixth last is forgotten, so a retry of it is out of order.
        assert!(matches!(check(&producers, &batch(0, 2, 2, 0)), Err(AppendError::OutOfOrderSequence { .. })));
        assert!(matches!(check(&producers, &batch(0, 16, 1, 0)), Err(AppendError::OutOfOrderSequence { .. })));
    }

    #[test]
    fn a_new_epoch_begins_at_zero_and_ends_the_old_one() {
        let mut producers = Producers::new(10);
        note(&mut producers, &batch(3, 0, 1, 0));
        assert!(matches!(check(&producers, &batch(4, 5, 1, 0)), Err(AppendError::OutOfOrderSequence { .. })));
        note(&mut producers, &batch(4, 0, 1, 1));
        assert!(matches!(check(&producers, &batch(3, 1, 1, 0)), Err(AppendError::InvalidProducerEpoch { .. })));
    }

    #[test]
    fn sequences_wrap() {
        let mut producers = Producers::new(10);
        note(&mut producers, &batch(0, i32::MAX - 1, 2, 0));
        assert_eq!(check(&producers, &batch(0, 0, 1, 2)).unwrap(), Sequence::New);
    }

    #[test]
    fn a_snapshot_restores_everything() {
        let dir = tempfile::tempdir().unwrap();
        let path = snapshot_path(dir.path(), 5);
        let mut producers = Producers::new(10);
        for i in 0..7 {
            note(&mut producers, &batch(2, i * 3, 3, i64::from(i) * 3));
        }
        producers.save(&OsDisk, &path, None).unwrap();
        let mut restored = Producers::new(10);
        assert!(restored.load(&OsDisk, &path).unwrap());
        assert_eq!(restored.producers, producers.producers);

        let mut damaged = std::fs::read(&path).unwrap();
        damaged[12] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        assert!(!restored.load(&OsDisk, &path).unwrap());
    }

    #[test]
    fn the_number_of_producers_is_bounded_and_they_expire() {
        let mut producers = Producers::new(2);
        for id in 0..5 {
            let mut builder = BatchBuilder::new(0).producer(id, 0, 0);
            builder.append(0, None, None, &[]);
            producers.note(&Batch::parse(&builder.build()).unwrap(), id);
        }
        assert_eq!(producers.len(), 2);
        producers.expire(100, 97);
        assert_eq!(producers.len(), 1);
    }
}
