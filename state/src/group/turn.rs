//! One call into the machine: what time it is, what is configured, and what came out so far.

use protocol::ErrorCode;

use super::classic::{join_failed, sync_failed};
use super::{GroupConfig, GroupCoordinator, GroupRecord, GroupResponse, GroupTotals};
use crate::machine::{Now, Output, Reply, ReplyTo, When};

/// Handed down to whatever decides, so that no function takes six arguments.
pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    pub(crate) config: &'a GroupConfig,
    pub(crate) totals: &'a mut GroupTotals,
    pub(crate) out: &'a mut Output<GroupCoordinator>,
}

impl Turn<'_> {
    /// Answers once everything logged so far is committed.
    pub(crate) fn reply(&mut self, to: ReplyTo, response: GroupResponse) {
        self.out.replies.push(Reply { to, response, when: When::Committed });
    }

    /// Answers at once.
    pub(crate) fn reply_now(&mut self, to: ReplyTo, response: GroupResponse) {
        self.out.replies.push(Reply { to, response, when: When::Now });
    }

    /// Refuses a JoinGroup.
    pub(crate) fn refuse_join(&mut self, to: ReplyTo, error: ErrorCode, member_id: &str) {
        self.reply(to, GroupResponse::Join(join_failed(error, member_id)));
    }

    /// Refuses a SyncGroup.
    pub(crate) fn refuse_sync(&mut self, to: ReplyTo, error: ErrorCode) {
        self.reply(to, GroupResponse::Sync(sync_failed(error)));
    }

    pub(crate) fn log(&mut self, record: GroupRecord) {
        self.out.records.push(record);
    }

    /// The monotonic moment `ms` from now. A negative duration, which a client may send, counts as none.
    pub(crate) fn after_ms(&self, ms: i32) -> u64 {
        self.now.monotonic_ms.saturating_add(u64::try_from(ms).unwrap_or(0))
    }
}
