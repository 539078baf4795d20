//! What is left of acknowledged work when the broker is killed, and what a sick disk may delay or refuse.
//!
//! `killed_again_and_again` runs the real binary under load, kills it at seeded moments, damages the tails of its files
//! as crashes do, starts it again and compares everything that can be read with everything that was acknowledged.
//! `OTTLA_SEED=n` runs the world of that seed alone, with the same decisions, though not with the same timing;
//! `OTTLA_CYCLES=n` runs that many kills, in the worlds from that seed on: `cargo xtask crash 10000` is the long run.
//! `transactions/` does the same with transactional programs, and has a checker of its own for their histories.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod actors;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../system/broker_process.rs"]
mod broker_process;
mod compacted;
mod damage;
mod damaged;
mod failed_flush;
mod faulty;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../system/http_client.rs"]
mod http_client;
mod ledger;
mod made;
mod reader;
mod sick;
mod small_disk;
mod transactions;
mod value;
mod world;

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use world::{Tally, World};

/// Kills in the ordinary run.
const CYCLES: u64 = 180;
/// Kills that one data directory lives through: what it holds is read in full after each.
const CYCLES_PER_WORLD: u64 = 12;
/// Worlds at a time. They mostly wait: for the disk, and for the moment of the kill.
const LANES: usize = 8;
const FIRST_SEED: u64 = 1;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn killed_again_and_again() {
    let seed = number("OTTLA_SEED");
    let cycles = number("OTTLA_CYCLES").unwrap_or(if seed.is_some() { CYCLES_PER_WORLD } else { CYCLES });
    let (worlds, seed) = (cycles.div_ceil(CYCLES_PER_WORLD), seed.unwrap_or(FIRST_SEED));
    let (begun, done) = (Instant::now(), AtomicU64::new(0));
    let total = Mutex::new(Tally::default());
    in_lanes(LANES, seed..seed + worlds, run, |tally| {
        total.lock().unwrap().add(&tally);
        let done = done.fetch_add(CYCLES_PER_WORLD, Ordering::Relaxed) + CYCLES_PER_WORLD;
        eprintln!("{done} of {} kills after {:.0?}", worlds * CYCLES_PER_WORLD, begun.elapsed());
    });
    let total = total.into_inner().unwrap();
    eprintln!("{total:?}");
    total.was_worth_it(worlds);
}

/// Lives through the worlds of these seeds, so many at once; `ended` hears of each.
fn in_lanes<T>(lanes: usize, seeds: Range<u64>, live: impl Fn(u64) -> T + Sync, ended: impl Fn(T) + Sync) {
    let next = AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    ended(live(seed));
                }
            });
        }
    });
}

fn run(seed: u64) -> Tally {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed).await;
        for _ in 0..CYCLES_PER_WORLD {
            world.cycle().await;
        }
        world.end().await
    })
}
