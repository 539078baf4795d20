//! Random lives of a group whose members speak both protocols, from seeds, so that it changes from one to the other and
//! back while members are in.
//!
//! Clients join, are assigned, give back, leave, die and come back; requests and answers get lost, topics grow, and the
//! coordinator crashes after any record. At no time may two clients read one partition. When the storm is over, the
//! group must be of the protocol that its members ask for, and everybody must have an even share; and when all are gone
//! and the group is deleted, nothing may be left.
//!
//! `world` runs a schedule, `client` is a consumer of either protocol.
//!
//! `MIGRATION_SIM_SEED=n` runs one schedule, `MIGRATION_SIM_RUNS=n` that many.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
#[path = "../seeds/mod.rs"]
mod seeds;
mod world;

use seeds::Simulation;
use world::{Outcome, World};

const SIMULATION: Simulation = Simulation { variables: "MIGRATION_SIM", test: "migration_simulation", runs: 2_000 };

fn run(seed: u64) -> Outcome {
    World::new(seed).run()
}

#[test]
fn random_schedules_keep_every_promise() {
    let outcomes = SIMULATION.outcomes(run);
    let runs = outcomes.len() as u64;
    let mut total = Outcome::default();
    outcomes.iter().for_each(|outcome| total.add(outcome));
    println!("{runs} schedules: {total:?}");
    if runs >= SIMULATION.runs {
        // What the checks are about must have happened, and often.
        assert!(total.crashes > 3 * runs && total.changes_lost > runs / 20, "{total:?}");
        assert!(total.upgrades > runs / 2 && total.downgrades > runs / 2, "{total:?}");
        assert!(total.rebalances_told > 3 * runs && total.given_back > runs / 2, "{total:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed));
    }
}
