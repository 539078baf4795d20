//! Frames that somebody made to hurt: cut, changed, or announcing more than they have. None may panic, and none may
//! make the decoder hold more memory than the size of the frame explains.
//!
//! The allocator of this test counts what each thread holds.

#![allow(unsafe_code, reason = "counting allocations takes an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::RangeInclusive;

use bytes::Bytes;
use protocol::api::Message;
use protocol::fill::{FillMessage, Source, Visitor, visit_all};
use protocol::frame::RequestHeader;
use protocol::messages;
use protocol::wire::{Decoder, Encoder, FREE_MEMORY_BYTES, MEMORY_PER_BYTE};

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

/// What sharing a frame takes, whatever is in it.
const SHARING_BYTES: usize = 256;

/// The most that values of a frame may hold.
fn allowed(frame: &[u8]) -> usize {
    MEMORY_PER_BYTE * frame.len() + FREE_MEMORY_BYTES + SHARING_BYTES
}

/// Reads the bytes as a message, within the bound; says whether they were one.
fn is_read<M: Message>(bytes: Bytes, version: i16, what: &dyn Fn() -> String) -> bool {
    let allowed = allowed(&bytes);
    let before = HELD.get();
    PEAK.set(before);
    let read = M::decode(&mut Decoder::new(bytes), version);
    let peak = PEAK.get() - before;
    assert!(peak <= allowed, "{} v{version}: {} held {peak} of {allowed} bytes", M::INFO.name, what());
    read.is_ok()
}

fn sample<M: FillMessage>(version: i16, seed: u64) -> Bytes {
    let mut encoder = Encoder::new();
    M::filled(&mut Source::new(seed)).encode(&mut encoder, version);
    encoder.into_bytes()
}

/// At most `most` places, spread evenly over a frame.
fn places(length: usize, most: usize) -> impl Iterator<Item = usize> {
    (0..length).step_by(length.div_ceil(most).max(1))
}

/// Shows every message in every version to a check.
struct EachVersion<C>(C);

trait Check {
    fn check<M: FillMessage>(&mut self, version: i16);
}

impl<C: Check> Visitor for EachVersion<C> {
    fn visit<M: FillMessage>(&mut self, versions: RangeInclusive<i16>) {
        versions.for_each(|version| self.0.check::<M>(version));
    }
}

#[test]
fn a_message_that_is_cut_is_an_error() {
    struct Cuts;
    impl Check for Cuts {
        fn check<M: FillMessage>(&mut self, version: i16) {
            for seed in 1..=2 {
                let whole = sample::<M>(version, seed);
                let what = |end| format!("{end} of {} bytes, seed {seed}", whole.len());
                for end in 0..whole.len() {
                    let read = is_read::<M>(whole.slice(..end), version, &|| what(end));
                    assert!(!read, "{} v{version}: {} are a message", M::INFO.name, what(end));
                }
                assert!(is_read::<M>(whole.clone(), version, &|| what(whole.len())));
            }
        }
    }
    visit_all(&mut EachVersion(Cuts));
}

#[test]
fn a_message_that_is_changed_does_no_harm() {
    #[derive(Default)]
    struct Changes {
        still_read: usize,
        refused: usize,
    }
    impl Check for &mut Changes {
        fn check<M: FillMessage>(&mut self, version: i16) {
            for seed in 3..=4 {
                let whole = sample::<M>(version, seed);
                for place in places(whole.len(), 160) {
                    for value in [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, whole[place] ^ 0x10] {
                        let mut changed = whole.to_vec();
                        changed[place] = value;
                        let what = || format!("{value:#x} at {place} of seed {seed}");
                        match is_read::<M>(changed.into(), version, &what) {
                            true => self.still_read += 1,
                            false => self.refused += 1,
                        }
                    }
                }
            }
        }
    }
    let mut changes = Changes::default();
    visit_all(&mut EachVersion(&mut changes));
    // Both happen often, or the samples would not reach what they are for.
    assert!(changes.still_read > 10_000 && changes.refused > 10_000, "{changes:?}");

    impl std::fmt::Debug for Changes {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{} were read and {} refused", self.still_read, self.refused)
        }
    }
}

