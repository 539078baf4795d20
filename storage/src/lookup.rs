//! Offsets by time.

use std::sync::Arc;

use protocol::records::batches;

use crate::error::{ReadError, StorageError};
use crate::log::PartitionLog;
use crate::segment::Segment;

/// How much is read at a time while looking for a batch.
const BLOCK_BYTES: usize = 1 << 20;
/// What one batch may unpack to while a record in it is looked for, bytes.
const UNCOMPRESSED_MAX_BYTES: usize = 128 << 20;

impl PartitionLog {
    /// The first record whose timestamp is at least `timestamp`: its offset and timestamp.
    ///
    /// # Errors
    /// The disk's.
    pub fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<(i64, i64)>, ReadError> {
        let start = self.log_start_offset();
        for segment in self.segments().iter().filter(|segment| segment.max_timestamp() >= timestamp) {
            let from = segment.offset_before_time(&*self.shared.disk, timestamp)?.max(start);
            if let Some(found) = self.first_at_or_after(segment, from, timestamp)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp, the first of several: its offset and timestamp.
    ///
    /// # Errors
    /// The disk's.
    pub fn offset_of_max_timestamp(&self) -> Result<Option<(i64, i64)>, ReadError> {
        let segments = self.segments();
        let mut newest: Option<&Arc<Segment>> = None;
        for segment in segments.iter().filter(|segment| segment.max_timestamp() >= 0) {
            if newest.is_none_or(|newest| segment.max_timestamp() > newest.max_timestamp()) {
                newest = Some(segment);
            }
        }
        let Some(segment) = newest else { return Ok(None) };
        let (timestamp, offset) = segment.max_timestamp_and_offset();
        // `offset` is the last of its batch; the record itself may come earlier in it.
        self.first_at_or_after(segment, offset.max(self.log_start_offset()), timestamp)
    }

    fn first_at_or_after(
        &self,
        segment: &Segment,
        from: i64,
        timestamp: i64,
    ) -> Result<Option<(i64, i64)>, ReadError> {
        let end = self.log_end_offset();
        let mut offset = from;
        while offset < end {
            let read = self.read(offset, BLOCK_BYTES, end, true)?;
            let before = offset;
            for chunk in &read.chunks {
                for batch in batches(chunk) {
                    let batch = batch.map_err(|error| damaged(segment, error.to_string()))?;
                    offset = batch.next_offset();
                    if batch.max_timestamp() < timestamp || batch.is_control() {
                        continue;
                    }
                    let records = batch.records(UNCOMPRESSED_MAX_BYTES);
                    let records = records.map_err(|error| damaged(segment, error.to_string()))?;
                    for record in &records {
                        let record = record.map_err(|error| damaged(segment, error.to_string()))?;
                        if record.timestamp >= timestamp && record.offset >= self.log_start_offset() {
                            return Ok(Some((record.offset, record.timestamp)));
                        }
                    }
                }
            }
            if offset == before {
                break;
            }
        }
        Ok(None)
    }
}

fn damaged(segment: &Segment, reason: String) -> ReadError {
    ReadError::Storage(StorageError::Corrupt { path: segment.path().to_owned(), position: 0, reason })
}
