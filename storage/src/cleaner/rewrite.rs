//! Writing segments anew without the records that later ones replace.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use protocol::records::{Batch, BatchBuilder, BatchError, Record, RecordSet};
use tracing::warn;

use super::offset_map::OffsetMap;
use super::transactions::{Marker, Transactions};
use super::{Brake, CLEANED_SUFFIX, UNCOMPRESSED_MAX_BYTES};
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::error::StorageError;
use crate::log::PartitionLog;
use crate::producers::LastRecord;
use crate::scan::scan;
use crate::segment::{Extent, Segment};

/// Segments that become one at a time: while they are replaced, their files are held open.
const GROUP_MAX_SEGMENTS: usize = 64;
/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 256 << 10;

/// What a pass knows while it rewrites.
pub(super) struct Rewrite<'a> {
    pub(super) log: &'a PartitionLog,
    pub(super) config: Arc<LogConfig>,
    pub(super) map: &'a OffsetMap,
    /// The map knows nothing of what stands from here on.
    pub(super) end: i64,
    pub(super) now_ms: i64,
    /// Which batch of each live producer must not go.
    pub(super) producers: BTreeMap<i64, LastRecord>,
    pub(super) brake: &'a Brake<'a>,
}

/// How a rewriting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rewritten {
    /// The new segment has every byte that the old ones have.
    Same,
    /// Something is gone, or noted down.
    Smaller,
    /// The pass is to end, and the new segment is not whole.
    Interrupted,
}

/// What becomes of a batch.
enum Verdict {
    Keep,
    Drop,
    Replace(BytesMut),
}

