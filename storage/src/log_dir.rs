//! A data directory: the partitions in it, and what is remembered of them between two runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::Uuid;

use crate::checkpoint::{Offsets, read_offsets, write_offsets};
use crate::config::{LogConfig, SharedLimits};
use crate::disk::{Disk, read_file, write_file};
use crate::error::StorageError;
use crate::log::{PartitionLog, Shared, remove_file};
use crate::partition_metadata;
use crate::recovery::{self, Checkpointed};
use crate::tail_cache::TailCache;
use crate::window::WindowBudget;

const LOCK_FILE: &str = ".lock";
const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";
const RECOVERY_POINTS_FILE: &str = "recovery-point-offset-checkpoint";
const LOG_STARTS_FILE: &str = "log-start-offset-checkpoint";
const DELETE_SUFFIX: &str = "-delete";
const STRAY_SUFFIX: &str = "-stray";

/// A partition by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's index.
    pub index: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}

/// A partition directory that was found on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPartition {
    /// Whose it is by its name.
    pub partition: TopicPartition,
    /// Whose it is by its `partition.metadata`.
    pub topic_id: Option<Uuid>,
}

/// An open data directory. No other process has it.
#[derive(Debug)]
pub struct LogDir {
    path: PathBuf,
    shared: Arc<Shared>,
    clean: bool,
    recovery_points: Offsets,
    log_starts: Offsets,
    /// Held while checkpoints are written and deleted directories are removed.
    upkeep: Mutex<()>,
    _lock: LockGuard,
}

struct LockGuard(Box<dyn Send + Sync>);

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = &self.0;
        f.write_str("LockGuard")
    }
}

