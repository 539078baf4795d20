//! What `kafka-producer-perf-test` writes with: a producer, or one whose records are in transactions.

use std::time::Duration;

use client::{Acks, ClientError, Cluster, OutgoingRecord, Producer, TransactionalProducer};
use protocol::records::Codec;
use tokio::time::Instant;

use super::flags::Parsed;
use super::properties::Properties;
use crate::clock::now_ms;
use crate::failure::Failure;

const DEFAULT_DURATION_MS: u64 = 3000;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the records go.
pub(super) enum Writer {
    Plain(Producer),
    InTransactions(Box<Transactions>),
}

/// Transactions that are committed when they have lasted for a while.
pub(super) struct Transactions {
    producer: TransactionalProducer,
    duration: Duration,
    /// When the open one began.
    begun: Option<Instant>,
}

/// The transactional id and how long a transaction lasts.
#[derive(Debug, PartialEq)]
struct Wanted {
    id: String,
    duration: Duration,
}

impl Writer {
    /// As the flags and the producer's settings say.
    pub(super) async fn new(cluster: &Cluster, parsed: &Parsed, settings: &mut Properties) -> Result<Writer, Failure> {
        let codec = codec(settings)?;
        let acks = acks(settings)?;
        if let Some(Wanted { id, duration }) = wanted(parsed, settings)? {
            if acks != Acks::All {
                return Err(Failure::Usage("Must set acks to all in order to use transactions".into()));
            }
            let timeout = timeout(settings)?;
            let producer = TransactionalProducer::new(cluster, codec, &id, timeout).await?;
            return Ok(Writer::InTransactions(Box::new(Transactions { producer, duration, begun: None })));
        }
        Ok(Writer::Plain(match acks {
            Acks::All => Producer::idempotent(cluster, codec).await?,
            acks => Producer::new(cluster, acks, codec),
        }))
    }

    pub(super) async fn send(
        &mut self,
        topic: &str,
        partition: i32,
        records: &[OutgoingRecord],
    ) -> Result<(), ClientError> {
        match self {
            Writer::Plain(producer) => producer.send(topic, partition, records).await.map(drop),
            Writer::InTransactions(transactions) => {
                let begun = *transactions.begun.get_or_insert_with(Instant::now);
                let sent_at = Instant::now();
                transactions.producer.send(topic, partition, records).await?;
                if sent_at.duration_since(begun) >= transactions.duration { self.finish().await } else { Ok(()) }
            }
        }
    }

    /// Commits what is not committed yet.
    pub(super) async fn finish(&mut self) -> Result<(), ClientError> {
        match self {
            Writer::Plain(_) => Ok(()),
            Writer::InTransactions(transactions) => {
                transactions.begun = None;
                transactions.producer.end(true).await
            }
        }
    }
}

/// None when nobody asks for transactions, of whom either flag or the setting does.
fn wanted(parsed: &Parsed, settings: &mut Properties) -> Result<Option<Wanted>, Failure> {
    let of_settings = settings.take("transactional.id");
    let id = parsed.value("transactional-id")?.map(str::to_owned).or(of_settings);
    let duration_ms: Option<u64> = parsed.number("transaction-duration-ms")?;
    if duration_ms == Some(0) {
        return Err(Failure::Usage("--transaction-duration-ms should be > 0".into()));
    }
    if id.is_none() && duration_ms.is_none() {
        return Ok(None);
    }
    let own = || format!("performance-producer-{}-{}", std::process::id(), now_ms());
    let duration = Duration::from_millis(duration_ms.unwrap_or(DEFAULT_DURATION_MS));
    Ok(Some(Wanted { id: id.unwrap_or_else(own), duration }))
}

fn acks(settings: &mut Properties) -> Result<Acks, Failure> {
    match settings.take("acks").as_deref() {
        None | Some("all" | "-1") => Ok(Acks::All),
        Some("1") => Ok(Acks::Leader),
        Some("0") => Ok(Acks::None),
        Some(other) => Err(Failure::Usage(format!("acks={other}: all, 1 or 0"))),
    }
}

fn timeout(settings: &mut Properties) -> Result<Duration, Failure> {
    let Some(given) = settings.take("transaction.timeout.ms") else { return Ok(DEFAULT_TIMEOUT) };
    let invalid = |_| Failure::Usage(format!("transaction.timeout.ms={given}: a number of milliseconds"));
    given.trim().parse().map(Duration::from_millis).map_err(invalid)
}

fn codec(settings: &mut Properties) -> Result<Codec, Failure> {
    let name = settings.take("compression.type").unwrap_or_else(|| "none".into());
    Codec::from_name(&name)
        .ok_or_else(|| Failure::Usage(format!("compression.type={name}: none, gzip, snappy, lz4 or zstd")))
}
