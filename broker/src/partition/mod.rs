//! Partitions as the broker serves them: a log, and everybody who waits for it.

mod append;
mod checkpoints;
mod cleaner;
mod disk_space;
mod flusher;
mod housekeeping;
mod read;
mod registry;
#[cfg(test)]
pub(crate) mod rig;
#[cfg(test)]
mod tests;
mod total_retention;
mod traffic;
mod transactions;
mod waiting;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};

use protocol::{ErrorCode, Uuid};
use storage::{PartitionLog, StorageError};
use tokio::sync::{Notify, oneshot};

use crate::config::TopicConfig;

pub(crate) use append::{AppendJob, AppendRefusal, append_batches, append_here};
pub(crate) use checkpoints::keep_checkpoints;
pub(crate) use cleaner::{CLEANING, Cleaner};
pub(crate) use disk_space::DiskSpace;
pub(crate) use flusher::{FLUSHES, Flusher};
pub(crate) use housekeeping::housekeeping;
pub(crate) use read::{ReadLimits, Slice, hold_until_sent, is_hot, read_all_partitions, read_in_order};
pub(crate) use registry::Partitions;
pub(crate) use total_retention::TotalRetention;
pub(crate) use traffic::{ALL_TRAFFIC, FLOWS, Flow, Traffic};
pub(crate) use transactions::{append_markers, begin_verifications};
pub(crate) use waiting::{DurabilityWaiters, Durable, FetchWaiter, FetchWaiters};

/// What the partitions of one log directory share.
pub(crate) struct SharedDisk {
    pub(crate) flusher: Flusher,
    pub(crate) space: DiskSpace,
    pub(crate) total: TotalRetention,
    /// Told when much was flushed since recovery points were written.
    pub(crate) checkpoint_due: Notify,
}

/// A partition that this broker leads.
pub(crate) struct Partition {
    topic: Arc<str>,
    index: i32,
    topic_id: Uuid,
    leader_epoch: AtomicI32,
    log: PartitionLog,
    disk: Arc<SharedDisk>,
    /// `ottla.durability`: whether acks=all waits for the disk.
    fsync: AtomicBool,
    /// `flush.messages`; `i64::MAX` is never.
    flush_messages: AtomicI64,
    /// Whether `flush.ms` is shorter than the pause of lazy flushes, so that every append asks for one at once.
    flush_at_once: AtomicBool,
    /// Whether it stands in one of the flusher's lists already.
    queued_urgent: AtomicBool,
    queued_lazy: AtomicBool,
    fetch_waiters: FetchWaiters,
    durability_waiters: DurabilityWaiters,
    traffic: Traffic,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}

impl Partition {
    fn new(
        topic: Arc<str>,
        index: i32,
        topic_id: Uuid,
        leader_epoch: i32,
        log: PartitionLog,
        disk: Arc<SharedDisk>,
    ) -> Self {
        Partition {
            topic,
            index,
            topic_id,
            leader_epoch: AtomicI32::new(leader_epoch),
            log,
            disk,
            fsync: AtomicBool::new(true),
            flush_messages: AtomicI64::new(i64::MAX),
            flush_at_once: AtomicBool::new(false),
            queued_urgent: AtomicBool::new(false),
            queued_lazy: AtomicBool::new(false),
            fetch_waiters: FetchWaiters::default(),
            durability_waiters: DurabilityWaiters::default(),
            traffic: Traffic::new(),
        }
    }

    pub(crate) fn log(&self) -> &PartitionLog {
        &self.log
    }

    /// What went in and out.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The name of its topic.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// What it is known by.
    pub(crate) fn key(&self) -> (Uuid, i32) {
        (self.topic_id, self.index)
    }

