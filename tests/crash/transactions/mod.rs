//! Exactly once, with a broker that is killed in every phase of a transaction.
//!
//! Programs as people write them (`lists`, `pipeline`, `bank`) work on the real binary through both generations of the
//! protocol; instances are dropped, replaced and forgotten. Everything that they ask and hear goes into a `history`, and
//! when the last kill is over `checker` compares it with everything that can be read. `OTTLA_SEED=n` runs the world of
//! that seed alone, with the same decisions, though not with the same timing; `OTTLA_CYCLES=n` runs that many kills.

mod bank;
mod checker;
#[cfg(test)]
mod checker_tests;
mod history;
mod lists;
mod pipeline;
mod producer;
mod stage;
mod tally;
mod watchers;
mod world;

use std::sync::Mutex;
use std::time::Instant;

use crate::{FIRST_SEED, in_lanes, number};
use tally::Tally;

/// Kills in the ordinary run.
const KILLS: u64 = 96;
/// Kills that the programs of one world live through.
const KILLS_PER_WORLD: u64 = 16;
/// Worlds at a time. They mostly wait: for the disk, and for the moment of the kill.
const LANES: usize = 4;

#[test]
fn exactly_once_through_every_kill() {
    let seed = number("OTTLA_SEED");
    let kills = number("OTTLA_CYCLES").unwrap_or(if seed.is_some() { KILLS_PER_WORLD } else { KILLS });
    let (worlds, seed) = (kills.div_ceil(KILLS_PER_WORLD), seed.unwrap_or(FIRST_SEED));
    let begun = Instant::now();
    let total = Mutex::new(Tally::default());
    in_lanes(LANES, seed..seed + worlds, run, |tally| {
        let mut total = total.lock().unwrap();
        total.add(&tally);
        eprintln!("{} of {} kills after {:.0?}", total.kills(), kills, begun.elapsed());
    });
    let total = total.into_inner().unwrap();
    eprintln!("{total:?}");
    total.was_worth_it(worlds);
}

fn run(seed: u64) -> Tally {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = world::World::new(seed).await;
        for _ in 0..KILLS_PER_WORLD {
            world.life().await;
        }
        world.end().await
    })
}
