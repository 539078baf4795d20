//! What goes in and out of a partition, counted where it happens.

use crate::metrics::Counter;

/// How many kinds there are.
pub(crate) const FLOWS: usize = 10;

/// What is counted, as Kafka's BrokerTopicMetrics does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    MessagesIn,
    BytesIn,
    BytesOut,
    BytesRejected,
    ProduceRequests,
    FailedProduceRequests,
    FetchRequests,
    FailedFetchRequests,
    /// Records that came in a format before record batches.
    ProduceConversions,
    /// Records that left in one.
    FetchConversions,
}

/// The counters of one partition, or of all together.
#[derive(Debug)]
pub(crate) struct Traffic([Counter; FLOWS]);

/// Everything since the start, that of deleted and unknown topics too.
pub(crate) static ALL_TRAFFIC: Traffic = Traffic::new();

impl Traffic {
    pub(super) const fn new() -> Traffic {
        Traffic([const { Counter::new() }; FLOWS])
    }

    /// Counts here and for all.
    pub(crate) fn count(&self, flow: Flow, count: u64) {
        self.0[flow as usize].add(count);
        ALL_TRAFFIC.0[flow as usize].add(count);
    }

    /// Counts what no partition can be found for.
    pub(crate) fn count_lost(flow: Flow) {
        ALL_TRAFFIC.0[flow as usize].add(1);
    }

    pub(crate) fn get(&self, flow: Flow) -> u64 {
        self.0[flow as usize].get()
    }

    /// All of them, by the order of [`Flow`].
    pub(crate) fn read(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(Counter::get)
    }
}
