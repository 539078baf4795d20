//! ListTransactions: the transactional ids that this broker coordinates (KIP-664).
//!
//! v1 by how long they have run (KIP-994). v2 by a pattern of their ids (KIP-1152).

use protocol::ErrorCode;
use protocol::messages::ListTransactionsRequest;
use protocol::messages::list_transactions::*;
use regex_lite::Regex;
use state::transaction::{ListRequest, TransactionRequest, TransactionResponse};

use crate::context::Context;
use crate::coordinator;
use crate::dispatch::Later;

/// Lists what passes all filters.
pub(crate) async fn handle(context: Context, request: ListTransactionsRequest) -> Later<ListTransactionsResponse> {
    let Ok(pattern) = pattern(request.transactional_id_pattern.as_deref()) else {
        let error_code = ErrorCode::INVALID_REGULAR_EXPRESSION;
        return Later::Now(ListTransactionsResponse { error_code, ..Default::default() });
    };
    let is_known = |name: &String| state::transaction::TransactionState::from_name(name).is_some();
    let (known, unknown_state_filters): (Vec<_>, Vec<_>) = request.state_filters.into_iter().partition(is_known);
    if known.is_empty() && !unknown_state_filters.is_empty() {
        return Later::Now(ListTransactionsResponse { unknown_state_filters, ..Default::default() });
    }
    let list = ListRequest {
        states: known.iter().filter_map(|name| state::transaction::TransactionState::from_name(name)).collect(),
        producer_ids: request.producer_id_filters,
        min_duration_ms: request.duration_filter,
    };
    let transactions = context.broker.transactions();
    let receivers = transactions.submit_to_all(&context.broker, || TransactionRequest::List(list.clone())).await;
    Later::wait(async move {
        let mut response = ListTransactionsResponse { unknown_state_filters, ..Default::default() };
        for receiver in receivers {
            match coordinator::transaction_answer(receiver).await {
                Ok(TransactionResponse::List(listed)) => {
                    let passing = listed
                        .into_iter()
                        .filter(|one| pattern.as_ref().is_none_or(|pattern| pattern.is_match(&one.transactional_id)));
                    response.transaction_states.extend(passing.map(|one| TransactionState {
                        transactional_id: one.transactional_id,
                        producer_id: one.producer_id,
                        transaction_state: one.state.name().to_owned(),
                    }));
                }
                Ok(_) => {}
                // Part of the answer would look like all of it.
                Err(code) => return ListTransactionsResponse { error_code: code, ..Default::default() },
            }
        }
        response
    })
}

/// A pattern fits a whole id. None, and an empty one, fit all.
fn pattern(text: Option<&str>) -> Result<Option<Regex>, regex_lite::Error> {
    match text {
        None | Some("") => Ok(None),
        Some(text) => Regex::new(&format!("^(?:{text})$")).map(Some),
    }
}
