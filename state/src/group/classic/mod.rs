//! The classic group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
//!
//! Members join; when all are there or time is up, one of them, the leader, learns who is in and what each can do,
//! and sends back what each gets. The coordinator never looks into either: assignment is the clients' business.
//!
//! [`state`] is the group and what may be asked of it; the other files are one request or one phase each, and add
//! methods to [`state::ClassicGroup`].

mod commit;
mod heartbeat;
mod join;
mod leave;
mod member;
mod migration;
mod rebalance;
mod state;
mod subscription;
mod sync;

pub(crate) use join::join_failed;
pub(crate) use state::ClassicGroup;
pub use state::ClassicGroupState;
pub(crate) use sync::sync_failed;
