//! How long each client id's produce requests take: what producers measure themselves, seen from here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dashmap::DashMap;

/// Client ids that are told apart; all others are counted as [`OTHERS`].
const CLIENTS_MAX: usize = 256;
/// Longer ids are cut, bytes: a label is no place for a novel.
const ID_MAX_BYTES: usize = 128;
const OTHERS: &str = "(others)";

static CLIENTS: LazyLock<DashMap<String, Arc<ClientLatency>>> = LazyLock::new(|| DashMap::with_shard_amount(4));

/// The produce requests of one client id.
#[derive(Debug, Default)]
pub(crate) struct ClientLatency {
    count: AtomicU64,
    sum_us: AtomicU64,
    /// Both at the last two turns of the window, the older first.
    count_before: [AtomicU64; 2],
    sum_us_before: [AtomicU64; 2],
}

impl ClientLatency {
    /// Of `client_id`; found once for a connection and kept there.
    pub(crate) fn of(client_id: &str) -> Arc<ClientLatency> {
        let cut = client_id.floor_char_boundary(ID_MAX_BYTES);
        let id = &client_id[..cut];
        if let Some(known) = CLIENTS.get(id) {
            return Arc::clone(&known);
        }
        let id = if CLIENTS.len() < CLIENTS_MAX { id } else { OTHERS };
        Arc::clone(&CLIENTS.entry(id.to_owned()).or_default())
    }

    /// A request was answered.
    pub(crate) fn record(&self, total: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(total.as_micros() as u64, Ordering::Relaxed);
    }

    /// The mean of the window in milliseconds; not a number without a request.
    fn mean_ms(&self) -> f64 {
        let since = |now: &AtomicU64, then: &AtomicU64| load(now).saturating_sub(load(then)) as f64;
        let (count, sum_us) = (since(&self.count, &self.count_before[0]), since(&self.sum_us, &self.sum_us_before[0]));
        if count == 0.0 { f64::NAN } else { sum_us / count / 1e3 }
    }

    fn turn(&self) {
        for (now, before) in [(&self.count, &self.count_before), (&self.sum_us, &self.sum_us_before)] {
            before[0].store(load(&before[1]), Ordering::Relaxed);
            before[1].store(load(now), Ordering::Relaxed);
        }
    }

    fn is_idle(&self) -> bool {
        load(&self.count) == load(&self.count_before[0])
    }
}

fn load(atomic: &AtomicU64) -> u64 {
    atomic.load(Ordering::Relaxed)
}

/// Turns every window, and forgets who is gone.
pub(super) fn turn() {
    CLIENTS.iter().for_each(|client| client.turn());
    // One reference is the map's; connections hold the others.
    CLIENTS.retain(|_, client| Arc::strong_count(client) > 1 || !client.is_idle());
}

/// Client ids with the mean time of their produce requests in milliseconds, sorted.
pub(super) fn means_ms() -> Vec<(String, f64)> {
    let mut means: Vec<_> = CLIENTS.iter().map(|client| (client.key().clone(), client.mean_ms())).collect();
    means.sort_by(|a, b| a.0.cmp(&b.0));
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_of_the_window() {
        let client = ClientLatency::default();
        assert!(client.mean_ms().is_nan());
        client.record(Duration::from_millis(10));
        client.turn();
        client.record(Duration::from_millis(30));
        assert_eq!(client.mean_ms(), 20.0);
        client.turn();
        assert_eq!(client.mean_ms(), 30.0);
        client.turn();
        assert!(client.mean_ms().is_nan() && client.is_idle());
    }
}
