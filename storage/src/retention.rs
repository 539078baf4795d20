//! What leaves a log at its front: by age, by size, or because its owner deletes it.
//!
//! The log start moves first, then segments go, oldest first, so that what is left is always a log.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::config::LogConfig;
use crate::error::StorageError;
use crate::log::{PartitionLog, Writer, lock};
use crate::segment::Segment;

/// A closed segment that may be deleted, as those see it who keep several logs within one budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedSegment {
    /// The offset at which the next one begins.
    pub end_offset: i64,
    /// Bytes of its data.
    pub size_bytes: u64,
    /// The largest timestamp of its records, ms since 1970; when it was last written, if none has one.
    pub newest_ms: i64,
}

impl PartitionLog {
    /// Moves the log start forward (DeleteRecords); segments that end before it are removed. Answers the new start.
    ///
    /// # Errors
    /// The disk's.
    pub fn advance_log_start_offset(&self, offset: i64, now_ms: i64) -> Result<i64, StorageError> {
        let mut writer = lock(&self.writer);
        self.check_open()?;
        let start = self.log_start_offset().max(offset.min(self.log_end_offset()));
        self.move_start(&writer, start)?;
        let active_has_records = self.segments().last().is_some_and(|active| active.size() > 0);
        if start == self.log_end_offset() && active_has_records {
            self.roll_with(&mut writer, now_ms)?;
        }
        let doomed = self.wholly_below(start);
        self.remove_first(doomed)?;
        Ok(start)
    }

    /// How many segments have nothing at or after `start`; the active one is not among them.
    fn wholly_below(&self, start: i64) -> usize {
        self.segments().windows(2).take_while(|pair| pair[1].base_offset() <= start).count()
    }

    fn move_start(&self, writer: &Writer, start: i64) -> Result<(), StorageError> {
        self.log_start_offset.fetch_max(start, Ordering::AcqRel);
        lock(&self.epochs).truncate_until(start);
        if writer.has_dir {
            let _one_at_a_time = lock(&self.flushing);
            self.settle_names()?;
        }
        Ok(())
    }

    /// Removes segments that retention no longer keeps; answers how many. The log start moves first.
    ///
    /// # Errors
    /// The disk's.
    pub fn apply_retention(&self, now_ms: i64) -> Result<usize, StorageError> {
        let config = self.config();
        let mut writer = lock(&self.writer);
        self.check_open()?;
        self.expire_producers(&mut writer, &config, now_ms);
        let segments = self.segments();
        let mut doomed = self.wholly_below(self.log_start_offset());
        if config.delete {
            doomed = doomed.max(expired(&segments, &config, now_ms)).max(over_size(&segments, &config));
        }
        if doomed == segments.len() && doomed > 0 {
            if segments.last().is_some_and(|active| active.size() == 0) {
                doomed -= 1;
            } else {
                self.roll_with(&mut writer, now_ms)?;
            }
        }
        if doomed > 0 {
            let start = self.segments()[doomed].base_offset();
            self.move_start(&writer, start)?;
            self.remove_first(doomed)?;
        }
        Ok(doomed)
    }

    /// The closed segments of a log whose `cleanup.policy` has `delete`, from its start on; none of a log that takes no
    /// more writes.
    pub fn deletable_segments(&self) -> Vec<ClosedSegment> {
        if !self.config().delete || self.check_open().is_err() {
            return Vec::new();
        }
        let closed = |pair: &[Arc<Segment>]| ClosedSegment {
            end_offset: pair[1].base_offset(),
            size_bytes: pair[0].size(),
            newest_ms: pair[0].newest_ms(),
        };
        self.segments().windows(2).map(closed).collect()
    }

    /// Removes the closed segments that end at or before `end_offset`, as retention does; answers their bytes.
    ///
    /// # Errors
    /// The disk's; [`StorageError::Closed`] when the log was closed or deleted.
    pub fn delete_segments_below(&self, end_offset: i64) -> Result<u64, StorageError> {
        let writer = lock(&self.writer);
        self.check_open()?;
        let doomed = self.wholly_below(end_offset);
        if doomed == 0 {
            return Ok(0);
        }
        let segments = self.segments();
        self.move_start(&writer, segments[doomed].base_offset())?;
        self.remove_first(doomed)?;
        Ok(segments[..doomed].iter().map(|segment| segment.size()).sum())
    }

    fn expire_producers(&self, writer: &mut Writer, config: &LogConfig, now_ms: i64) {
        writer.producers.expire(now_ms, config.producer_id_expiration_ms);
        writer.expired_at_ms = now_ms;
    }

    /// The log start is durable by the first segment's name alone: whatever a checkpoint says, a log begins there.
    fn remove_first(&self, count: usize) -> Result<(), StorageError> {
        if count == 0 {
            return Ok(());
        }
        let (disk, segments) = (&*self.shared.disk, self.segments());
        self.publish_segments(segments[count..].to_vec());
        for segment in &segments[..count] {
            segment.put_aside(disk)?;
        }
        disk.sync_dir(&self.dir).map_err(StorageError::io("flush", &self.dir))?;
        segments[..count].iter().try_for_each(|segment| segment.remove(disk))
    }
}

/// Segments from the front whose newest record is older than `retention.ms`.
fn expired(segments: &[Arc<Segment>], config: &LogConfig, now_ms: i64) -> usize {
    let Some(retention_ms) = config.retention_ms else { return 0 };
    let is_old = |segment: &&Arc<Segment>| {
        u64::try_from(now_ms.saturating_sub(segment.newest_ms())).is_ok_and(|age| age > retention_ms)
    };
    segments.iter().take_while(is_old).count()
}

/// Segments from the front without which the log still has `retention.bytes`.
fn over_size(segments: &[Arc<Segment>], config: &LogConfig) -> usize {
    let Some(limit) = config.retention_bytes else { return 0 };
    let mut over = segments.iter().map(|segment| segment.size()).sum::<u64>().saturating_sub(limit);
    let fits = |segment: &&Arc<Segment>| {
        let size = segment.size();
        let goes = size <= over && over > 0;
        over = over.saturating_sub(size);
        goes
    };
    segments.iter().take_while(fits).count()
}
