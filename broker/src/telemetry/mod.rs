//! What clients measure of themselves and push here, as subscriptions ask them to (KIP-714).
//!
//! `subscription.rs` says what is wanted of whom, `instances.rs` remembers who was asked and when he came, `otlp.rs` reads
//! what he pushed, on top of `protobuf.rs`, and `series.rs` keeps it for /metrics. Everything has a limit, because anybody
//! may push.

mod instances;
mod otlp;
mod protobuf;
mod series;
mod subscription;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use protocol::messages::PushTelemetryRequest;
use protocol::records::{Codec, CodecError, decompress};
use protocol::{ErrorCode, Uuid};
use state::cluster::{Configs, Image};
use tracing::warn;

use crate::metrics::Counter;
use instances::{Instance, Instances};
use otlp::{Point, Sink};
use series::Series;
use subscription::Wanted;

pub(crate) use series::{Dropped, Family};
pub(crate) use subscription::{Client, Subscription};

/// For how long the last push of a client that said good-bye is told, so that somebody sees it.
const GOOD_BYE_MS: u64 = 120_000;
/// Ids that Kafka keeps for itself: those whose first fifteen bytes are zero, up to this last one.
const RESERVED_IDS: u8 = 100;
/// Points of one push; one with more is refused. A client may have a fifth of that.
const POINTS_MAX: usize = 10_000;
/// How a payload may be compressed, the best first, as Kafka lists them.
pub(crate) const ACCEPTED_CODECS: [Codec; 4] = [Codec::Zstd, Codec::Lz4, Codec::Gzip, Codec::Snappy];

/// What a client is told that asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) client_instance_id: Uuid,
    pub(crate) subscription_id: i32,
    pub(crate) push_interval_ms: u32,
    pub(crate) metrics: BTreeSet<String>,
}

/// A push that may be read.
#[derive(Debug, PartialEq)]
pub(crate) struct Admitted {
    client_instance_id: Uuid,
    codec: Codec,
    payload: Bytes,
    /// Until when it is told.
    expires_ms: u64,
}

/// How much there is.
#[derive(Debug)]
pub(crate) struct Usage {
    pub(crate) instances: usize,
    pub(crate) clients: usize,
    pub(crate) series: usize,
    pub(crate) series_bytes: usize,
    pub(crate) dropped: Dropped,
}

/// Subscriptions, as the image that was followed last has them.
#[derive(Debug, Default)]
struct Subscriptions {
    /// Goes up with each change.
    version: u64,
    configs: Vec<(String, Configs)>,
    parsed: Vec<Subscription>,
}

#[derive(Debug, Default)]
struct State {
    subscriptions: Subscriptions,
    instances: Instances,
}

/// The room.
#[derive(Debug)]
pub(crate) struct Telemetry {
    state: Mutex<State>,
    series: Mutex<Series>,
    /// Pushes that named a subscription which their client does not have, or no longer.
    pub(crate) unknown_subscriptions: Counter,
    /// Requests that came too early.
    pub(crate) throttled: Counter,
}

impl Telemetry {
    /// With the subscriptions of an image, and so many bytes for what is pushed.
    pub(crate) fn new(series_bytes: usize, image: &Image) -> Telemetry {
        let telemetry = Telemetry {
            state: Mutex::default(),
            series: Mutex::new(Series::new(series_bytes)),
            unknown_subscriptions: Counter::new(),
            throttled: Counter::new(),
        };
        telemetry.follow(image);
        telemetry
    }

    /// Makes the subscriptions of an image those in force.
    pub(crate) fn follow(&self, image: &Image) {
        let subscriptions = &mut lock(&self.state).subscriptions;
        let same = |(name, configs): &(String, Configs), (other, others): (&str, &Configs)| {
            name == other && (Arc::ptr_eq(configs, others) || configs == others)
        };
        let mut followed = subscriptions.configs.iter();
        let is_same = image.client_metrics().all(|is| followed.next().is_some_and(|was| same(was, is)));
        if is_same && followed.next().is_none() {
            return;
        }
        let parse = |(name, configs): (&str, &Configs)| match Subscription::of(configs) {
            Ok(parsed) => Some(parsed),
            Err(refusal) => {
                warn!(name, %refusal, "a client metrics subscription is not in force; alter or delete it");
                None
            }
        };
        *subscriptions = Subscriptions {
            version: subscriptions.version + 1,
            configs: image.client_metrics().map(|(name, configs)| (name.to_owned(), Arc::clone(configs))).collect(),
            parsed: image.client_metrics().filter_map(parse).collect(),
        };
    }

    /// A client asks what is wanted of it. `id` is its own, or the one it gets when it has none.
    ///
    /// # Errors
    /// `THROTTLING_QUOTA_EXCEEDED` when it asks too often.
    pub(crate) fn ask(&self, client: &Client<'_>, id: Uuid, now_ms: u64) -> Result<Granted, ErrorCode> {
        let mut state = lock(&self.state);
        let instance = state.instance(client, id, now_ms);
        instance.ask(now_ms).inspect_err(|_| self.throttled.add(1))?;
        let (subscription_id, push_interval_ms) = (instance.subscription_id, instance.interval_ms);
        let metrics = Wanted::of(&state.subscriptions.parsed, client, id).metrics;
        Ok(Granted { client_instance_id: id, subscription_id, push_interval_ms, metrics })
    }

