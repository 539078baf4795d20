//! What those who work on a broker share: the way to it, the history, and the moments at which it may be killed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{ClientError, Cluster};
use protocol::api::Request;
use tokio::sync::Notify;

use super::history::History;
use crate::actors::is_loss;

/// Where a producer is: what is lost when the broker is killed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// InitProducerId was answered.
    Initialised,
    /// Partitions are being added.
    Adding,
    /// Some records were written, others are on their way.
    Appending,
    /// The offsets' partition was added, or offsets are on their way.
    Offsets,
    /// EndTxn is on its way.
    Ending,
    /// EndTxn was answered, and markers are being written.
    Marking,
    /// InitProducerId is on its way, perhaps against an open transaction.
    TakingOver,
}

pub(crate) const PHASES: [Phase; 7] = [
    Phase::Initialised,
    Phase::Adding,
    Phase::Appending,
    Phase::Offsets,
    Phase::Ending,
    Phase::Marking,
    Phase::TakingOver,
];

/// What actors share.
#[derive(Clone)]
pub(crate) struct Stage {
    address: Arc<str>,
    /// To nobody else's connections.
    pub(crate) cluster: Cluster,
    history: Arc<Mutex<History>>,
    phases: Arc<[Notify; PHASES.len()]>,
    /// Once set, nobody begins anything new.
    over: Arc<AtomicBool>,
}

impl Stage {
    pub(crate) async fn new(address: &str) -> Stage {
        let cluster = Cluster::connect(address, "transactions").await.unwrap();
        Stage {
            address: address.into(),
            cluster,
            history: Arc::default(),
            phases: Arc::default(),
            over: Arc::default(),
        }
    }

    /// The same with connections of its own, so that nobody waits behind somebody else's answers.
    pub(crate) async fn for_another(&self) -> Stage {
        loop {
            match Cluster::connect(&self.address, "transactions").await {
                Ok(cluster) => return Stage { cluster, ..self.clone() },
                Err(error) => assert!(is_loss(&error), "{error}"),
            }
            pause().await;
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(crate) fn with_history<T>(&self, work: impl FnOnce(&mut History) -> T) -> T {
        work(&mut self.history.lock().unwrap())
    }

    /// Somebody is in this phase now.
    pub(crate) fn is_in(&self, phase: Phase) {
        self.phases[phase as usize].notify_waiters();
    }

    /// Returns when somebody comes into this phase.
    pub(crate) async fn until(&self, phase: Phase) {
        self.phases[phase as usize].notified().await;
    }

    /// Asks whichever broker lives now, once.
    pub(crate) async fn ask<R: Request>(&self, request: &R, version: i16) -> Result<R::Response, ClientError> {
        self.cluster.any().await?.send_version(request, version).await
    }

    /// Asks until somebody answers.
    pub(crate) async fn ask_on<R: Request>(&self, request: &R, version: i16) -> R::Response {
        loop {
            match self.ask(request, version).await {
                Ok(answer) => return answer,
                Err(error) => assert!(is_loss(&error), "{error}"),
            }
            pause().await;
        }
    }
}

/// Before the next attempt.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(3)).await;
}
