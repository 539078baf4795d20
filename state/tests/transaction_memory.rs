//! What transactional ids cost that are known and do nothing: there may be very many, since programs make them up.
//!
//! The allocator of this test counts what it holds, and what the system's allocator takes beside each piece.

#![allow(unsafe_code, reason = "counting allocations takes an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::ErrorCode;
use state::machine::{Machine, Now, Output, ReplyTo};
use state::transaction::*;

const IDS: i64 = 100_000;
const MAX_BYTES: usize = 30_000_000;
/// What an allocator writes in front of a piece, and rounds it up to.
const HEADER_BYTES: usize = 8;
const GRAIN_BYTES: usize = 16;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

fn cost(bytes: usize) -> usize {
    (bytes + HEADER_BYTES).next_multiple_of(GRAIN_BYTES)
}

// SAFETY: everything is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(cost(layout.size()), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.fetch_add(cost(size), Ordering::Relaxed);
        HELD.fetch_sub(cost(layout.size()), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(cost(layout.size()), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn take(machine: &mut TransactionCoordinator, out: &Output<TransactionCoordinator>) {
    out.records.iter().for_each(|record| machine.apply(record));
}

/// A name as Kafka Streams makes them.
fn name(number: i64) -> String {
    format!("word-count-application-5f3e0a6c-{number:08}-1")
}

/// An id that has had a transaction over three partitions.
fn transact(machine: &mut TransactionCoordinator, now: Now, number: i64) {
    let init = InitProducerIdRequest {
        transactional_id: name(number),
        timeout_ms: 60_000,
        producer_id: -1,
        producer_epoch: -1,
        fresh_producer_id: Some(number),
        knows_producer_fenced: true,
    };
    let out = machine.handle(now, ReplyTo(0), TransactionRequest::InitProducerId(init));
    take(machine, &out);
    let add = AddPartitionsRequest {
        transactional_id: name(number),
        producer_id: number,
        producer_epoch: 0,
        partitions: Partitions::from([("counts".to_owned(), BTreeSet::from([1, 2, 3]))]),
        client_transaction_version: TransactionVersion::V2,
        knows_producer_fenced: true,
    };
    let out = machine.handle(now, ReplyTo(0), TransactionRequest::AddPartitions(add));
    take(machine, &out);
    let end = EndTxnRequest {
        transactional_id: name(number),
        producer_id: number,
        producer_epoch: 0,
        committed: true,
        client_transaction_version: TransactionVersion::V2,
        fresh_producer_id: None,
        knows_producer_fenced: true,
    };
    let out = machine.handle(now, ReplyTo(0), TransactionRequest::EndTxn(end));
    take(machine, &out);
    let [TransactionEffect::WriteMarkers(order)] = &out.effects[..] else { panic!("{:?}", out.effects) };
    let written = MarkerResult::Answered(ErrorCode::NONE);
    let answer = MarkersWritten {
        transactional_id: name(number),
        attempt: order.attempt,
        results: (1..=3).map(|partition| ("counts".to_owned(), partition, written)).collect(),
    };
    let out = machine.handle(now, ReplyTo(0), TransactionRequest::MarkersWritten(answer));
    take(machine, &out);
}

#[test]
fn a_hundred_thousand_known_ids_take_thirty_megabytes_at_most() {
    let now = Now { monotonic_ms: 1_000, wall_ms: 1_700_000_000_000 };
    let before = HELD.load(Ordering::Relaxed);
    let mut machine = TransactionCoordinator::new(TransactionConfig::default(), 0, 1);
    machine.on_loaded(now);
    (0..IDS).for_each(|number| transact(&mut machine, now, number));
    let held = HELD.load(Ordering::Relaxed) - before;
    let idle = TransactionCounts { transactional_ids: IDS as usize, ongoing: 0, prepared: 0 };
    assert_eq!(machine.counts(), idle, "the last transaction of each is over");
    println!("{IDS} ids take {held} bytes, {} each", held / IDS as usize);
    assert!(held <= MAX_BYTES, "{held} bytes");
}
