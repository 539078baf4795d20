//! The same requests, right and wrong, to a real Apache Kafka and to Ottla: both have to answer alike.
//!
//! `scenarios/` has what is asked, an area each; `random.rs` asks what nobody thought of; `normal.rs` says what may
//! differ between any two brokers; `known.rs` lists what differs on purpose. By hand: `cargo test --test differential`,
//! with `DIFFERENTIAL_SEED` to repeat the random part, `DIFFERENTIAL_ROUNDS` for
//! more of it, and `DIFFERENTIAL_ONLY=groups,commits` for some areas.

mod batch;
mod brokers;
mod known;
mod known_cluster;
mod known_consumers;
mod normal;
mod pair;
mod random;
mod scenarios;
mod side;
mod tree;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use brokers::Brokers;
use pair::Pair;
use side::Side;

#[test]
fn both_answer_alike() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let brokers = match Brokers::start(dir.path()) {
        Ok(brokers) => brokers,
        Err(missing) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("{missing}"),
        Err(missing) => {
            eprintln!("SKIPPED: {missing}, and without it there is no Apache Kafka to compare with");
            return;
        }
    };
    let mut pair = Pair::new(Side::new(brokers.kafka), Side::new(brokers.ottla));
    let asked = catch_unwind(AssertUnwindSafe(|| {
        scenarios::run(&mut pair);
        random::run(&mut pair);
    }));
    let alike = pair.report();
    asked.unwrap_or_else(|panic| resume_unwind(panic));
    assert!(alike, "Ottla answers differently; see above");
}
