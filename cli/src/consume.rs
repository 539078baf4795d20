//! Reading topics: records become lines of standard output.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

use client::{
    ClientError, Cluster, Consumer, FetchedRecord, GroupConfig, GroupConsumer, StartOffset, TopicPartition,
    list_offsets,
};
use tokio::time::{Instant, timeout};

use crate::arguments::{ConsumeArgs, ReadArgs};
use crate::failure::Outcome;
use crate::interrupts::Interrupts;
use crate::print::write_record;
use crate::subscription::Subscription;

/// How long one wait for a record takes when nothing says when to give up.
const WAIT: Duration = Duration::from_secs(60);
/// A goodbye to the group may take so long.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a record is written.
pub(crate) type WriteRecord<'a> = &'a mut dyn FnMut(&mut dyn Write, &FetchedRecord) -> io::Result<()>;

/// `ottla consume`.
pub(crate) async fn run(cluster: &Cluster, args: &ConsumeArgs) -> Outcome {
    let mut write = |out: &mut dyn Write, record: &FetchedRecord| write_record(out, &args.print, record);
    read(cluster, &args.read, &mut write).await.1
}

/// Writes records to standard output until enough were written, none came for too long, or somebody interrupts. Answers
/// how many there were, also when it went wrong.
pub(crate) async fn read(cluster: &Cluster, args: &ReadArgs, write: WriteRecord<'_>) -> (u64, Outcome) {
    let mut count = 0;
    let outcome = read_counting(cluster, args, write, &mut count).await;
    (count, outcome)
}

async fn read_counting(cluster: &Cluster, args: &ReadArgs, write: WriteRecord<'_>, count: &mut u64) -> Outcome {
    let mut interrupts = Interrupts::new()?;
    let mut source = tokio::select! {
        source = Source::open(cluster, args) => source?,
        () = interrupts.next() => return Ok(()),
    };
    let outcome = tokio::select! {
        outcome = pump(&mut source, args, write, count) => outcome,
        () = interrupts.next() => Ok(()),
    };
    outcome.and(source.close().await)
}

/// Prints records until enough were printed or none came for too long.
async fn pump(source: &mut Source, args: &ReadArgs, write: WriteRecord<'_>, printed: &mut u64) -> Outcome {
    let mut out = BufWriter::new(io::stdout());
    while args.max_messages.is_none_or(|max| *printed < max) {
        let record = match source.next(Duration::ZERO).await? {
            Some(record) => record,
            // Nothing is at hand: show what there was before waiting for more.
            None => {
                out.flush()?;
                match source.next(args.timeout_ms.map_or(WAIT, Duration::from_millis)).await? {
                    Some(record) => record,
                    None if args.timeout_ms.is_some() => break,
                    None => continue,
                }
            }
        };
        write(&mut out, &record)?;
        *printed += 1;
    }
    Ok(out.flush()?)
}

/// Where records come from. There is one in a process.
struct Source {
    cluster: Cluster,
    subscription: Subscription,
    start: StartOffset,
    reader: Reader,
}

enum Reader {
    Alone(Box<Consumer>),
    InGroup(Box<GroupConsumer>),
}

impl Source {
    async fn open(cluster: &Cluster, args: &ReadArgs) -> Result<Source, ClientError> {
        let (subscription, partitions) = Subscription::open(cluster, args).await?;
        let start = if args.from_beginning { StartOffset::Earliest } else { StartOffset::Latest };
        let isolation = args.settings.isolation;
        let reader = match &args.group {
            Some(group_id) => {
                let topics: Vec<&str> = subscription.topics.iter().map(String::as_str).collect();
                let config = GroupConfig { start, isolation, ..GroupConfig::new(group_id, &topics) };
                Reader::InGroup(Box::new(GroupConsumer::new(cluster, config)))
            }
            None => {
                let mut consumer = Consumer::new(cluster).isolation(isolation);
                match args.offset {
                    None => consumer.assign(&partitions, start).await?,
                    Some(offset) if offset >= 0 => consumer.assign(&partitions, StartOffset::At(offset)).await?,
                    Some(offset) => consumer.assign_at(before_end(cluster, &partitions, offset).await?, None),
                }
                Reader::Alone(Box::new(consumer))
            }
        };
        Ok(Source { cluster: cluster.clone(), subscription, start, reader })
    }

    /// The next record, or nothing if none came within `wait`.
    async fn next(&mut self, wait: Duration) -> Result<Option<FetchedRecord>, ClientError> {
        let deadline = Instant::now() + wait;
        loop {
            let next_look = self.subscription.next_look().filter(|due| *due <= deadline);
            if next_look.is_some_and(|due| due <= Instant::now()) {
                self.look_again().await?;
                continue;
            }
            let wait = next_look.unwrap_or(deadline).saturating_duration_since(Instant::now());
            let record = match &mut self.reader {
                Reader::Alone(consumer) => consumer.next(wait).await?,
                Reader::InGroup(consumer) => consumer.next(wait).await?,
            };
            if record.is_some() || next_look.is_none() {
                return Ok(record);
            }
        }
    }

    /// Reads what has come since. New partitions of a topic are the group's own business.
    async fn look_again(&mut self) -> Result<(), ClientError> {
        let fresh = match self.subscription.look(&self.cluster).await {
            Ok(fresh) => fresh,
            Err(error) if error.is_retriable() => {
                self.subscription.postpone();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match &mut self.reader {
            Reader::Alone(consumer) => consumer.add(&fresh, self.start).await?,
            Reader::InGroup(consumer) => consumer.subscribe(&self.subscription.topics).await,
        }
        Ok(())
    }

    /// A member commits and leaves.
    async fn close(self) -> Outcome {
        match self.reader {
            Reader::Alone(_) => Ok(()),
            Reader::InGroup(consumer) => leave(*consumer).await,
        }
    }
}

/// Leaves a group, which commits what was read, unless its coordinator does not answer any more.
///
/// # Errors
/// The coordinator's, and that it does not answer.
pub(crate) async fn leave(consumer: GroupConsumer) -> Outcome {
    in_time(LEAVE_TIMEOUT, consumer.leave()).await
}

async fn in_time(patience: Duration, leaving: impl Future<Output = Result<(), ClientError>>) -> Outcome {
    match timeout(patience, leaving).await {
        Ok(left) => Ok(left?),
        Err(_) => Err(io::Error::other("the group's coordinator does not answer").into()),
    }
}

/// The offsets `back` (negative) records before the end, or the first ones where there are fewer.
async fn before_end(
    cluster: &Cluster,
    partitions: &[TopicPartition],
    back: i64,
) -> Result<BTreeMap<TopicPartition, i64>, ClientError> {
    let first = list_offsets(cluster, partitions, StartOffset::Earliest).await?;
    let mut offsets = list_offsets(cluster, partitions, StartOffset::Latest).await?;
    for (place, offset) in &mut offsets {
        *offset = offset.saturating_add(back).max(first.get(place).copied().unwrap_or(0));
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_waits_for_a_coordinator_that_does_not_answer() {
        assert!(in_time(LEAVE_TIMEOUT, std::future::ready(Ok(()))).await.is_ok());
        let failure = in_time(Duration::from_millis(1), std::future::pending()).await.unwrap_err();
        assert!(failure.to_string().contains("coordinator does not answer"), "{failure}");
    }
}
