//! A load generator for anything that speaks Kafka's protocol: what is to be done as a value, what came of it as a value.
//!
//! It is open-loop where a rate is asked for: record *i* is due at a moment that does not depend on how the broker does,
//! and its latency counts from that moment. A broker that stalls for a second therefore shows a second, in every
//! percentile that the second's records reach, and not one slow request (coordinated omission).
//!
//! It is a crate of its own because two want it, `ottla perf` and the comparisons in `benches/`, and because `client`,
//! which brokers use among themselves, has no need of histograms. It shares the client's view of a cluster and opens
//! connections of its own: one task for each, which writes a request as soon as it is due and there is room in flight.
//!
//! Start at `workload.rs` (what can be asked for) and `run.rs` (how it is carried out). `schedule.rs` decides when a record
//! is due, without a clock of its own; `sender.rs` and `reader.rs` are the two kinds of connections; `tally.rs` counts.

mod clock;
mod crew;
mod frames;
mod link;
mod member;
#[cfg(test)]
mod moves;
mod openmessaging;
mod payload;
mod reader;
mod rebalance;
mod routes;
mod run;
mod schedule;
mod sender;
mod session;
mod summary;
mod tally;
mod topics;
mod transactions;
mod workload;

pub use openmessaging::OpenMessaging;
pub use rebalance::{Rebalance, Rebalanced, rebalance};
pub use run::{Phase, Progress, delete_topics, run};
pub use summary::{Latency, Pace, Side, Summary};
pub use transactions::{Transact, Transacted, TransactionSize, transact};
pub use workload::{Consume, Fetching, Length, LoadError, NewTopic, Produce, Start, Topics, Values, Workload};

/// How it introduces itself to a broker.
const CLIENT_ID: &str = "ottla-perf";
