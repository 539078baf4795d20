//! `ottla perf rebalance`.

use load::{Rebalance, Rebalanced};

use super::arguments::PerfRebalanceArgs;
use super::name;
use crate::failure::Outcome;
use crate::interrupts::Interrupts;
use crate::output::print_as;
use crate::table::Table;

pub(super) async fn run(bootstrap: &str, args: &PerfRebalanceArgs) -> Outcome {
    let wanted = Rebalance {
        topics: args.topic.topics(&name(args.topic.topic.as_deref())?, true),
        members: args.members as usize,
        rounds: args.rounds as usize,
        heartbeat: args.heartbeat,
    };
    let mut report = |so_far: &Rebalanced| {
        if !args.common.quiet {
            eprintln!("round {} of {}", so_far.one_leaves.len(), args.rounds);
        }
    };
    let mut interrupts = Interrupts::new()?;
    let rebalanced = load::rebalance(bootstrap, &wanted, &mut report, interrupts.next()).await?;
    print_as(args.common.output, &rebalanced, text)
}

fn text(rebalanced: &Rebalanced) -> String {
    let mut table = Table::new(&["MS UNTIL THE GROUP HAS SETTLED", "ROUNDS", "MEDIAN", "MIN", "MAX"]);
    let Rebalanced { members, partitions, all_join, one_joins, one_leaves, interrupted } = rebalanced;
    for (what, times) in [("all join at once", all_join), ("one more joins", one_joins), ("one leaves", one_leaves)] {
        let mut sorted = times.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).map(|ms| format!("{ms:.1}")).unwrap_or_default();
        let (middle, last) = (sorted.len() / 2, sorted.len().saturating_sub(1));
        table.row([what.into(), sorted.len().to_string(), at(middle), at(0), at(last)]);
    }
    let note = if *interrupted { "interrupted before its end\n" } else { "" };
    format!("{members} members, {partitions} partitions\n{table}{note}")
}
