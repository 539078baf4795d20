//! UnregisterBroker: the cluster forgets a broker that is not coming back (KIP-631).

use protocol::ErrorCode;
use protocol::messages::UnregisterBrokerRequest;
use protocol::messages::unregister_broker::*;
use tracing::warn;

use crate::context::Context;

/// Refuses: this node is the whole cluster, and it is alive. Kafka lets go of a living broker, whose clients then find
/// nobody.
pub(crate) async fn handle(context: Context, request: UnregisterBrokerRequest) -> UnregisterBrokerResponse {
    let id = request.broker_id;
    let (error_code, message) = if context.broker.image().broker(id).is_none() {
        (ErrorCode::BROKER_ID_NOT_REGISTERED, format!("Broker ID {id} is not currently registered"))
    } else {
        let client_id = &*context.client_id;
        warn!(broker_id = id, client_id, "not unregistered: the broker is alive, and the cluster has no other");
        (ErrorCode::INVALID_REQUEST, format!("Broker {id} is alive, and the cluster has no other: stop it instead."))
    };
    UnregisterBrokerResponse { error_code, error_message: Some(message), ..Default::default() }
}
