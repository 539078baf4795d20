//! A transactional producer made of single requests, so that a test decides what is sent when, in either protocol.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Cluster, Connection, Consumer, Isolation, StartOffset, TopicPartition};
use protocol::ErrorCode;
use protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use protocol::messages::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use protocol::messages::end_txn::EndTxnRequest;
use protocol::messages::find_coordinator::FindCoordinatorRequest;
use protocol::messages::init_producer_id::InitProducerIdRequest;
use protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use protocol::records::BatchBuilder;
use protocol::wire::Records;

use crate::broker_process::DEADLINE;

/// How the client understands transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Understanding {
    /// As before KIP-890: partitions are added first, and the epoch stays.
    Old,
    /// Partitions are added by writing to them, and each end gives a new epoch.
    New,
}

pub(crate) const BOTH: [Understanding; 2] = [Understanding::Old, Understanding::New];

pub(crate) struct Transactional {
    cluster: Cluster,
    understanding: Understanding,
    pub(crate) id: String,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    sequences: BTreeMap<(String, i32), i32>,
}

impl Transactional {
    /// Like `KafkaProducer.initTransactions`.
    pub(crate) async fn init(
        cluster: &Cluster,
        id: &str,
        understanding: Understanding,
        timeout_ms: i32,
    ) -> Transactional {
        let find = FindCoordinatorRequest { key_type: 1, coordinator_keys: vec![id.into()], ..Default::default() };
        let found = cluster.any().await.unwrap().send(&find).await.unwrap();
        assert_eq!(found.coordinators[0].error_code, ErrorCode::NONE, "{found:?}");
        let request = InitProducerIdRequest {
            transactional_id: Some(id.into()),
            transaction_timeout_ms: timeout_ms,
            ..Default::default()
        };
        let begun = Instant::now();
        loop {
            let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
            match answer.error_code {
                ErrorCode::NONE => {
                    return Transactional {
                        cluster: cluster.clone(),
                        understanding,
                        id: id.into(),
                        producer_id: answer.producer_id,
                        epoch: answer.producer_epoch,
                        sequences: BTreeMap::new(),
                    };
                }
                // The transaction of the one before is being aborted.
                ErrorCode::CONCURRENT_TRANSACTIONS if begun.elapsed() < DEADLINE => tokio::task::yield_now().await,
                code => panic!("{code}"),
            }
        }
    }

    /// The same producer, on a connection to the broker as it is now.
    pub(crate) fn reconnected(self, cluster: &Cluster) -> Transactional {
        Transactional { cluster: cluster.clone(), ..self }
    }

    async fn connection(&self) -> Arc<Connection> {
        self.cluster.any().await.unwrap()
    }

    fn is_new(&self) -> bool {
        self.understanding == Understanding::New
    }

    /// Writes `values` as one batch, after adding the partition where the client has to.
    pub(crate) async fn send(&mut self, topic: &str, partition: i32, values: &[&str]) -> ErrorCode {
        if !self.is_new() {
            let added = self.add(topic, partition).await;
            if added.is_error() {
                return added;
            }
        }
        self.produce(topic, partition, values).await
    }

