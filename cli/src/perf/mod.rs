//! `ottla perf`: what a broker can do, this one or any other that speaks the protocol.
//!
//! The load itself is the crate `load`; here are its flags, its progress and its report.

mod arguments;
mod progress;
mod quantity;
mod rebalance;
mod report;
mod transactions;

use std::path::Path;

use load::{Consume, Length, LoadError, Produce, Start, Summary, Values, Workload};

pub(crate) use self::arguments::PerfVerb;
use self::arguments::{PerfConsumeArgs, PerfProduceArgs, PerfRunArgs};
use self::progress::Watch;
use crate::failure::{Failure, Outcome};
use crate::interrupts::Interrupts;

/// What is filled before it is read, is filled by batches of this size.
const FILL_BATCH_BYTES: usize = 256 << 10;

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        match error {
            LoadError::Client(error) => Failure::Client(error),
            LoadError::Workload(text) => Failure::Input(text),
            machine @ LoadError::Machine { .. } => Failure::Input(machine.to_string()),
        }
    }
}

/// How many threads the client is to have.
pub(crate) fn threads(verb: &PerfVerb) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    verb.common().threads.map_or_else(processors, usize::from)
}

pub(crate) async fn run(bootstrap: &str, verb: &PerfVerb) -> Outcome {
    let is_quiet = verb.common().quiet;
    let summary = match verb {
        PerfVerb::Produce(args) => carry_out(bootstrap, &writing(args, None)?, "", is_quiet).await?,
        PerfVerb::EndToEnd(args) => {
            let read = args.readers.consume(Start::Latest, args.backlog);
            carry_out(bootstrap, &writing(&args.write, Some(read))?, "", is_quiet).await?
        }
        PerfVerb::Consume(args) => consume(bootstrap, args).await?,
        PerfVerb::Run(args) => run_file(bootstrap, args).await?,
        PerfVerb::Rebalance(args) => return rebalance::run(bootstrap, args).await,
        PerfVerb::Transactions(args) => return transactions::run(bootstrap, args).await,
    };
    report::print(verb.common().output, &summary)?;
    report::verdict(&summary)
}

/// Writes as told, beside whoever reads.
fn writing(args: &PerfProduceArgs, consume: Option<Consume>) -> Result<Workload, Failure> {
    Ok(Workload {
        topics: args.topic.topics(&name(args.topic.topic.as_deref())?, true),
        produce: Some(args.records.produce(&args.batches)?),
        consume,
        warmup: args.length.warmup(),
        length: args.length.length(),
    })
}

async fn consume(bootstrap: &str, args: &PerfConsumeArgs) -> Result<Summary, Failure> {
    let length = match (args.duration, args.records) {
        (Some(duration), _) => Length::Time(duration),
        (None, Some(records)) => Length::Records(records),
        (None, None) if args.tail => {
            return Err(Failure::Input("--tail has no end of its own: add --duration or --records".into()));
        }
        (None, None) => Length::Everything,
    };
    let topic = name(args.topic.topic.as_deref())?;
    let is_ours = args.topic.topic.is_none();
    let start = if args.tail { Start::Latest } else { Start::Earliest };
    let mut topics = args.topic.topics(&topic, is_ours);
    // What is made here is read by the second of two runs, so neither of them deletes it.
    topics.keep = true;
    let fill = Workload {
        topics: topics.clone(),
        produce: Some(filling(args)),
        consume: None,
        warmup: std::time::Duration::ZERO,
        length: Length::Records((args.fill / args.record_size.max(1)).max(1) as u64),
    };
    let read =
        Workload { topics, produce: None, consume: Some(args.readers.consume(start, 0)), warmup: args.warmup, length };
    read.check()?;
    let work = async {
        if is_ours {
            let filled = carry_out(bootstrap, &fill, "filling  ", args.common.quiet).await?;
            report::verdict(&filled)?;
            if filled.interrupted {
                return Ok(filled);
            }
        }
        carry_out(bootstrap, &read, "", args.common.quiet).await
    };
    let result = work.await;
    let reached = !matches!(result, Err(Failure::Client(client::ClientError::NoBroker { .. })));
    if is_ours && !args.topic.keep && reached {
        let deleted = load::delete_topics(bootstrap, &[topic]).await.map_err(Failure::from);
        return first_failure(result, deleted);
    }
    result
}

/// Of two failures the run's is told: the other often only follows from it.
fn first_failure<T>(result: Result<T, Failure>, deleted: Outcome) -> Result<T, Failure> {
    let value = result?;
    deleted?;
    Ok(value)
}

/// Writes as fast as the broker takes it, at next to no cost for the client.
fn filling(args: &PerfConsumeArgs) -> Produce {
    Produce {
        connections: 2,
        values: Values::random(args.record_size, 1.0),
        keys: 0,
        batch_bytes: FILL_BATCH_BYTES,
        linger: std::time::Duration::ZERO,
        acks: client::Acks::Leader,
        codec: protocol::records::Codec::None,
        idempotent: false,
        rate: None,
        in_flight: 5,
        pre_encoded: true,
    }
}

async fn run_file(bootstrap: &str, args: &PerfRunArgs) -> Result<Summary, Failure> {
    let path = args.file.display();
    let text = std::fs::read_to_string(&args.file).map_err(|error| Failure::Input(format!("{path}: {error}")))?;
    let in_file = |error: LoadError| match error {
        LoadError::Workload(text) => Failure::Input(format!("{path}: {text}")),
        other => other.into(),
    };
    let file = load::OpenMessaging::parse(&text).map_err(in_file)?;
    let like = args.batches.produce(Values::random(file.message_size, 1.0));
    let directory = args.file.parent().unwrap_or(Path::new("."));
    let mut workload = file.workload(&like, directory, &random_word()?).map_err(in_file)?;
    workload.topics.keep = args.keep;
    workload.warmup = args.warmup.unwrap_or(workload.warmup);
    if let Some(duration) = args.duration {
        workload.length = Length::Time(duration);
    }
    carry_out(bootstrap, &workload, "", args.common.quiet).await
}

async fn carry_out(bootstrap: &str, workload: &Workload, label: &str, is_quiet: bool) -> Result<Summary, Failure> {
    let mut watch = Watch::new(label, is_quiet);
    // Before there is a topic: whoever ends the program from then on ends a run that cleans up.
    let mut interrupts = Interrupts::new()?;
    let result = load::run(bootstrap, workload, &mut |progress| watch.say(progress), interrupts.next()).await;
    watch.end();
    Ok(result?)
}

fn name(given: Option<&str>) -> Result<String, Failure> {
    match given {
        Some(name) => Ok(name.into()),
        None => Ok(format!("ottla-perf-{}", random_word()?)),
    }
}

fn random_word() -> Result<String, Failure> {
    let number = getrandom::u32().map_err(|error| Failure::Input(format!("no random name: {error}")))?;
    Ok(format!("{number:08x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runs_failure_is_told_and_not_that_of_cleaning_up() {
        let failure = |text: &str| Failure::Input(text.into());
        let told = |result: Result<i32, Failure>| result.unwrap_err().to_string();
        assert_eq!(told(first_failure(Err(failure("run")), Err(failure("deleting")))), "run");
        assert_eq!(told(first_failure(Err(failure("run")), Ok(()))), "run");
        assert_eq!(told(first_failure(Ok(1), Err(failure("deleting")))), "deleting");
        assert!(matches!(first_failure(Ok(1), Ok(())), Ok(1)));
    }
}
