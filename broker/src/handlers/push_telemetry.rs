//! PushTelemetry: a client tells what it measured, as it was asked to (KIP-714).

use protocol::ErrorCode;
use protocol::messages::push_telemetry::*;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::context::Context;

/// Pushes that are decompressed and read at a time; more wait, and their connections with them.
static READING: Semaphore = Semaphore::const_new(2);

/// Keeps what was pushed, for /metrics.
pub(crate) async fn handle(context: Context, request: PushTelemetryRequest) -> PushTelemetryResponse {
    let error_code = push(&context, request).await.err().unwrap_or(ErrorCode::NONE);
    PushTelemetryResponse { error_code, ..Default::default() }
}

async fn push(context: &Context, request: PushTelemetryRequest) -> Result<(), ErrorCode> {
    let (id, client_id) = (request.client_instance_id, &*context.client_id);
    context.connection.pushes_as(id);
    let max_bytes = usize::try_from(context.broker.config().telemetry_max_bytes).unwrap_or(0);
    let now_ms = context.broker.clock().now().monotonic_ms;
    let admitted = context.broker.telemetry().admit(&context.telemetry_client(), request, max_bytes, now_ms);
    let push = admitted.inspect_err(|error| match *error {
        ErrorCode::TELEMETRY_TOO_LARGE => {
            warn!(client_id, %id, max_bytes, "a client's metrics are larger than telemetry.max.bytes; raise it, or subscribe to fewer");
        }
        error => debug!(client_id, %id, %error, "a client's metrics were refused"),
    })?;
    let max_bytes = context.broker.config().limits.push_bytes.max(max_bytes);
    let reading = READING.acquire().await.expect("it is never closed");
    let (broker, own_client_id) = (context.broker.clone(), context.client_id.clone());
    let kept = tokio::task::spawn_blocking(move || {
        // Until it is read, whether or not its connection is there still.
        let _reading = reading;
        broker.telemetry().keep(&push, &own_client_id, max_bytes, now_ms)
    });
    // A panic in it was reported by the panic hook already.
    kept.await.unwrap_or(Err(ErrorCode::UNKNOWN_SERVER_ERROR)).inspect_err(|error| {
        warn!(client_id, %id, %error, max_bytes, "a client's metrics could not be read: OpenTelemetry's MetricsData is expected, of at most max_bytes uncompressed");
    })
}
