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
mod world;

use world::{Outcome, World};

const RUNS: u64 = 2_000;
const THREADS: u64 = 2;

/// Says how to see a failure again.
struct Schedule(u64);

impl Drop for Schedule {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("reproduce: TRANSACTION_SIM_SEED={seed} cargo test -p state --test transaction_simulation");
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

fn run(seed: u64) -> Outcome {
    let _schedule = Schedule(seed);
    World::new(seed).run()
}

#[test]
fn random_schedules_keep_every_promise() {
    if let Some(seed) = number("TRANSACTION_SIM_SEED") {
        println!("{:?}", run(seed));
        return;
    }
    let runs = number("TRANSACTION_SIM_RUNS").unwrap_or(RUNS);
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let threads = (0..THREADS).map(|thread| {
            let seeds = (0..runs).filter(move |seed| seed % THREADS == thread);
            scope.spawn(move || seeds.map(run).collect::<Vec<_>>())
        });
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut total = Outcome::default();
    outcomes.iter().for_each(|outcome| total.add(outcome));
    println!("{} schedules: {total:?}", outcomes.len());
    if runs >= RUNS {
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
