//! A transactional producer made of single requests, of either protocol, that keeps a history of what it does.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::api::Request;
use protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic,
};
use protocol::messages::end_txn::EndTxnRequest;
use protocol::messages::find_coordinator::FindCoordinatorRequest;
use protocol::messages::init_producer_id::InitProducerIdRequest;
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use protocol::records::BatchBuilder;
use protocol::wire::Records;

use super::history::{Place, Value};
use super::stage::{Phase, Stage, pause};
use crate::actors::{is_loss, now_ms};
use crate::broker_process::DEADLINE;

/// How the client understands transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Understanding {
    /// As before KIP-890: partitions are added first, and the epoch stays.
    Old,
    /// Partitions are added by writing to them, and each end gives a new epoch.
    New,
}

/// What a producer is like.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) transactional_id: String,
    pub(crate) understanding: Understanding,
    pub(crate) timeout_ms: i32,
}

/// Longer than any world.
pub(crate) const LONG_MS: i32 = 600_000;

/// Why a producer does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Nobody answered, and it was not told to ask again.
    GaveUp,
    /// By this request.
    Refused(&'static str, ErrorCode),
}

pub(crate) struct Producer {
    stage: Stage,
    manner: Manner,
    /// In the history.
    instance: usize,
    producer_id: i64,
    epoch: i16,
    sequences: BTreeMap<Place, i32>,
    /// In the history; there when something was written or tried.
    transaction: Option<usize>,
    /// Whether it asks again when nobody answered, as clients do; or is given up, as a process that dies with it.
    pub(crate) insists: bool,
}

/// Records of one place, and their batch.
struct Batch {
    place: Place,
    values: Vec<Value>,
    bytes: Bytes,
}

impl Producer {
    /// Like `KafkaProducer.initTransactions`: whatever an instance before it left open is decided afterwards.
    pub(crate) async fn init(stage: Stage, manner: &Manner) -> Producer {
        let id = &manner.transactional_id;
        let find = FindCoordinatorRequest { key_type: 1, coordinator_keys: vec![id.clone()], ..Default::default() };
        stage.ask_on(&find, 4).await;
        let instance = stage.with_history(|history| history.instance_asked(id));
        let request = InitProducerIdRequest {
            transactional_id: Some(id.clone()),
            transaction_timeout_ms: manner.timeout_ms,
            ..Default::default()
        };
        let mut producer = Producer {
            stage,
            manner: manner.clone(),
            instance,
            producer_id: -1,
            epoch: -1,
            sequences: BTreeMap::new(),
            transaction: None,
            insists: true,
        };
        let phase = Phase::TakingOver;
        let answer = producer.insist(&request, 4, phase, |answer| answer.error_code).await;
        let answer = answer.unwrap_or_else(|stopped| panic!("{id} is not initialised: {stopped:?}"));
        (producer.producer_id, producer.epoch) = (answer.producer_id, answer.producer_epoch);
        producer.stage.with_history(|history| history.instance_answered(instance));
        producer.stage.is_in(Phase::Initialised);
        producer
    }

    fn is_new(&self) -> bool {
        self.manner.understanding == Understanding::New
    }

    /// In the history; begins one if there is none.
    fn transaction(&mut self) -> usize {
        let may_time_out = self.manner.timeout_ms < LONG_MS;
        let begin = || self.stage.with_history(|history| history.begun(self.instance, may_time_out));
        *self.transaction.get_or_insert_with(begin)
    }

    /// Writes a batch to each place, with one request, after adding the partitions where the client has to.
    pub(crate) async fn write(&mut self, payloads: &BTreeMap<Place, Vec<String>>) -> Result<(), Stopped> {
        let transaction = self.transaction();
        if !self.is_new() {
            self.add(payloads.keys().copied().collect()).await?;
        }
        let batches = payloads.iter().map(|(place, payloads)| self.batch(transaction, *place, payloads));
        let mut left: Vec<Batch> = batches.collect();
        let begun = Instant::now();
        while !left.is_empty() {
            let request = produce_request(&self.manner.transactional_id, &left);
            let version = if self.is_new() { 12 } else { 11 };
            let answer = self.insist(&request, version, Phase::Appending, |_| ErrorCode::NONE).await?;
            for (name, found) in answer
                .responses
                .iter()
                .flat_map(|topic| topic.partition_responses.iter().map(move |found| (topic.name.as_str(), found)))
            {
                match found.error_code {
                    ErrorCode::NONE => self.written(&mut left, (name, found.index), found.base_offset),
                    code if is_later(code) => {}
                    code => return Err(Stopped::Refused(ProduceRequest::NAME, code)),
                }
            }
            assert!(begun.elapsed() < DEADLINE, "{}: no end of being put off", self.manner.transactional_id);
        }
        Ok(())
    }

    fn batch(&self, transaction: usize, place: Place, payloads: &[String]) -> Batch {
        let sequence = self.sequences.get(&place).copied().unwrap_or(0);
        let mut builder = BatchBuilder::new(0).producer(self.producer_id, self.epoch, sequence).transactional();
        let values: Vec<Value> = self
            .stage
            .with_history(|history| payloads.iter().map(|_| history.write_asked(transaction, place)).collect());
        for (value, payload) in values.iter().zip(payloads) {
            builder.append(now_ms(), None, Some(value.text(payload).as_bytes()), &[]);
        }
        Batch { place, values, bytes: Bytes::from(builder.build()) }
    }

