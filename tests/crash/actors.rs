//! Who works while the broker is killed: writers, a group's member, and somebody who deletes records.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use client::{Acks, ClientError, Cluster, GroupConfig, GroupConsumer, OutgoingRecord, Producer, StartOffset};
use protocol::messages::DeleteRecordsRequest;
use protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use protocol::records::{BatchBuilder, Codec};

use crate::ledger::{Discipline, Ledger};
use crate::value::value;

/// The topic under load, and its partitions.
pub(crate) const LOAD: &str = "load";
pub(crate) const PARTITIONS: i32 = 3;
pub(crate) const GROUP: &str = "readers";
const RECORDS_MAX: u32 = 6;
const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

/// What actors share.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    /// Once set, nobody begins anything new.
    pub(crate) stop: Arc<AtomicBool>,
}

impl Stage {
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn with_ledger<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        work(&mut self.ledger.lock().unwrap())
    }
}

/// Sends batch after batch.
pub(crate) struct Writer {
    id: u32,
    discipline: Discipline,
    codec: Codec,
    producer: Producer,
    random: fastrand::Rng,
}

impl Writer {
    pub(crate) async fn new(id: u32, discipline: Discipline, cluster: &Cluster, mut random: fastrand::Rng) -> Writer {
        let codec = any_codec(&mut random);
        let producer = match discipline {
            Discipline::Idempotent => Producer::idempotent(cluster, codec).await.unwrap(),
            // What is in the page cache survives the process, so acks=1 is a promise here too.
            Discipline::Retrying if random.bool() => Producer::new(cluster, Acks::Leader, codec),
            Discipline::Retrying | Discipline::Once => Producer::new(cluster, Acks::All, codec),
        };
        Writer { id, discipline, codec, producer, random }
    }

    /// Works until it is over; whoever retries does so until there is an answer.
    pub(crate) async fn work(mut self, stage: Stage) -> Writer {
        while !stage.is_over() {
            let partition = self.random.i32(0..PARTITIONS);
            let count = self.random.u32(1..=RECORDS_MAX);
            let id = stage.with_ledger(|ledger| ledger.sending(partition, self.id, count, self.discipline));
            let values = (0..count).map(|index| value(id, count, index));
            let written = match self.discipline {
                Discipline::Once => self.producer.send_batch(LOAD, partition, batch(self.codec, values)).await,
                _ => {
                    let record = |value: Vec<u8>| OutgoingRecord {
                        value: Some(value.into()),
                        timestamp_ms: now_ms(),
                        ..Default::default()
                    };
                    let records: Vec<OutgoingRecord> = values.map(record).collect();
                    self.producer.send(LOAD, partition, &records).await
                }
            };
            match written {
                Ok(written) => stage.with_ledger(|ledger| ledger.acknowledged(partition, id, written.base_offset)),
                Err(error) if self.discipline == Discipline::Once && is_loss(&error) => pause().await,
                Err(error) => panic!("writer {} ({:?}) was refused {id:?}: {error}", self.id, self.discipline),
            }
        }
        self
    }
}

pub(crate) fn any_codec(random: &mut fastrand::Rng) -> Codec {
    CODECS[random.usize(..CODECS.len())]
}

fn batch(codec: Codec, values: impl Iterator<Item = Vec<u8>>) -> Bytes {
    let mut builder = BatchBuilder::new(0).codec(codec, None);
    for value in values {
        builder.append(now_ms(), None, Some(&value), &[]);
    }
    builder.build().freeze()
}

/// Whether an error says only that nobody answered.
pub(crate) fn is_loss(error: &ClientError) -> bool {
    matches!(error, ClientError::Io { .. } | ClientError::NoAnswer { .. } | ClientError::NoBroker { .. })
}

/// Before the next attempt at a broker that is not there.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// Reads as a group's member and commits what it has read. It lives through the crash, as members do.
pub(crate) struct Member {
    consumer: GroupConsumer,
    /// Behind the records that it was given in this generation: what it commits.
    positions: BTreeMap<i32, i64>,
    generation: i32,
}

impl Member {
    pub(crate) fn new(cluster: &Cluster) -> Member {
        let config = GroupConfig {
            start: StartOffset::Earliest,
            commit_interval: None,
            session_timeout: Duration::from_secs(2),
            rebalance_timeout: Duration::from_secs(2),
            heartbeat_interval: Duration::from_millis(100),
            ..GroupConfig::new(GROUP, &[LOAD])
        };
        Member { consumer: GroupConsumer::new(cluster, config), positions: BTreeMap::new(), generation: -1 }
    }

    pub(crate) async fn work(mut self, stage: Stage, mut random: fastrand::Rng) -> Member {
        while !stage.is_over() {
            for _ in 0..random.u32(1..40) {
                let found = self.consumer.next(Duration::from_millis(20)).await;
                self.note_generation();
                match found {
                    Ok(Some(record)) => drop(self.positions.insert(record.partition, record.offset + 1)),
                    Ok(None) => break,
                    Err(error) => panic!("the member cannot read: {error}"),
                }
                if stage.is_over() {
                    return self;
                }
            }
            stage.with_ledger(|ledger| ledger.committing(&self.positions));
            match self.consumer.commit().await {
                Ok(()) => stage.with_ledger(|ledger| ledger.committed(&self.positions)),
                // It may have been taken for dead while the broker was away.
                Err(error) if error.code().is_some() => {}
                Err(error) => panic!("the member cannot commit: {error}"),
            }
        }
        self
    }
}

impl Member {
    /// In a new generation it begins again where the group had committed; what it read before is not its to commit.
    fn note_generation(&mut self) {
        let generation = self.consumer.generation_id();
        if generation != self.generation {
            self.positions.clear();
            self.generation = generation;
        }
    }
}

/// Deletes records now and then.
pub(crate) async fn delete_records(stage: Stage, mut random: fastrand::Rng) {
    while !stage.is_over() {
        tokio::time::sleep(Duration::from_millis(random.u64(10..60))).await;
        let partition_index = random.i32(0..PARTITIONS);
        let offset = stage.with_ledger(|ledger| ledger.deleting(partition_index, &mut random));
        let partition = DeleteRecordsPartition { partition_index, offset };
        let topic = DeleteRecordsTopic { name: LOAD.into(), partitions: vec![partition] };
        let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 10_000 };
        let answer = match stage.cluster.any().await {
            Ok(connection) => connection.send(&request).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                let code = answer.topics[0].partitions[0].error_code;
                assert!(!code.is_error(), "records up to {offset} of {partition_index} cannot be deleted: {code}");
                stage.with_ledger(|ledger| ledger.deleted(partition_index, offset));
            }
            Err(error) => assert!(is_loss(&error), "{error}"),
        }
    }
}
