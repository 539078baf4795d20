//! The coordinator under a shell that appends in memory: one concern per file.

mod describe;
mod end;
mod init;
mod markers;
mod partitions;
mod time;

use std::collections::BTreeSet;

use protocol::ErrorCode;

use super::*;
use crate::machine::{Machine, Now, Output, ReplyTo, When};

const COORDINATOR_EPOCH: i32 = 4;
const TIMEOUT_MS: i32 = 60_000;

/// A shell around one coordinator, and the producers' pens.
struct Shell {
    machine: TransactionCoordinator,
    config: TransactionConfig,
    now: Now,
    log: Vec<TransactionRecord>,
    effects: Vec<TransactionEffect>,
    loads: u64,
    next_producer_id: i64,
}

impl Shell {
    fn new() -> Shell {
        Shell::with(TransactionConfig::default())
    }

    /// Where the feature is at a level below 2.
    fn with_version(transaction_version: TransactionVersion) -> Shell {
        Shell::with(TransactionConfig { transaction_version, ..TransactionConfig::default() })
    }

    fn with(config: TransactionConfig) -> Shell {
        let now = Now { monotonic_ms: 1_000, wall_ms: 1_700_000_000_000 };
        let machine = TransactionCoordinator::default();
        let (log, effects) = (Vec::new(), Vec::new());
        let mut shell = Shell { machine, config, now, log, effects, loads: 0, next_producer_id: 100 };
        shell.reload();
        shell
    }

    fn take(&mut self, out: Output<TransactionCoordinator>) -> Option<TransactionResponse> {
        for record in out.records {
            self.machine.apply(&record);
            self.log.push(record);
        }
        self.effects.extend(out.effects);
        assert!(out.replies.len() <= 1 && out.replies.iter().all(|reply| reply.when == When::Committed));
        out.replies.into_iter().next().map(|reply| reply.response)
    }

    fn ask(&mut self, request: TransactionRequest) -> TransactionResponse {
        let out = self.machine.handle(self.now, ReplyTo(1), request);
        self.take(out).expect("answered at once")
    }

    fn expire(&mut self) {
        let out = self.machine.expire(self.now);
        assert!(self.take(out).is_none(), "nobody asked");
    }

    /// Lets time pass, and calls the machine whenever it wants to be called.
    fn pass_ms(&mut self, ms: u64) {
        let end_ms = self.now.monotonic_ms + ms;
        loop {
            let next_ms = self.machine.next_deadline_ms().unwrap_or(u64::MAX).max(self.now.monotonic_ms);
            let at_ms = next_ms.min(end_ms);
            self.now.wall_ms += i64::try_from(at_ms - self.now.monotonic_ms).unwrap();
            self.now.monotonic_ms = at_ms;
            if next_ms > end_ms {
                return;
            }
            self.expire();
        }
    }

    /// What a new coordinator makes of the bytes of the log.
    fn reload(&mut self) {
        self.loads += 1;
        self.machine = TransactionCoordinator::new(self.config.clone(), COORDINATOR_EPOCH, self.loads);
        for record in &self.log {
            let (key, value) = record.encode(self.config.transaction_version);
            let read = TransactionRecord::decode(&key, value.as_deref()).expect("it was written by us");
            self.machine.apply(&read);
        }
        self.effects.clear();
        self.machine.on_loaded(self.now);
    }

    fn init(&mut self) -> ProducerResponse {
        self.init_after(-1, -1)
    }

    /// InitProducerId of a producer that had these before; gets a producer id for it if it is asked for one.
    fn init_after(&mut self, producer_id: i64, producer_epoch: i16) -> ProducerResponse {
        let mut request = InitProducerIdRequest { producer_id, producer_epoch, ..init_request() };
        for _ in 0..2 {
            match self.ask(TransactionRequest::InitProducerId(request.clone())) {
                TransactionResponse::InitProducerId(response) => return response,
                TransactionResponse::ProducerIdNeeded => request.fresh_producer_id = Some(self.fresh_producer_id()),
                other => panic!("{other:?}"),
            }
        }
        panic!("it has a producer id, and wants another");
    }

    fn fresh_producer_id(&mut self) -> i64 {
        self.next_producer_id += 1;
        self.next_producer_id - 1
    }

