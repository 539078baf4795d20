//! FindCoordinator: which broker keeps a group, or a transactional id.
//!
//! v1 coordinator types. v4 several keys at once (KIP-699). The topic that keeps it is created here, before the answer, so
//! that a client never has to wait and ask again.

use protocol::ErrorCode;
use protocol::messages::FindCoordinatorRequest;
use protocol::messages::find_coordinator::*;

use crate::context::Context;

const FIRST_BATCHED_VERSION: i16 = 4;
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

struct Found {
    error_code: ErrorCode,
    error_message: Option<String>,
    node_id: i32,
    host: String,
    port: i32,
}

impl Found {
    fn error(error_code: ErrorCode, message: &str) -> Found {
        Found { error_code, error_message: Some(message.into()), node_id: -1, host: String::new(), port: -1 }
    }
}

/// Finds the coordinator of each key.
pub(crate) async fn handle(context: Context, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    if context.version < FIRST_BATCHED_VERSION {
        let found = find(&context, request.key_type, &request.key).await;
        return FindCoordinatorResponse {
            error_code: found.error_code,
            error_message: found.error_message,
            node_id: found.node_id,
            host: found.host,
            port: found.port,
            ..Default::default()
        };
    }
    let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
    for key in request.coordinator_keys {
        let found = find(&context, request.key_type, &key).await;
        coordinators.push(Coordinator {
            key,
            node_id: found.node_id,
            host: found.host,
            port: found.port,
            error_code: found.error_code,
            error_message: found.error_message,
        });
    }
    FindCoordinatorResponse { coordinators, ..Default::default() }
}

async fn find(context: &Context, key_type: i8, key: &str) -> Found {
    let broker = &context.broker;
    let found = match key_type {
        GROUP => broker.groups().coordinator_of(broker, key).await,
        TRANSACTION => broker.transactions().coordinator_of(broker, key).await,
        _ => return Found::error(ErrorCode::INVALID_REQUEST, "unknown coordinator type"),
    };
    match found {
        Ok(node_id) => match context.broker.endpoint_of(node_id, &context.connection) {
            Some((host, port)) => {
                Found { error_code: ErrorCode::NONE, error_message: None, node_id, host, port: i32::from(port) }
            }
            None => Found::error(ErrorCode::COORDINATOR_NOT_AVAILABLE, "the coordinator has no listener of this name"),
        },
        // The only one that every client takes for "ask again".
        Err(ErrorCode::REQUEST_TIMED_OUT | ErrorCode::NOT_CONTROLLER) => {
            Found::error(ErrorCode::COORDINATOR_NOT_AVAILABLE, "the topic that keeps it could not be created yet")
        }
        Err(code) => Found::error(code, "the topic that keeps it is not available"),
    }
}
