//! Keeps a start after a crash short: recovery points and restart points follow what is flushed.
//!
//! They cost two small fsyncs, on no one's way, so they come after so many flushed bytes that those do not count, or
//! after a while if there was anything.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::error;

use crate::broker::Broker;

/// So many flushed bytes call for a checkpoint at once.
pub(super) const CHECKPOINT_BYTES: u64 = 64 << 20;
/// Less is written down within this time.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);

/// Runs until `stop` changes.
pub(crate) async fn keep_checkpoints(broker: Arc<Broker>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = broker.partitions().checkpoint_due() => {}
            () = sleep(CHECKPOINT_INTERVAL) => {}
            _ = stop.changed() => return,
        }
        let log_dir = broker.partitions().log_dir();
        if log_dir.state().offline().is_some() || !log_dir.is_checkpoint_old() {
            continue;
        }
        let worker = Arc::clone(&broker);
        let written = tokio::task::spawn_blocking(move || worker.partitions().checkpoint()).await;
        // A panic in it was reported by the panic hook already.
        if let Ok(Err(error)) = written
            && broker.partitions().log_dir().state().offline().is_none()
        {
            error!(%error, "checkpoints could not be written; a restart after a crash will take longer. Check the disk and its free space");
        }
    }
}
