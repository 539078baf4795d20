//! Random lives of consumer groups, from seeds.
//!
//! Each schedule is a handful of consumers that join, work, crash, come back and leave while requests and answers
//! get lost, clocks jump, the log commits late and the coordinator is replaced, with or without the end of its log.
//! Then the storm ends: the groups must settle, and once everybody is gone nothing may be left.
//!
//! `world` runs a schedule, `client` is a consumer, `checker` holds what must be true.
//!
//! `GROUP_SIM_SEED=n` runs one schedule, `GROUP_SIM_RUNS=n` that many.

mod checker;
mod client;
#[path = "../seeds/mod.rs"]
mod seeds;
mod world;

use seeds::Simulation;
use world::{Outcome, World};

const SIMULATION: Simulation = Simulation { variables: "GROUP_SIM", test: "group_simulation", runs: 5_000 };

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
        assert!(total.reloads > 2 * runs && total.records_lost > runs / 2, "{total:?}");
        assert!(total.commits_acknowledged > 4 * runs && total.offsets_seen > 10 * runs, "{total:?}");
        assert!(total.assignments > 8 * runs && total.fenced > runs / 20, "{total:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..50 {
        assert_eq!(run(seed), run(seed));
    }
}
