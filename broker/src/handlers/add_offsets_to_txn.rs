//! AddOffsetsToTxn: the offsets of a group become part of a transaction.
//!
//! v2 PRODUCER_FENCED (KIP-588). v4 TRANSACTION_ABORTABLE (KIP-890). What is added is the partition of
//! `__consumer_offsets` that keeps the group.

use std::collections::BTreeSet;

use protocol::ErrorCode;
use protocol::messages::AddOffsetsToTxnRequest;
use protocol::messages::add_offsets_to_txn::*;
use state::transaction::{
    AddPartitionsRequest, Partitions, TransactionRequest, TransactionResponse, TransactionVersion,
};

use crate::context::Context;
use crate::coordinator::OFFSETS_TOPIC;
use crate::dispatch::Later;

const FIRST_FENCED_VERSION: i16 = 2;

/// Adds the group's partition.
pub(crate) async fn handle(context: Context, request: AddOffsetsToTxnRequest) -> Later<AddOffsetsToTxnResponse> {
    Later::wait(async move {
        let error_code = add(&context, request).await.err().unwrap_or(ErrorCode::NONE);
        AddOffsetsToTxnResponse { error_code, ..Default::default() }
    })
}

async fn add(context: &Context, request: AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    let broker = &context.broker;
    let index = broker.groups().partition_of(broker, &request.group_id).await?.key().1;
    let add = TransactionRequest::AddPartitions(AddPartitionsRequest {
        transactional_id: request.transactional_id.clone(),
        producer_id: request.producer_id,
        producer_epoch: request.producer_epoch,
        partitions: Partitions::from([(OFFSETS_TOPIC.to_owned(), BTreeSet::from([index]))]),
        client_transaction_version: TransactionVersion::V0,
        knows_producer_fenced: context.version >= FIRST_FENCED_VERSION,
    });
    match broker.transactions().ask(broker, &request.transactional_id, add).await? {
        TransactionResponse::AddPartitions(ErrorCode::NONE) => Ok(()),
        TransactionResponse::AddPartitions(code) => Err(code),
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}
