//! EndTxn: a producer commits or aborts its transaction.
//!
//! v2 PRODUCER_FENCED (KIP-588). v4 TRANSACTION_ABORTABLE, v5 each end gives the producer its next epoch (KIP-890).
//!
//! The answer leaves when the decision is durable; partitions are told behind it.

use protocol::ErrorCode;
use protocol::messages::EndTxnRequest;
use protocol::messages::end_txn::*;
use state::transaction::{ProducerResponse, TransactionRequest, TransactionResponse, TransactionVersion};

use crate::context::Context;
use crate::dispatch::Later;

const FIRST_FENCED_VERSION: i16 = 2;
const FIRST_BUMPING_VERSION: i16 = 5;

/// Ends it, and answers what the producer goes on with.
pub(crate) async fn handle(context: Context, request: EndTxnRequest) -> Later<EndTxnResponse> {
    let bumps = context.version >= FIRST_BUMPING_VERSION;
    Later::wait(async move {
        let end = |fresh_producer_id| {
            TransactionRequest::EndTxn(state::transaction::EndTxnRequest {
                transactional_id: request.transactional_id.clone(),
                producer_id: request.producer_id,
                producer_epoch: request.producer_epoch,
                committed: request.committed,
                client_transaction_version: if bumps { TransactionVersion::V2 } else { TransactionVersion::V0 },
                fresh_producer_id,
                knows_producer_fenced: context.version >= FIRST_FENCED_VERSION,
            })
        };
        let transactions = context.broker.transactions();
        let ended = match transactions.ask_with_id(&context.broker, &request.transactional_id, end).await {
            Ok(TransactionResponse::EndTxn(ended)) => ended,
            Ok(_) => ProducerResponse::failed(ErrorCode::UNKNOWN_SERVER_ERROR),
            Err(code) => ProducerResponse::failed(code),
        };
        let ProducerResponse { error: error_code, producer_id, producer_epoch } = ended;
        EndTxnResponse { error_code, producer_id, producer_epoch, ..Default::default() }
    })
}
