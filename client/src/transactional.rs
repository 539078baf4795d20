//! Records that count together or not at all (KIP-98).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use protocol::messages::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use protocol::messages::{EndTxnRequest, InitProducerIdRequest, ProduceRequest};
use protocol::records::Codec;
use protocol::{ErrorCode, api::Request};

use crate::producer::{Identity, InTransactions};
use crate::retry::Retries;
use crate::{ClientError, Cluster, Connection, OutgoingRecord, Producer, TopicPartition, Written};

/// Since these versions a partition is added by writing to it, and each transaction has an epoch of its own (KIP-890).
const ADDS_BY_WRITING: (i16, i16) = (12, 5);
/// The last AddPartitionsToTxn of clients; later versions are between brokers.
const LAST_ADD_VERSION: i16 = 3;

/// Writes transactions, one after the other: each begins with the first record that is sent after the last has ended.
pub struct TransactionalProducer {
    coordinator: Coordinator,
    producer: Producer,
    /// What the transaction has records in; none of them when it has not begun.
    partitions: BTreeSet<TopicPartition>,
}

/// Whoever coordinates the transactions of an id.
struct Coordinator {
    cluster: Cluster,
    id: String,
    /// None until it is known, and after it has failed.
    connection: Option<Arc<Connection>>,
}

impl TransactionalProducer {
    /// Becomes the producer of this transactional id. Whoever was it before can do nothing more, and what it began is aborted;
    /// so is a transaction of this one that stays open for longer than `timeout`.
    ///
    /// # Errors
    /// [`ClientError`], after retries.
    pub async fn new(
        cluster: &Cluster,
        codec: Codec,
        id: &str,
        timeout: Duration,
    ) -> Result<TransactionalProducer, ClientError> {
        let request = InitProducerIdRequest {
            transactional_id: Some(id.to_owned()),
            transaction_timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
            ..Default::default()
        };
        let what = format!("transactional id {id}");
        let mut coordinator = Coordinator { cluster: cluster.clone(), id: id.to_owned(), connection: None };
        let (connection, answer) =
            coordinator.ask(&request, i16::MAX, |answer| (what.clone(), answer.error_code)).await?;
        let (produce, end) = ADDS_BY_WRITING;
        let serves = |version: Option<i16>, wanted| version.is_some_and(|version| version >= wanted);
        let adds_by_writing = serves(connection.version_of::<ProduceRequest>(), produce)
            && serves(connection.version_of::<EndTxnRequest>(), end);
        let identity = Identity::new(answer.producer_id, answer.producer_epoch);
        let transactions = InTransactions { id: id.to_owned(), adds_by_writing };
        let producer = Producer::in_transactions(cluster, codec, identity, transactions);
        Ok(TransactionalProducer { coordinator, producer, partitions: BTreeSet::new() })
    }

    /// Sends `records` to one partition as part of the transaction.
    ///
    /// # Errors
    /// [`ClientError`], after retries. The transaction can only be aborted then.
    pub async fn send(
        &mut self,
        topic: &str,
        partition: i32,
        records: &[OutgoingRecord],
    ) -> Result<Written, ClientError> {
        let place = TopicPartition::new(Arc::from(topic), partition);
        if !self.partitions.contains(&place) {
            if !self.producer.adds_by_writing() {
                self.add(topic, partition).await?;
            }
            self.partitions.insert(place);
        }
        self.producer.send(topic, partition, records).await
    }

    /// Ends the transaction, with its records or without them. Does nothing when it has not begun.
    ///
    /// # Errors
    /// [`ClientError`], after retries; after a lost connection it is unknown whether it has ended.
    pub async fn end(&mut self, committed: bool) -> Result<(), ClientError> {
        if self.partitions.is_empty() {
            return Ok(());
        }
        let (producer_id, producer_epoch) = self.producer.identity();
        let request =
            EndTxnRequest { transactional_id: self.coordinator.id.clone(), producer_id, producer_epoch, committed };
        let newest = if self.producer.adds_by_writing() { i16::MAX } else { ADDS_BY_WRITING.1 - 1 };
        let code =
            |answer: &<EndTxnRequest as Request>::Response| ("the end of a transaction".into(), answer.error_code);
        let (_, answer) = self.coordinator.ask(&request, newest, code).await?;
        if self.producer.adds_by_writing() {
            self.producer.identify(Identity::new(answer.producer_id, answer.producer_epoch));
        }
        self.partitions.clear();
        Ok(())
    }

    async fn add(&mut self, topic: &str, partition: i32) -> Result<(), ClientError> {
        let (producer_id, producer_epoch) = self.producer.identity();
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.coordinator.id.clone(),
            v3_and_below_producer_id: producer_id,
            v3_and_below_producer_epoch: producer_epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic { name: topic.into(), partitions: vec![partition] }],
            ..Default::default()
        };
        let code = |answer: &<AddPartitionsToTxnRequest as Request>::Response| {
            let results = answer.results_by_topic_v3_and_below.iter().flat_map(|topic| &topic.results_by_partition);
            let code = results.map(|result| result.partition_error_code).find(|code| code.is_error());
            (format!("{topic}-{partition} in a transaction"), code.unwrap_or(ErrorCode::NONE))
        };
        self.coordinator.ask(&request, LAST_ADD_VERSION, code).await.map(drop)
    }
}

impl Coordinator {
    /// Asks, again while it is busy or another broker has become the coordinator.
    async fn ask<R: Request>(
        &mut self,
        request: &R,
        newest: i16,
        code: impl Fn(&R::Response) -> (String, ErrorCode),
    ) -> Result<(Arc<Connection>, R::Response), ClientError> {
        let mut retries = Retries::default();
        loop {
            match self.ask_once(request, newest, &code).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => {
                    self.connection = None;
                    retries.after(failure).await?;
                }
            }
        }
    }

    async fn ask_once<R: Request>(
        &mut self,
        request: &R,
        newest: i16,
        code: impl Fn(&R::Response) -> (String, ErrorCode),
    ) -> Result<(Arc<Connection>, R::Response), ClientError> {
        let connection = match &self.connection {
            Some(connection) => Arc::clone(connection),
            None => self.cluster.transaction_coordinator(&self.id).await?,
        };
        let version = connection.version_up_to::<R>(newest)?;
        let answer = connection.send_version(request, version).await?;
        let (what, code) = code(&answer);
        ClientError::check(what, code, None)?;
        self.connection = Some(Arc::clone(&connection));
        Ok((connection, answer))
    }
}