    fn add(&mut self, producer: ProducerResponse, version: TransactionVersion, partition: i32) -> ErrorCode {
        let request = add_request(producer, version, partition);
        match self.ask(TransactionRequest::AddPartitions(request)) {
            TransactionResponse::AddPartitions(error) => error,
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, producer: ProducerResponse, version: TransactionVersion, committed: bool) -> ProducerResponse {
        let mut request = end_request(producer, version, committed);
        for _ in 0..2 {
            match self.ask(TransactionRequest::EndTxn(request.clone())) {
                TransactionResponse::EndTxn(response) => return response,
                TransactionResponse::ProducerIdNeeded => request.fresh_producer_id = Some(self.fresh_producer_id()),
                other => panic!("{other:?}"),
            }
        }
        panic!("it has a producer id, and wants another");
    }

    /// The orders that were given since the last call.
    fn orders(&mut self) -> Vec<Markers> {
        let order = |effect| match effect {
            TransactionEffect::WriteMarkers(order) => Some(order),
            TransactionEffect::ProducerIdNeeded => None,
        };
        std::mem::take(&mut self.effects).into_iter().filter_map(order).collect()
    }

    fn order(&mut self) -> Markers {
        let mut orders = self.orders();
        assert_eq!(orders.len(), 1, "{orders:?}");
        orders.remove(0)
    }

    /// Every partition of the order answers the same.
    fn answer(&mut self, order: &Markers, result: MarkerResult) {
        let results = order
            .partitions
            .iter()
            .flat_map(|(topic, indexes)| indexes.iter().map(|index| (topic.clone(), *index, result)))
            .collect();
        self.answer_each(order, results);
    }

    fn answer_each(&mut self, order: &Markers, results: Vec<(String, i32, MarkerResult)>) {
        let answer =
            MarkersWritten { transactional_id: order.transactional_id.clone(), attempt: order.attempt, results };
        assert_eq!(self.ask(TransactionRequest::MarkersWritten(answer)), TransactionResponse::Taken);
    }

    /// Every partition takes its marker.
    fn write_markers(&mut self) -> Markers {
        let order = self.order();
        self.answer(&order, WRITTEN);
        order
    }

    /// Ends the transaction with a partition, and lets all partitions know.
    fn transact(
        &mut self,
        producer: ProducerResponse,
        version: TransactionVersion,
        committed: bool,
    ) -> ProducerResponse {
        assert_eq!(self.add(producer, version, 0), ErrorCode::NONE);
        let next = self.end(producer, version, committed);
        assert_eq!(next.error, ErrorCode::NONE);
        self.write_markers();
        next
    }

    fn metadata(&self) -> &TransactionMetadata {
        self.machine.registry.metadata("id").expect("it is known")
    }

    fn state(&self) -> TransactionState {
        self.metadata().state
    }

    /// Puts the producer at an epoch, as many transactions would.
    fn skip_to_epoch(&mut self, producer_epoch: i16) -> ProducerResponse {
        let value = TransactionMetadata { producer_epoch, ..self.metadata().clone() };
        let producer = producer(value.producer_id, producer_epoch);
        let record = TransactionRecord { transactional_id: "id".into(), value: Some(value) };
        self.machine.apply(&record);
        self.log.push(record);
        producer
    }
}

const WRITTEN: MarkerResult = MarkerResult::Answered(ErrorCode::NONE);

fn producer(producer_id: i64, producer_epoch: i16) -> ProducerResponse {
    ProducerResponse { error: ErrorCode::NONE, producer_id, producer_epoch }
}

fn refused(error: ErrorCode) -> ProducerResponse {
    ProducerResponse::failed(error)
}

fn init_request() -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: "id".into(),
        timeout_ms: TIMEOUT_MS,
        producer_id: -1,
        producer_epoch: -1,
        fresh_producer_id: None,
        knows_producer_fenced: true,
    }
}

fn one_partition(partition: i32) -> Partitions {
    Partitions::from([("t".to_owned(), BTreeSet::from([partition]))])
}

fn add_request(producer: ProducerResponse, version: TransactionVersion, partition: i32) -> AddPartitionsRequest {
    AddPartitionsRequest {
        transactional_id: "id".into(),
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch,
        partitions: one_partition(partition),
        client_transaction_version: version,
        knows_producer_fenced: true,
    }
}

fn end_request(producer: ProducerResponse, version: TransactionVersion, committed: bool) -> EndTxnRequest {
    EndTxnRequest {
        transactional_id: "id".into(),
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch,
        committed,
        client_transaction_version: version,
        fresh_producer_id: None,
        knows_producer_fenced: true,
    }
}
