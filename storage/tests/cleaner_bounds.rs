//! What compaction costs: the memory it is given and little more, however large the log, and no byte of I/O that its
//! pace does not hear of.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod compacted;
mod rig;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

use compacted::{NoLimit, read};
use protocol::records::BatchBuilder;
use rig::{RigDisk, append, open_one, tempdir};
use storage::{LogConfig, Pace, PartitionLog};

const KEYS: usize = 12_000;
const RECORDS_PER_BATCH: usize = 100;
/// What a pass needs besides the map: a block of a segment, and what it writes.
const BUFFERS_BYTES: isize = 3 << 20;

struct Counting;

thread_local! {
    /// Bytes that this thread allocated and gave back, and the most there were.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends counts no more.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        PEAK.with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it came.
#[allow(unsafe_code, reason = "an allocator is unsafe by nature")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the allocator's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that was allocated at a time during `work`, beyond what was there.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, isize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = work();
    (result, PEAK.get() - before)
}

fn config() -> LogConfig {
    LogConfig {
        compact: true,
        delete: false,
        segment_bytes: 1 << 20,
        min_cleanable_dirty_ppm: 0,
        max_message_bytes: 1 << 20,
        ..rig::config()
    }
}

/// Writes every key once, with a value that tells the round.
fn write_round(log: &PartitionLog, round: u8) {
    let keys: Vec<String> = (0..KEYS).map(|key| format!("key {key}")).collect();
    for some in keys.chunks(RECORDS_PER_BATCH) {
        let mut builder = BatchBuilder::new(0);
        some.iter().for_each(|key| builder.append(1_000, Some(key.as_bytes()), Some(&[round; 300]), &[]));
        append(log, builder.build().freeze()).unwrap();
    }
}

/// Closes the active segment.
fn roll(log: &PartitionLog) {
    let config = log.config();
    log.set_config(LogConfig { segment_bytes: 100, ..(*config).clone() });
    let mut builder = BatchBuilder::new(0);
    builder.append(1_000, Some(b"last"), Some(b"x"), &[]);
    append(log, builder.build().freeze()).unwrap();
    log.set_config((*config).clone());
}

#[test]
fn more_keys_than_fit_into_the_map_take_several_passes_and_no_more_memory() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), config());
    (1..=2).for_each(|round| write_round(&log, round));
    roll(&log);
    assert!(log.size_bytes() as isize > 2 * BUFFERS_BYTES, "the log must not fit into the buffers");

    let map_bytes = 128 << 10;
    let (mut passes, mut end) = (0, 0);
    loop {
        let (done, peak) = peak_of(|| log.compact(1_000, map_bytes, &NoLimit).unwrap());
        assert!(peak <= map_bytes as isize + BUFFERS_BYTES, "a pass took {peak} bytes");
        let Some(done) = done else { break };
        assert!(done.keys * 24 <= map_bytes && done.end_offset > end, "{done:?} after {end}");
        (passes, end) = (passes + 1, done.end_offset);
    }
    assert!(passes >= 2 * KEYS * 24 / map_bytes, "{passes} passes");
    assert_eq!(end, 2 * KEYS as i64, "all but the active segment");

    let found = read(&log);
    assert_eq!(found.len(), KEYS + 1, "each key once");
    let values: BTreeMap<_, _> = found.values().map(|record| (record.key.clone(), record.value.clone())).collect();
    assert_eq!(values.len(), KEYS + 1);
    assert!(found.range(..KEYS as i64).next().is_none(), "the first round is gone");
    assert!(found.keys().eq(&(KEYS as i64..=2 * KEYS as i64).collect::<Vec<_>>()), "and nobody has moved");
}

/// Adds up what is spent.
#[derive(Default)]
struct Bill {
    total: Cell<u64>,
    largest: Cell<u64>,
}

impl Pace for Bill {
    fn spend(&self, bytes: u64, _is_cancelled: &dyn Fn() -> bool) -> bool {
        self.total.set(self.total.get() + bytes);
        self.largest.set(self.largest.get().max(bytes));
        true
    }
}

#[test]
fn every_byte_of_io_is_paid_for_in_small_parts() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), config());
    (1..=2).for_each(|round| write_round(&log, round));
    roll(&log);
    let (before, bill) = (disk.moved(), Bill::default());
    let done = log.compact(1_000, 1 << 20, &bill).unwrap().unwrap();
    let (moved, paid) = (disk.moved() - before, bill.total.get());
    // Read once for the map and once to rewrite.
    assert!(paid >= 2 * done.before_bytes + done.after_bytes, "{paid} for {done:?}");
    // Indexes, checkpoints, and the ends of blocks that are read again.
    assert!(moved.abs_diff(paid) <= paid / 20, "{moved} bytes were moved, {paid} paid for");
    let batch_bytes = log.size_bytes() / (KEYS / RECORDS_PER_BATCH) as u64;
    assert!(bill.largest.get() <= 3 * batch_bytes, "{} at once, of batches of {batch_bytes}", bill.largest.get());
}
