//! AddPartitionsToTxn: partitions become part of a transaction, or a broker asks whether they are.
//!
//! v2 PRODUCER_FENCED (KIP-588). v4 several transactions at once, and questions (KIP-890): only brokers send it. v5
//! TRANSACTION_ABORTABLE.

use protocol::ErrorCode;
use protocol::messages::AddPartitionsToTxnRequest;
use protocol::messages::add_partitions_to_txn::*;
use state::cluster::{Image, is_internal};
use state::transaction::{AddPartitionsRequest, Partitions, TransactionVersion};

use crate::context::Context;
use crate::coordinator::{PartitionCodes, add_or_verify};
use crate::dispatch::Later;

const FIRST_FENCED_VERSION: i16 = 2;
const FIRST_BATCHED_VERSION: i16 = 4;

/// Adds all partitions of a transaction, or none.
pub(crate) async fn handle(context: Context, request: AddPartitionsToTxnRequest) -> Later<AddPartitionsToTxnResponse> {
    Later::wait(async move {
        if context.version < FIRST_BATCHED_VERSION {
            let transaction = AddPartitionsToTxnTransaction {
                transactional_id: request.v3_and_below_transactional_id,
                producer_id: request.v3_and_below_producer_id,
                producer_epoch: request.v3_and_below_producer_epoch,
                verify_only: false,
                topics: request.v3_and_below_topics,
            };
            let results_by_topic_v3_and_below = one(&context, transaction).await.topic_results;
            return AddPartitionsToTxnResponse { results_by_topic_v3_and_below, ..Default::default() };
        }
        let mut results_by_transaction = Vec::with_capacity(request.transactions.len());
        for transaction in request.transactions {
            results_by_transaction.push(one(&context, transaction).await);
        }
        AddPartitionsToTxnResponse { results_by_transaction, ..Default::default() }
    })
}

async fn one(context: &Context, transaction: AddPartitionsToTxnTransaction) -> AddPartitionsToTxnResult {
    let transactional_id = transaction.transactional_id.clone();
    let mut partitions = Partitions::new();
    for topic in &transaction.topics {
        partitions.entry(topic.name.clone()).or_default().extend(&topic.partitions);
    }
    let codes = match refusals(context, &partitions) {
        Some(codes) => codes,
        None => ask(context, &transaction, partitions).await,
    };
    let mut topic_results: Vec<AddPartitionsToTxnTopicResult> = Vec::new();
    for ((name, partition_index), partition_error_code) in codes {
        let result = AddPartitionsToTxnPartitionResult { partition_index, partition_error_code };
        match topic_results.last_mut().filter(|last| last.name == name) {
            Some(last) => last.results_by_partition.push(result),
            None => topic_results.push(AddPartitionsToTxnTopicResult { name, results_by_partition: vec![result] }),
        }
    }
    AddPartitionsToTxnResult { transactional_id, topic_results }
}

/// What is said of each partition when one of them cannot be added: nothing is then.
fn refusals(context: &Context, partitions: &Partitions) -> Option<PartitionCodes> {
    let image = context.broker.image();
    let from_client = context.version < FIRST_BATCHED_VERSION;
    let code = |topic: &str, index: i32| match () {
        // A client writes there with TxnOffsetCommit only, and adds it with AddOffsetsToTxn.
        () if from_client && is_internal(topic) => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        () if !exists(&image, topic, index) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        () => ErrorCode::OPERATION_NOT_ATTEMPTED,
    };
    let codes: PartitionCodes =
        every(partitions).map(|(topic, index)| ((topic.to_owned(), index), code(topic, index))).collect();
    let is_refusal = |code: &ErrorCode| *code != ErrorCode::OPERATION_NOT_ATTEMPTED;
    codes.values().any(is_refusal).then_some(codes)
}

fn exists(image: &Image, topic: &str, index: i32) -> bool {
    let found = image.topic(topic);
    found.is_some_and(|topic| usize::try_from(index).is_ok_and(|index| index < topic.partitions.len()))
}

fn every(partitions: &Partitions) -> impl Iterator<Item = (&str, i32)> {
    partitions.iter().flat_map(|(topic, indexes)| indexes.iter().map(move |index| (topic.as_str(), *index)))
}

async fn ask(context: &Context, transaction: &AddPartitionsToTxnTransaction, partitions: Partitions) -> PartitionCodes {
    let from_client = context.version < FIRST_BATCHED_VERSION;
    let request = AddPartitionsRequest {
        transactional_id: transaction.transactional_id.clone(),
        producer_id: transaction.producer_id,
        producer_epoch: transaction.producer_epoch,
        partitions,
        client_transaction_version: if from_client { TransactionVersion::V0 } else { TransactionVersion::V2 },
        knows_producer_fenced: context.version >= FIRST_FENCED_VERSION,
    };
    add_or_verify(&context.broker, request, transaction.verify_only).await
}
