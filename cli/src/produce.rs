//! `ottla produce`: lines of standard input become records.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use client::{ClientError, Cluster, OutgoingRecord, Producer, partition_for_key};
use protocol::ErrorCode;

use crate::arguments::ProduceArgs;
use crate::failure::{Failure, Outcome};
use crate::stdin;

pub(crate) async fn run(cluster: &Cluster, args: &ProduceArgs) -> Outcome {
    let topic = cluster.topic_or_create(&args.topic).await?;
    let mut producer = if args.idempotent {
        Producer::idempotent(cluster, args.compression).await?
    } else {
        Producer::new(cluster, args.acks, args.compression)
    };
    if let Some(partition) = args.partition
        && !topic.partitions.iter().any(|known| known.index == partition)
    {
        let what = format!("{}-{partition}", topic.name);
        ClientError::check(what, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None)?;
    }
    let mut spread = Spread::new(topic.partition_count());
    let mut lines_before = 0;
    let mut input = stdin::bundles();
    while let Some(bundle) = input.recv().await {
        let bundle = bundle?;
        let count = bundle.len();
        let by_partition = spread.place(args, bundle, lines_before)?;
        let slices: Vec<_> = by_partition.iter().map(|(partition, records)| (*partition, records.as_slice())).collect();
        producer.send_all(&args.topic, &slices).await?;
        lines_before += count;
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

    /// # Errors
    /// When a line has no key.
    fn place(
        &mut self,
        args: &ProduceArgs,
        lines: Vec<Vec<u8>>,
        lines_before: usize,
    ) -> Result<BTreeMap<i32, Vec<OutgoingRecord>>, Failure> {
        let timestamp_ms = now_ms();
        let mut placed: BTreeMap<i32, Vec<OutgoingRecord>> = BTreeMap::new();
        for (place, line) in lines.into_iter().enumerate() {
            let (key, value) = match &args.key_separator {
                None => (None, Bytes::from(line)),
                Some(separator) => split(line, separator).ok_or_else(|| {
                    let number = lines_before + place + 1;
                    Failure::Input(format!("line {number} has no {separator:?} between key and value"))
                })?,
            };
            let partition = match (&key, args.partition) {
                (_, Some(partition)) => partition,
                (Some(key), None) => partition_for_key(key, self.partitions),
                (None, None) => self.next,
            };
            let record = OutgoingRecord { key, value: Some(value), headers: Vec::new(), timestamp_ms };
            placed.entry(partition).or_default().push(record);
        }
        self.next = (self.next + 1) % self.partitions.max(1);
        Ok(placed)
    }
}

fn split(line: Vec<u8>, separator: &str) -> Option<(Option<Bytes>, Bytes)> {
    let line = Bytes::from(line);
    let separator = separator.as_bytes();
    let place = match separator {
        [] => 0,
        _ => line.windows(separator.len()).position(|window| window == separator)?,
    };
    Some((Some(line.slice(..place)), line.slice(place + separator.len()..)))
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_the_first_separator() {
        let parts =
            |line: &str, separator| split(line.into(), separator).map(|(key, value)| (key.unwrap_or_default(), value));
        assert_eq!(parts("k:v:w", ":"), Some(("k".into(), "v:w".into())));
        assert_eq!(parts("k=>v", "=>"), Some(("k".into(), "v".into())));
        assert_eq!(parts(":", ":"), Some(("".into(), "".into())));
        assert_eq!(parts("no key", ":"), None);
    }
}
