//! Quotas: how much of the broker a client may use, and for how long it is silent that used more.
//!
//! As in Kafka (KIP-13, 124, 219, 599, 612): usage is summed over a few windows, and whoever is above the limit is told
//! after how long it will be back below it. The answer goes out at once, and the connection is not read for that long.
//! Without any quota a request pays for one relaxed load.
//!
//! `limits.rs` says which quota is whose, `window.rs` how usage is counted, `throttle.rs` what becomes of a request.

mod limits;
mod mutations;
mod mute;
mod sensors;
mod throttle;
mod window;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use state::cluster::Image;

pub(crate) use limits::{RESOURCES, Resource, Sharers};
pub(crate) use mutations::Mutations;
pub(crate) use mute::Mute;
pub(crate) use throttle::{Meter, Throttle};
pub(crate) use window::Windows;

use limits::Limits;
use sensors::{Sensor, Sensors};
use window::TokenBucket;

/// Everybody's user while nobody says who he is.
const ANONYMOUS: &str = "ANONYMOUS";

/// How usage is counted: `quota.window.*` and `controller.quota.window.*`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuotaWindows {
    pub(crate) clients: Windows,
    pub(crate) mutations: Windows,
}

/// What becomes of an answer to a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) throttle_ms: i32,
    /// Its records stay here.
    pub(crate) is_withheld: bool,
}

/// One line of what `/metrics` tells.
pub(crate) struct Usage {
    pub(crate) sharers: Sharers,
    /// Per second, as the limit is.
    pub(crate) rate: f64,
    /// Of mutations: what may still be done at once.
    pub(crate) tokens: Option<f64>,
    pub(crate) mean_delay_ms: f64,
}

/// The quotas in force, and who used how much.
pub(crate) struct Quotas {
    /// Whether any client has any.
    is_active: AtomicBool,
    has_connection_rates: AtomicBool,
    limits: ArcSwap<Limits>,
    followed: Mutex<Image>,
    windows: QuotaWindows,
    user: Arc<str>,
    sensors: [Mutex<Sensors<Sharers>>; RESOURCES.len()],
    addresses: Mutex<Sensors<IpAddr>>,
}

impl Quotas {
    pub(crate) fn new(windows: QuotaWindows, image: &Image) -> Quotas {
        let quotas = Quotas {
            is_active: AtomicBool::new(false),
            has_connection_rates: AtomicBool::new(false),
            limits: ArcSwap::default(),
            followed: Mutex::default(),
            windows,
            user: ANONYMOUS.into(),
            sensors: Default::default(),
            addresses: Mutex::default(),
        };
        quotas.follow(image);
        quotas
    }

    /// Makes the quotas of an image those in force.
    pub(crate) fn follow(&self, image: &Image) {
        let mut followed = lock(&self.followed);
        if followed.has_quotas_of(image) {
            return;
        }
        let limits = Limits::of(image);
        let is_active = RESOURCES.iter().any(|resource| limits.has(*resource));
        let has_connection_rates = limits.has_connection_rates();
        self.limits.store(Arc::new(limits));
        self.is_active.store(is_active, Ordering::Relaxed);
        self.has_connection_rates.store(has_connection_rates, Ordering::Relaxed);
        *followed = image.clone();
    }

    /// Whether any client has a quota of anything.
    pub(crate) fn is_active(&self) -> bool {
        self.is_active.load(Ordering::Relaxed)
    }

    /// Counts what a client used. Answers for how many milliseconds it is silent: 0 while it may go on.
    fn record(&self, resource: Resource, client_id: &Arc<str>, amount: f64, now_ms: u64) -> i32 {
        let used = self.with(resource, client_id, now_ms, |sensor, windows, limit| {
            sensor.rate.record(windows, amount, now_ms);
            sensor.rate.throttle_ms(windows, limit, now_ms)
        });
        used.unwrap_or(0)
    }

    /// The same of what was used before.
    fn check(&self, resource: Resource, client_id: &Arc<str>, now_ms: u64) -> i32 {
        let limits = self.limits.load();
        let Some((sharers, limit)) = limits.find(resource, &self.user, client_id) else { return 0 };
        let windows = self.windows_of(resource);
        lock(&self.sensors[resource as usize])
            .known(&sharers)
            .map_or(0, |sensor| sensor.rate.throttle_ms(windows, limit, now_ms))
    }

