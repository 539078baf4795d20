//! How many transactions a broker takes, and how long one takes from its first record to its commit.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::{Cluster, OutgoingRecord, TransactionalProducer};
use hdrhistogram::Histogram;
use protocol::records::Codec;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::CLIENT_ID;
use crate::crew::random_u64;
use crate::payload::Payloads;
use crate::summary::Latency;
use crate::topics::{cleaned, prepare};
use crate::workload::{CONNECTIONS_MAX, LoadError, Topics, Values};

/// Bytes of the values that one request may have.
const BATCH_BYTES_MAX: usize = 100 << 20;
/// What a transaction may take before the broker aborts it, beside the time that it is meant to take.
const SPARE: Duration = Duration::from_secs(60);
/// Digits of a time that are kept.
const DIGITS: u8 = 3;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Transact {
    /// One topic; each producer takes its partitions in turn, a batch in each.
    pub topics: Topics,
    /// Each has a transactional id of its own, and a connection.
    pub producers: usize,
    /// What the ids begin with; a number follows.
    pub transactional_id: String,
    /// When a transaction is committed.
    pub size: TransactionSize,
    /// Records of a request, of which a producer has one at a time. At least 1.
    pub batch_records: usize,
    /// What the records carry.
    pub values: Values,
    /// How batches are compressed.
    pub codec: Codec,
    /// At the beginning, and not counted.
    pub warmup: Duration,
    /// After that. Transactions that have begun then are committed and not counted.
    pub duration: Duration,
}

/// When a transaction is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionSize {
    /// When it has so many records, at least 1.
    Records(usize),
    /// After the request with which it is so old.
    Age(Duration),
}

/// What came of it, without the warm-up.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Transacted {
    /// That wrote at the same time.
    pub producers: usize,
    /// For so long.
    pub seconds: f64,
    /// That were committed.
    pub transactions: u64,
    /// In them.
    pub records: u64,
    /// Of `transactions`.
    pub transactions_per_second: f64,
    /// Of `records`.
    pub records_per_second: f64,
    /// From before the first record of a transaction is sent until its commit is acknowledged.
    pub begin_to_commit: Latency,
    /// The commit alone.
    pub commit: Latency,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
}

impl Transact {
    fn check(&self) -> Result<(), LoadError> {
        let refusal = if !(1..=CONNECTIONS_MAX).contains(&self.producers) {
            format!("{} producers; 1 to {CONNECTIONS_MAX} are possible", self.producers)
        } else if self.batch_records == 0 || self.size == TransactionSize::Records(0) {
            "a batch and a transaction have at least 1 record".into()
        } else if self.values.bytes().saturating_mul(self.batch_records) > BATCH_BYTES_MAX {
            format!("a batch has at most {BATCH_BYTES_MAX} bytes")
        } else {
            return Ok(());
        };
        Err(LoadError::Workload(refusal))
    }

    /// How long a transaction may stay open.
    fn timeout(&self) -> Duration {
        match self.size {
            TransactionSize::Records(_) => SPARE,
            TransactionSize::Age(age) => age.saturating_add(SPARE),
        }
    }
}

/// Commits one transaction after the other at the cluster at `bootstrap`.
///
/// # Errors
/// [`LoadError`]: the first transaction that fails ends the run.
pub async fn transact(
    bootstrap: &str,
    wanted: &Transact,
    stop: impl Future<Output = ()>,
) -> Result<Transacted, LoadError> {
    wanted.check()?;
    let mut stop = pin!(stop);
    let stopped = || Ok(Transacted { producers: wanted.producers, interrupted: true, ..Transacted::default() });
    let cluster = tokio::select! {
        cluster = Cluster::connect(bootstrap, CLIENT_ID) => cluster?,
        () = &mut stop => return stopped(),
    };
    let Some(prepared) = prepare(&cluster, &wanted.topics, &mut stop).await? else { return stopped() };
    let topic = prepared.topics.first();
    let place = Place {
        topic: topic.map(|topic| Arc::from(&*topic.name)).unwrap_or_default(),
        partitions: topic.map_or(0, |topic| topic.partitions.len() as i32),
    };
    let result = measure(bootstrap, wanted, &place, &mut stop).await;
    if wanted.topics.keep { result } else { cleaned(&cluster, &prepared.made, result).await }
}

