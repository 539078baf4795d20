//! What logs cost in memory, by counting what is allocated. One test, because the count is the process's.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod rig;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use bytes::Bytes;
use protocol::records::BatchBuilder;
use rig::{RigDisk, append, config, partition, plain, tempdir, topic_id};
use storage::{LogDir, PartitionLog, SharedLimits};

const LOGS: i32 = 1_000;
/// Of one log without records, and of one with records that nobody uses.
const LOG_MAX_BYTES: isize = 4 << 10;
/// While a log is recovered, however large it is.
const RECOVERY_MAX_BYTES: isize = 2 << 20;

struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);
/// The most that was live at once since it was last set.
static PEAK: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
#[allow(unsafe_code, reason = "an allocator is unsafe by nature")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed) + layout.size() as isize;
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller keeps the allocator's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live() -> isize {
    LIVE.load(Ordering::Relaxed)
}

fn open_all(dir: &LogDir) -> (Vec<PartitionLog>, isize) {
    let before = live();
    let logs: Vec<PartitionLog> =
        (0..LOGS).map(|index| dir.open_log(&partition(index), topic_id(1), config()).unwrap()).collect();
    let each = (live() - before) / LOGS as isize;
    (logs, each)
}

#[test]
fn logs_cost_what_they_are_allowed_to() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let limits = SharedLimits { tail_cache_bytes: 1 << 20, ..SharedLimits::default() };
    let open = || LogDir::open(Arc::new(disk.clone()), path.path(), limits).unwrap();

    let dir = open();
    let (logs, empty) = open_all(&dir);
    println!("a log without records: {empty} bytes");
    assert!(empty < LOG_MAX_BYTES, "a log without records takes {empty} bytes");
    assert_eq!(dir.partitions().unwrap(), []);
    for log in &logs {
        append(log, plain(1, 0, b"v")).unwrap();
        log.close().unwrap();
    }
    dir.close_clean(logs.iter()).unwrap();
    drop((logs, dir));

    let dir = open();
    let (logs, idle) = open_all(&dir);
    println!("a log with records, opened again: {idle} bytes");
    assert!(idle < LOG_MAX_BYTES, "a log with records takes {idle} bytes");

    the_tail_cache_keeps_its_bound(&logs[0], limits.tail_cache_bytes);
    drop((logs, dir));
    recovery_reads_blocks();
}

/// A log that is larger than the memory it may take is read from end to end after a crash.
fn recovery_reads_blocks() {
    const LOG_BYTES: usize = 32 << 20;
    const BATCH_BYTES: usize = 64 << 10;
    let (disk, path) = (RigDisk::default(), tempdir());
    let limits = SharedLimits { tail_cache_bytes: 0, ..SharedLimits::default() };
    let open = || {
        let dir = LogDir::open(Arc::new(disk.clone()), path.path(), limits).unwrap();
        let log = dir.open_log(&partition(0), topic_id(1), config()).unwrap();
        (dir, log)
    };
    let (dir, log) = open();
    for _ in 0..LOG_BYTES / BATCH_BYTES {
        append(&log, plain(1, 0, &[1; BATCH_BYTES])).unwrap();
    }
    let end = log.log_end_offset();
    drop((dir, log));
    let before = live();
    PEAK.store(before, Ordering::Relaxed);
    let (_dir, log) = open();
    let peak = PEAK.load(Ordering::Relaxed) - before;
    assert_eq!(log.log_end_offset(), end);
    println!("recovery of {LOG_BYTES} bytes: {peak} bytes");
    assert!(peak < RECOVERY_MAX_BYTES, "recovery takes {peak} bytes");
}

/// Batches come as parts of large frames. The cache must not keep the frames.
fn the_tail_cache_keeps_its_bound(log: &PartitionLog, limit: usize) {
    const FRAME_BYTES: usize = 1 << 20;
    for batch_bytes in [100, 70_000] {
        let before = live();
        let mut batch = BatchBuilder::new(0);
        batch.append(0, None, Some(&vec![1; batch_bytes]), &[]);
        let batch = batch.build();
        for _ in 0..200 {
            let mut frame = batch.to_vec();
            frame.resize(FRAME_BYTES, 0);
            let part = Bytes::from(frame).split_to(batch.len());
            append(log, part).unwrap();
        }
        let grown = live() - before;
        println!("batches of {batch_bytes} bytes: {grown} bytes more");
        assert!(grown < 2 * limit as isize, "{grown} bytes stay for a cache of {limit}");
    }
}
