//! GetTelemetrySubscriptions: which of its own metrics a client shall push, and how often (KIP-714).

use protocol::messages::get_telemetry_subscriptions::*;

use crate::context::Context;
use crate::controller;
use crate::telemetry::ACCEPTED_CODECS;

/// Answers with what all subscriptions that are about the client want together; nothing, mostly.
pub(crate) async fn handle(
    context: Context,
    request: GetTelemetrySubscriptionsRequest,
) -> GetTelemetrySubscriptionsResponse {
    let refused = |error_code| GetTelemetrySubscriptionsResponse { error_code, ..Default::default() };
    let telemetry = context.broker.telemetry();
    let id = match request.client_instance_id {
        id if !id.is_zero() => id,
        _ => match controller::new_id() {
            Ok(id) => id,
            Err(error) => return refused(error),
        },
    };
    let now_ms = context.broker.clock().now().monotonic_ms;
    context.connection.pushes_as(id);
    match telemetry.ask(&context.telemetry_client(), id, now_ms) {
        Ok(granted) => GetTelemetrySubscriptionsResponse {
            client_instance_id: granted.client_instance_id,
            subscription_id: granted.subscription_id,
            accepted_compression_types: ACCEPTED_CODECS.map(|codec| codec as i8).to_vec(),
            push_interval_ms: i32::try_from(granted.push_interval_ms).unwrap_or(i32::MAX),
            telemetry_max_bytes: context.broker.config().telemetry_max_bytes,
            delta_temporality: true,
            requested_metrics: granted.metrics.into_iter().collect(),
            ..Default::default()
        },
        Err(error) => refused(error),
    }
}
