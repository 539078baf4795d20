//! The door to the transaction coordinators: which partition of `__transaction_state` keeps a transactional id, its
//! coordinator, and who does in the world what it wants done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use dashmap::DashMap;
use protocol::{ErrorCode, Uuid};
use state::transaction::{
    MarkerResult, Markers, MarkersWritten, TransactionCoordinator, TransactionEffect, TransactionRecord,
    TransactionRequest, TransactionResponse, TransactionVersion,
};
use storage::TxnMarker;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};
use tracing::warn;

use super::loading::LoadTimes;
use super::markers::write_markers;
use super::partition_for;
use super::runtime::{self, Coordinator, Performing, RecordCodec, WeakCoordinator};
use crate::broker::Broker;
use crate::controller;

/// Holds transactional ids and where their transactions stand, in Kafka's own record formats.
pub(crate) const TRANSACTIONS_TOPIC: &str = "__transaction_state";

/// How long its coordinators took to load.
pub(crate) static TRANSACTION_LOADS: LoadTimes = LoadTimes::new();

/// Counts the machines of this process, so that an order to write markers names the one it comes from.
static LOADS: AtomicU64 = AtomicU64::new(0);

type Door = WeakCoordinator<TransactionCoordinator>;

struct TransactionRecords;

impl RecordCodec<TransactionRecord> for TransactionRecords {
    fn encode(&self, record: &TransactionRecord) -> Option<(Bytes, Option<Bytes>)> {
        Some(record.encode(TransactionVersion::V2))
    }

    fn decode(&self, key: &[u8], value: Option<&[u8]>, _producer: Option<(i64, i16)>) -> Option<TransactionRecord> {
        TransactionRecord::decode(key, value).ok()
    }
}

/// The coordinators that run on this broker, started when first asked.
#[derive(Default)]
pub(crate) struct Transactions {
    running: DashMap<(Uuid, i32), Coordinator<TransactionCoordinator>>,
    /// Told when all partitions of some transaction know how it ended.
    ended: Notify,
}

impl Transactions {
    /// The broker that keeps `transactional_id`. Creates the topic of transactions if there is none yet.
    ///
    /// # Errors
    /// What creating the topic said, or `COORDINATOR_NOT_AVAILABLE`.
    pub(crate) async fn coordinator_of(&self, broker: &Arc<Broker>, transactional_id: &str) -> Result<i32, ErrorCode> {
        let topic = controller::transactions_topic(broker).await?;
        let index = partition_for(transactional_id, topic.partitions.len() as i32);
        let partition = topic.partitions.get(index as usize).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        if partition.leader < 0 { Err(ErrorCode::COORDINATOR_NOT_AVAILABLE) } else { Ok(partition.leader) }
    }

    /// Submits a request about `transactional_id`. The receiver fails when the answer cannot be known; see [`answer`].
    ///
    /// # Errors
    /// `NOT_COORDINATOR` when another broker keeps it, and `COORDINATOR_NOT_AVAILABLE`, also before there is a topic of
    /// transactions: it comes with the first FindCoordinator, and without it there is no transaction.
    pub(crate) async fn submit(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
        request: TransactionRequest,
    ) -> Result<oneshot::Receiver<TransactionResponse>, ErrorCode> {
        let image = broker.image();
        let topic = image.topic(TRANSACTIONS_TOPIC).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        let index = partition_for(transactional_id, topic.partitions.len() as i32);
        let coordinator = self.coordinator(broker, topic.id, index)?;
        Ok(coordinator.submit(request).await)
    }

    /// The same, with the answer.
    ///
    /// # Errors
    /// As [`Transactions::submit`] and [`answer`].
    pub(crate) async fn ask(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
        request: TransactionRequest,
    ) -> Result<TransactionResponse, ErrorCode> {
        answer(self.submit(broker, transactional_id, request).await?).await
    }

    /// The answer to a request that may need a producer id which nobody has.
    ///
    /// # Errors
    /// As [`Transactions::ask`], and what giving an id said.
    pub(crate) async fn ask_with_id(
        &self,
        broker: &Arc<Broker>,
        transactional_id: &str,
        request: impl Fn(Option<i64>) -> TransactionRequest,
    ) -> Result<TransactionResponse, ErrorCode> {
        match self.ask(broker, transactional_id, request(None)).await? {
            TransactionResponse::ProducerIdNeeded => {
                let fresh = broker.producer_ids().next(broker.quorum()).await?;
                self.ask(broker, transactional_id, request(Some(fresh))).await
            }
            response => Ok(response),
        }
    }

    /// Submits a request to every coordinator of this broker that has anything in its log.
    pub(crate) async fn submit_to_all(
        &self,
        broker: &Arc<Broker>,
        request: impl Fn() -> TransactionRequest,
    ) -> Vec<oneshot::Receiver<TransactionResponse>> {
        let mut receivers = Vec::new();
        for coordinator in self.existing(broker) {
            receivers.push(coordinator.submit(request()).await);
        }
        receivers
    }