impl LogDir {
    /// Takes a data directory, making it if it is missing.
    ///
    /// # Errors
    /// [`StorageError::Locked`] when another process has it; the disk's.
    pub fn open(disk: Arc<dyn Disk>, path: &Path, limits: SharedLimits) -> Result<LogDir, StorageError> {
        disk.create_dir(path).map_err(StorageError::io("create", path))?;
        let lock_path = path.join(LOCK_FILE);
        let lock = disk.lock(&lock_path).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => StorageError::Locked { path: path.to_owned() },
            _ => StorageError::io("lock", &lock_path)(error),
        })?;
        let marker = path.join(CLEAN_SHUTDOWN_FILE);
        let clean = read_file(&*disk, &marker).map_err(StorageError::io("read", &marker))?.is_some();
        let recovery_points = read_offsets(&*disk, &path.join(RECOVERY_POINTS_FILE))?;
        let log_starts = read_offsets(&*disk, &path.join(LOG_STARTS_FILE))?;
        if clean {
            // Gone for good before anything is written: it must not survive a crash of this run.
            remove_file(&*disk, &marker)?;
            disk.sync_dir(path).map_err(StorageError::io("flush", path))?;
        }
        let (cache, windows) = (TailCache::new(limits.tail_cache_bytes), WindowBudget::new(limits.mapped_bytes));
        let shared = Arc::new(Shared { disk, cache, windows, limits });
        let dir = LogDir {
            path: path.to_owned(),
            shared,
            clean,
            recovery_points,
            log_starts,
            upkeep: Mutex::new(()),
            _lock: LockGuard(lock),
        };
        dir.remove_deleted()?;
        Ok(dir)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the last run ended cleanly, so that logs need no recovery.
    pub fn was_clean(&self) -> bool {
        self.clean
    }

    /// The partitions that have a directory.
    ///
    /// # Errors
    /// The disk's.
    pub fn partitions(&self) -> Result<Vec<FoundPartition>, StorageError> {
        let disk = &*self.shared.disk;
        let mut found = Vec::new();
        for (name, is_dir) in disk.list(&self.path).map_err(StorageError::io("list", &self.path))? {
            if let (true, Some(partition)) = (is_dir, parse_dir_name(&name)) {
                let topic_id = partition_metadata::read(disk, &self.path.join(&name))?;
                found.push(FoundPartition { partition, topic_id });
            }
        }
        Ok(found)
    }

    /// Opens a partition's log, recovering it if the last run did not end cleanly. A log without records has no files,
    /// and opening it makes none. A directory of another topic with the same name is moved away first.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] when data that was durable is damaged; the disk's.
    pub fn open_log(
        &self,
        partition: &TopicPartition,
        topic_id: Uuid,
        config: LogConfig,
    ) -> Result<PartitionLog, StorageError> {
        let disk = &*self.shared.disk;
        let dir = self.path.join(partition.to_string());
        let mut known = Checkpointed {
            clean: self.clean,
            recovery_point: self.recovery_points.get(partition).copied().unwrap_or(0),
            log_start_offset: self.log_starts.get(partition).copied().unwrap_or(0),
        };
        match partition_metadata::read(disk, &dir)? {
            Some(id) if id == topic_id => {}
            found => {
                // No records of this topic are here yet: what was checkpointed belongs to an earlier one of its name.
                known = Checkpointed { clean: false, recovery_point: 0, log_start_offset: 0 };
                if found.is_some() || disk.list(&dir).is_ok() {
                    self.rename_away(partition, DELETE_SUFFIX)?;
                }
            }
        }
        let recovered = recovery::open(disk, &dir, &config, &self.shared.limits, known, wall_ms())?;
        let shared = Arc::clone(&self.shared);
        Ok(PartitionLog::new(shared, partition.clone(), topic_id, dir, config, recovered))
    }

    /// Deletes a log: its directory is renamed, durably, and removed by [`LogDir::remove_deleted`].
    ///
    /// # Errors
    /// The disk's.
    pub fn delete_log(&self, log: &PartitionLog) -> Result<(), StorageError> {
        if log.abandon() && log.path().starts_with(&self.path) {
            self.rename_away(log.partition(), DELETE_SUFFIX)?;
        }
        Ok(())
    }

    /// Puts a directory out of the way that belongs to no topic, without removing anything.
    ///
    /// # Errors
    /// The disk's.
    pub fn set_aside(&self, partition: &TopicPartition) -> Result<(), StorageError> {
        self.rename_away(partition, STRAY_SUFFIX)
    }

    fn rename_away(&self, partition: &TopicPartition, suffix: &str) -> Result<(), StorageError> {
        let disk = &*self.shared.disk;
        let dir = self.path.join(partition.to_string());
        // Unique, because a topic of this name may be deleted again before the first is removed.
        let unique = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let renamed = self.path.join(format!("{partition}.{unique:032x}{suffix}"));
        disk.rename(&dir, &renamed).map_err(StorageError::io("rename", &dir))?;
        disk.sync_dir(&self.path).map_err(StorageError::io("flush", &self.path))
    }

    /// Removes what was deleted, now or before a crash.
    ///
    /// # Errors
    /// The disk's.
    pub fn remove_deleted(&self) -> Result<(), StorageError> {
        let _one_at_a_time = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let disk = &*self.shared.disk;
        for (name, is_dir) in disk.list(&self.path).map_err(StorageError::io("list", &self.path))? {
            if is_dir && name.ends_with(DELETE_SUFFIX) {
                let doomed = self.path.join(name);
                disk.remove_dir(&doomed).map_err(StorageError::io("remove", &doomed))?;
            }
        }
        Ok(())
    }

    /// Writes recovery points and log starts, so that the next start need not read what is durable.
    ///
    /// # Errors
    /// The disk's.
    pub fn checkpoint<'a>(&self, logs: impl Iterator<Item = &'a PartitionLog>) -> Result<(), StorageError> {
        let _one_at_a_time = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut recovery_points, mut log_starts) = (Offsets::new(), Offsets::new());
        for log in logs {
            if log.flushed_offset() > 0 {
                recovery_points.insert(log.partition().clone(), log.flushed_offset());
            }
            if log.log_start_offset() > 0 {
                log_starts.insert(log.partition().clone(), log.log_start_offset());
            }
        }
        let disk = &*self.shared.disk;
        write_offsets(disk, &self.path.join(LOG_STARTS_FILE), &log_starts)?;
        write_offsets(disk, &self.path.join(RECOVERY_POINTS_FILE), &recovery_points)
    }

    /// Says that everything is durable and complete. Every log must be flushed and closed.
    ///
    /// # Errors
    /// The disk's.
    pub fn close_clean<'a>(&self, logs: impl Iterator<Item = &'a PartitionLog>) -> Result<(), StorageError> {
        self.checkpoint(logs)?;
        let marker = self.path.join(CLEAN_SHUTDOWN_FILE);
        let content = br#"{"version":0,"brokerEpoch":-1}"#;
        write_file(&*self.shared.disk, &marker, content).map_err(StorageError::io("write", &marker))
    }
}

/// `topic-3` is partition 3 of `topic`, whatever hyphens the topic has.
fn parse_dir_name(name: &str) -> Option<TopicPartition> {
    let (topic, index) = name.rsplit_once('-')?;
    let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    if topic.is_empty() || !digits {
        return None;
    }
    Some(TopicPartition { topic: Arc::from(topic), index: index.parse().ok()? })
}

fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