impl Rewrite<'_> {
    /// How many of the first of `segments` fit into one; the last of `segments` only says where the one before ends.
    pub(super) fn group_length(&self, segments: &[Arc<Segment>]) -> usize {
        let limit_bytes = self.config.segment_bytes.min(i32::MAX as u64);
        let (mut bytes, mut index_bytes) = (0, 0);
        let fits = |pair: &&[Arc<Segment>]| {
            bytes += pair[0].size();
            index_bytes += pair[0].index_bytes();
            bytes <= limit_bytes
                && index_bytes <= self.config.segment_index_bytes
                && segments[0].can_hold(pair[1].base_offset() - 1)
        };
        segments.windows(2).take(GROUP_MAX_SEGMENTS).take_while(fits).count().max(1)
    }

    /// Writes a new segment from a group, whole and durable, beside the log. The last of `segments` only says where the
    /// group ends.
    pub(super) fn run(
        &self,
        segments: &[Arc<Segment>],
        transactions: &mut Transactions,
    ) -> Result<(Segment, Rewritten), StorageError> {
        let disk = &*self.log.shared.disk;
        let base = segments[0].base_offset();
        let segment = Segment::create_aside(disk, self.log.path(), base, self.now_ms, CLEANED_SUFFIX)?;
        match self.fill(&segment, segments, transactions) {
            Ok(rewritten) => Ok((segment, rewritten)),
            Err(error) => {
                segment.discard_after_failure(disk);
                Err(error)
            }
        }
    }

    fn fill(
        &self,
        to: &Segment,
        segments: &[Arc<Segment>],
        transactions: &mut Transactions,
    ) -> Result<Rewritten, StorageError> {
        let disk = &*self.log.shared.disk;
        let mut output =
            Output { to, disk, buffer: Vec::new(), written: 0, interval: self.config.index_interval_bytes };
        let mut rewritten = Rewritten::Same;
        for pair in segments.windows(2) {
            let segment = &pair[0];
            let file = segment.file(disk)?;
            transactions.enter(self.log, segment, pair[1].base_offset())?;
            let mut failed = None;
            let ended = scan(&*file, segment.path(), 0..segment.size(), true, |batch, _| {
                match self.one(batch, transactions, &mut output) {
                    Ok(Rewritten::Same) => Ok(()),
                    Ok(Rewritten::Smaller) => {
                        rewritten = Rewritten::Smaller;
                        Ok(())
                    }
                    Ok(Rewritten::Interrupted) => {
                        rewritten = Rewritten::Interrupted;
                        Err(String::new())
                    }
                    Err(error) => {
                        failed = Some(error);
                        Err(String::new())
                    }
                }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            if rewritten == Rewritten::Interrupted {
                return Ok(rewritten);
            }
            if let Some(reason) = ended.invalid {
                let path = segment.path().to_owned();
                return Err(StorageError::Corrupt { path, position: ended.position, reason });
            }
            to.touch(segment.last_append_ms());
        }
        output.finish()?;
        Ok(rewritten)
    }

    fn one(
        &self,
        batch: &Batch<'_>,
        transactions: &mut Transactions,
        output: &mut Output<'_>,
    ) -> Result<Rewritten, StorageError> {
        let judged = if batch.is_control() {
            let marker = transactions.end(batch);
            if let Marker::Needed(Some(txn)) = marker {
                output.to.note_aborted(output.disk, &txn);
            }
            self.judge_marker(batch, marker)
        } else {
            let is_void = transactions.is_void(batch);
            self.judge(batch, is_void)
        };
        let verdict = judged.unwrap_or_else(|error| {
            let offset = batch.base_offset();
            warn!(partition = %self.log.partition, offset, %error, "a batch cannot be unpacked; compaction keeps it");
            Verdict::Keep
        });
        let mut bytes = batch.size_bytes();
        let rewritten = match verdict {
            Verdict::Keep => {
                output.push(batch.as_bytes(), Extent::of(batch))?;
                bytes *= 2;
                Rewritten::Same
            }
            Verdict::Drop => Rewritten::Smaller,
            Verdict::Replace(new) => {
                let extent = Batch::parse(&new).map(|new| Extent::of(&new));
                output.push(&new, extent.expect("what was just built is a batch"))?;
                bytes += new.len();
                Rewritten::Smaller
            }
        };
        Ok(if self.brake.spend(bytes as u64) { rewritten } else { Rewritten::Interrupted })
    }

    fn judge_marker(&self, batch: &Batch<'_>, marker: Marker) -> Result<Verdict, BatchError> {
        // Without it, a producer that has written nothing since would not be fenced any more.
        let last = LastRecord::Marker(batch.producer_epoch());
        let is_last = self.producers.get(&batch.producer_id()) == Some(&last);
        if batch.last_offset() >= self.end || marker != Marker::Unneeded || is_last {
            return Ok(Verdict::Keep);
        }
        match batch.delete_horizon_ms() {
            _ if batch.record_count() == 0 => Ok(Verdict::Drop),
            Some(horizon_ms) if horizon_ms <= self.now_ms => Ok(Verdict::Drop),
            Some(_) => Ok(Verdict::Keep),
            None => {
                let mut builder = BatchBuilder::like(batch).delete_horizon(self.delete_horizon_ms());
                copy(&batch.records(UNCOMPRESSED_MAX_BYTES)?, &mut builder, |_| true)?;
                Ok(Verdict::Replace(builder.build()))
            }
        }
    }

    fn judge(&self, batch: &Batch<'_>, is_void: bool) -> Result<Verdict, BatchError> {
        if batch.base_offset() >= self.end {
            return Ok(Verdict::Keep);
        }
        // Without it, a producer that goes on after a restart would be told that its sequence is wrong.
        let last = LastRecord::Data(batch.last_offset());
        let is_last = batch.has_producer_id() && self.producers.get(&batch.producer_id()) == Some(&last);
        if batch.record_count() == 0 {
            return Ok(if is_last { Verdict::Keep } else { Verdict::Drop });
        }
        if is_void {
            let emptied = || Verdict::Replace(BatchBuilder::like(batch).build());
            return Ok(if is_last { emptied() } else { Verdict::Drop });
        }
        let records = batch.records(UNCOMPRESSED_MAX_BYTES)?;
        let tombstones_go = batch.delete_horizon_ms().is_some_and(|horizon_ms| horizon_ms <= self.now_ms);
        let (mut all, mut kept, mut tombstones) = (0, 0, false);
        for record in &records {
            let record = record?;
            all += 1;
            if self.stays(&record, tombstones_go) {
                kept += 1;
                tombstones |= record.value.is_none();
            }
        }
        // One that reaches behind the map is not judged as a whole yet.
        let marks = tombstones && !batch.has_delete_horizon() && batch.last_offset() < self.end;
        if kept == 0 && !is_last {
            return Ok(Verdict::Drop);
        }
        if kept == all && !marks {
            return Ok(Verdict::Keep);
        }
        self.without(batch, &records, tombstones_go, marks).map(Verdict::Replace)
    }

    /// Whether a record is the last of its key, as far as the map knows.
    fn stays(&self, record: &Record<'_>, tombstones_go: bool) -> bool {
        if record.offset >= self.end {
            return true;
        }
        // Without a key there is nothing to keep it by; such records are from before the topic was compacted.
        let Some(key) = record.key else { return false };
        let is_last = self.map.get(key).is_none_or(|last| last <= record.offset);
        is_last && !(tombstones_go && record.value.is_none())
    }

    fn without(
        &self,
        batch: &Batch<'_>,
        records: &RecordSet<'_>,
        tombstones_go: bool,
        marks: bool,
    ) -> Result<BytesMut, BatchError> {
        let mut builder = BatchBuilder::like(batch);
        if let Some((codec, level)) = self.config.compression.filter(|(codec, _)| *codec == batch.codec()) {
            builder = builder.codec(codec, level);
        }
        if marks {
            builder = builder.delete_horizon(self.delete_horizon_ms());
        }
        copy(records, &mut builder, |record| self.stays(record, tombstones_go))?;
        Ok(builder.build())
    }

    /// When what a pass meets for the first time may go.
    fn delete_horizon_ms(&self) -> i64 {
        let retention_ms = i64::try_from(self.config.delete_retention_ms).unwrap_or(i64::MAX);
        self.now_ms.saturating_add(retention_ms)
    }
}

fn copy(records: &RecordSet<'_>, to: &mut BatchBuilder, stays: impl Fn(&Record<'_>) -> bool) -> Result<(), BatchError> {
    for (index, record) in records.iter().enumerate() {
        let record = record?;
        if stays(&record) && to.append_record(&record).is_err() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            return Err(BatchError::InvalidRecord { index, reason: "offsets inside a batch ascend" });
        }
    }
    Ok(())
}