/// Counts and lengths of every width, put over what is there and in front of it: one of the places is a length.
#[test]
fn huge_counts_take_no_memory() {
    const HUGE: [&[u8]; 7] = [
        b"\x7f\xff\xff\xff",
        b"\x00\x7f\xff\xff",
        b"\x00\x00\x7f\xff",
        b"\x7f\xff",
        b"\xff\xff\xff\xff\x0f",
        b"\xff\xff\xff\xff\x07",
        b"\xff\xff\x7f",
    ];
    struct Counts;
    impl Check for Counts {
        fn check<M: FillMessage>(&mut self, version: i16) {
            let whole = sample::<M>(version, 5);
            for place in places(whole.len() + 1, 80) {
                for huge in HUGE {
                    let after = (place + huge.len()).min(whole.len());
                    for rest in [place, after] {
                        let forged = [&whole[..place], huge, &whole[rest..]].concat();
                        is_read::<M>(forged.into(), version, &|| format!("{huge:02x?} at {place}"));
                    }
                }
            }
        }
    }
    visit_all(&mut EachVersion(Counts));
}

/// Frames as large as they come, made of as many small things as fit: empty strings and structs, nulls, tags.
#[test]
fn frames_of_empty_items_hold_no_more_than_others() {
    const FRAME_BYTES: usize = 16 * 1024;
    struct Empties;
    impl Check for Empties {
        fn check<M: FillMessage>(&mut self, version: i16) {
            let whole = sample::<M>(version, 6);
            for filler in [0, 1, 2, 0xff] {
                for head in 0..whole.len().min(24) {
                    for count in [&b"\x00\x00\x20\x00"[..], b"\x80\x40", b"\x80\xf0\x01", b"\x20\x00"] {
                        let mut frame = [&whole[..head], count].concat();
                        frame.resize(FRAME_BYTES, filler);
                        is_read::<M>(frame.into(), version, &|| format!("{filler} behind {count:02x?} behind {head}"));
                    }
                }
            }
        }
    }
    visit_all(&mut EachVersion(Empties));
}

/// The bound has to bite somewhere, or the frames above are no test of it.
#[test]
fn the_bound_is_reached() {
    use protocol::messages::MetadataRequest;
    use protocol::wire::DecodeError;

    // Topics without a name: two bytes on the wire, a hundred in memory.
    let mut frame = b"\x00\x02\x00\x00".to_vec();
    frame.resize(0x4_0004, 0);
    let read = MetadataRequest::decode(&mut Decoder::new(frame.into()), 0);
    assert_eq!(read, Err(DecodeError::TooManyItems));
}

/// Text that is no text grows when it is replaced.
#[test]
fn text_that_is_not_utf8_is_within_the_bound() {
    use protocol::messages::{MetadataRequest, OffsetCommitRequest};

    for length in [1, 100, 10_000, 32_767] {
        let mut frame = (length as u16).to_be_bytes().to_vec();
        frame.resize(2 + length, 0xff);
        let topics = [&b"\x00\x00\x00\x01"[..], &frame].concat();
        is_read::<MetadataRequest>(topics.into(), 0, &|| format!("a topic of {length} bad bytes"));
        is_read::<OffsetCommitRequest>(frame.into(), 2, &|| format!("a group of {length} bad bytes"));
    }
}

#[test]
fn headers_do_no_harm() {
    for api in messages::ALL {
        for version in api.versions.clone() {
            let mut header = [api.key.to_be_bytes(), version.to_be_bytes()].concat();
            header.extend_from_slice(b"\0\0\0\x07\0\x02me\x02\x00\x03abc\x05\x00rest");
            for place in 0..header.len() {
                RequestHeader::decode(Bytes::copy_from_slice(&header[..place])).ok();
                for value in 0..=u8::MAX {
                    let mut changed = header.clone();
                    changed[place] = value;
                    let before = HELD.get();
                    PEAK.set(before);
                    if let Ok((read, _)) = RequestHeader::decode(changed.into()) {
                        assert!(read.client_id.is_none_or(|id| id.len() <= 3 * header.len()));
                    }
                    assert!(PEAK.get() - before <= 1024, "{} v{version}: {value:#x} at {place}", api.name);
                }
            }
        }
    }
}