    pub(crate) fn is_internal(&self) -> bool {
        state::cluster::is_internal(&self.topic)
    }

    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leader_epoch.load(Ordering::Acquire)
    }

    pub(crate) fn log_start_offset(&self) -> i64 {
        self.log.log_start_offset()
    }

    pub(crate) fn log_end_offset(&self) -> i64 {
        self.log.log_end_offset()
    }

    /// Consumers read below this. The only replica is the leader, so it is the log end.
    pub(crate) fn high_watermark(&self) -> i64 {
        self.log.log_end_offset()
    }

    pub(crate) fn fetch_waiters(&self) -> &FetchWaiters {
        &self.fetch_waiters
    }

    /// Compares the epoch a client believes in with ours (KIP-320); −1 is no belief.
    ///
    /// # Errors
    /// `FENCED_LEADER_EPOCH` for an older one, `UNKNOWN_LEADER_EPOCH` for a newer.
    pub(crate) fn check_leader_epoch(&self, believed: i32) -> Result<(), ErrorCode> {
        match believed {
            -1 => Ok(()),
            older if older < self.leader_epoch() => Err(ErrorCode::FENCED_LEADER_EPOCH),
            newer if newer > self.leader_epoch() => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
            _ => Ok(()),
        }
    }

    /// The epoch under which `offset` was or will be written, or −1.
    pub(crate) fn epoch_of(&self, offset: i64) -> i32 {
        if offset >= self.log_end_offset() {
            return self.leader_epoch();
        }
        self.log.epoch_for_offset(offset).unwrap_or(-1)
    }

    /// The current epoch, which the next record will carry.
    pub(crate) fn latest_epoch(&self) -> i32 {
        self.leader_epoch()
    }

    /// The largest epoch not above `epoch` and where its records end; nothing of an epoch that is still to come.
    pub(crate) fn end_offset_for_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        if epoch == -1 {
            return None;
        }
        match epoch.cmp(&self.leader_epoch()) {
            std::cmp::Ordering::Less => {
                // Of a log without records the current epoch is the first, and begins where it ends.
                self.log.end_offset_for_epoch(epoch).or_else(|| Some((epoch, self.log_end_offset())))
            }
            std::cmp::Ordering::Equal => Some((epoch, self.log_end_offset())),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// Makes everything appended so far durable and tells who waits. Blocks on the disk.
    ///
    /// # Errors
    /// The log's; everybody who waits is told `KAFKA_STORAGE_ERROR`.
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        // Cleared before flushing: what is appended from here on asks for a round of its own.
        self.queued_urgent.store(false, Ordering::Release);
        self.queued_lazy.store(false, Ordering::Release);
        match self.log.flush() {
            Ok(durable_offset) => {
                self.durability_waiters.resolve(durable_offset);
                if self.log.uncheckpointed_bytes() >= checkpoints::CHECKPOINT_BYTES {
                    self.disk.checkpoint_due.notify_one();
                }
                Ok(())
            }
            // Deleted meanwhile. Whoever waited was told then; others had written before, and came to wait after that.
            Err(StorageError::Closed) => {
                self.durability_waiters.fail(ErrorCode::NOT_LEADER_OR_FOLLOWER);
                Ok(())
            }
            Err(error) => {
                self.durability_waiters.fail(ErrorCode::KAFKA_STORAGE_ERROR);
                Err(error)
            }
        }
    }

    /// A receiver that resolves when everything below `end_offset` is durable.
    fn wait_durable(self: &Arc<Self>, end_offset: i64) -> oneshot::Receiver<Durable> {
        let receiver = self.durability_waiters.register(end_offset);
        if !self.queued_urgent.swap(true, Ordering::AcqRel) {
            self.disk.flusher.urgent(self);
        }
        receiver
    }

    /// Takes new settings of the topic, at once.
    fn configure(&self, config: &TopicConfig) {
        self.fsync.store(config.fsync, Ordering::Release);
        let messages = config.flush_messages.and_then(|messages| i64::try_from(messages).ok());
        self.flush_messages.store(messages.unwrap_or(i64::MAX), Ordering::Release);
        let at_once = config.flush_ms.is_some_and(|ms| u128::from(ms) < flusher::LAZY_INTERVAL.as_millis());
        self.flush_at_once.store(at_once, Ordering::Release);
        self.log.set_config(config.log_config());
    }

    /// Whether `flush.messages` asks for a flush before the last append is answered.
    fn is_flush_due(&self) -> bool {
        let unflushed = self.log.log_end_offset() - self.log.flushed_offset();
        unflushed >= self.flush_messages.load(Ordering::Acquire)
    }

    /// Asks for a flush that nobody waits for.
    fn flush_soon(self: &Arc<Self>) {
        // Much at a time keeps the disk, and whoever waits for it next, busy for long.
        let much = self.log.unflushed_bytes() >= flusher::LAZY_MAX_BYTES;
        if much || self.flush_at_once.load(Ordering::Acquire) {
            if !self.queued_urgent.swap(true, Ordering::AcqRel) {
                self.disk.flusher.urgent(self);
            }
        } else {
            self.flush_later();
        }
    }

    /// Whether its log directory takes no more writes.
    pub(crate) fn is_offline(&self) -> bool {
        self.log.dir_state().offline().is_some()
    }

    /// Asks for a flush within the pause of lazy flushes.
    fn flush_later(self: &Arc<Self>) {
        if !self.queued_lazy.swap(true, Ordering::AcqRel) {
            self.disk.flusher.lazy(self);
        }
    }

    /// The partition is gone: everybody who waits for it looks again, and finds it missing.
    pub(crate) fn abandon(&self) {
        self.durability_waiters.fail(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        self.fetch_waiters.wake_all();
    }
}
