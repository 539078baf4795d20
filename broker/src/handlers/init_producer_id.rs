//! InitProducerId: an id for an idempotent producer, or the next epoch of a transactional one.
//!
//! Without a transactional id any broker may answer, because ids come in blocks from the metadata log. v3 lets a producer
//! keep its id and bump its epoch (KIP-360); without transactions a new id serves the same purpose. v4 PRODUCER_FENCED
//! (KIP-588). v5 TRANSACTION_ABORTABLE (KIP-890), which is never answered here.

use protocol::ErrorCode;
use protocol::messages::InitProducerIdRequest;
use protocol::messages::init_producer_id::*;
use state::transaction::{ProducerResponse, TransactionRequest, TransactionResponse};

use crate::context::Context;
use crate::dispatch::Later;

const FIRST_FENCED_VERSION: i16 = 4;

/// Gives a fresh id with epoch 0, or what the coordinator of the transactional id says.
pub(crate) async fn handle(context: Context, request: InitProducerIdRequest) -> Later<InitProducerIdResponse> {
    let Some(transactional_id) = request.transactional_id.clone() else {
        return Later::Now(response(idempotent(&context, &request).await));
    };
    if transactional_id.is_empty() {
        return Later::Now(response(ProducerResponse::failed(ErrorCode::INVALID_REQUEST)));
    }
    Later::wait(async move {
        let init = |fresh_producer_id| {
            TransactionRequest::InitProducerId(state::transaction::InitProducerIdRequest {
                transactional_id: transactional_id.clone(),
                timeout_ms: request.transaction_timeout_ms,
                producer_id: request.producer_id,
                producer_epoch: request.producer_epoch,
                fresh_producer_id,
                knows_producer_fenced: context.version >= FIRST_FENCED_VERSION,
            })
        };
        let transactions = context.broker.transactions();
        response(match transactions.ask_with_id(&context.broker, &transactional_id, init).await {
            Ok(TransactionResponse::InitProducerId(given)) => given,
            Ok(_) => ProducerResponse::failed(ErrorCode::UNKNOWN_SERVER_ERROR),
            Err(code) => ProducerResponse::failed(code),
        })
    })
}

async fn idempotent(context: &Context, request: &InitProducerIdRequest) -> ProducerResponse {
    // An id and its epoch come together or not at all.
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return ProducerResponse::failed(ErrorCode::INVALID_REQUEST);
    }
    match context.broker.producer_ids().next(context.broker.quorum()).await {
        Ok(producer_id) => ProducerResponse { error: ErrorCode::NONE, producer_id, producer_epoch: 0 },
        // It has no coordinator that it could look up again, but asks again while one is loading.
        Err(ErrorCode::COORDINATOR_NOT_AVAILABLE) => ProducerResponse::failed(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
        Err(error_code) => ProducerResponse::failed(error_code),
    }
}

fn response(given: ProducerResponse) -> InitProducerIdResponse {
    let ProducerResponse { error: error_code, producer_id, producer_epoch } = given;
    InitProducerIdResponse { error_code, producer_id, producer_epoch, ..Default::default() }
}
