//! Partitions that a request creates and deletes, counted against the client's quota (KIP-599).

use std::sync::Arc;

use protocol::ErrorCode;
use state::cluster::Refusal;

use crate::broker::Broker;
use crate::context::Context;

/// The quota as one request meets it.
pub(crate) struct Mutations {
    broker: Arc<Broker>,
    client_id: Arc<str>,
    /// Whether the client understands that it has to try again. Others are served, and silent afterwards.
    is_strict: bool,
    throttle_ms: i32,
}

impl Mutations {
    /// `strict_from` is the first version of the API whose clients know THROTTLING_QUOTA_EXCEEDED.
    pub(crate) fn of(context: &Context, strict_from: i16) -> Mutations {
        let (broker, client_id) = (Arc::clone(&context.broker), Arc::clone(&context.client_id));
        Mutations { broker, client_id, is_strict: context.version >= strict_from, throttle_ms: 0 }
    }

    /// Counts that many partitions, which may be more than are left, unless none were.
    ///
    /// # Errors
    /// `THROTTLING_QUOTA_EXCEEDED`; nothing was counted.
    pub(crate) fn record(&mut self, partitions: usize) -> Result<(), Refusal> {
        let quotas = self.broker.quotas();
        if !quotas.is_active() {
            return Ok(());
        }
        let (now_ms, is_strict) = (self.broker.clock().now().monotonic_ms, self.is_strict);
        let count = partitions as f64;
        let counted = quotas.with_bucket(&self.client_id, now_ms, |sensor, bucket, windows, limit| {
            let throttle_ms = bucket.throttle_ms(windows, limit, now_ms);
            if is_strict && throttle_ms > 0 {
                return (throttle_ms, false);
            }
            bucket.take(count);
            sensor.rate.record(windows, count, now_ms);
            (if is_strict { 0 } else { bucket.throttle_ms(windows, limit, now_ms) }, true)
        });
        let Some((throttle_ms, is_counted)) = counted else { return Ok(()) };
        self.throttle_ms = self.throttle_ms.max(throttle_ms);
        if is_counted {
            return Ok(());
        }
        Err(Refusal::new(ErrorCode::THROTTLING_QUOTA_EXCEEDED, "The throttling quota has been exceeded."))
    }

    /// For how long the client is silent.
    pub(crate) fn throttle_ms(&self) -> i32 {
        self.throttle_ms
    }
}
