//! `cargo xtask test`: everything that decides whether a change is good, in one command.
//!
//! Checks run from cheap to dear: lints, unit tests, integration tests with Kafka's schemas, fuzzing, then the suites of
//! real clients against the built broker, two at a time. The output of each goes to `target/test-logs`; the screen shows
//! one line a check, a table at the end, and for each failure the tail of its log with the line that reproduces it. A
//! test that is red by luck gets a second try, which is told (`second_try.rs`).

mod plan;
pub(crate) mod process;
mod second_try;
mod summary;

use crate::paths;
use plan::Check;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Instant;
use summary::{Finished, Verdict};

/// Client suites that run at the same time; more of them slow each other into their time-outs on a small machine.
const CLIENTS_AT_ONCE: usize = 2;

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut quick = false;
    let mut list = false;
    let mut wanted = Vec::new();
    for arg in args {
        match arg.as_str() {
            "--quick" => quick = true,
            "--list" => list = true,
            flag if flag.starts_with('-') => return Err(format!("test: unknown flag {flag}")),
            name => wanted.push(name.to_owned()),
        }
    }
    let checks = plan::checks(quick, &wanted)?;
    if list {
        checks.iter().for_each(|check| println!("{}", check.name));
        return Ok(());
    }
    if checks.is_empty() {
        return Err(format!("test: nothing is called {}", wanted.join(" or ")));
    }
    let logs = paths::target().join("test-logs");
    std::fs::create_dir_all(&logs).map_err(|e| format!("{}: {e}", logs.display()))?;

    let begun = Instant::now();
    let (together, alone): (Vec<&Check>, Vec<&Check>) = checks.iter().partition(|check| check.is_client);
    let mut finished: Vec<Finished> = alone.into_iter().map(run_one).collect();
    if !together.is_empty() {
        finished.extend(run_clients(together, &finished));
    }
    second_try::run(&checks, &mut finished);
    summary::print(&finished, begun.elapsed())
}

fn run_clients(checks: Vec<&Check>, before: &[Finished]) -> Vec<Finished> {
    if let Some(build) = before.iter().find(|done| done.name == plan::BUILD && done.verdict == Verdict::Failed) {
        let reason = format!("{} failed", build.name);
        return checks.iter().map(|check| Finished::skipped(&check.name, &reason)).collect();
    }
    let queue = Mutex::new(VecDeque::from(checks));
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS_AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.pop_front());
                    let Some(check) = next else { return };
                    let finished = run_one(check);
                    if let Ok(mut done) = done.lock() {
                        done.push(finished);
                    }
                }
            });
        }
    });
    done.into_inner().unwrap_or_default()
}

fn run_one(check: &Check) -> Finished {
    let finished = process::run(check);
    summary::print_line(&finished);
    finished
}
