//! DescribeTransactions: where transactional ids stand (KIP-664).

use protocol::ErrorCode;
use protocol::messages::DescribeTransactionsRequest;
use protocol::messages::describe_transactions::*;
use state::transaction::{DescribedTransaction, TransactionRequest, TransactionResponse};

use crate::context::Context;
use crate::dispatch::Later;

/// Describes each id.
pub(crate) async fn handle(
    context: Context,
    request: DescribeTransactionsRequest,
) -> Later<DescribeTransactionsResponse> {
    Later::wait(async move {
        let mut transaction_states = Vec::with_capacity(request.transactional_ids.len());
        for transactional_id in request.transactional_ids {
            transaction_states.push(describe(&context, transactional_id).await);
        }
        DescribeTransactionsResponse { transaction_states, ..Default::default() }
    })
}

async fn describe(context: &Context, transactional_id: String) -> TransactionState {
    let broker = &context.broker;
    let describe = TransactionRequest::Describe(vec![transactional_id.clone()]);
    let error_code = match broker.transactions().ask(broker, &transactional_id, describe).await {
        Ok(TransactionResponse::Describe(described)) => match described.into_iter().next() {
            Some(described) => return state(described),
            None => ErrorCode::UNKNOWN_SERVER_ERROR,
        },
        Ok(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
        Err(code) => code,
    };
    TransactionState { error_code, transactional_id, ..Default::default() }
}

fn state(described: DescribedTransaction) -> TransactionState {
    let DescribedTransaction { error: error_code, transactional_id, transaction } = described;
    let Some(known) = transaction else {
        return TransactionState { error_code, transactional_id, ..Default::default() };
    };
    let topics = known.partitions.into_iter();
    TransactionState {
        error_code,
        transactional_id,
        transaction_state: known.state.name().to_owned(),
        transaction_timeout_ms: known.timeout_ms,
        transaction_start_time_ms: known.start_timestamp_ms,
        producer_id: known.producer_id,
        producer_epoch: known.producer_epoch,
        topics: topics
            .map(|(topic, partitions)| TopicData { topic, partitions: partitions.into_iter().collect() })
            .collect(),
    }
}
