//! Random lives of transactional producers, from seeds.
//!
//! Each schedule is a handful of producers, of before and after KIP-890, that begin, write, commit, abort, stall and
//! come back as somebody else, while requests, records and markers get lost, late and twice, the log commits late, and
//! the coordinator is replaced, with or without the end of its log. Then the storm ends: every transaction must have
//! come to its end, the same one in every partition, and nothing may be stuck.
//!
//! `world` runs a schedule, `client` is a producer, `partition` a partition, `checker` holds what must be true.
//!
//! `TRANSACTION_SIM_SEED=n` runs one schedule, `TRANSACTION_SIM_RUNS=n` that many.

mod checker;
mod client;
mod partition;
#[path = "../seeds/mod.rs"]
mod seeds;
mod world;

use seeds::Simulation;
use world::{Outcome, World};

const SIMULATION: Simulation = Simulation { variables: "TRANSACTION_SIM", test: "transaction_simulation", runs: 2_000 };

fn run(seed: u64) -> Outcome {
    World::new(seed).run()
}

#[test]
fn random_schedules_keep_every_promise() {
    let outcomes = SIMULATION.outcomes(run);
    let runs = outcomes.len() as u64;
    let mut total = Outcome::default();
    outcomes.iter().for_each(|outcome| total.add(outcome));
    println!("{} schedules: {total:?}", outcomes.len());
    if runs >= SIMULATION.runs {
        // A storm in a teacup proves nothing: what the checker watches must have happened, and often.
        assert!(total.reloads > 5 * runs && total.records_lost > 2 * runs, "{total:?}");
        assert!(total.commits > 3 * runs && total.aborts > 4 * runs && total.timeouts > runs, "{total:?}");
        assert!(total.stale_markers > runs && total.marker_retries > runs / 2, "{total:?}");
        assert!(total.rotations > runs / 2 && total.fenced > 2 * runs, "{total:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..50 {
        assert_eq!(run(seed), run(seed));
    }
}