async fn measure(
    bootstrap: &str,
    wanted: &Transact,
    place: &Place,
    stop: impl Future<Output = ()>,
) -> Result<Transacted, LoadError> {
    let (end, ended) = watch::channel(false);
    let mut stop = pin!(stop);
    let producers = async {
        let mut producers = Vec::new();
        for number in 0..wanted.producers {
            producers.push(Writer::new(bootstrap, wanted, place, number).await?);
        }
        Ok::<_, LoadError>(producers)
    };
    let producers = tokio::select! {
        producers = producers => producers?,
        () = &mut stop => return Ok(Transacted { producers: wanted.producers, interrupted: true, ..Transacted::default() }),
    };
    let from = Instant::now() + wanted.warmup;
    let until = from + wanted.duration;
    let mut tasks = JoinSet::new();
    for writer in producers {
        tasks.spawn(writer.run(from, until, ended.clone()));
    }
    let mut counts = Counts::new();
    let mut interrupted = false;
    loop {
        let done = tokio::select! {
            done = tasks.join_next() => done,
            () = &mut stop, if !interrupted => {
                interrupted = true;
                let _ = end.send(true);
                continue;
            }
        };
        match done {
            None => break,
            Some(Ok(result)) => counts.add(&result?),
            Some(Err(failed)) => return Err(LoadError::Workload(format!("a producer ended: {failed}"))),
        }
    }
    let seconds = Instant::now().min(until).saturating_duration_since(from).as_secs_f64();
    Ok(counts.told(wanted.producers, seconds, interrupted))
}

/// Where records go.
#[derive(Clone)]
struct Place {
    topic: Arc<str>,
    partitions: i32,
}

struct Counts {
    records: u64,
    /// Microseconds.
    begin_to_commit: Histogram<u64>,
    /// Microseconds.
    commit: Histogram<u64>,
}

impl Counts {
    fn new() -> Counts {
        let empty = || Histogram::new(DIGITS).expect("three digits are possible");
        Counts { records: 0, begin_to_commit: empty(), commit: empty() }
    }

    fn count(&mut self, records: usize, begun: Instant, committing: Instant) {
        self.records += records as u64;
        // Histograms that resize themselves take any value.
        let _ = self.begin_to_commit.record(micros(begun));
        let _ = self.commit.record(micros(committing));
    }

    fn add(&mut self, other: &Counts) {
        self.records += other.records;
        let _ = self.begin_to_commit.add(&other.begin_to_commit);
        let _ = self.commit.add(&other.commit);
    }

    fn told(&self, producers: usize, seconds: f64, interrupted: bool) -> Transacted {
        let transactions = self.begin_to_commit.len();
        let per_second = |amount: u64| if seconds > 0.0 { amount as f64 / seconds } else { 0.0 };
        Transacted {
            producers,
            seconds,
            transactions,
            records: self.records,
            transactions_per_second: per_second(transactions),
            records_per_second: per_second(self.records),
            begin_to_commit: Latency::of(&self.begin_to_commit),
            commit: Latency::of(&self.commit),
            interrupted,
        }
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// A producer and what it writes.
struct Writer {
    producer: TransactionalProducer,
    place: Place,
    size: TransactionSize,
    batch_records: usize,
    payloads: Payloads,
    partition: i32,
}

impl Writer {
    async fn new(bootstrap: &str, wanted: &Transact, place: &Place, number: usize) -> Result<Writer, LoadError> {
        // An application has connections of its own.
        let cluster = Cluster::connect(bootstrap, CLIENT_ID).await?;
        let id = format!("{}-{number}", wanted.transactional_id);
        let producer = TransactionalProducer::new(&cluster, wanted.codec, &id, wanted.timeout()).await?;
        Ok(Writer {
            producer,
            place: place.clone(),
            size: wanted.size,
            batch_records: wanted.batch_records,
            payloads: Payloads::new(&wanted.values, random_u64()?, None),
            // Not all at the same partition at once.
            partition: (number % place.partitions.max(1) as usize) as i32,
        })
    }

    /// One transaction after the other. Counts those that lie between the two moments.
    async fn run(mut self, from: Instant, until: Instant, end: watch::Receiver<bool>) -> Result<Counts, LoadError> {
        let mut counts = Counts::new();
        while Instant::now() < until && !*end.borrow() {
            let begun = Instant::now();
            let mut records = 0;
            while let Some(wanted) = self.wanted(records, begun) {
                self.send(wanted).await?;
                records += wanted;
            }
            let committing = Instant::now();
            self.producer.end(true).await?;
            if begun >= from && Instant::now() <= until {
                counts.count(records, begun, committing);
            }
        }
        Ok(counts)
    }

    /// How many records the next request has; none when the transaction is as it should be.
    fn wanted(&self, records: usize, begun: Instant) -> Option<usize> {
        let left = match self.size {
            TransactionSize::Records(all) => all.saturating_sub(records),
            TransactionSize::Age(age) if records > 0 && begun.elapsed() >= age => 0,
            TransactionSize::Age(_) => self.batch_records,
        };
        Some(left.min(self.batch_records)).filter(|wanted| *wanted > 0)
    }

    async fn send(&mut self, records: usize) -> Result<(), LoadError> {
        let timestamp_ms = wall_ms();
        let mut next = || OutgoingRecord {
            value: Some(Bytes::copy_from_slice(self.payloads.next(0))),
            timestamp_ms,
            ..OutgoingRecord::default()
        };
        let batch: Vec<OutgoingRecord> = (0..records).map(|_| next()).collect();
        self.producer.send(&self.place.topic, self.partition, &batch).await?;
        self.partition = (self.partition + 1) % self.place.partitions.max(1);
        Ok(())
    }
}

fn wall_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
