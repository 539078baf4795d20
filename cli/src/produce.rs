//! Writing topics: lines of standard input become records.

use std::collections::BTreeMap;

use bytes::Bytes;
use client::{Acks, ClientError, Cluster, OutgoingRecord, Producer, partition_for_key};
use protocol::ErrorCode;
use protocol::records::Codec;

use crate::arguments::ProduceArgs;
use crate::clock::now_ms;
use crate::failure::{Failure, Outcome};
use crate::output::say;
use crate::stdin;

/// How lines are written.
pub(crate) struct Writing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) acks: Acks,
    pub(crate) compression: Codec,
    /// Where all go; without it, by key as Java's producer does, or spread.
    pub(crate) partition: Option<i32>,
    pub(crate) idempotent: bool,
    /// What the person at the terminal sees before each line.
    pub(crate) prompt: Option<&'a str>,
}

/// What a line says: key, value and headers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Vec<(String, Option<Bytes>)>,
}

/// How a line is read. It is given its number, from 1.
pub(crate) type ReadLine<'a> = &'a dyn Fn(Bytes, usize) -> Result<Line, Failure>;

/// `ottla produce`.
pub(crate) async fn run(cluster: &Cluster, args: &ProduceArgs) -> Outcome {
    let writing = Writing {
        topic: &args.topic,
        acks: args.acks,
        compression: args.compression,
        partition: args.partition,
        idempotent: args.idempotent,
        prompt: None,
    };
    let read = |line: Bytes, number| match &args.key_separator {
        None => Ok(Line { value: Some(line), ..Line::default() }),
        Some(separator) => {
            let (key, value) = split(&line, separator)
                .ok_or_else(|| Failure::Input(format!("line {number} has no {separator:?} between key and value")))?;
            Ok(Line { key: Some(key), value: Some(value), headers: Vec::new() })
        }
    };
    write(cluster, &writing, &read).await
}

/// Writes every line of standard input.
pub(crate) async fn write(cluster: &Cluster, writing: &Writing<'_>, read: ReadLine<'_>) -> Outcome {
    let topic = cluster.topic_or_create(writing.topic).await?;
    let mut producer = if writing.idempotent {
        Producer::idempotent(cluster, writing.compression).await?
    } else {
        Producer::new(cluster, writing.acks, writing.compression)
    };
    if let Some(partition) = writing.partition
        && !topic.partitions.iter().any(|known| known.index == partition)
    {
        let what = format!("{}-{partition}", topic.name);
        ClientError::check(what, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None)?;
    }
    let mut spread = Spread::new(topic.partition_count());
    let mut lines_before = 0;
    let mut input = stdin::bundles();
    say(writing.prompt.unwrap_or_default())?;
    while let Some(bundle) = input.recv().await {
        let bundle = bundle?;
        let count = bundle.len();
        let (by_partition, outcome) = spread.place(writing.partition, read, bundle, lines_before);
        let slices: Vec<_> = by_partition.iter().map(|(partition, records)| (*partition, records.as_slice())).collect();
        // What came before a line that cannot be read is written.
        producer.send_all(writing.topic, &slices).await?;
        outcome?;
        lines_before += count;
        say(writing.prompt.unwrap_or_default())?;
    }
    Ok(())
}

/// Decides which partition a record goes to.
struct Spread {
    partitions: i32,
    /// Where the next bundle's records without a key go: together, since one large batch is cheaper than many small ones
    /// (KIP-480).
    next: i32,
}

impl Spread {
    fn new(partitions: i32) -> Spread {
        // Several producers that start at once should not all begin with the same partition.
        let start = (now_ms() % i64::from(partitions.max(1))) as i32;
        Spread { partitions, next: start }
    }

    /// The records of a bundle of lines, up to the first that cannot be read.
    fn place(
        &mut self,
        fixed: Option<i32>,
        read: ReadLine<'_>,
        lines: Vec<Vec<u8>>,
        lines_before: usize,
    ) -> (BTreeMap<i32, Vec<OutgoingRecord>>, Outcome) {
        let timestamp_ms = now_ms();
        let mut placed: BTreeMap<i32, Vec<OutgoingRecord>> = BTreeMap::new();
        for (place, line) in lines.into_iter().enumerate() {
            let Line { key, value, headers } = match read(Bytes::from(line), lines_before + place + 1) {
                Ok(line) => line,
                Err(failure) => return (placed, Err(failure)),
            };
            let partition = match (&key, fixed) {
                (_, Some(partition)) => partition,
                (Some(key), None) => partition_for_key(key, self.partitions),
                (None, None) => self.next,
            };
            placed.entry(partition).or_default().push(OutgoingRecord { key, value, headers, timestamp_ms });
        }
        self.next = (self.next + 1) % self.partitions.max(1);
        (placed, Ok(()))
    }
}

/// What is before and after the first separator.
pub(crate) fn split(line: &Bytes, separator: &str) -> Option<(Bytes, Bytes)> {
    let separator = separator.as_bytes();
    let place = match separator {
        [] => 0,
        _ => line.windows(separator.len()).position(|window| window == separator)?,
    };
    Some((line.slice(..place), line.slice(place + separator.len()..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_the_first_separator() {
        let parts = |line: &'static str, separator| split(&Bytes::from(line), separator);
        assert_eq!(parts("k:v:w", ":"), Some(("k".into(), "v:w".into())));
        assert_eq!(parts("k=>v", "=>"), Some(("k".into(), "v".into())));
        assert_eq!(parts(":", ":"), Some(("".into(), "".into())));
        assert_eq!(parts("no key", ":"), None);
    }
}