    /// AddPartitionsToTxn.
    pub(crate) async fn add(&self, topic: &str, partition: i32) -> ErrorCode {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.clone(),
            v3_and_below_producer_id: self.producer_id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic { name: topic.into(), partitions: vec![partition] }],
            ..Default::default()
        };
        let connection = self.connection().await;
        while_concurrent(async || {
            let answer = connection.send_version(&request, 3).await.unwrap();
            answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
        })
        .await
    }

    /// Produce alone.
    pub(crate) async fn produce(&mut self, topic: &str, partition: i32, values: &[&str]) -> ErrorCode {
        let sequence = self.sequences.entry((topic.to_string(), partition)).or_insert(0);
        let mut builder = BatchBuilder::new(0).producer(self.producer_id, self.epoch, *sequence).transactional();
        for value in values {
            builder.append(1, None, Some(value.as_bytes()), &[]);
        }
        let records = Some(Records::from(bytes::Bytes::from(builder.build())));
        let next = *sequence + values.len() as i32;
        let request = ProduceRequest {
            transactional_id: Some(self.id.clone()),
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![TopicProduceData {
                name: topic.into(),
                partition_data: vec![PartitionProduceData { index: partition, records }],
                ..Default::default()
            }],
        };
        let version = if self.is_new() { 12 } else { 11 };
        let connection = self.connection().await;
        let code = while_concurrent(async || {
            connection.send_version(&request, version).await.unwrap().responses[0].partition_responses[0].error_code
        })
        .await;
        if !code.is_error() {
            self.sequences.insert((topic.to_string(), partition), next);
        }
        code
    }

    /// EndTxn.
    pub(crate) async fn end(&mut self, committed: bool) -> ErrorCode {
        let request = self.end_request(committed);
        let version = self.end_version();
        let connection = self.connection().await;
        let mut answer = connection.send_version(&request, version).await.unwrap();
        let begun = Instant::now();
        while answer.error_code == ErrorCode::CONCURRENT_TRANSACTIONS && begun.elapsed() < DEADLINE {
            answer = connection.send_version(&request, version).await.unwrap();
        }
        if !answer.error_code.is_error() && self.is_new() {
            (self.producer_id, self.epoch) = (answer.producer_id, answer.producer_epoch);
            self.sequences.clear();
        }
        answer.error_code
    }

    /// What EndTxn is sent with.
    pub(crate) fn end_request(&self, committed: bool) -> EndTxnRequest {
        EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed,
        }
    }

    pub(crate) fn end_version(&self) -> i16 {
        if self.is_new() { 5 } else { 4 }
    }

    /// Like `KafkaProducer.sendOffsetsToTransaction`, of a group without members.
    pub(crate) async fn send_offset(&self, group: &str, topic: &str, partition: i32, offset: i64) -> ErrorCode {
        let connection = self.connection().await;
        if !self.is_new() {
            let add = AddOffsetsToTxnRequest {
                transactional_id: self.id.clone(),
                producer_id: self.producer_id,
                producer_epoch: self.epoch,
                group_id: group.into(),
            };
            let added = while_concurrent(async || connection.send_version(&add, 3).await.unwrap().error_code).await;
            if added.is_error() {
                return added;
            }
        }
        let commit = TxnOffsetCommitRequest {
            transactional_id: self.id.clone(),
            group_id: group.into(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: topic.into(),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: offset,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let version = if self.is_new() { 5 } else { 4 };
        while_concurrent(async || {
            connection.send_version(&commit, version).await.unwrap().topics[0].partitions[0].error_code
        })
        .await
    }
}

/// Repeats what waits for the end of the transaction before.
async fn while_concurrent(mut ask: impl AsyncFnMut() -> ErrorCode) -> ErrorCode {
    let begun = Instant::now();
    loop {
        match ask().await {
            // What a client before Produce v12 is told in its place.
            ErrorCode::CONCURRENT_TRANSACTIONS | ErrorCode::NOT_ENOUGH_REPLICAS if begun.elapsed() < DEADLINE => {}
            code => return code,
        }
    }
}

/// What a reader finds in a partition, up to where it may go.
pub(crate) async fn read(cluster: &Cluster, topic: &str, partition: i32, isolation: Isolation) -> Vec<String> {
    let mut consumer = Consumer::new(cluster).isolation(isolation);
    let place = TopicPartition { topic: topic.into(), partition };
    consumer.assign(&[place], StartOffset::Earliest).await.unwrap();
    let mut values = Vec::new();
    while !consumer.is_caught_up() {
        if let Some(record) = consumer.next(Duration::from_millis(50)).await.unwrap() {
            values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
        }
    }
    values
}

/// Waits until a reader of committed records finds exactly `expected`.
pub(crate) async fn committed_become(cluster: &Cluster, topic: &str, partition: i32, expected: &[&str]) {
    let begun = Instant::now();
    loop {
        let found = read(cluster, topic, partition, Isolation::ReadCommitted).await;
        if found == expected {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "{found:?} instead of {expected:?}");
    }
}

/// The offset that a group has committed, or why it is not told to a reader that requires a stable one.
pub(crate) async fn stable_offset(cluster: &Cluster, group: &str, topic: &str) -> Result<i64, ErrorCode> {
    let topics =
        vec![OffsetFetchRequestTopics { name: topic.into(), partition_indexes: vec![0], ..Default::default() }];
    let groups = vec![OffsetFetchRequestGroup { group_id: group.into(), topics: Some(topics), ..Default::default() }];
    let request = OffsetFetchRequest { groups, require_stable: true, ..Default::default() };
    let answer = cluster.any().await.unwrap().send_version(&request, 8).await.unwrap();
    assert_eq!(answer.groups[0].error_code, ErrorCode::NONE);
    let found = &answer.groups[0].topics[0].partitions[0];
    if found.error_code.is_error() { Err(found.error_code) } else { Ok(found.committed_offset) }
}
