//! What can be asked of a cluster and done to it: the work behind the native verbs and behind Kafka's tools, which
//! differ in what they print.

pub(crate) mod configs;
pub(crate) mod elections;
pub(crate) mod endpoint;
pub(crate) mod features;
pub(crate) mod groups;
pub(crate) mod nodes;
pub(crate) mod offsets;
pub(crate) mod quorum;
pub(crate) mod quotas;
pub(crate) mod reassignments;
pub(crate) mod records;
pub(crate) mod topics;
pub(crate) mod transactions;

/// How long the broker may take to create or delete, ms.
const TIMEOUT_MS: i32 = 20_000;