/// Gathers batches for a segment that nobody reads yet.
struct Output<'a> {
    to: &'a Segment,
    disk: &'a dyn Disk,
    buffer: Vec<u8>,
    written: u64,
    interval: u64,
}

impl Output<'_> {
    fn push(&mut self, batch: &[u8], extent: Extent) -> Result<(), StorageError> {
        let position = self.written + self.buffer.len() as u64;
        // Compressed anew a batch may have grown; so far that a segment of them is too large has no cause but damage.
        if position + batch.len() as u64 > i32::MAX as u64 || !self.to.can_hold(extent.last_offset) {
            let reason = "its batches do not fit into a segment when they are compressed again".to_owned();
            return Err(StorageError::Corrupt { path: self.to.path().to_owned(), position, reason });
        }
        self.buffer.extend_from_slice(batch);
        self.to.note(self.disk, extent, self.interval);
        if self.buffer.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StorageError> {
        let file = self.to.file(self.disk)?;
        file.write_at(&self.buffer, self.written).map_err(StorageError::io("write", self.to.path()))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes all of it durable.
    fn finish(mut self) -> Result<(), StorageError> {
        self.write()?;
        self.to.seal(self.disk)?;
        self.to.file(self.disk)?.sync().map_err(StorageError::io("flush", self.to.path()))?;
        self.to.close();
        Ok(())
    }
}
