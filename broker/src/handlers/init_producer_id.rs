//! InitProducerId: an id for an idempotent producer.
//!
//! Any broker may answer, because ids come in blocks from the metadata log. v3 lets a producer keep its id and bump
//! its epoch (KIP-360); without transactions a new id serves the same purpose.

use protocol::ErrorCode;
use protocol::messages::InitProducerIdRequest;
use protocol::messages::init_producer_id::*;
use tracing::warn;

use crate::context::Context;

/// Gives a fresh id with epoch 0.
pub(crate) async fn handle(context: Context, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let refused =
        |error_code| InitProducerIdResponse { error_code, producer_id: -1, producer_epoch: -1, ..Default::default() };
    if let Some(transactional_id) = request.transactional_id {
        let (client, client_id) = (context.connection.peer, &context.client_id);
        warn!(%client, client_id, transactional_id, "transactions are not served by this release; use an idempotent producer without a transactional id");
        let empty = transactional_id.is_empty();
        return refused(if empty {
            ErrorCode::INVALID_REQUEST
        } else {
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        });
    }
    // An id and its epoch come together or not at all.
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return refused(ErrorCode::INVALID_REQUEST);
    }
    match context.broker.producer_ids().next(context.broker.quorum()).await {
        Ok(producer_id) => InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() },
        Err(error_code) => refused(error_code),
    }
}
