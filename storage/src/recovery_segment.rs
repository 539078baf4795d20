//! Opening one segment of a log.

use std::path::Path;
use std::sync::Arc;

use protocol::records::Batch;
use tracing::{info, warn};

use crate::config::{LogConfig, SharedLimits};
use crate::disk::Disk;
use crate::epochs::LeaderEpochs;
use crate::error::StorageError;
use crate::producers::Producers;
use crate::recovery::load_producers;
use crate::restart::Resumed;
use crate::scan::{ScanEnd, scan};
use crate::segment::{Extent, Segment};

/// The circumstances in which a segment is opened.
pub(crate) struct Opening<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) dir: &'a Path,
    pub(crate) config: &'a LogConfig,
    pub(crate) limits: &'a SharedLimits,
    pub(crate) now_ms: i64,
    /// First offset of the next segment; the last one has none.
    pub(crate) next: Option<i64>,
    pub(crate) recovery_point: i64,
}

/// The last segment after a full or partial check.
pub(crate) struct CheckedActive {
    pub(crate) segment: Segment,
    /// The offset behind its last record.
    pub(crate) end: i64,
    pub(crate) producers: Producers,
    pub(crate) read_bytes: u64,
}

/// What a walk through a segment found.
struct Walked {
    /// The offset behind the last batch.
    end: i64,
    ended: ScanEnd,
    /// Whether there are markers of aborted transactions, of which nobody took notice.
    has_aborts: bool,
}

