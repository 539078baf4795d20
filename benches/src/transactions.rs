//! Transactions, one after the other by each producer, and transactional ids that are known and do nothing.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::{Cluster, Connection};
use protocol::ErrorCode;
use protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use protocol::messages::{EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest, ProduceRequest};
use protocol::records::BatchBuilder;
use tokio::task::JoinSet;

use crate::contender::Running;
use crate::measure::{Measure, Numbers};
use crate::stream::refuse_losses;
use crate::usage::Resident;
use crate::workloads::backlog;
use crate::{Outcome, scenes};

const TOPIC: &str = "transactions";
const PARTITIONS: i32 = 12;
const PARTITIONS_A_TRANSACTION: i32 = 4;
/// In each of these partitions.
const RECORDS: usize = 25;
const VALUE_BYTES: usize = 100;
/// The newest version that names topics; since it the first records of a transaction add their partition (KIP-890).
const PRODUCE_VERSION: i16 = 12;
/// The first that answers with the next epoch.
const END_VERSION: i16 = 5;
/// While the markers of the transaction before are being written. The same for every broker.
const PAUSE: Duration = Duration::from_millis(1);
/// For a coordinator to have loaded what it coordinates, and for a transaction to end.
const PATIENCE: Duration = Duration::from_secs(30);

const IDS: usize = 100_000;
/// Of other records, written before.
const BEFORE_BYTES: u64 = 256 << 20;
/// Each with one request at a time.
const REGISTRARS: usize = 64;
/// For a broker to put aside what it needed only while it worked.
const REST: Duration = Duration::from_secs(2);

/// A transactional id's producer, on a connection of its own.
struct Transactional {
    connection: Connection,
    id: String,
    producer_id: i64,
    epoch: i16,
}