    /// Counts time for which a client kept a processor busy, of which it may use some percent.
    fn record_time(&self, client_id: &Arc<str>, spent: Duration, now_ms: u64) {
        self.record(Resource::Request, client_id, spent.as_secs_f64() * 100.0, now_ms);
    }

    /// For how many milliseconds a client is silent that used too much time: at most one window, as Kafka has it.
    fn check_time(&self, client_id: &Arc<str>, now_ms: u64) -> i32 {
        let longest = i32::try_from(self.windows.clients.window_ms).unwrap_or(i32::MAX);
        self.check(Resource::Request, client_id, now_ms).min(longest)
    }

    /// Counts records that are about to leave. Those above the limit do not, and were never read, as the client sees it;
    /// except when there were no others: a batch that is larger than all windows would never be read at all.
    pub(crate) fn fetched(&self, client_id: &Arc<str>, bytes: usize, now_ms: u64) -> Fetched {
        let counted = self.with(Resource::Fetch, client_id, now_ms, |sensor, windows, limit| {
            let is_first = sensor.rate.sum(windows, now_ms) == 0.0;
            sensor.rate.record(windows, bytes as f64, now_ms);
            let throttle_ms = sensor.rate.throttle_ms(windows, limit, now_ms);
            let is_withheld = throttle_ms > 0 && !is_first;
            if is_withheld {
                sensor.rate.record(windows, -(bytes as f64), now_ms);
            }
            Fetched { throttle_ms, is_withheld }
        });
        counted.unwrap_or(Fetched { throttle_ms: 0, is_withheld: false })
    }

    /// The most that one fetch of a client can answer with and not be too much.
    pub(crate) fn fetch_max_bytes(&self, client_id: &Arc<str>) -> usize {
        let limits = self.limits.load();
        let found = limits.find(Resource::Fetch, &self.user, client_id);
        found.map_or(usize::MAX, |(_, limit)| self.windows.clients.most(limit) as usize)
    }

    /// Notes that a client was told to be silent.
    fn delayed(&self, resource: Resource, client_id: &Arc<str>, delay_ms: i32, now_ms: u64) {
        self.with(resource, client_id, now_ms, |sensor, _, _| sensor.delayed(delay_ms, now_ms));
    }

    /// Counts a connection. When its address opens too many, answers after how long it may try again, which is at most
    /// one window; then the connection was none.
    pub(crate) fn connected(&self, ip: IpAddr, now_ms: u64) -> Option<Duration> {
        if !self.has_connection_rates.load(Ordering::Relaxed) {
            return None;
        }
        let ip = ip.to_canonical();
        let limit = self.limits.load().connection_rate(ip)?;
        let windows = self.windows.clients;
        let mut addresses = lock(&self.addresses);
        let rate = &mut addresses.of(ip, now_ms).rate;
        rate.record(windows, 1.0, now_ms);
        let throttle_ms = u64::try_from(rate.throttle_ms(windows, limit, now_ms)).unwrap_or(0);
        if throttle_ms == 0 {
            return None;
        }
        rate.record(windows, -1.0, now_ms);
        Some(Duration::from_millis(throttle_ms.min(windows.window_ms)))
    }

    /// Who used of late what has a limit.
    pub(crate) fn usage(&self, resource: Resource, now_ms: u64) -> Vec<Usage> {
        let windows = self.windows_of(resource);
        let tell = |(sharers, sensor): (&Sharers, &mut Sensor)| {
            let limit = sensor.limit;
            Usage {
                sharers: sharers.clone(),
                rate: sensor.rate.per_second(windows, now_ms),
                tokens: sensor.bucket.as_mut().map(|bucket| bucket.tokens(windows, limit, now_ms)),
                mean_delay_ms: sensor.mean_delay_ms(now_ms),
            }
        };
        lock(&self.sensors[resource as usize]).iter_mut().map(tell).collect()
    }

    /// Forgets who was silent for long.
    pub(crate) fn expire(&self, now_ms: u64) {
        self.sensors.iter().for_each(|sensors| lock(sensors).expire(now_ms));
        lock(&self.addresses).expire(now_ms);
    }

    fn windows_of(&self, resource: Resource) -> Windows {
        match resource {
            Resource::ControllerMutation => self.windows.mutations,
            _ => self.windows.clients,
        }
    }

