//! A data directory: the partitions in it, and what is remembered of them between two runs.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::Uuid;
use tracing::warn;

use crate::checkpoint::Checkpoints;
use crate::config::{LogConfig, SharedLimits};
use crate::disk::Disk;
use crate::error::StorageError;
use crate::files::{self, read_file, write_file};
use crate::log::{PartitionLog, Shared, remove_file};
use crate::log_dir_state::{LogDirState, WatchedDisk};
use crate::new_names::NewDirs;
use crate::partition_metadata;
use crate::recovery::{self, Checkpointed};
use crate::tail_cache::TailCache;
use crate::window::WindowBudget;

const LOCK_FILE: &str = ".lock";
const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";
const DELETE_SUFFIX: &str = "-delete";
const STRAY_SUFFIX: &str = "-stray";
/// What is said at each start while there are such directories.
const STRAYS_KEPT: &str = "directories with records of no topic are kept; move each -stray directory elsewhere, or remove \
                           it, when you are sure that nobody needs its records";
/// The longest file name that common file systems take, bytes.
const NAME_MAX_BYTES: usize = 255;

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
    /// Logs that were not opened, and so not checked, since a run that did not end cleanly, or could not be opened.
    unchecked: Mutex<BTreeSet<TopicPartition>>,
    /// Held while deleted directories are removed.
    removing: Mutex<()>,
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
        // Directories above it may be nobody's of ours to flush.
        files::create_dir(&*disk, path).map_err(StorageError::io("create", path))?;
        let state = Arc::<LogDirState>::default();
        let disk: Arc<dyn Disk> = Arc::new(WatchedDisk::new(disk, Arc::clone(&state)));
        let lock_path = path.join(LOCK_FILE);
        let lock = disk.lock(&lock_path).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => StorageError::Locked { path: path.to_owned() },
            _ => StorageError::io("lock", &lock_path)(error),
        })?;
        let marker = path.join(CLEAN_SHUTDOWN_FILE);
        let clean = read_file(&*disk, &marker).map_err(StorageError::io("read", &marker))?.is_some();
        let checkpoints = Checkpoints::open(&*disk, path)?;
        if clean {
            // Gone for good before anything is written: it must not survive a crash of this run.
            remove_file(&*disk, &marker)?;
        }
        // After a kill too: what it had renamed and not flushed is seen now, and must not be unseen later.
        disk.sync_dir(path).map_err(StorageError::io("flush", path))?;
        let (cache, windows) = (TailCache::new(limits.tail_cache_bytes), WindowBudget::new(limits.mapped_bytes));
        let uncheckpointed_bytes = AtomicU64::new(0);
        let new_dirs = NewDirs::default();
        let shared =
            Arc::new(Shared { disk, cache, windows, limits, checkpoints, state, new_dirs, uncheckpointed_bytes });
        let dir = LogDir {
            path: path.to_owned(),
            shared,
            clean,
            unchecked: Mutex::default(),
            removing: Mutex::new(()),
            _lock: LockGuard(lock),
        };
        dir.remove_deleted()?;
        dir.look_through_strays()?;
        if !clean {
            let found = dir.partitions()?;
            dir.unchecked().extend(found.into_iter().map(|found| found.partition));
        }
        Ok(dir)
    }

    /// A partition in a directory that is not open, and may not exist, if there is one.
    ///
    /// # Errors
    /// The disk's.
    pub fn any_partition(disk: &dyn Disk, path: &Path) -> Result<Option<TopicPartition>, StorageError> {
        match disk.list(path) {
            Ok(names) => {
                Ok(names.into_iter().filter(|(_, is_dir)| *is_dir).find_map(|(name, _)| parse_dir_name(&name)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StorageError::io("list", path)(error)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the last run ended cleanly, so that logs need no recovery.
    pub fn was_clean(&self) -> bool {
        self.clean
    }

    /// Whether it takes writes.
    pub fn state(&self) -> &LogDirState {
        &self.shared.state
    }

    /// Whether anything was flushed since [`LogDir::checkpoint`].
    pub fn is_checkpoint_old(&self) -> bool {
        self.shared.uncheckpointed_bytes.load(Ordering::Acquire) > 0
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
        let opened = self.open_checked(partition, topic_id, config);
        let mut unchecked = self.unchecked();
        match &opened {
            Ok(_) => unchecked.remove(partition),
            Err(_) => unchecked.insert(partition.clone()),
        };
        opened
    }

    fn open_checked(
        &self,
        partition: &TopicPartition,
        topic_id: Uuid,
        config: LogConfig,
    ) -> Result<PartitionLog, StorageError> {
        let disk = &*self.shared.disk;
        let dir = self.path.join(partition.to_string());
        let found = partition_metadata::read(disk, &dir)?;
        if found != Some(topic_id) {
            // No records of this topic are here yet: what was checkpointed belongs to an earlier one of its name.
            self.clear_away(partition, &dir, found.is_some())?;
        } else if !self.clean {
            // The last run may have been killed before it flushed what we believe now.
            partition_metadata::sync(disk, &dir)?;
        }
        let (recovery_point, log_start_offset) = self.shared.checkpoints.of(partition);
        let known = Checkpointed { clean: self.clean, recovery_point, log_start_offset };
        let recovered = recovery::open(disk, &dir, &config, &self.shared.limits, known, wall_ms())?;
        if self.shared.checkpoints.cleaned(partition) > recovered.log_end_offset {
            // Said of records that are lost, and not to be believed of those that take their offsets.
            self.shared.checkpoints.set_cleaned(disk, partition, 0)?;
        }
        let shared = Arc::clone(&self.shared);
        Ok(PartitionLog::new(shared, partition.clone(), topic_id, dir, config, recovered))
    }

    /// Makes room for a partition whose directory, if there is one, is not its own. What is known to be another
    /// topic's is deleted, because only a deleted topic's name is free. Records of nobody knows whom are kept.
    fn clear_away(&self, partition: &TopicPartition, dir: &Path, is_known: bool) -> Result<(), StorageError> {
        let disk = &*self.shared.disk;
        match disk.list(dir) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.shared.checkpoints.forget(partition);
                return Ok(());
            }
            Err(error) => return Err(StorageError::io("list", dir)(error)),
        }
        let suffix = if is_known || !may_have_records(disk, dir) { DELETE_SUFFIX } else { STRAY_SUFFIX };
        let aside = self.rename_away(partition, suffix)?;
        warn!(log = %dir.display(), aside = %aside.display(), "a directory is not of the topic of its name; it is put aside");
        Ok(())
    }

    fn unchecked(&self) -> MutexGuard<'_, BTreeSet<TopicPartition>> {
        self.unchecked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes a log: its directory is renamed, durably, and removed by [`LogDir::remove_deleted`].
    ///
    /// # Errors
    /// The disk's.
    pub fn delete_log(&self, log: &PartitionLog) -> Result<(), StorageError> {
        if log.abandon() && log.path().starts_with(&self.path) {
            drop(self.rename_away(log.partition(), DELETE_SUFFIX)?);
        }
        Ok(())
    }

    /// Puts a directory out of the way that belongs to no topic, without removing any records, and answers where it is
    /// now. One without records, as a power cut leaves it before a log's first flush, is deleted: then the answer is
    /// `None`.
    ///
    /// # Errors
    /// The disk's.
    pub fn set_aside(&self, partition: &TopicPartition) -> Result<Option<PathBuf>, StorageError> {
        let is_kept = may_have_records(&*self.shared.disk, &self.path.join(partition.to_string()));
        let suffix = if is_kept { STRAY_SUFFIX } else { DELETE_SUFFIX };
        Ok(Some(self.rename_away(partition, suffix)?).filter(|_| is_kept))
    }

    /// Of the directories that an earlier run has set aside, deletes those without records and names the others.
    fn look_through_strays(&self) -> Result<(), StorageError> {
        let disk = &*self.shared.disk;
        let mut kept = Vec::new();
        for (name, is_dir) in disk.list(&self.path).map_err(StorageError::io("list", &self.path))? {
            if !is_dir || !is_aside_name(&name, STRAY_SUFFIX) {
                continue;
            }
            let dir = self.path.join(&name);
            if may_have_records(disk, &dir) {
                kept.push(name);
            } else if let Err(error) = disk.remove_dir(&dir) {
                warn!(dir = %dir.display(), %error, "a directory without records cannot be removed; it stays");
            }
        }
        if let Some(first) = kept.first() {
            let (dir, count) = (self.path.display(), kept.len());
            warn!(%dir, count, first, "{STRAYS_KEPT}");
        }
        Ok(())
    }

    fn rename_away(&self, partition: &TopicPartition, suffix: &str) -> Result<PathBuf, StorageError> {
        let disk = &*self.shared.disk;
        let dir = self.path.join(partition.to_string());
        let renamed = self.path.join(aside_name(partition, suffix));
        disk.rename(&dir, &renamed).map_err(StorageError::io("rename", &dir))?;
        self.shared.checkpoints.forget(partition);
        self.unchecked().remove(partition);
        disk.sync_dir(&self.path).map_err(StorageError::io("flush", &self.path))?;
        Ok(renamed)
    }

    /// Removes what was deleted, now or before a crash.
    ///
    /// # Errors
    /// The disk's.
    pub fn remove_deleted(&self) -> Result<(), StorageError> {
        let _one_at_a_time = self.removing.lock().unwrap_or_else(PoisonError::into_inner);
        let disk = &*self.shared.disk;
        for (name, is_dir) in disk.list(&self.path).map_err(StorageError::io("list", &self.path))? {
            if is_dir && is_aside_name(&name, DELETE_SUFFIX) {
                let doomed = self.path.join(name);
                disk.remove_dir(&doomed).map_err(StorageError::io("remove", &doomed))?;
            }
        }
        Ok(())
    }

    /// Writes recovery points, log starts and restart points, so that the next start need not read what is durable.
    /// Flushes no log.
    ///
    /// # Errors
    /// The disk's; [`StorageError::Offline`] when the directory takes no more writes.
    pub fn checkpoint<'a>(&self, logs: impl Iterator<Item = &'a PartitionLog>) -> Result<(), StorageError> {
        self.shared.state.check()?;
        self.shared.uncheckpointed_bytes.store(0, Ordering::Release);
        let logs = logs.inspect(|log| {
            if let Err(error) = log.keep_restart_point() {
                warn!(partition = %log.partition(), %error, "a restart point could not be written; a start after a crash reads more");
            }
        });
        self.shared.checkpoints.update(&*self.shared.disk, logs)
    }

    /// Says that everything is durable and complete, if it is: a log that is not closed, or could not be opened, is
    /// checked at the next start, so nothing is said then.
    ///
    /// # Errors
    /// The disk's.
    pub fn close_clean<'a>(&self, logs: impl Iterator<Item = &'a PartitionLog>) -> Result<(), StorageError> {
        let logs: Vec<&PartitionLog> = logs.filter(|log| !log.is_deleted()).collect();
        self.shared.state.check()?;
        self.shared.checkpoints.update(&*self.shared.disk, logs.iter().copied())?;
        let open = logs.iter().filter(|log| !log.is_complete()).count();
        let unchecked = self.unchecked().len();
        if open + unchecked > 0 {
            warn!(dir = %self.path.display(), open, unchecked, "not all logs are complete; the next start checks them");
            return Ok(());
        }
        let marker = self.path.join(CLEAN_SHUTDOWN_FILE);
        let content = br#"{"version":0,"brokerEpoch":-1}"#;
        write_file(&*self.shared.disk, &marker, content).map_err(StorageError::io("write", &marker))
    }
}

