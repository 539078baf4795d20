//! Which partitions this broker serves.
//!
//! The cluster image is the truth; a partition's log is opened when it is first needed. Logs that have data on disk
//! are opened at start, so that recovery happens before the first client comes; a log without data costs a few bytes
//! and no file, so opening it may happen on the way.

use std::collections::BTreeMap;
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ScopedJoinHandle;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use protocol::{ErrorCode, Uuid};
use state::cluster::{Image, Topic};
use storage::{LogDir, StorageError, TopicPartition};
use tokio::sync::Notify;
use tracing::{error, info, warn};

use super::{DiskSpace, Flusher, Partition, SharedDisk, TotalRetention};
use crate::config::{BrokerConfig, TopicConfig};

/// Logs that are opened at a time at start. Each holds a block of a file and waits for the disk, so few are enough.
const OPENING_THREADS: usize = 4;
/// Logs that are closed at a time at the end. Each flushes a few small files of its own, so they mostly wait.
const CLOSING_THREADS: usize = 16;

/// Everything needed to open a partition, and the partitions that are open.
pub(crate) struct Partitions {
    node_id: i32,
    log_dir: Arc<LogDir>,
    open: DashMap<(Uuid, i32), Arc<Partition>>,
    /// Partitions whose log is damaged; they answer KAFKA_STORAGE_ERROR until somebody mends them.
    offline: DashMap<(Uuid, i32), ()>,
    image: ArcSwap<Image>,
    config: ArcSwap<BrokerConfig>,
    disk: Arc<SharedDisk>,
    /// Held while the set of open partitions changes, so that a deletion and an opening cannot cross.
    changing: Mutex<()>,
}

impl Partitions {
    pub(crate) fn new(
        node_id: i32,
        log_dir: Arc<LogDir>,
        image: Arc<Image>,
        config: Arc<BrokerConfig>,
        flusher: Flusher,
    ) -> Partitions {
        let space = DiskSpace::new(log_dir.path().to_owned(), config.log_reserve_bytes);
        Partitions {
            node_id,
            log_dir,
            open: DashMap::with_shard_amount(8),
            offline: DashMap::with_shard_amount(2),
            image: ArcSwap::new(image),
            config: ArcSwap::new(config),
            disk: Arc::new(SharedDisk {
                flusher,
                space,
                total: TotalRetention::default(),
                checkpoint_due: Notify::new(),
            }),
            changing: Mutex::new(()),
        }
    }

    fn set_aside(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        match self.log_dir.set_aside(partition)? {
            Some(dir) => {
                let dir = dir.display();
                warn!(%partition, %dir, "a partition on disk belongs to no topic; it is set aside, remove it when you are sure");
            }
            None => info!(%partition, "a partition on disk belongs to no topic, and has no records; it is deleted"),
        }
        Ok(())
    }

