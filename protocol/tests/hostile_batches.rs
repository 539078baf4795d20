//! Batches that somebody made to hurt: nothing in them may panic, or take more memory than the caller allows.
//!
//! The allocator of this test counts what each thread holds. What the C library of Zstandard takes for itself is not
//! counted, but its output is ours and is.

#![allow(clippy::unwrap_used, reason = "a test that cannot make its input has nothing to say")]
#![allow(unsafe_code, reason = "counting allocations takes an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;

use protocol::records::{
    Batch, BatchBuilder, BatchError, Codec, CodecError, HEADER_LEN, Header, batches, compress, decompress, patch,
    validate_records,
};

struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn add(bytes: usize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// What one thread frees for another must not make a count negative.
fn remove(bytes: usize) {
    HELD.set(HELD.get().saturating_sub(bytes));
}

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        remove(layout.size());
        add(size);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        remove(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a decoder may take beside its output: mostly the window and tables of gzip.
const SCRATCH_BYTES: usize = 96 * 1024;

/// Runs `work` and says how many bytes it held at most.
fn peak_of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (PEAK.get() - before, result)
}

const CAP: usize = 256 * 1024;

/// Everything the crate can do with bytes that may be batches.
fn use_all(bytes: &[u8]) {
    for batch in batches(bytes) {
        let Ok(batch) = batch else { return };
        let text_bytes = format!("{batch:?}").len();
        assert!(text_bytes < 500);
        batch.is_crc_valid();
        let (peak, _) = peak_of(|| validate_records(&batch, CAP));
        assert!(peak <= CAP + SCRATCH_BYTES, "validation held {peak} bytes");
        let (_, _) = (batch.control_type(), batch.end_txn_marker());
        let Ok(records) = batch.records(CAP) else { continue };
        assert!(records.uncompressed_bytes() <= CAP);
        let mut copy = BatchBuilder::like(&batch);
        for record in records.iter().flatten() {
            assert_eq!(record.headers.iter().count(), record.headers.len());
            // Offsets may be out of order, which is an answer too.
            let _ = copy.append_record(&record);
        }
        let copy = copy.build();
        assert!(Batch::parse(&copy).unwrap().is_crc_valid());
        let mut patched = batch.as_bytes().to_vec();
        patch::set_log_append_time(&mut patched, i64::MIN);
        assert!(Batch::parse(&patched).unwrap().is_crc_valid());
    }
}

fn sample(codec: Codec, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut builder = BatchBuilder::new(random.i64(..)).codec(codec, None);
    for _ in 0..random.usize(0..20) {
        let key = vec![random.u8(..); random.usize(0..30)];
        let value: Vec<u8> = (0..random.usize(0..200)).map(|_| random.u8(b'a'..b'e')).collect();
        let headers = vec![Header { key: b"name", value: Some(b"value") }; random.usize(0..3)];
        builder.append(random.i64(..), random.bool().then_some(&key), random.bool().then_some(&value), &headers);
    }
    builder.build().to_vec()
}

/// Changes some bytes, preferring values at the edge of something, and sometimes inserts, cuts or repeats.
fn mutate(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..6) {
        // Half of the time leave alone the fields that decide whether anything else is looked at.
        let from = if random.bool() { 0 } else { HEADER_LEN.min(bytes.len() - 1) };
        let at = random.usize(from..bytes.len());
        match random.u8(0..8) {
            0..4 => bytes[at] = random.choice([0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff]).unwrap(),
            4 | 5 => bytes[at] ^= 1 << random.u8(0..8),
            6 => bytes.insert(at, random.u8(..)),
            _ => bytes.truncate(at.max(1)),
        }
    }
    if random.bool() && bytes.len() >= 12 {
        let length = (bytes.len() - 12) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
    }
}

#[test]
fn mutated_batches_do_no_harm() {
    for seed in 0..40_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let codec = Codec::ALL[(seed % 5) as usize];
        let mut bytes = sample(codec, &mut random);
        mutate(&mut bytes, &mut random);
        let outcome = std::panic::catch_unwind(|| use_all(&bytes));
        assert!(outcome.is_ok(), "seed {seed}: {bytes:02x?}");
    }
}

