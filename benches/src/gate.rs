//! Whether a change made the broker dear: half a minute of rounds on the broker and on the limit, in turn.
//!
//! Only ratios of neighbours in time decide, and their bars stand far below what is reached, so that a slow or busy
//! machine does not fail. What a request costs the allocator, `broker/tests/allocations.rs` counts.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::contender::Contender;
use crate::measure::Table;
use crate::round::{Taken, Turn};
use crate::workloads::{self, Kind, Row};
use crate::{Outcome, bars, report, tree};

/// An odd number, so that one round is the median.
const ROUNDS: usize = 5;
/// Each workload's, on each contender.
const SECONDS: f64 = 1.2;

/// Runs the rounds and prints what they gave.
///
/// # Errors
/// A bar was missed, or something could not be measured.
pub(crate) async fn gate(out: &Path) -> Outcome<()> {
    let ottla = tree::build_alike()?;
    fs::create_dir_all(out)?;
    let scratch = tempfile::tempdir_in(out)?;
    let rows = rows();
    let mut table = Table::default();
    for round in 0..ROUNDS {
        let mut order = [Contender::Ottla, Contender::Limit];
        order.rotate_left(round % 2);
        for contender in order {
            let directory = scratch.path().join(format!("{round}-{}", contender.name()));
            let turn = Turn { contender, directory: &directory, ottla: &ottla, rows: &rows, flame: false };
            let mut take = |workload: &str, taken| match taken {
                Taken::Numbers(numbers) => table.add(round, workload, contender, &numbers),
                Taken::Failed(error) => table.fail(round, contender, &format!("{workload}: {error}")),
                Taken::Flame(_) => {}
            };
            turn.play(&mut take).await?;
        }
    }
    let verdicts = bars::judge_gate(&table);
    print!("{}", report::verdicts(&verdicts));
    if !table.failures().is_empty() {
        return Err(format!("not everything was measured:\n{}", table.failures().join("\n")).into());
    }
    match verdicts.iter().filter(|verdict| !verdict.reached).count() {
        0 => Ok(()),
        missed => Err(format!("{missed} bars missed: what a request costs has grown, or the machine was not measurable; `compare` tells more").into()),
    }
}

/// Large batches and small requests. Nobody here has a JIT to warm up.
fn rows() -> Vec<Row> {
    let mut rows = workloads::rows(SECONDS);
    rows.retain(|row| [workloads::LARGE_ACKS_1, workloads::SMALL].contains(&row.name.as_str()));
    for row in &mut rows {
        if let Kind::Load(workload) = &mut row.kind {
            workload.warmup = Duration::ZERO;
        }
    }
    rows
}