    /// Starts the coordinators whose log has records, so that transactions which a crash left open or half told end
    /// without anybody asking.
    pub(crate) fn start_existing(&self, broker: &Arc<Broker>) {
        self.existing(broker);
    }

    /// Resolves when some transaction is over. What ended before it was enabled or polled does not count.
    pub(crate) fn one_ended(&self) -> Notified<'_> {
        self.ended.notified()
    }

    fn existing(&self, broker: &Arc<Broker>) -> Vec<Coordinator<TransactionCoordinator>> {
        let image = broker.image();
        let Some(topic) = image.topic(TRANSACTIONS_TOPIC) else { return Vec::new() };
        let has_data =
            |index: &i32| broker.partitions().leader_by_id(topic.id, *index).is_ok_and(|p| p.log_end_offset() > 0);
        // An error is a damaged log, which was logged; requests for its ids get the code.
        let start = |index| self.coordinator(broker, topic.id, index).ok();
        (0..topic.partitions.len() as i32).filter(has_data).filter_map(start).collect()
    }

    fn coordinator(
        &self,
        broker: &Arc<Broker>,
        id: Uuid,
        index: i32,
    ) -> Result<Coordinator<TransactionCoordinator>, ErrorCode> {
        if let Some(running) = self.running.get(&(id, index)) {
            return Ok(running.clone());
        }
        let partition = broker.partitions().leader_by_id(id, index).map_err(|code| match code {
            ErrorCode::KAFKA_STORAGE_ERROR => ErrorCode::COORDINATOR_NOT_AVAILABLE,
            _ => ErrorCode::NOT_COORDINATOR,
        })?;
        let started = self.running.entry((id, index)).or_insert_with(|| {
            let config = broker.config().transaction.clone();
            let epoch = partition.leader_epoch();
            let make = move || {
                let load = LOADS.fetch_add(1, Ordering::Relaxed);
                TransactionCoordinator::new(config.clone(), epoch, load)
            };
            // The broker owns the coordinators, and not they it.
            let broker_of_effects = Arc::downgrade(broker);
            runtime::spawn(
                partition,
                *broker.clock(),
                TransactionRecords,
                make,
                |machine, now, took| {
                    TRANSACTION_LOADS.took(took);
                    machine.on_loaded(now);
                },
                move |effect, door, performing| perform(&broker_of_effects, effect, door, performing),
            )
        });
        Ok(started.clone())
    }
}

/// Waits for a coordinator's answer.
///
/// # Errors
/// `COORDINATOR_NOT_AVAILABLE` when it had to reload before it could answer; clients try again.
pub(crate) async fn answer(receiver: oneshot::Receiver<TransactionResponse>) -> Result<TransactionResponse, ErrorCode> {
    receiver.await.map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)
}

/// Starts what a coordinator wants done. At most one order to write markers is under way for each open transaction.
fn perform(broker: &Weak<Broker>, effect: TransactionEffect, door: &Door, performing: Performing) {
    let Some(broker) = broker.upgrade() else { return };
    let door = door.clone();
    match effect {
        TransactionEffect::WriteMarkers(order) => drop(tokio::spawn(tell(broker, order, door, performing))),
        TransactionEffect::ProducerIdNeeded => drop(tokio::spawn(async move {
            match broker.producer_ids().next(broker.quorum()).await {
                Ok(producer_id) => submit(&door, TransactionRequest::ProducerId(producer_id)).await,
                Err(error) => {
                    warn!(%error, "a transaction that ran too long is aborted when there is a producer id for it")
                }
            }
        })),
    }
}

/// Tells the partitions of a transaction how it ended, and the coordinator what became of that.
async fn tell(broker: Arc<Broker>, order: Markers, door: Door, performing: Performing) {
    let marker = TxnMarker {
        producer_id: order.producer_id,
        producer_epoch: order.producer_epoch,
        coordinator_epoch: order.coordinator_epoch,
        committed: order.committed,
        transaction_version: i8::try_from(order.transaction_version.0).unwrap_or(i8::MAX),
    };
    let written = write_markers(&broker, marker, &order.partitions).await;
    // From here on nothing is written for it any more.
    drop(performing);
    let result = |(topic, partition, code)| {
        let result = match code {
            // Partitions are asked for by the cluster's own metadata.
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => MarkerResult::PartitionDeleted,
            code => MarkerResult::Answered(code),
        };
        (topic, partition, result)
    };
    let results = written.into_iter().map(result).collect();
    let (transactional_id, attempt) = (order.transactional_id, order.attempt);
    submit(&door, TransactionRequest::MarkersWritten(MarkersWritten { transactional_id, attempt, results })).await;
    broker.transactions().ended.notify_waiters();
}

/// Returns when the coordinator has taken it, or is gone.
async fn submit(door: &Door, request: TransactionRequest) {
    let Some(coordinator) = door.upgrade() else { return };
    // One that loads again finds in its log what it has to ask for.
    let _ = coordinator.submit(request).await.await;
}
