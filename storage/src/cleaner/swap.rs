//! Putting a rewritten segment in the place of others, so that a crash at any point leaves the one or the others.
//!
//! The protocol is Apache Kafka's, so that either of us finishes what the other began. A new segment is `.cleaned` until
//! it is whole and durable; renaming its data to `.swap` decides that it counts. Then the old segments go, oldest first,
//! and it takes its own name. At start `.cleaned` files are removed, and of each `.swap` file the rest of the way is
//! gone. Of segments whose records are all gone the new one's end tells nothing, so a crash may leave the last of them:
//! they are what they were, and are compacted again.

use std::path::Path;
use std::sync::Arc;

use tracing::{info, warn};

use super::{CLEANED_SUFFIX, SWAP_SUFFIX};
use crate::disk::{Disk, DiskFile};
use crate::error::StorageError;
use crate::log::{PartitionLog, lock, remove_file};
use crate::recovery::offset_of;
use crate::scan::scan;
use crate::segment::{Segment, file_name};

impl PartitionLog {
    /// Replaces segments by one that has their place; false when they are not in the log any more, or it is closed.
    /// Readers that hold the old ones read on in them.
    pub(super) fn replace_segments(&self, old: &[Arc<Segment>], mut new: Segment) -> Result<bool, StorageError> {
        let _writer = lock(&self.writer);
        let disk = &*self.shared.disk;
        let segments = self.segments();
        let Some(at) = place_of(old, &segments).filter(|_| self.check_open().is_ok()) else {
            new.discard(disk)?;
            return Ok(false);
        };
        let prepared = old.iter().try_for_each(|segment| segment.pin(disk)).and_then(|()| {
            new.rename_indexes(disk, SWAP_SUFFIX)?;
            // Whether a rename that failed came about after all is not known, so this is the last step that may fail.
            disk.sync_dir(&self.dir).map_err(StorageError::io("flush", &self.dir))
        });
        if let Err(error) = prepared {
            old.iter().for_each(|segment| segment.unpin());
            new.discard_after_failure(disk);
            return Err(error);
        }
        // From here on the disk says something else than memory until it is done.
        self.take_place(old, &mut new).inspect_err(|_| self.poison())?;
        let end = segments[at + old.len()].base_offset();
        let mut replaced = segments[..at].to_vec();
        replaced.push(Arc::new(new));
        replaced.extend_from_slice(&segments[at + old.len()..]);
        self.replacements.replacing(|| {
            self.publish_segments(replaced);
            self.trim_tail(end);
        });
        for segment in old {
            if let Err(error) = segment.remove(disk) {
                warn!(partition = %self.partition, %error, "a compacted segment's old files stay until the next start");
            }
        }
        Ok(true)
    }

    fn take_place(&self, old: &[Arc<Segment>], new: &mut Segment) -> Result<(), StorageError> {
        let disk = &*self.shared.disk;
        let sync_dir = || disk.sync_dir(&self.dir).map_err(StorageError::io("flush", &self.dir));
        new.rename_data(disk, SWAP_SUFFIX)?;
        sync_dir()?;
        for segment in old {
            segment.put_aside(disk)?;
        }
        new.rename_indexes(disk, "")?;
        new.rename_data(disk, "")?;
        sync_dir()
    }
}

/// Where `old` stand in the log, if they still do, and not at its end.
fn place_of(old: &[Arc<Segment>], segments: &[Arc<Segment>]) -> Option<usize> {
    let first = old.first()?;
    let at = segments.iter().position(|segment| Arc::ptr_eq(segment, first))?;
    let there = segments.get(at..at + old.len())?;
    let same = there.iter().zip(old).all(|(there, old)| Arc::ptr_eq(there, old));
    (same && at + old.len() < segments.len()).then_some(at)
}

/// Goes the rest of the way with segments that a crash left as `.swap`; answers the names in the directory then.
pub(crate) fn finish_interrupted(
    disk: &dyn Disk,
    dir: &Path,
    names: Vec<(String, bool)>,
    now_ms: i64,
) -> Result<Vec<(String, bool)>, StorageError> {
    let of_suffix = |suffix: &str| {
        let mut bases: Vec<i64> = names.iter().filter_map(|(name, _)| offset_of(name, suffix)).collect();
        bases.sort_unstable();
        bases
    };
    let swaps = of_suffix(&format!(".log{SWAP_SUFFIX}"));
    if swaps.is_empty() {
        return Ok(names);
    }
    // Kafka splits a segment into several, and renames the last first: what still is `.cleaned` takes those with it.
    let undecided = of_suffix(&format!(".log{CLEANED_SUFFIX}")).first().copied().unwrap_or(i64::MAX);
    let sync_dir = || disk.sync_dir(dir).map_err(StorageError::io("flush", dir));
    for base in swaps.iter().copied().filter(|base| *base >= undecided) {
        remove_file(disk, &dir.join(file_name(base, ".log.swap")))?;
    }
    sync_dir()?;
    let logs = of_suffix(".log");
    for base in swaps.into_iter().filter(|base| *base < undecided) {
        let end = end_of(disk, dir, base, now_ms)?;
        info!(log = %dir.display(), base, end, "compaction was interrupted; it is finished");
        for replaced in logs.iter().copied().filter(|other| (base..end.max(base + 1)).contains(other)) {
            for suffix in [".index", ".timeindex", ".txnindex", ".log"] {
                remove_file(disk, &dir.join(file_name(replaced, suffix)))?;
            }
        }
        // Whose the indexes are is not known: they are built again.
        for suffix in [".index", ".timeindex", ".txnindex"] {
            remove_file(disk, &dir.join(file_name(base, suffix)))?;
        }
        // What is not durably gone must not stand beside the new data.
        sync_dir()?;
        let live = dir.join(file_name(base, ".log"));
        disk.rename(&dir.join(file_name(base, ".log.swap")), &live).map_err(StorageError::io("rename", &live))?;
        sync_dir()?;
    }
    disk.list(dir).map_err(StorageError::io("list", dir))
}

/// The offset behind the last batch of a segment that waits for its place. It was durable before it got its name.
fn end_of(disk: &dyn Disk, dir: &Path, base: i64, now_ms: i64) -> Result<i64, StorageError> {
    let path = dir.join(file_name(base, ".log.swap"));
    let file: Arc<dyn DiskFile> = disk.open(&path, false).map_err(StorageError::io("open", &path))?;
    let length = file.len().map_err(StorageError::io("read", &path))?;
    let bounds = Segment::at(dir, base, 0, now_ms);
    let mut end = base;
    let ended = scan(&*file, &path, 0..length, true, |batch, _| {
        if batch.base_offset() < end || !bounds.can_hold(batch.last_offset()) {
            return Err(format!("offset {} does not belong here", batch.base_offset()));
        }
        end = batch.next_offset();
        Ok(())
    })?;
    match ended.invalid {
        None => Ok(end),
        Some(reason) => Err(StorageError::Corrupt { path, position: ended.position, reason }),
    }
}
