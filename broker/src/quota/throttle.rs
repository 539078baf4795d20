//! What quotas do to one request: its bytes and its time are counted, its answer says how long to be silent, and its
//! connection is not read for that long.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::api::{Message, Request};
use protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, FetchRequest, ProduceRequest,
    WriteTxnMarkersRequest,
};

use super::limits::Resource;
use crate::broker::Broker;
use crate::context::Context;

/// A request while anybody has quotas.
pub(crate) struct Throttle {
    context: Context,
    api_key: i16,
    /// For what it brought.
    produce_ms: i32,
}

impl Throttle {
    /// Counts what a request brings. `None`, at the price of a look, while nobody has quotas.
    ///
    /// It is counted before the request is served, and later requests of the connection wait from then on: they would
    /// be under way already when the answer leaves.
    pub(crate) fn of<R: Request>(context: &Context) -> Option<Box<Throttle>> {
        let quotas = context.broker.quotas();
        if !quotas.is_active() {
            return None;
        }
        let mut throttle = Throttle { context: context.clone(), api_key: R::KEY, produce_ms: 0 };
        if R::KEY == ProduceRequest::KEY {
            let now_ms = throttle.now_ms();
            let bytes = context.request_bytes as f64;
            throttle.produce_ms = quotas.record(Resource::Produce, &context.client_id, bytes, now_ms);
            throttle.silence(Resource::Produce, throttle.produce_ms);
        }
        Some(Box::new(throttle))
    }

    /// Tells the client, and mutes its connection. What the handler wrote into the answer counts too.
    pub(crate) fn tell(&self, response: &mut impl Message) {
        let client_id = &self.context.client_id;
        let request_ms = match self.api_key {
            WriteTxnMarkersRequest::KEY => 0,
            _ => self.context.broker.quotas().check_time(client_id, self.now_ms()),
        };
        let mut ignored = 0;
        let told_ms = response.throttle_time_ms().unwrap_or(&mut ignored);
        if request_ms > self.produce_ms.max(*told_ms) {
            *told_ms = request_ms;
            self.silence(Resource::Request, request_ms);
        } else if self.produce_ms > 0 {
            *told_ms = self.produce_ms;
        } else if let Some(resource) = self.resource() {
            self.silence(resource, *told_ms);
        }
    }

    /// What the handler of the API counts.
    fn resource(&self) -> Option<Resource> {
        match self.api_key {
            FetchRequest::KEY => Some(Resource::Fetch),
            CreateTopicsRequest::KEY | DeleteTopicsRequest::KEY | CreatePartitionsRequest::KEY => {
                Some(Resource::ControllerMutation)
            }
            _ => None,
        }
    }

    fn silence(&self, resource: Resource, delay_ms: i32) {
        let Some(delay) = u64::try_from(delay_ms).ok().filter(|delay| *delay > 0) else { return };
        let now_ms = self.now_ms();
        self.context.connection.mute.until(now_ms + delay);
        self.context.broker.quotas().delayed(resource, &self.context.client_id, delay_ms, now_ms);
    }

    fn now_ms(&self) -> u64 {
        self.context.broker.clock().now().monotonic_ms
    }
}

/// Adds up the time for which a request keeps a processor busy. Counted when it is dropped.
pub(crate) struct Meter {
    broker: Arc<Broker>,
    client_id: Arc<str>,
    spent: Duration,
}

impl Meter {
    /// `None` while nobody has a quota of time.
    pub(crate) fn of(context: &Context) -> Option<Meter> {
        let quotas = context.broker.quotas();
        if !quotas.is_active() || !quotas.limits.load().has(Resource::Request) {
            return None;
        }
        let (broker, client_id) = (Arc::clone(&context.broker), Arc::clone(&context.client_id));
        Some(Meter { broker, client_id, spent: Duration::ZERO })
    }

    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.spent += begun.elapsed();
        done
    }

    /// Waiting costs nothing; only what is done in between does.
    pub(crate) async fn drive<T>(&mut self, mut future: Pin<Box<dyn Future<Output = T> + Send>>) -> T {
        poll_fn(|context| self.time(|| future.as_mut().poll(context))).await
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let now_ms = self.broker.clock().now().monotonic_ms;
        self.broker.quotas().record_time(&self.client_id, self.spent, now_ms);
    }
}
