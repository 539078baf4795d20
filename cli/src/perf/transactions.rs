//! `ottla perf transactions`.

use load::{Transact, Transacted, TransactionSize, Values};

use super::arguments::PerfTransactionsArgs;
use super::name;
use super::report::{grouped, latency};
use crate::failure::Outcome;
use crate::interrupts::Interrupts;
use crate::output::print_as;

pub(super) async fn run(bootstrap: &str, args: &PerfTransactionsArgs) -> Outcome {
    let topic = name(args.topic.topic.as_deref())?;
    let size = match args.transaction_duration {
        Some(age) => TransactionSize::Age(age),
        None => TransactionSize::Records(args.transaction_records as usize),
    };
    let wanted = Transact {
        topics: args.topic.topics(&topic, true),
        producers: args.producers as usize,
        transactional_id: args.transactional_id.clone().unwrap_or(topic),
        size,
        batch_records: args.batch_records as usize,
        values: Values::random(args.record_size, 1.0),
        codec: args.compression,
        warmup: args.warmup,
        duration: args.duration,
    };
    let mut interrupts = Interrupts::new()?;
    let transacted = load::transact(bootstrap, &wanted, interrupts.next()).await?;
    print_as(args.common.output, &transacted, text)
}

fn text(transacted: &Transacted) -> String {
    let note = if transacted.interrupted { "interrupted before its end\n" } else { "" };
    format!(
        "committed   {} transactions in {:.2} s by {} producers: {:.1} transactions/s, {} records/s\n\
         {:<11} {}   from begin to commit\n{:<11} {}   of a commit\n{note}",
        grouped(transacted.transactions),
        transacted.seconds,
        transacted.producers,
        transacted.transactions_per_second,
        grouped(transacted.records_per_second as u64),
        "",
        latency(&transacted.begin_to_commit, "ms"),
        "",
        latency(&transacted.commit, "ms"),
    )
}