/// So many producers commit transactions of 100 records for so long, after half as long a warm-up. A latency is the time
/// from the first request of a transaction to the answer of its commit; what a producer has to wait because the transaction before
/// is not complete counts as part of it.
///
/// # Errors
/// What the broker did not do.
pub(crate) async fn commits(cluster: &Cluster, producers: usize, seconds: f64) -> Outcome<Numbers> {
    scenes::create(cluster, TOPIC, PARTITIONS).await?;
    let address: Arc<str> = cluster.any().await?.address().into();
    let mut ready = JoinSet::new();
    for number in 0..producers {
        let (address, id) = (Arc::clone(&address), format!("committing-{number}"));
        ready.spawn(async move { Transactional::init(Connection::connect(&address, "benches").await?, id).await });
    }
    let mut running = JoinSet::new();
    let length = Duration::from_secs_f64(seconds);
    let (begin, end) = (Instant::now() + length / 2, Instant::now() + length / 2 + length);
    let mut number = 0;
    while let Some(producer) = ready.join_next().await {
        running.spawn(producer??.transact(number * PARTITIONS_A_TRANSACTION, begin, end));
        number += 1;
    }
    let mut latencies = Vec::new();
    while let Some(taken) = running.join_next().await {
        latencies.extend(taken??);
    }
    scenes::delete(cluster, &[TOPIC.to_owned()]).await?;
    latencies.sort_unstable();
    let at = |part: f64| {
        let index = (latencies.len() as f64 * part) as usize;
        latencies.get(index.min(latencies.len().saturating_sub(1))).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    Ok(Numbers::from([
        (Measure::TransactionsPerSecond, latencies.len() as f64 / length.as_secs_f64()),
        (Measure::P50Ms, at(0.5)),
        (Measure::P99Ms, at(0.99)),
        (Measure::P999Ms, at(0.999)),
        (Measure::MaxMs, at(1.0)),
    ]))
}

/// A hundred thousand transactional ids become known; how much memory that takes that no other process has.
///
/// # Errors
/// What the broker did not do.
pub(crate) async fn known_ids(cluster: &Cluster, running: &Running) -> Outcome<Numbers> {
    let (address, pid): (Arc<str>, u32) = (cluster.any().await?.address().into(), running.pid);
    // What the first of them costs is not what one costs: the topic, its logs, a connection for each who asks; and a
    // cache of what was written last, which is full of something else before.
    refuse_losses(&load::run(&running.bootstrap, &backlog(BEFORE_BYTES), &mut |_| (), pending()).await?)?;
    register(&address, "first", REGISTRARS * 10).await?;
    tokio::time::sleep(REST).await;
    let before = Resident::of(pid)?.anonymous;
    let begun = Instant::now();
    register(&address, "known", IDS).await?;
    let seconds = begun.elapsed().as_secs_f64();
    tokio::time::sleep(REST).await;
    let grown = Resident::of(pid)?.anonymous.saturating_sub(before);
    Ok(Numbers::from([(Measure::Seconds, seconds), (Measure::GrownMb, grown as f64 / 1e6)]))
}

async fn register(address: &Arc<str>, prefix: &'static str, count: usize) -> Outcome<()> {
    let mut registrars = JoinSet::new();
    for registrar in 0..REGISTRARS {
        let address = Arc::clone(address);
        registrars.spawn(async move {
            let connection = Connection::connect(&address, "benches").await?;
            for number in (registrar..count).step_by(REGISTRARS) {
                init(&connection, &format!("{prefix}-word-count-5f3e0a6c-{number:08}-1")).await?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(registered) = registrars.join_next().await {
        registered??;
    }
    Ok(())
}

/// The producer id and epoch of a transactional id.
async fn init(connection: &Connection, id: &str) -> Outcome<(i64, i16)> {
    let request = InitProducerIdRequest {
        transactional_id: Some(id.to_owned()),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let begun = Instant::now();
    loop {
        let answer = connection.send(&request).await?;
        match answer.error_code {
            ErrorCode::NONE => return Ok((answer.producer_id, answer.producer_epoch)),
            code => again(begun, code).await?,
        }
        // The topic of the coordinators appears with the first look for one.
        let find = FindCoordinatorRequest { key_type: 1, coordinator_keys: vec![id.to_owned()], ..Default::default() };
        connection.send(&find).await?;
    }
}

/// Pauses where a broker asks for that.
async fn again(begun: Instant, code: ErrorCode) -> Outcome<()> {
    let waits = matches!(
        code,
        ErrorCode::CONCURRENT_TRANSACTIONS
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    if !waits || begun.elapsed() > PATIENCE {
        return Err(format!("a transaction: {code}").into());
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

impl Transactional {
    async fn init(connection: Connection, id: String) -> Outcome<Transactional> {
        let (producer_id, epoch) = init(&connection, &id).await?;
        Ok(Transactional { connection, id, producer_id, epoch })
    }

    /// Commits transactions until `end`; answers how long each took that began at `begin` or later.
    async fn transact(mut self, first_partition: i32, begin: Instant, end: Instant) -> Outcome<Vec<Duration>> {
        let mut latencies = Vec::new();
        while Instant::now() < end {
            let begun = Instant::now();
            self.produce(first_partition, begun).await?;
            self.commit(begun).await?;
            if begun >= begin {
                latencies.push(begun.elapsed());
            }
        }
        Ok(latencies)
    }

    /// One request, which is sent again as long as the transaction before is not complete.
    async fn produce(&self, first_partition: i32, begun: Instant) -> Outcome<()> {
        let batch = self.batch();
        let mut left: Vec<i32> = (0..PARTITIONS_A_TRANSACTION).map(|n| (first_partition + n) % PARTITIONS).collect();
        loop {
            let data = left.iter().map(|&index| PartitionProduceData { index, records: Some(batch.clone().into()) });
            let topic =
                TopicProduceData { name: TOPIC.to_owned(), partition_data: data.collect(), ..Default::default() };
            let request = ProduceRequest {
                transactional_id: Some(self.id.clone()),
                acks: -1,
                timeout_ms: 20_000,
                topic_data: vec![topic],
            };
            let answer = self.connection.send_version(&request, PRODUCE_VERSION).await?;
            let answers: Vec<_> = answer.responses.into_iter().flat_map(|topic| topic.partition_responses).collect();
            left = answers.iter().filter(|answer| answer.error_code.is_error()).map(|answer| answer.index).collect();
            let Some(refused) = answers.iter().find(|answer| answer.error_code.is_error()) else { return Ok(()) };
            again(begun, refused.error_code).await?;
        }
    }

    /// Epochs are new in each transaction, so sequences begin at 0.
    fn batch(&self) -> Bytes {
        let timestamp_ms = crate::usage::now_seconds() as i64 * 1000;
        let value = [b'x'; VALUE_BYTES];
        let mut builder = BatchBuilder::new(0).producer(self.producer_id, self.epoch, 0).transactional();
        for _ in 0..RECORDS {
            builder.append(timestamp_ms, None, Some(&value), &[]);
        }
        builder.build().freeze()
    }

    async fn commit(&mut self, begun: Instant) -> Outcome<()> {
        let request = EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed: true,
        };
        loop {
            let answer = self.connection.send_version(&request, END_VERSION).await?;
            if answer.error_code == ErrorCode::NONE {
                (self.producer_id, self.epoch) = (answer.producer_id, answer.producer_epoch);
                return Ok(());
            }
            again(begun, answer.error_code).await?;
        }
    }
}
