//! What a client may do, as bit sets: one bit per operation of Kafka's ACLs (KIP-430).
//!
//! There is no authorizer, so everybody may do everything that makes sense for the kind of resource.

/// Answered when the client did not ask.
const NOT_ASKED: i32 = i32::MIN;

const READ: i32 = 1 << 3;
const WRITE: i32 = 1 << 4;
const CREATE: i32 = 1 << 5;
const DELETE: i32 = 1 << 6;
const ALTER: i32 = 1 << 7;
const DESCRIBE: i32 = 1 << 8;
const CLUSTER_ACTION: i32 = 1 << 9;
const DESCRIBE_CONFIGS: i32 = 1 << 10;
const ALTER_CONFIGS: i32 = 1 << 11;
const IDEMPOTENT_WRITE: i32 = 1 << 12;

/// Every operation on a topic.
pub(crate) const ANY_TOPIC: i32 = READ | WRITE | CREATE | DELETE | ALTER | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS;
/// Every operation on a group.
pub(crate) const ANY_GROUP: i32 = READ | DELETE | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS;
/// Every operation on the cluster.
pub(crate) const ANY_CLUSTER: i32 =
    CREATE | ALTER | DESCRIBE | CLUSTER_ACTION | DESCRIBE_CONFIGS | ALTER_CONFIGS | IDEMPOTENT_WRITE;

/// `all` if the client asked, else the value that says it did not.
pub(crate) fn operations(asked: bool, all: i32) -> i32 {
    if asked { all } else { NOT_ASKED }
}
