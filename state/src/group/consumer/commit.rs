//! Which offset commits and fetches a consumer group lets through.

use protocol::{ErrorCode, Uuid};

use super::state::{ConsumerGroup, Member};
use crate::group::Committer;

/// Which partitions a committer may commit.
pub(crate) enum CommitRight<'a> {
    /// All.
    All,
    /// Those that the member has had since it was at this epoch, at the latest: its answers may be on their way.
    AssignedBefore(i32, &'a Member),
}

impl CommitRight<'_> {
    /// Whether an offset of this partition may be committed.
    ///
    /// # Errors
    /// STALE_MEMBER_EPOCH.
    pub(crate) fn check(&self, topic_id: Option<Uuid>, partition: i32) -> Result<(), ErrorCode> {
        let CommitRight::AssignedBefore(epoch, member) = self else { return Ok(()) };
        let current = &member.current;
        let assigned = topic_id.and_then(|topic| {
            let owned = [&current.assigned, &current.pending_revocation];
            owned.into_iter().find_map(|owned| owned.get(&topic)?.get(&partition))
        });
        if assigned.is_some_and(|since| since <= epoch) { Ok(()) } else { Err(ErrorCode::STALE_MEMBER_EPOCH) }
    }
}

impl ConsumerGroup {
    /// Whether these offsets may be committed, outside a transaction or in one (KIP-848, KIP-1251).
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID; STALE_MEMBER_EPOCH, or ILLEGAL_GENERATION for a member that speaks the classic protocol;
    /// UNSUPPORTED_VERSION for a member whose request is older than its protocol.
    pub(crate) fn validate_commit(
        &self,
        committer: &Committer,
        is_transactional: bool,
        knows_stale_member_epoch: bool,
    ) -> Result<CommitRight<'_>, ErrorCode> {
        let epoch = committer.generation_id;
        let names_nobody = committer.member_id.is_empty() && committer.group_instance_id.is_none();
        if epoch < 0 && (self.members.is_empty() || (is_transactional && names_nobody)) {
            return Ok(CommitRight::All);
        }
        let member = self.members.get(committer.member_id.as_str()).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.metadata.classic.is_some() {
            return if epoch == member.current.member_epoch {
                Ok(CommitRight::All)
            } else {
                Err(ErrorCode::ILLEGAL_GENERATION)
            };
        }
        if !is_transactional && !knows_stale_member_epoch {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        match epoch.cmp(&member.current.member_epoch) {
            std::cmp::Ordering::Equal => Ok(CommitRight::All),
            std::cmp::Ordering::Less => Ok(CommitRight::AssignedBefore(epoch, member)),
            std::cmp::Ordering::Greater => Err(ErrorCode::STALE_MEMBER_EPOCH),
        }
    }

    /// Whether this member may fetch offsets. No member means an administrator.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH.
    pub(crate) fn validate_fetch(&self, member_id: Option<&str>, member_epoch: i32) -> Result<(), ErrorCode> {
        if member_id.is_none() && member_epoch < 0 {
            return Ok(());
        }
        let member = self.members.get(member_id.unwrap_or_default()).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.current.member_epoch == member_epoch { Ok(()) } else { Err(ErrorCode::STALE_MEMBER_EPOCH) }
    }
}