    /// A client pushes; `max_bytes` is the most that it may. What is admitted is yet to be read.
    ///
    /// # Errors
    /// As Kafka has it, and in Kafka's order: `INVALID_REQUEST`, `THROTTLING_QUOTA_EXCEEDED`, `UNKNOWN_SUBSCRIPTION_ID`,
    /// `UNSUPPORTED_COMPRESSION_TYPE`, `TELEMETRY_TOO_LARGE`.
    pub(crate) fn admit(
        &self,
        client: &Client<'_>,
        push: PushTelemetryRequest,
        max_bytes: usize,
        now_ms: u64,
    ) -> Result<Admitted, ErrorCode> {
        let id = push.client_instance_id;
        if is_reserved(id) {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let mut state = lock(&self.state);
        let instance = state.instance(client, id, now_ms);
        instance.push(push.terminating, now_ms).inspect_err(|error| {
            self.throttled.add(u64::from(*error == ErrorCode::THROTTLING_QUOTA_EXCEEDED));
        })?;
        if push.subscription_id != instance.subscription_id {
            self.unknown_subscriptions.add(1);
            instance.has_to_ask();
            return Err(ErrorCode::UNKNOWN_SUBSCRIPTION_ID);
        }
        let codec = u8::try_from(push.compression_type).ok().and_then(Codec::from_id);
        let codec = codec.ok_or(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE).inspect_err(|_| instance.has_to_ask())?;
        if push.metrics.len() > max_bytes {
            return Err(ErrorCode::TELEMETRY_TOO_LARGE);
        }
        let told_ms = if push.terminating { GOOD_BYE_MS } else { instance.remembered_ms() };
        Ok(Admitted { client_instance_id: id, codec, payload: push.metrics, expires_ms: now_ms + told_ms })
    }

    /// Reads what was admitted, into at most `max_bytes`, and keeps it, all or nothing.
    ///
    /// # Errors
    /// `TELEMETRY_TOO_LARGE` when it is larger than that or has too many points, `INVALID_RECORD` when it cannot be read.
    pub(crate) fn keep(
        &self,
        push: &Admitted,
        client_id: &str,
        max_bytes: usize,
        now_ms: u64,
    ) -> Result<(), ErrorCode> {
        if push.payload.is_empty() {
            lock(&self.series).seen(push.client_instance_id, now_ms, push.expires_ms);
            return Ok(());
        }
        let decompressed;
        let metrics = match push.codec {
            Codec::None => &push.payload[..],
            codec => {
                decompressed = decompress(codec, &push.payload, max_bytes).map_err(|error| match error {
                    CodecError::TooLarge { .. } => ErrorCode::TELEMETRY_TOO_LARGE,
                    CodecError::Corrupt(_) => ErrorCode::INVALID_RECORD,
                })?;
                &decompressed[..]
            }
        };
        let mut points = Points(0);
        otlp::read(metrics, &mut points).map_err(|_| ErrorCode::INVALID_RECORD)?;
        if points.0 > POINTS_MAX {
            return Err(ErrorCode::TELEMETRY_TOO_LARGE);
        }
        let mut series = lock(&self.series);
        let mut sink = series.of(push.client_instance_id, client_id, now_ms, push.expires_ms);
        otlp::read(metrics, &mut sink).map_err(|_| ErrorCode::INVALID_RECORD)
    }

    /// The connection is gone on which a client came; it is met anew when it comes on another one.
    pub(crate) fn disconnected(&self, id: Uuid) {
        lock(&self.state).instances.forget(id);
    }

    /// Forgets who was silent for long.
    pub(crate) fn expire(&self, now_ms: u64) {
        lock(&self.state).instances.expire(now_ms);
        lock(&self.series).expire(now_ms);
    }

    /// The series of the name that follows another one.
    pub(crate) fn family_after(&self, name: Option<&str>) -> Option<Family> {
        lock(&self.series).family_after(name)
    }

    pub(crate) fn usage(&self) -> Usage {
        let instances = lock(&self.state).instances.len();
        let all = lock(&self.series);
        let (series, clients) = all.count();
        Usage { instances, clients, series, series_bytes: all.used_bytes(), dropped: all.dropped() }
    }
}

impl State {
    /// A client as the subscriptions have it.
    fn instance(&mut self, client: &Client<'_>, id: Uuid, now_ms: u64) -> &mut Instance {
        let Subscriptions { version, parsed, .. } = &self.subscriptions;
        let meet = || {
            let wanted = Wanted::of(parsed, client, id);
            Instance::new(*version, wanted.id(id), wanted.interval_ms, now_ms)
        };
        self.instances.of(id, *version, now_ms, meet)
    }
}

/// Reads, counts, and keeps nothing.
struct Points(usize);

impl Sink for Points {
    fn point(&mut self, _: &Point<'_>) {
        self.0 += 1;
    }
    fn unread(&mut self) {}
}

fn is_reserved(id: Uuid) -> bool {
    let [first @ .., last] = id.0;
    first == [0; 15] && last < RESERVED_IDS
}

/// Nothing in it is broken half way by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
