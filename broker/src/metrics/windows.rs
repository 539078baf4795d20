//! Turning the windows of everything that tells of the last seconds instead of all time.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::clients;
use super::instruments::Gauge;
use crate::dispatch::ROUTES;
use crate::partition::FLUSHES;

/// Windows cover one to two turns.
const TURN: Duration = Duration::from_secs(15);

/// Millionths of their time for which the runtime's workers had nothing to do, over the last turn.
static IDLE_PPM: Gauge = Gauge::new();

/// Turns windows until `stop` changes.
pub(crate) async fn keep_windows(mut stop: watch::Receiver<bool>) {
    IDLE_PPM.set(1_000_000);
    let mut ticks = interval(TURN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut busy, mut since) = (busy_times().sum::<Duration>(), Instant::now());
    // The first tick comes at once.
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.changed() => return,
        }
        ROUTES.iter().for_each(|route| route.stats.turn());
        FLUSHES.latency.turn();
        clients::turn();
        let (now_busy, now) = (busy_times().sum::<Duration>(), Instant::now());
        let workers = Handle::current().metrics().num_workers().max(1) as f64;
        let spent = now_busy.saturating_sub(busy).as_secs_f64() / (now - since).as_secs_f64().max(1e-3) / workers;
        IDLE_PPM.set(((1.0 - spent).clamp(0.0, 1.0) * 1e6) as i64);
        (busy, since) = (now_busy, now);
    }
}

/// The share of their time for which workers had nothing to do, 0 to 1.
pub(super) fn idle_share() -> f64 {
    IDLE_PPM.get() as f64 / 1e6
}

/// For how long each of the runtime's workers was busy.
pub(super) fn busy_times() -> impl Iterator<Item = Duration> {
    let metrics = Handle::current().metrics();
    (0..metrics.num_workers()).map(move |worker| metrics.worker_total_busy_duration(worker))
}
