//! What is counted of each API: requests by version, errors in its answers, times, and who waits.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use protocol::ErrorCode;
use protocol::api::Message;

use super::instruments::{Counter, Gauge, Histogram};

/// The numbers of one API.
pub(crate) struct ApiStats {
    first_version: i16,
    by_version: Box<[Counter]>,
    /// By the order of [`ErrorCode::ALL`], so that no answer makes a new one.
    by_error: Box<[Counter]>,
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
            by_error: ErrorCode::ALL.iter().map(|_| Counter::new()).collect(),
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

    /// An answer leaves: each of its error codes counts, success too, as in Kafka.
    pub(crate) fn answers(&self, answer: &impl Message) {
        answer.visit_errors(&mut |code| {
            let place = ErrorCode::ALL.binary_search(&code).unwrap_or(0);
            self.by_error[place].add(1);
        });
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

    /// Error codes in answers so far.
    pub(super) fn errors(&self) -> impl Iterator<Item = (ErrorCode, u64)> {
        ErrorCode::ALL.iter().copied().zip(self.by_error.iter().map(Counter::get))
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

#[cfg(test)]
mod tests {
    use protocol::messages::metadata::{MetadataResponse, MetadataResponsePartition, MetadataResponseTopic};

    use super::*;

    #[test]
    fn every_code_of_an_answer_counts_wherever_it_stands() {
        let partition = |error_code| MetadataResponsePartition { error_code, ..Default::default() };
        let topic = |error_code, partitions| MetadataResponseTopic { error_code, partitions, ..Default::default() };
        let well = vec![partition(ErrorCode::NONE), partition(ErrorCode::LEADER_NOT_AVAILABLE)];
        // A code that nobody has named is told as UNKNOWN_SERVER_ERROR, or labels would know no bounds.
        let topics = vec![topic(ErrorCode::NONE, well), topic(ErrorCode(30_000), Vec::new())];
        let stats = ApiStats::new(&(0..=1));
        stats.answers(&MetadataResponse { topics, ..Default::default() });
        let counted: Vec<_> = stats.errors().filter(|(_, count)| *count > 0).collect();
        let names = [ErrorCode::UNKNOWN_SERVER_ERROR, ErrorCode::NONE, ErrorCode::LEADER_NOT_AVAILABLE];
        assert_eq!(counted, names.into_iter().zip([1, 3, 1]).collect::<Vec<_>>());
    }
}