#[test]
fn mutated_streams_do_no_harm() {
    for seed in 0..20_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let codec = Codec::ALL[1 + (seed % 4) as usize];
        let plain: Vec<u8> = (0..random.usize(0..3_000)).map(|_| random.u8(b'a'..b'd')).collect();
        let mut packed = match seed % 3 {
            0 if codec == Codec::Snappy => snap::raw::Encoder::new().compress_vec(&plain).unwrap(),
            _ => compress(codec, None, &plain),
        };
        for _ in 0..random.usize(1..4) {
            // Half of the time near the front, where the headers are.
            let end = if random.bool() { packed.len().min(40) } else { packed.len() };
            let at = random.usize(..end);
            packed[at] = random.u8(..);
        }
        let (peak, result) = peak_of(|| decompress(codec, &packed, CAP));
        assert!(peak <= CAP + SCRATCH_BYTES, "seed {seed}: {codec:?} held {peak} bytes");
        if let Ok(out) = result {
            assert!(out.len() <= CAP, "seed {seed}");
        }
    }
}

#[test]
fn bombs_stop_at_the_limit() {
    const BOMB_BYTES: usize = 64 << 20;
    let zeros = vec![0; BOMB_BYTES];
    let mut streamed = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    streamed.write_all(&zeros).unwrap();
    let mut bombs: Vec<(Codec, Vec<u8>)> =
        Codec::ALL.into_iter().map(|codec| (codec, compress(codec, Some(1), &zeros))).collect();
    bombs.push((Codec::Snappy, snap::raw::Encoder::new().compress_vec(&zeros).unwrap()));
    bombs.push((Codec::Zstd, streamed.finish().unwrap()));
    for (codec, bomb) in bombs {
        let (peak, result) = peak_of(|| decompress(codec, &bomb, CAP));
        assert_eq!(result, Err(CodecError::TooLarge { max_bytes: CAP }), "{codec:?}");
        assert!(peak <= CAP + SCRATCH_BYTES, "{codec:?} held {peak} bytes");
        // The same as a batch.
        let mut batch = BatchBuilder::new(0).codec(codec, None);
        batch.append(0, None, Some(&zeros[..BOMB_BYTES / 8]), &[]);
        let batch = batch.build();
        let (peak, result) = peak_of(|| validate_records(&Batch::parse(&batch).unwrap(), CAP));
        assert_eq!(result, Err(BatchError::Compression(CodecError::TooLarge { max_bytes: CAP })), "{codec:?}");
        assert!(peak <= CAP + SCRATCH_BYTES, "{codec:?} held {peak} bytes");
    }
}

/// A few bytes that announce a lot must not make room for it, even where the caller would allow it.
#[test]
fn promises_are_not_prepaid() {
    let zstd_window_of_128_mib = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x01, 0x00, 0x00];
    let zstd_content_of_1_gib = [0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x40, 0x01, 0x00, 0x00];
    let lz4_blocks_of_4_mib = {
        let mut packed = compress(Codec::Lz4, None, b"x");
        packed[5] = 0x70;
        packed[6] = 0x73;
        packed
    };
    let snappy_of_1_gib = [0x80, 0x80, 0x80, 0x80, 0x04, 0x00, b'x'];
    let check = |codec: Codec, bytes: &[u8]| {
        let (peak, result) = peak_of(|| decompress(codec, bytes, 1 << 30));
        assert!(peak <= SCRATCH_BYTES, "{codec:?} held {peak} bytes for {bytes:02x?}, then gave {result:?}");
        result
    };
    // Large windows and blocks are legal, and small frames may have them; the others lie.
    assert_eq!(check(Codec::Zstd, &zstd_window_of_128_mib), Ok(Vec::new()));
    assert_eq!(check(Codec::Zstd, &zstd_content_of_1_gib), Err(CodecError::Corrupt(Codec::Zstd)));
    assert_eq!(check(Codec::Lz4, &lz4_blocks_of_4_mib), Ok(b"x".to_vec()));
    assert_eq!(check(Codec::Snappy, &snappy_of_1_gib), Err(CodecError::Corrupt(Codec::Snappy)));

    // Counts of records and headers are promises too.
    let mut builder = BatchBuilder::new(0);
    builder.append(0, None, None, &[]);
    let mut bytes = builder.build();
    bytes[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    let (peak, result) = peak_of(|| validate_records(&Batch::parse(&bytes).unwrap(), 1 << 30));
    assert!(matches!(result, Err(BatchError::InvalidRecord { index: 1, .. })), "{result:?}");
    assert_eq!(peak, 0);
}

#[test]
fn walking_an_uncompressed_batch_allocates_nothing() {
    let mut random = fastrand::Rng::with_seed(1);
    let bytes = sample(Codec::None, &mut random);
    let (peak, summary) = peak_of(|| validate_records(&Batch::parse(&bytes).unwrap(), CAP));
    assert_eq!(peak, 0);
    assert!(summary.unwrap().record_count > 0);
}
