//! Running a test over many seeds.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A number from the environment, if there is one of that name.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs `run` for each of so many seeds, and prints how many crash states they looked at: what `run` returns, in sum.
///
/// `OTTLA_SEED=<seed>` runs one alone, `OTTLA_SEEDS=<count>` another number of them.
///
/// # Panics
/// When a run does, after saying which seed it was; when they looked at fewer than `states_min` states, though neither
/// variable is set.
pub fn over_seeds(what: &str, seeds: u64, states_min: u64, run: impl Fn(u64) -> u64) {
    if let Some(seed) = number("OTTLA_SEED") {
        let states = run(seed);
        return println!("{what}: seed {seed}, {states} crash states");
    }
    let wanted = number("OTTLA_SEEDS");
    let mut states = 0;
    for seed in 0..wanted.unwrap_or(seeds) {
        match catch_unwind(AssertUnwindSafe(|| run(seed))) {
            Ok(seen) => states += seen,
            Err(panic) => {
                eprintln!("{what}: seed {seed} failed; OTTLA_SEED={seed} runs it alone");
                resume_unwind(panic);
            }
        }
    }
    println!("{what}: {states} crash states");
    assert!(wanted.is_some() || states >= states_min, "{what}: only {states} crash states");
}