impl Opening<'_> {
    /// A segment whose content is known to be whole, if its indexes are too, and the offset behind its last record; that
    /// of a segment that is not the last is not looked for.
    pub(crate) fn open_trusted(&self, base: i64) -> Result<Option<(Arc<Segment>, i64)>, StorageError> {
        let (length, modified_ms) = self.examine(base)?;
        let segment = Segment::at(self.dir, base, length, self.now_ms);
        segment.touch(modified_ms);
        if segment.load_indexes(self.disk, self.next)? {
            if self.next.is_some() {
                return Ok(Some((Arc::new(segment), base)));
            }
            if let Some(end) = self.check_tail(&segment, length)? {
                return Ok(Some((Arc::new(segment), end)));
            }
        }
        warn!(segment = %segment.path().display(), "an index is missing or does not fit; it is rebuilt");
        Ok(None)
    }

    /// A segment's length in bytes, and when it was last written.
    pub(crate) fn examine(&self, base: i64) -> Result<(u64, i64), StorageError> {
        let segment = Segment::at(self.dir, base, 0, self.now_ms);
        let file = segment.file(self.disk)?;
        let length = file.len().map_err(StorageError::io("read", segment.path()))?;
        Ok((length, file.modified_ms().map_err(StorageError::io("read", segment.path()))?))
    }

    /// Reads what follows the last index entry of a log that was shut down cleanly; `None` when it does not end with a
    /// whole batch after all.
    fn check_tail(&self, segment: &Segment, length: u64) -> Result<Option<i64>, StorageError> {
        let file = segment.file(self.disk)?;
        let from = segment.position_before(self.disk, i64::from(i32::MAX) + segment.base_offset())?;
        let mut end = segment.base_offset();
        let ended = scan(&*file, segment.path(), from..length, true, |batch, position| {
            end = batch.next_offset();
            segment.note_last_position(position);
            Ok(())
        })?;
        // A log that ends below its recovery point lost something, and a full check finds out what.
        let whole = ended.invalid.is_none() && end >= self.recovery_point;
        Ok(whole.then_some(end))
    }

    /// Reads a whole segment that has a next one, and rebuilds its indexes. `older` are the segments before it.
    pub(crate) fn rebuild(
        &self,
        base: i64,
        epochs: &mut LeaderEpochs,
        older: &[Arc<Segment>],
    ) -> Result<Arc<Segment>, StorageError> {
        let (length, modified_ms) = self.examine(base)?;
        let segment = Segment::at(self.dir, base, 0, self.now_ms);
        segment.touch(modified_ms);
        segment.begin_indexes_aside(self.disk)?;
        let walked = self.walk(&segment, base, length, epochs, None)?;
        let (end, ended) = (walked.end, walked.ended);
        let corrupt =
            |reason| StorageError::Corrupt { path: segment.path().to_owned(), position: ended.position, reason };
        if let Some(reason) = &ended.invalid {
            return Err(corrupt(reason.clone()));
        }
        if let Some(next) = self.next.filter(|next| *next < end) {
            return Err(corrupt(format!("it ends at offset {end}, and the next segment begins at {next}")));
        }
        if walked.has_aborts {
            self.rebuild_aborted(&segment, older)?;
        }
        epochs.save(self.disk, self.dir)?;
        segment.move_indexes_in_place(self.disk)?;
        self.disk.sync_dir(self.dir).map_err(StorageError::io("flush", self.dir))?;
        Ok(Arc::new(segment))
    }

    /// Finds the aborted transactions whose markers stand in a segment; they may begin in any before.
    fn rebuild_aborted(&self, segment: &Segment, older: &[Arc<Segment>]) -> Result<(), StorageError> {
        let mut producers = Producers::new(self.limits.producers_per_log);
        load_producers(self.disk, self.dir, older, segment.base_offset(), self.now_ms, &mut producers)?;
        let file = segment.file(self.disk)?;
        let ended = scan(&*file, segment.path(), 0..segment.size(), false, |batch, _| {
            self.note(segment, &mut producers, batch);
            Ok(())
        })?;
        match ended.invalid {
            None => Ok(()),
            Some(reason) => {
                let path = segment.path().to_owned();
                Err(StorageError::Corrupt { path, position: ended.position, reason })
            }
        }
    }

    fn note(&self, segment: &Segment, producers: &mut Producers, batch: &Batch<'_>) {
        // Heard of now, as far as we know: a retry may be under way, whatever time the records carry.
        if let Some(completed) = producers.note(batch, self.now_ms)
            && !completed.committed
        {
            segment.note_aborted(self.disk, &completed.txn);
        }
    }

    /// Reads the last segment from a restart point on, or all of it, and cuts it where it ends if that is what a crash
    /// leaves. The producers are those before the segment when there is no restart point.
    pub(crate) fn check_active(
        &self,
        base: i64,
        epochs: &mut LeaderEpochs,
        resumed: Option<Resumed>,
        producers: Producers,
    ) -> Result<CheckedActive, StorageError> {
        let (length, modified_ms) = self.examine(base)?;
        let (segment, mut producers, begin) = match resumed {
            Some(Resumed { segment, producers, point }) => (segment, producers, point.offset),
            None => {
                let segment = Segment::at(self.dir, base, 0, self.now_ms);
                segment.begin_indexes_again();
                (segment, producers, base)
            }
        };
        segment.touch(modified_ms);
        let read_bytes = length - segment.size();
        let Walked { end, ended, .. } = self.walk(&segment, begin, length, epochs, Some(&mut producers))?;
        if let Some(reason) = ended.invalid {
            self.may_cut(&segment, ended.position, end, reason, length)?;
        } else if end < self.recovery_point {
            self.may_cut(&segment, length, end, "records that were flushed are missing".to_owned(), length)?;
        }
        epochs.save(self.disk, self.dir)?;
        segment.settle_indexes(self.disk)?;
        if segment.size() < length {
            segment.cut(self.disk)?;
        } else if end > self.recovery_point {
            // Bytes that survived the process are not yet bytes that survive the machine.
            segment.sync(self.disk)?;
        }
        // Room may be left reserved behind the end.
        segment.distrust_end();
        Ok(CheckedActive { segment, end, producers, read_bytes })
    }

    /// Notes every batch between a segment's published end and `length`, as long as they are whole.
    fn walk(
        &self,
        segment: &Segment,
        begin: i64,
        length: u64,
        epochs: &mut LeaderEpochs,
        mut producers: Option<&mut Producers>,
    ) -> Result<Walked, StorageError> {
        let file = segment.file(self.disk)?;
        let (mut end, mut has_aborts) = (begin, false);
        let ended = scan(&*file, segment.path(), segment.size()..length, true, |batch, _| {
            if batch.base_offset() < end || batch.last_offset() < batch.base_offset() {
                return Err(format!("offset {} comes after {end}", batch.base_offset()));
            }
            // The checksum does not cover the offset.
            if !segment.can_hold(batch.last_offset()) {
                return Err(format!("offset {} does not belong here", batch.last_offset()));
            }
            end = batch.next_offset();
            epochs.assign(batch.partition_leader_epoch(), batch.base_offset());
            segment.note(self.disk, Extent::of(batch), self.config.index_interval_bytes);
            match &mut producers {
                Some(producers) => self.note(segment, producers, batch),
                None => has_aborts |= batch.end_txn_marker().is_some_and(|marker| !marker.committed),
            }
            Ok(())
        })?;
        Ok(Walked { end, ended, has_aborts })
    }

    /// Only what comes after everything that was flushed may be cut away.
    fn may_cut(
        &self,
        segment: &Segment,
        position: u64,
        end: i64,
        reason: String,
        length: u64,
    ) -> Result<(), StorageError> {
        if end < self.recovery_point {
            return Err(StorageError::Corrupt { path: segment.path().to_owned(), position, reason });
        }
        let bytes = length - position;
        info!(segment = %segment.path().display(), position, bytes, reason, "the end of the log was not written whole before the crash; it is cut off. Nothing acknowledged with acks=all is in it");
        Ok(())
    }
}