    /// Opens every log that has data, and sets aside those of topics that no longer exist. Blocks on the disk.
    ///
    /// # Errors
    /// When the directory itself cannot be read. A single damaged log goes offline instead.
    pub(crate) fn open_existing(&self) -> Result<(), StorageError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let image = self.image.load_full();
        let mut existing = Vec::new();
        for found in self.log_dir.partitions()? {
            let topic = found.topic_id.and_then(|id| image.topic_by_id(id));
            let wanted = topic.filter(|topic| {
                *topic.name == *found.partition.topic
                    && usize::try_from(found.partition.index).is_ok_and(|index| index < topic.partitions.len())
            });
            match wanted {
                Some(topic) => existing.push((topic, found.partition.index)),
                None => self.set_aside(&found.partition)?,
            }
        }
        let next = AtomicUsize::new(0);
        let open_all = || {
            while let Some((topic, index)) = existing.get(next.fetch_add(1, Ordering::Relaxed)) {
                // An error is logged and remembered where it happens.
                let _ = self.open_log(topic, *index);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..OPENING_THREADS.min(existing.len()) {
                scope.spawn(open_all);
            }
            open_all();
        });
        Ok(())
    }

    /// The partition `index` of the topic called `name`, if this broker leads it.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION`, `NOT_LEADER_OR_FOLLOWER`, or `KAFKA_STORAGE_ERROR` when its log is damaged.
    pub(crate) fn leader_by_name(&self, name: &str, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let image = self.image.load();
        let topic = image.topic(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        self.leader(topic, index)
    }

    /// The same, of the topic with this id.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_ID` in place of the unknown topic; the rest as above.
    pub(crate) fn leader_by_id(&self, id: Uuid, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let image = self.image.load();
        let topic = image.topic_by_id(id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
        self.leader(topic, index)
    }

    /// The cluster as requests see it: the newest image that the logs follow already.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    /// Partitions that are open now.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        self.open.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    /// A partition that is open now; whoever only looks opens none.
    pub(crate) fn open_by_id(&self, id: Uuid, index: i32) -> Option<Arc<Partition>> {
        self.open.get(&(id, index)).map(|partition| Arc::clone(&partition))
    }

    /// Partitions whose log is damaged.
    pub(crate) fn offline_count(&self) -> usize {
        self.offline.len()
    }

    /// Free bytes below which producers are refused, and whether they are.
    pub(crate) fn disk_reserve(&self) -> (u64, bool) {
        self.disk.space.reserve()
    }

    fn leader(&self, topic: &Arc<Topic>, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        if let Some(partition) = self.open.get(&(topic.id, index)) {
            return Ok(Arc::clone(&partition));
        }
        let state = usize::try_from(index).ok().and_then(|index| topic.partitions.get(index));
        let state = state.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        if state.leader != self.node_id {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        // It waits while a topic is deleted, which flushes a directory: what else this worker has to do must not.
        tokio::task::block_in_place(|| self.open_one(topic, index))
    }

    fn open_one(&self, topic: &Arc<Topic>, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (topic.id, index);
        if let Some(partition) = self.open.get(&key) {
            return Ok(Arc::clone(&partition));
        }
        // The image may have moved on while we waited.
        if self.image.load().topic_by_id(topic.id).is_none() {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        }
        if self.offline.contains_key(&key) {
            return Err(ErrorCode::KAFKA_STORAGE_ERROR);
        }
        self.open_log(topic, index)
    }

    /// The caller sees to it that nobody else opens or deletes the same.
    fn open_log(&self, topic: &Arc<Topic>, index: i32) -> Result<Arc<Partition>, ErrorCode> {
        let key = (topic.id, index);
        let name = TopicPartition { topic: Arc::clone(&topic.name), index };
        let config = self.topic_config(&topic.name);
        match self.log_dir.open_log(&name, topic.id, config.log_config()) {
            Ok(log) => {
                let epoch =
                    usize::try_from(index).ok().and_then(|i| topic.partitions.get(i)).map_or(0, |p| p.leader_epoch);
                let partition =
                    Arc::new(Partition::new(name.topic, index, topic.id, epoch, log, Arc::clone(&self.disk)));
                partition.configure(&config);
                self.open.insert(key, Arc::clone(&partition));
                Ok(partition)
            }
            Err(error) => {
                error!(partition = %name, %error, "a partition is offline: its log cannot be opened; restore the file from a backup, or delete the topic");
                self.offline.insert(key, ());
                Err(ErrorCode::KAFKA_STORAGE_ERROR)
            }
        }
    }

    /// The effective configuration of a topic.
    pub(crate) fn topic_config(&self, name: &str) -> TopicConfig {
        let image = self.image.load();
        TopicConfig::resolve(&self.config.load(), image.topic_configs(name))
    }

    /// Takes a new image: closes and deletes the logs of deleted topics and applies changed configurations. Blocks on
    /// the disk. When it returns, requests see the new state.
    ///
    /// `latest` is asked once no other change is under way, so that an older image never replaces a newer one.
    ///
    /// Answers whether anything was deleted, whose files [`Partitions::remove_deleted`] then removes.
    pub(crate) fn reconcile(&self, latest: impl FnOnce() -> (Arc<Image>, Arc<BrokerConfig>)) -> bool {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (image, config) = latest();
        self.image.store(Arc::clone(&image));
        self.config.store(config);
        let mut configs = BTreeMap::new();
        let mut any_deleted = false;
        for partition in self.all() {
            match image.topic_by_id(partition.topic_id) {
                None => {
                    self.delete(&partition);
                    any_deleted = true;
                }
                Some(topic) => {
                    let config = configs
                        .entry(topic.name.clone())
                        .or_insert_with(|| TopicConfig::resolve(&self.config.load(), image.topic_configs(&topic.name)));
                    partition.configure(config);
                }
            }
        }
        self.offline.retain(|(id, _), ()| image.topic_by_id(*id).is_some());
        self.disk.total.ask();
        any_deleted
    }

    fn delete(&self, partition: &Arc<Partition>) {
        self.open.remove(&(partition.topic_id, partition.index));
        partition.abandon();
        match self.log_dir.delete_log(&partition.log) {
            Ok(()) => info!(%partition, "deleted"),
            Err(error) => {
                error!(%partition, %error, "a deleted partition's files could not be moved away; they are removed at the next start")
            }
        }
    }

    /// Gives back the space of what was deleted. Blocks on the disk.
    pub(crate) fn remove_deleted(&self) {
        if let Err(error) = self.log_dir.remove_deleted() {
            error!(%error, "files of deleted partitions could not be removed; they are tried again within a minute");
        }
    }

    /// Resolves when much was flushed since [`Partitions::checkpoint`]. Cancel-safe.
    pub(crate) async fn checkpoint_due(&self) {
        self.disk.checkpoint_due.notified().await;
    }

    /// Writes the checkpoints and removes what was deleted. Blocks on the disk.
    ///
    /// # Errors
    /// The directory's.
    pub(crate) fn checkpoint(&self) -> Result<(), StorageError> {
        let open = self.all();
        self.log_dir.checkpoint(open.iter().map(|partition| &partition.log))?;
        self.log_dir.remove_deleted()
    }

    /// Closes every log and marks the directory as cleanly shut down. Blocks on the disk.
    ///
    /// # Errors
    /// The first log's that could not be closed; the next start then recovers.
    pub(crate) fn close(&self) -> Result<(), StorageError> {
        let open = self.all();
        let next = AtomicUsize::new(0);
        let close_all = || -> Result<(), StorageError> {
            while let Some(partition) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
                partition.flush()?;
                partition.log.close()?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..CLOSING_THREADS.min(open.len())).map(|_| scope.spawn(close_all)).collect();
            let mine = close_all();
            let end = |other: ScopedJoinHandle<'_, _>| other.join().unwrap_or_else(|panic| resume_unwind(panic));
            others.into_iter().map(end).fold(mine, Result::and)
        })?;
        self.log_dir.close_clean(open.iter().map(|partition| &partition.log))
    }

    /// What keeps all logs together within `ottla.log.retention.total.bytes`.
    pub(super) fn total_retention(&self) -> &TotalRetention {
        &self.disk.total
    }

    /// Free and total bytes of the volume, for DescribeLogDirs.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn volume(&self) -> io::Result<(u64, u64)> {
        let stat = rustix::fs::statvfs(self.log_dir.path())?;
        Ok((stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize))
    }

    /// The directory itself.
    pub(crate) fn log_dir(&self) -> &LogDir {
        &self.log_dir
    }
}
