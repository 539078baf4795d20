//! What a broker does with its logs while nobody asks: retention, rolling, checkpoints.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::error;

use crate::broker::Broker;
use crate::clock::wall_ms;

/// How often recovery points and log start offsets are written (`log.flush.offset.checkpoint.interval.ms`).
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);

/// Runs until `stop` changes.
pub(crate) async fn housekeeping(broker: Arc<Broker>, mut stop: watch::Receiver<bool>) {
    let start = Instant::now();
    let (mut next_checkpoint, mut next_retention) =
        (start + CHECKPOINT_INTERVAL, start + broker.config().log_retention_check_interval);
    loop {
        tokio::select! {
            () = sleep_until(next_checkpoint.min(next_retention)) => {}
            _ = stop.changed() => return,
        }
        let now = Instant::now();
        let (retention, checkpoint) = (now >= next_retention, now >= next_checkpoint);
        let worker = Arc::clone(&broker);
        let work = tokio::task::spawn_blocking(move || {
            if retention {
                apply_retention(&worker);
            }
            if let Err(error) = worker.partitions().checkpoint() {
                error!(%error, "checkpoints could not be written; a restart after a crash will take longer");
            }
        });
        // A panic in it was reported by the panic hook already.
        let _ = work.await;
        if retention {
            next_retention = now + broker.config().log_retention_check_interval;
        }
        if checkpoint {
            next_checkpoint = now + CHECKPOINT_INTERVAL;
        }
    }
}

fn apply_retention(broker: &Broker) {
    for partition in broker.partitions().all() {
        if let Err(error) = partition.log().apply_retention(wall_ms()) {
            error!(%partition, %error, "old segments could not be deleted");
        }
    }
}
