//! The classic group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

mod state;

pub use state::ClassicGroupState;
