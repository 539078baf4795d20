//! Whether the broker lives, and whether it is ready for clients; if not, why.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use crate::broker::Broker;

/// What the broker is doing, in the numbers of Kafka's BrokerState.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Reading the configuration and the metadata log.
    Starting = 1,
    /// Opening and checking logs.
    Recovering = 2,
    /// Serving.
    Running = 3,
    /// Flushing and closing.
    Stopping = 6,
}

/// What probes ask for. It is there before the broker is.
pub(crate) struct Health {
    phase: AtomicU8,
    /// Weak, since whoever asks over HTTP must not keep the data directory open.
    broker: OnceLock<Weak<Broker>>,
}

impl Health {
    /// Of a broker that is about to start.
    pub(crate) fn new() -> Arc<Health> {
        Arc::new(Health { phase: AtomicU8::new(Phase::Starting as u8), broker: OnceLock::new() })
    }

    /// The broker that is meant. The first one counts.
    pub(crate) fn watch(&self, broker: &Arc<Broker>) {
        let _ = self.broker.set(Arc::downgrade(broker));
    }

    /// What it does from now on.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// What it does now.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            1 => Phase::Starting,
            2 => Phase::Recovering,
            3 => Phase::Running,
            _ => Phase::Stopping,
        }
    }

    /// The broker, from when its logs are being opened until it has stopped.
    pub(crate) fn broker(&self) -> Option<Arc<Broker>> {
        self.broker.get().and_then(Weak::upgrade)
    }

    /// Whether clients are served.
    ///
    /// # Errors
    /// Why not, in one sentence.
    pub(crate) fn ready(&self) -> Result<(), String> {
        match self.phase() {
            Phase::Starting => return Err("starting: the metadata log is being read".into()),
            Phase::Recovering => return Err("recovering: logs are being opened and checked".into()),
            Phase::Stopping => return Err("shutting down".into()),
            Phase::Running => {}
        }
        let Some(broker) = self.broker() else { return Err("shutting down".into()) };
        let log_dir = broker.partitions().log_dir();
        match log_dir.state().offline() {
            None => Ok(()),
            Some(reason) => Err(format!(
                "log directory offline: {} takes no more writes since flushing {} failed: {}; check the disk and \
                 restart the broker",
                log_dir.path().display(),
                reason.path.display(),
                reason.error,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_ready_says_why() {
        let health = Health::new();
        for (phase, word) in
            [(Phase::Starting, "starting"), (Phase::Recovering, "recovering"), (Phase::Stopping, "shutting down")]
        {
            health.enter(phase);
            assert_eq!(health.phase(), phase);
            assert!(health.ready().unwrap_err().contains(word), "{phase:?}");
        }
        health.enter(Phase::Running);
        assert_eq!(health.ready(), Err("shutting down".into()), "the broker is gone");
    }
}
