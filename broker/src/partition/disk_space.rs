//! The reserve of free space: producers are refused before the disk is full, so that deleting, retention, commits and
//! metadata still have room to work in, and the broker gets well by itself once there is space again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tracing::{error, info};

/// How many bytes may be appended, at most, before the file system is asked again.
const CREDIT_MAX_BYTES: i64 = 64 << 20;

/// Free space of the volume with the logs.
pub(crate) struct DiskSpace {
    path: PathBuf,
    reserve_bytes: i64,
    /// Bytes that may be appended before the file system is asked again. Never more than half of what is free above the
    /// reserve, because others write to the same volume.
    credit_bytes: AtomicI64,
    is_low: AtomicBool,
}

impl DiskSpace {
    /// Of the volume with `path`. Without a number, the reserve is 64 MiB, or a sixteenth of a small volume.
    pub(crate) fn new(path: PathBuf, reserve_bytes: Option<u64>) -> DiskSpace {
        let default = || volume(&path).map_or(0, |volume| (volume.total_bytes / 16).min(64 << 20));
        let reserve_bytes = i64::try_from(reserve_bytes.unwrap_or_else(default)).unwrap_or(i64::MAX);
        DiskSpace { path, reserve_bytes, credit_bytes: AtomicI64::new(0), is_low: AtomicBool::new(false) }
    }

    /// Free bytes below which producers are refused, and whether they are.
    pub(crate) fn reserve(&self) -> (u64, bool) {
        (u64::try_from(self.reserve_bytes).unwrap_or(0), self.is_low.load(Ordering::Acquire))
    }

    /// Whether a producer may append `bytes`. May ask the file system, which takes microseconds.
    pub(crate) fn admit(&self, bytes: usize) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        if self.credit_bytes.fetch_sub(bytes, Ordering::AcqRel) >= bytes {
            return true;
        }
        let Some(volume) = volume(&self.path) else {
            // Whether there is room is then for the write to find out.
            return true;
        };
        let free = i64::try_from(volume.available_bytes).unwrap_or(i64::MAX);
        let above_reserve = free.saturating_sub(self.reserve_bytes);
        let admitted = above_reserve >= bytes;
        let credit = if admitted { ((above_reserve - bytes) / 2).min(CREDIT_MAX_BYTES) } else { 0 };
        self.credit_bytes.store(credit, Ordering::Release);
        // Said once, however many producers are refused.
        if self.is_low.swap(!admitted, Ordering::AcqRel) == admitted {
            let (dir, reserve) = (self.path.display(), self.reserve_bytes);
            if admitted {
                info!(%dir, free, "there is space again; producers are served");
            } else {
                error!(%dir, free, reserve, "the disk is nearly full, so producers are refused and try again; delete topics or records, lower retention.ms, retention.bytes or ottla.log.retention.total.bytes, or make the volume larger");
            }
        }
        admitted
    }
}

struct Volume {
    total_bytes: u64,
    available_bytes: u64,
}

fn volume(path: &PathBuf) -> Option<Volume> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(Volume {
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_the_reserve_is_given_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_path_buf();
        let plenty = DiskSpace::new(path.clone(), Some(0));
        assert!(plenty.admit(1) && !plenty.is_low.load(Ordering::Acquire));
        let credit = plenty.credit_bytes.load(Ordering::Acquire);
        assert!(credit > 0 && plenty.admit(10));
        assert_eq!(plenty.credit_bytes.load(Ordering::Acquire), credit - 10, "the file system was not asked");

        let none = DiskSpace::new(path, Some(u64::MAX));
        assert!(!none.admit(1) && none.is_low.load(Ordering::Acquire));
    }
}
