//! What a broker does with its logs while nobody asks: retention, rolling, checkpoints.

use std::sync::Arc;
use std::time::Duration;

use storage::StorageError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::error;

use crate::broker::Broker;
use crate::clock::wall_ms;

/// How often log start offsets are written, whether or not anything was flushed.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);
/// The shortest time between two looks at the budget of all logs, however much is appended.
const TOTAL_RETENTION_PAUSE: Duration = Duration::from_secs(1);

/// Runs until `stop` changes.
pub(crate) async fn housekeeping(broker: Arc<Broker>, mut stop: watch::Receiver<bool>) {
    let start = Instant::now();
    let (mut next_checkpoint, mut next_retention) =
        (start + CHECKPOINT_INTERVAL, start + broker.config().log_retention_check_interval);
    let mut earliest = start;
    loop {
        tokio::select! {
            () = sleep_until(next_checkpoint.min(next_retention)) => {}
            () = total_retention_due(&broker, earliest) => {}
            _ = stop.changed() => return,
        }
        let now = Instant::now();
        let (retention, checkpoint) = (now >= next_retention, now >= next_checkpoint);
        if checkpoint {
            broker.quotas().expire(broker.clock().now().monotonic_ms);
        }
        let worker = Arc::clone(&broker);
        let work = tokio::task::spawn_blocking(move || {
            if checkpoint {
                worker.telemetry().expire(worker.clock().now().monotonic_ms);
            }
            // Nothing may be changed any more in a directory that does not keep what it is told.
            if worker.partitions().log_dir().state().offline().is_some() {
                return;
            }
            if retention {
                apply_retention(&worker);
            }
            apply_total_retention(&worker);
            if (retention || checkpoint)
                && let Err(error) = worker.partitions().checkpoint()
            {
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
        earliest = Instant::now() + TOTAL_RETENTION_PAUSE;
    }
}

/// Given up half way it loses nothing: whatever wakes the housekeeping, it looks at the budget.
async fn total_retention_due(broker: &Broker, earliest: Instant) {
    broker.partitions().total_retention().asked().await;
    sleep_until(earliest).await;
}

fn apply_retention(broker: &Broker) {
    for partition in broker.partitions().all() {
        match partition.log().apply_retention(wall_ms()) {
            // Closed: its topic was deleted meanwhile.
            Ok(_) | Err(StorageError::Closed) => {}
            Err(error) => error!(%partition, %error, "old segments could not be deleted"),
        }
    }
}

fn apply_total_retention(broker: &Broker) {
    let partitions = broker.partitions();
    let limit_bytes = broker.config().log_retention_total.map(|limit| match partitions.volume() {
        Ok((_, volume_bytes)) => limit.bytes_of(volume_bytes),
        // Of a volume that does not say how large it is, every part is all of it.
        Err(_) => limit.bytes_of(u64::MAX),
    });
    partitions.total_retention().apply(&partitions.all(), limit_bytes);
}
