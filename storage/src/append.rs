//! Appending: a batch is checked, gets its offsets, and is written.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use protocol::records::{Batch, TimestampType, patch};

use crate::config::LogConfig;
use crate::error::{AppendError, StorageError};
use crate::log::{Appended, PartitionLog, Writer, lock};
use crate::producers::{Sequence, TransactionCheck};
use crate::segment::{Extent, Segment};
use crate::validate::{self, AppendOrigin};

impl PartitionLog {
    /// Appends one batch: checks it, gives it offsets, writes it. It is readable when this returns, and durable after
    /// the next [`PartitionLog::flush`].
    ///
    /// # Errors
    /// [`AppendError`]; nothing was written then. A batch that would begin a transaction is refused: see
    /// [`PartitionLog::append_in_transaction`].
    pub fn append_as_leader(
        &self,
        bytes: Bytes,
        leader_epoch: i32,
        origin: AppendOrigin,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        self.append_in_transaction(bytes, leader_epoch, origin, TransactionCheck::Ongoing, now_ms)
    }

    /// Whether an append of `size_bytes` finds its file open and makes none, so that as a rule it waits
    /// for no flush. A hint: what others do meanwhile, or a segment whose time has come, may make it wait after all.
    pub fn appends_at_once(&self, size_bytes: usize) -> bool {
        let config = self.config();
        let is_roomy = |active: &Arc<Segment>| {
            active.size() > 0
                && active.size() + size_bytes as u64 <= segment_bytes(&config)
                && active.index_bytes() < config.segment_index_bytes
                && active.is_open()
        };
        self.segments().last().is_some_and(is_roomy)
    }

    /// The same for a batch that may begin its producer's transaction here, if `check` lets it (KIP-890).
    ///
    /// # Errors
    /// [`AppendError::InvalidTxnState`] when it does not; the other [`AppendError`]s. Nothing was written then.
    pub fn append_in_transaction(
        &self,
        bytes: Bytes,
        leader_epoch: i32,
        origin: AppendOrigin,
        check: TransactionCheck,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let config = self.config();
        let batch = validate::prepare(bytes, &config, origin, now_ms)?;
        if batch.len() as u64 > segment_bytes(&config) {
            let limit = usize::try_from(segment_bytes(&config)).unwrap_or(usize::MAX);
            return Err(AppendError::LargerThanSegment { size: batch.len(), limit });
        }
        let mut writer = self.writer()?;
        let parsed = Batch::parse(&batch)?;
        if parsed.has_producer_id() && !parsed.is_control() {
            // Once in a while is enough: expiry only bounds memory.
            if now_ms.saturating_sub(writer.expired_at_ms) > 600_000 {
                writer.producers.expire(now_ms, config.producer_id_expiration_ms);
                writer.expired_at_ms = now_ms;
            }
            if let Sequence::Duplicate { base_offset, last_offset, timestamp } =
                writer.producers.check(&parsed, origin, check)?
            {
                let is_stamped = config.timestamp_type == TimestampType::LogAppendTime;
                let log_append_time_ms = is_stamped.then_some(timestamp);
                return Ok(Appended { base_offset, last_offset, log_append_time_ms, duplicate: true });
            }
        }
        self.write(&mut writer, batch, leader_epoch, now_ms)
    }

    /// Who appends next.
    pub(crate) fn writer(&self) -> Result<std::sync::MutexGuard<'_, Writer>, AppendError> {
        let writer = lock(&self.writer);
        self.check_open().map_err(|error| match error {
            StorageError::Closed => AppendError::Closed,
            other => other.into(),
        })?;
        Ok(writer)
    }

    /// Writes a batch that was found right.
    pub(crate) fn write(
        &self,
        writer: &mut Writer,
        mut batch: BytesMut,
        leader_epoch: i32,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let config = self.config();
        let base_offset = self.log_end_offset();
        patch::set_base_offset(&mut batch, base_offset);
        patch::set_partition_leader_epoch(&mut batch, leader_epoch);
        let parsed = Batch::parse(&batch)?;
        let extent = Extent::of(&parsed);
        let segment = self.segment_for(writer, extent, &config, now_ms)?;
        // On the disk with the flush that makes the batch durable; before that, recovery asks the batches.
        lock(&self.epochs).assign(leader_epoch, base_offset);
        let disk = &*self.shared.disk;
        let whole = config.preallocate.then_some(segment_bytes(&config));
        segment.append(disk, &batch, extent, config.index_interval_bytes, whole)?;
        segment.touch(now_ms);
        let completed = writer.producers.note(&parsed, now_ms);
        if let Some(completed) = completed.filter(|completed| !completed.committed) {
            segment.note_aborted(disk, &completed.txn);
        }
        // Before the offsets are published: whoever sees the batch sees that it is not decided yet.
        lock(&self.unstable).follow(writer.producers.first_undecided(), completed.map(|completed| completed.txn));
        let log_append_time_ms =
            (parsed.timestamp_type() == TimestampType::LogAppendTime).then(|| parsed.max_timestamp());
        self.publish(batch, extent);
        Ok(Appended { base_offset, last_offset: extent.last_offset, log_append_time_ms, duplicate: false })
    }

    fn publish(&self, batch: BytesMut, extent: Extent) {
        let (base_offset, next_offset) = (self.log_end_offset(), extent.last_offset + 1);
        self.appended_bytes.fetch_add(extent.size as u64, Ordering::AcqRel);
        self.shared.cache.push(&self.tail, base_offset, next_offset, batch.freeze());
        self.log_end_offset.store(next_offset, Ordering::Release);
    }

    fn segment_for(
        &self,
        writer: &mut Writer,
        extent: Extent,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<Arc<Segment>, StorageError> {
        let segments = self.segments();
        if let Some(active) = segments.last() {
            let disk = &*self.shared.disk;
            let full = active.size() + extent.size as u64 > segment_bytes(config)
                || !active.can_hold(extent.last_offset)
                || active.index_bytes() >= config.segment_index_bytes
                || active.age_ms(disk, extent.max_timestamp, now_ms)? > self.segment_ms(config);
            if !full || active.size() == 0 {
                active.keep_open(disk)?;
                return Ok(Arc::clone(active));
            }
        }
        self.roll_with(writer, now_ms)
    }

    fn segment_ms(&self, config: &LogConfig) -> u64 {
        // Spread by name, so that segments of many partitions do not all close at once, and the same way each time.
        let topic = crc32c::crc32c(self.partition.topic.as_bytes());
        let name = crc32c::crc32c_append(topic, &self.partition.index.to_be_bytes());
        let jitter = config.segment_jitter_ms.saturating_mul(u64::from(name)) >> 32;
        // Only closed segments are compacted.
        let lag = config.max_compaction_lag_ms.filter(|_| config.compact).unwrap_or(u64::MAX);
        config.segment_ms.min(lag).saturating_sub(jitter)
    }
}

/// `segment.bytes`; positions in an index have 31 bits.
fn segment_bytes(config: &LogConfig) -> u64 {
    config.segment_bytes.min(i32::MAX as u64)
}