    /// Does something with the usage and the limit of a client that has one.
    fn with<T>(
        &self,
        resource: Resource,
        client_id: &Arc<str>,
        now_ms: u64,
        act: impl FnOnce(&mut Sensor, Windows, f64) -> T,
    ) -> Option<T> {
        let (sharers, limit) = self.limits.load().find(resource, &self.user, client_id)?;
        let mut sensors = lock(&self.sensors[resource as usize]);
        let sensor = sensors.of(sharers, now_ms);
        sensor.limit = limit;
        Some(act(sensor, self.windows_of(resource), limit))
    }

    /// The bucket of mutations of a client that has a limit.
    fn with_bucket<T>(
        &self,
        client_id: &Arc<str>,
        now_ms: u64,
        act: impl FnOnce(&mut Sensor, &mut TokenBucket, Windows, f64) -> T,
    ) -> Option<T> {
        self.with(Resource::ControllerMutation, client_id, now_ms, |sensor, windows, limit| {
            let full = || TokenBucket::full(windows, limit, now_ms);
            let mut bucket = sensor.bucket.take().unwrap_or_else(full);
            let done = act(sensor, &mut bucket, windows, limit);
            sensor.bucket = Some(bucket);
            done
        })
    }
}

/// Nothing in it is broken half way by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use state::cluster::{CLIENT_ID, Command, QuotaAlteration, QuotaEntity, QuotaValue};

    use super::*;

    const WINDOWS: Windows = Windows { samples: 11, window_ms: 1000 };

    fn quotas(key: &str, limit: f64) -> Quotas {
        let entity = QuotaEntity(BTreeMap::from([(CLIENT_ID.to_owned(), None)]));
        let changes = BTreeMap::from([(key.to_owned(), Some(QuotaValue(limit)))]);
        let mut image = Image::default();
        image.apply(&Command::AlterClientQuotas(vec![QuotaAlteration { entity, changes }]));
        Quotas::new(QuotaWindows { clients: WINDOWS, mutations: WINDOWS }, &image)
    }

    #[test]
    fn what_is_withheld_is_not_counted() {
        let (quotas, client) = (quotas("consumer_byte_rate", 100.0), Arc::from("c"));
        assert_eq!(quotas.fetch_max_bytes(&client), 1_000);
        assert_eq!(quotas.fetched(&client, 900, 0), Fetched { throttle_ms: 0, is_withheld: false });
        for now_ms in [0, 0, 500] {
            // 1,200 bytes are 12 seconds' worth, of which ten are over before the first came.
            let throttle_ms = 2_000 - now_ms as i32;
            assert_eq!(quotas.fetched(&client, 300, now_ms), Fetched { throttle_ms, is_withheld: true });
        }
        assert_eq!(quotas.fetched(&client, 300, 12_000), Fetched { throttle_ms: 0, is_withheld: false });
    }

    #[test]
    fn a_batch_larger_than_every_window_is_not_withheld_for_ever() {
        let (quotas, client) = (quotas("consumer_byte_rate", 100.0), Arc::from("c"));
        assert_eq!(quotas.fetched(&client, 2_000, 0), Fetched { throttle_ms: 10_000, is_withheld: false });
        assert!(quotas.fetched(&client, 2_000, 0).is_withheld);
    }

    #[test]
    fn time_is_throttled_for_one_window_at_most() {
        let (quotas, client) = (quotas("request_percentage", 1.0), Arc::from("c"));
        assert_eq!(quotas.check_time(&client, 0), 0);
        quotas.record_time(&client, Duration::from_millis(100), 0);
        assert_eq!(quotas.check_time(&client, 0), 0, "10 percent of a second in ten seconds");
        quotas.record_time(&client, Duration::from_millis(5), 0);
        assert_eq!(quotas.check_time(&client, 0), 500);
        quotas.record_time(&client, Duration::from_secs(10), 0);
        assert_eq!(quotas.check_time(&client, 0), 1_000);
    }

    #[test]
    fn without_quotas_nothing_is_remembered() {
        let quotas = Quotas::new(QuotaWindows { clients: WINDOWS, mutations: WINDOWS }, &Image::default());
        assert!(!quotas.is_active());
        assert_eq!(quotas.record(Resource::Produce, &Arc::from("c"), 1e9, 0), 0);
        assert!(quotas.usage(Resource::Produce, 0).is_empty());
        assert_eq!(quotas.connected("127.0.0.1".parse().unwrap(), 0), None);
    }
}