/// A name for a directory that is put aside: unique, because a topic of this name may be deleted again before the first
/// is removed, and cut to what a file system takes.
fn aside_name(partition: &TopicPartition, suffix: &str) -> String {
    let unique = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let tail = format!("-{}.{unique:032x}{suffix}", partition.index);
    let room = NAME_MAX_BYTES.saturating_sub(tail.len());
    let topic = &partition.topic[..partition.topic.floor_char_boundary(room)];
    format!("{topic}{tail}")
}

/// `topic-3.<32 hex digits>-delete`, or `-stray`; a directory that only happens to end like that is not ours to remove.
fn is_aside_name(name: &str, suffix: &str) -> bool {
    let unique = name.strip_suffix(suffix).and_then(|name| name.rsplit_once('.'));
    unique.is_some_and(|(_, unique)| unique.len() == 32 && unique.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether there may be records in a partition's directory: so it is also if it cannot be read. A crash while one is made
/// leaves none, or files without any.
fn may_have_records(disk: &dyn Disk, dir: &Path) -> bool {
    let is_filled = |name: &str| disk.open(&dir.join(name), false).and_then(|file| file.is_empty()).map(|empty| !empty);
    // A compacted segment that a crash kept from its name has the records of all that it takes the place of.
    let of_records = |name: &str| name.ends_with(".log") || name.ends_with(".log.swap");
    match disk.list(dir) {
        Ok(names) => names.iter().any(|(name, _)| of_records(name) && is_filled(name).unwrap_or(true)),
        Err(_) => true,
    }
}

/// `topic-3` is partition 3 of `topic`, whatever hyphens the topic has.
fn parse_dir_name(name: &str) -> Option<TopicPartition> {
    let (topic, index) = name.rsplit_once('-')?;
    let index: i32 = index.parse().ok()?;
    let partition = TopicPartition { topic: Arc::from(topic), index };
    // "orders-01" is not a name that we give.
    (!topic.is_empty() && partition.to_string() == name).then_some(partition)
}

fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_given_to_partitions_are_partitions() {
        for (name, expected) in [("orders-0", Some(("orders", 0))), ("a-b.c-12", Some(("a-b.c", 12)))] {
            let found = parse_dir_name(name).map(|found| (found.topic.to_string(), found.index));
            assert_eq!(found, expected.map(|(topic, index)| (topic.to_owned(), index)), "{name}");
        }
        for name in ["orders", "orders-01", "orders-+1", "orders-", "-1", "orders-99999999999"] {
            assert_eq!(parse_dir_name(name), None, "{name}");
        }
    }

    #[test]
    fn the_longest_topic_can_be_put_aside() {
        let partition = TopicPartition { topic: "t".repeat(249).into(), index: 12 };
        let name = aside_name(&partition, DELETE_SUFFIX);
        assert_eq!(name.len(), NAME_MAX_BYTES);
        assert!(is_aside_name(&name, DELETE_SUFFIX) && parse_dir_name(&name).is_none());
        for (name, suffix) in [("holiday.photos-delete", DELETE_SUFFIX), ("x.y-stray", STRAY_SUFFIX)] {
            assert!(!is_aside_name(name, suffix), "{name}");
        }
    }
}
