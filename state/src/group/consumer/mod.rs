//! The consumer group protocol (KIP-848): one request, ConsumerGroupHeartbeat, and the coordinator assigns.
//!
//! Three epochs order everything. The group's grows when who is in or what they want has changed. The assignment's is
//! the group epoch that the targets were computed for. A member's is the target it has come to: it moves on only after
//! it has given back what it shall not have, so that two members never read one partition.
//!
//! [`state`] is the group as the log has it, and takes records; [`heartbeat`] and [`departure`] decide; [`subscription`]
//! says who wants what, [`assignor`] divides, [`reconcile`] takes one member a step further. What is decided is a list
//! of records whose every prefix leaves a group that the next heartbeat puts right: the group's epoch is raised first.
//!
//! Members of the classic protocol may be in such a group too: [`migration`] turns a group of one protocol into one of
//! the other, [`classic_member`] answers theirs, and [`embedded`] reads and writes what they would tell each other.

mod assignor;
mod classic_member;
mod commit;
mod departure;
mod describe;
mod door;
mod embedded;
mod heartbeat;
mod migration;
mod reconcile;
mod record;
mod record_format;
mod state;
mod subscription;
mod topics;

use protocol::ErrorCode;

pub use assignor::Assignor;
pub(crate) use commit::CommitRight;
pub(crate) use describe::describe;
pub(crate) use door::{consumer_heartbeat, heartbeat_refused};
pub use record::*;
pub(crate) use state::ConsumerGroup;
pub use state::ConsumerGroupState;
pub use topics::{PatternCompiler, TopicMatcher, Topics};

/// Why a request was refused: a code, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) error: ErrorCode,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(error: ErrorCode, message: String) -> Refused {
        Refused { error, message }
    }
}

/// The epoch with which a member joins.
pub(crate) const JOIN_EPOCH: i32 = 0;
/// The epoch with which a member leaves.
pub(crate) const LEAVE_EPOCH: i32 = -1;
/// The epoch with which a static member leaves for now.
pub(crate) const LEAVE_STATIC_EPOCH: i32 = -2;
