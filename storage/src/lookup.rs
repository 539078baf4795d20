//! Offsets by time.

use std::ops::ControlFlow;
use std::sync::Arc;

use protocol::records::{Batch, batches};
use tracing::debug;

use crate::error::{ReadError, StorageError};
use crate::log::PartitionLog;
use crate::segment::Segment;

/// How much is read at a time while looking for a batch.
const BLOCK_BYTES: usize = 1 << 20;
/// What one batch may unpack to while a record in it is looked for, bytes.
const UNCOMPRESSED_MAX_BYTES: usize = 128 << 20;

/// An offset and a timestamp.
type Found = (i64, i64);

impl PartitionLog {
    /// The first record whose timestamp is at least `timestamp`: its offset and timestamp.
    ///
    /// # Errors
    /// The disk's.
    pub fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<(i64, i64)>, ReadError> {
        self.while_records_are_deleted(|start| {
            let segments = self.segments_from(start);
            let Some(segment) = segments.iter().find(|segment| segment.max_timestamp() >= timestamp) else {
                return Ok(None);
            };
            // Nothing before this segment is late enough. What is in it may be deleted, so the search goes on behind it.
            let from = segment.offset_before_time(&*self.shared.disk, timestamp)?.max(start);
            self.first_at_or_after(from, timestamp)
        })
    }

    /// The record with the largest timestamp, the first of several: its offset and timestamp.
    ///
    /// # Errors
    /// The disk's.
    pub fn offset_of_max_timestamp(&self) -> Result<Option<(i64, i64)>, ReadError> {
        self.while_records_are_deleted(|start| self.newest_from(start))
    }

    /// Looks in the log as it begins now, and again if its front, and perhaps files with it, went meanwhile.
    fn while_records_are_deleted<T>(&self, look: impl Fn(i64) -> Result<T, ReadError>) -> Result<T, ReadError> {
        loop {
            let start = self.log_start_offset();
            let found = look(start);
            if self.is_closed() {
                return Err(ReadError::Closed);
            }
            if found.is_ok() || self.log_start_offset() == start {
                return found;
            }
        }
    }

    /// The segments that have records at or after an offset; their files stay as long as the log start does.
    fn segments_from(&self, offset: i64) -> Vec<Arc<Segment>> {
        let segments = self.segments();
        let first = segments.partition_point(|segment| segment.base_offset() <= offset).saturating_sub(1);
        segments[first..].to_vec()
    }

    fn newest_from(&self, start: i64) -> Result<Option<Found>, ReadError> {
        let mut newest: Option<(i64, i64)> = None;
        for segment in self.segments_from(start) {
            let (timestamp, last_of_batch) = segment.max_timestamp_and_offset();
            if timestamp >= 0 && newest.is_none_or(|(newest, _)| timestamp > newest) {
                newest = Some((timestamp, last_of_batch));
            }
        }
        let Some((timestamp, last_of_batch)) = newest else { return Ok(None) };
        if last_of_batch >= start {
            let mut batch_has = None;
            self.visit(last_of_batch, |batch| {
                batch_has = first_in(batch, start, timestamp);
                ControlFlow::Break(())
            })?;
            if batch_has.is_some() {
                return Ok(batch_has);
            }
        }
        // It is deleted already: one of those that are left has the largest now.
        let mut newest: Option<Found> = None;
        self.visit(start, |batch| {
            let known = newest.map_or(-1, |(_, timestamp)| timestamp);
            if batch.max_timestamp() > known {
                newest = newest_in(batch, start).filter(|(_, timestamp)| *timestamp > known).or(newest);
            }
            ControlFlow::Continue(())
        })?;
        Ok(newest)
    }

    fn first_at_or_after(&self, from: i64, timestamp: i64) -> Result<Option<Found>, ReadError> {
        let mut found = None;
        self.visit(from, |batch| {
            if batch.max_timestamp() >= timestamp {
                found = first_in(batch, from, timestamp);
            }
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    /// Shows each batch from the one that holds `from` on, until told to stop. The ends of transactions have times as
    /// records have, and in Kafka a time may lead to one.
    fn visit(&self, from: i64, mut visit: impl FnMut(&Batch<'_>) -> ControlFlow<()>) -> Result<(), ReadError> {
        let end = self.log_end_offset();
        let mut offset = from;
        while offset < end {
            let read = self.read(offset, BLOCK_BYTES, end, true)?;
            let before = offset;
            for batch in read.records.chunks().iter().flat_map(|chunk| batches(chunk)) {
                let batch = batch.map_err(|error| self.damaged(offset, error.to_string()))?;
                offset = batch.next_offset();
                if visit(&batch).is_break() {
                    return Ok(());
                }
            }
            if offset == before {
                break;
            }
        }
        Ok(())
    }

    /// The error for records from `offset` on that were read, and of which a reader can make no sense.
    pub fn damaged(&self, offset: i64, reason: String) -> StorageError {
        let reason = format!("offset {offset}: {reason}");
        StorageError::Corrupt { path: self.path().to_owned(), position: 0, reason }
    }
}

/// The first record of a batch from an offset on whose timestamp is at least `timestamp`.
fn first_in(batch: &Batch<'_>, from: i64, timestamp: i64) -> Option<Found> {
    let mut found = None;
    each_record(batch, from, |record| {
        if record.1 >= timestamp {
            found = Some(record);
        }
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found
}

/// The record of a batch from an offset on with the largest timestamp, the first of several.
fn newest_in(batch: &Batch<'_>, from: i64) -> Option<Found> {
    let mut newest: Option<Found> = None;
    each_record(batch, from, |record| {
        if newest.is_none_or(|(_, timestamp)| record.1 > timestamp) {
            newest = Some(record);
        }
        ControlFlow::Continue(())
    });
    newest
}

/// Shows offset and timestamp of each record from an offset on. What producers compressed is stored unseen, so a batch
/// may turn out not to unpack: then it stands for its records itself.
fn each_record(batch: &Batch<'_>, from: i64, mut visit: impl FnMut(Found) -> ControlFlow<()>) {
    let unreadable = match batch.records(UNCOMPRESSED_MAX_BYTES) {
        Err(error) => error,
        Ok(records) => {
            let mut failed = None;
            for record in &records {
                match record {
                    Ok(record) if record.offset < from => {}
                    Ok(record) if visit((record.offset, record.timestamp)).is_break() => return,
                    Ok(_) => {}
                    Err(error) => failed = Some(error),
                }
            }
            let Some(error) = failed else { return };
            error
        }
    };
    debug!(offset = batch.base_offset(), error = %unreadable, "a producer's batch does not unpack");
    if batch.last_offset() >= from {
        let _ = visit((batch.base_offset().max(from), batch.max_timestamp()));
    }
}