    fn written(&mut self, left: &mut Vec<Batch>, (topic, partition): (&str, i32), base_offset: i64) {
        let Some(at) = left.iter().position(|batch| batch.place == (topic, partition)) else {
            panic!("an answer about {topic}-{partition}, which was not asked");
        };
        let batch = left.swap_remove(at);
        *self.sequences.entry(batch.place).or_insert(0) += batch.values.len() as i32;
        self.stage.with_history(|history| {
            for (value, index) in batch.values.iter().zip(0..) {
                history.write_answered(*value, if base_offset < 0 { -1 } else { base_offset + index });
            }
        });
    }

    async fn add(&mut self, places: Vec<Place>) -> Result<(), Stopped> {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        places.iter().for_each(|(topic, partition)| topics.entry(topic).or_default().push(*partition));
        let topic =
            |(name, partitions): (&str, Vec<i32>)| AddPartitionsToTxnTopic { name: name.to_owned(), partitions };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.manner.transactional_id.clone(),
            v3_and_below_producer_id: self.producer_id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        };
        self.insist(&request, 3, Phase::Adding, code_of_added).await.map(drop)
    }

    /// Like `KafkaProducer.sendOffsetsToTransaction`, of a group without members.
    pub(crate) async fn send_offset(&mut self, group: &str, place: Place, offset: i64) -> Result<(), Stopped> {
        self.transaction();
        if !self.is_new() {
            let request = AddOffsetsToTxnRequest {
                transactional_id: self.manner.transactional_id.clone(),
                producer_id: self.producer_id,
                producer_epoch: self.epoch,
                group_id: group.into(),
            };
            self.insist(&request, 3, Phase::Adding, |answer| answer.error_code).await?;
        }
        let partition = TxnOffsetCommitRequestPartition {
            partition_index: place.1,
            committed_offset: offset,
            ..Default::default()
        };
        let request = TxnOffsetCommitRequest {
            transactional_id: self.manner.transactional_id.clone(),
            group_id: group.into(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            topics: vec![TxnOffsetCommitRequestTopic { name: place.0.into(), partitions: vec![partition] }],
            ..Default::default()
        };
        let version = if self.is_new() { 5 } else { 4 };
        let code = |answer: &protocol::messages::txn_offset_commit::TxnOffsetCommitResponse| {
            answer.topics[0].partitions[0].error_code
        };
        self.insist(&request, version, Phase::Offsets, code).await.map(drop)
    }

    /// EndTxn.
    pub(crate) async fn end(&mut self, committed: bool) -> Result<(), Stopped> {
        let transaction = self.transaction();
        let request = EndTxnRequest {
            transactional_id: self.manner.transactional_id.clone(),
            producer_id: self.producer_id,
            producer_epoch: self.epoch,
            committed,
        };
        let version = if self.is_new() { 5 } else { 4 };
        self.stage.with_history(|history| history.end_asked(transaction, committed));
        let answer = self.insist(&request, version, Phase::Ending, |answer| answer.error_code).await?;
        self.stage.with_history(|history| history.end_answered(transaction));
        self.stage.is_in(Phase::Marking);
        self.transaction = None;
        if self.is_new() {
            (self.producer_id, self.epoch) = (answer.producer_id, answer.producer_epoch);
            self.sequences.clear();
        }
        Ok(())
    }

    /// Asks until there is an answer that does not say "later".
    async fn insist<R: Request>(
        &self,
        request: &R,
        version: i16,
        phase: Phase,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response, Stopped> {
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            self.stage.is_in(phase);
            match self.stage.ask(request, version).await {
                Ok(answer) => match code(&answer) {
                    ErrorCode::NONE => return Ok(answer),
                    code if is_later(code) => {}
                    code => return Err(Stopped::Refused(R::NAME, code)),
                },
                Err(error) if is_loss(&error) && self.insists => {}
                Err(error) if is_loss(&error) => return Err(Stopped::GaveUp),
                Err(error) => panic!("{}: {error}", self.manner.transactional_id),
            }
            pause().await;
        }
        panic!("{} has no answer to {}", self.manner.transactional_id, R::NAME)
    }
}

fn produce_request(transactional_id: &str, batches: &[Batch]) -> ProduceRequest {
    let mut topics: BTreeMap<&str, Vec<PartitionProduceData>> = BTreeMap::new();
    for batch in batches {
        let records = Some(Records::from(batch.bytes.clone()));
        topics.entry(batch.place.0).or_default().push(PartitionProduceData { index: batch.place.1, records });
    }
    let topic = |(name, partition_data): (&str, Vec<PartitionProduceData>)| TopicProduceData {
        name: name.to_owned(),
        partition_data,
        ..Default::default()
    };
    ProduceRequest {
        transactional_id: Some(transactional_id.to_owned()),
        acks: -1,
        timeout_ms: 10_000,
        topic_data: topics.into_iter().map(topic).collect(),
    }
}

/// The first error, of those that are not "later" if there is one.
fn code_of_added(answer: &AddPartitionsToTxnResponse) -> ErrorCode {
    let partitions = answer.results_by_topic_v3_and_below.iter().flat_map(|topic| &topic.results_by_partition);
    let errors = partitions.map(|found| found.partition_error_code).filter(|code| code.is_error());
    errors.min_by_key(|code| is_later(*code)).unwrap_or(ErrorCode::NONE)
}

/// Whether the same request may be answered otherwise soon.
fn is_later(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CONCURRENT_TRANSACTIONS
            // What a client before Produce v12 is told in its place.
            | ErrorCode::NOT_ENOUGH_REPLICAS
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::NOT_LEADER_OR_FOLLOWER
    )
}
