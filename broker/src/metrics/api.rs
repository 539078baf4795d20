//! What is counted of each API: requests by version, times, and who waits.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::instruments::{Counter, Gauge, Histogram};

/// The numbers of one API.
pub(crate) struct ApiStats {
    first_version: i16,
    by_version: Box<[Counter]>,
    /// From the whole request to the whole answer.
    pub(crate) total: Histogram,
    /// Until its effects were ordered.
    pub(crate) local: Histogram,
    /// From then until what it waited for had happened.
    pub(crate) remote: Histogram,
    waiting: Gauge,
}

impl ApiStats {
    pub(crate) fn new(versions: &RangeInclusive<i16>) -> Arc<ApiStats> {
        Arc::new(ApiStats {
            first_version: *versions.start(),
            by_version: versions.clone().map(|_| Counter::new()).collect(),
            total: Histogram::new(),
            local: Histogram::new(),
            remote: Histogram::new(),
            waiting: Gauge::new(),
        })
    }

    /// A request came.
    pub(crate) fn came(&self, version: i16) {
        let place = usize::try_from(version - self.first_version).ok();
        if let Some(counter) = place.and_then(|place| self.by_version.get(place)) {
            counter.add(1);
        }
    }

    /// It is answered, or needs no answer.
    pub(crate) fn answered(&self, local: Duration) {
        self.local.record_time(local);
        self.total.record_time(local);
    }

    /// It waits for something, until the guard says that it is answered, or is dropped with its connection.
    pub(crate) fn waits(self: &Arc<Self>, local: Duration) -> Waiting {
        self.local.record_time(local);
        self.waiting.add(1);
        Waiting(Arc::clone(self))
    }

    /// Requests of each version so far.
    pub(super) fn requests(&self) -> impl Iterator<Item = (i16, u64)> {
        (self.first_version..).zip(self.by_version.iter().map(Counter::get))
    }

    /// Requests that wait now.
    pub(super) fn waiting(&self) -> i64 {
        self.waiting.get()
    }

    pub(super) fn turn(&self) {
        [&self.total, &self.local, &self.remote].into_iter().for_each(Histogram::turn);
    }
}

/// A request that waits.
pub(crate) struct Waiting(Arc<ApiStats>);

impl Waiting {
    /// It has what it waited for.
    pub(crate) fn answered(self, total: Duration, remote: Duration) {
        self.0.remote.record_time(remote);
        self.0.total.record_time(total);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.add(-1);
    }
}
