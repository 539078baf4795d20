//! A member of a classic group.

use bytes::Bytes;

use crate::group::consumer::ConsumerMemberMetadata;
use crate::group::{JoinRequest, MemberMetadata};
use crate::machine::ReplyTo;

/// Assignment strategies of a member, in its order of preference, each with what it says about itself.
pub(crate) type Protocols = Vec<(String, Bytes)>;

/// A member of a classic group.
pub(crate) struct Member {
    pub(crate) group_instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// Names are unique. Change it through the group, which counts them.
    pub(super) protocols: Protocols,
    pub(crate) assignment: Bytes,
    /// What the log has as its assignment: what it may still read while a rebalance is under way.
    pub(super) logged_assignment: Bytes,
    /// Its parked JoinGroup. Change it through the group, which counts them.
    pub(super) awaiting_join: Option<ReplyTo>,
    /// Its parked SyncGroup.
    pub(super) awaiting_sync: Option<ReplyTo>,
    /// Whether it has not yet been told its id, so that it cannot send heartbeats.
    pub(super) is_new: bool,
    /// When it is taken for dead. `None` after the deadline passed while the member was parked: whatever answers
    /// the parked request sets it again.
    pub(super) session_deadline_ms: Option<u64>,
}

impl Member {
    /// A member on its first JoinGroup.
    pub(super) fn joining(request: &JoinRequest, protocols: Protocols) -> Member {
        Member {
            group_instance_id: request.group_instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols,
            assignment: Bytes::new(),
            logged_assignment: Bytes::new(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: true,
            session_deadline_ms: None,
        }
    }

    /// A member as it stands in the log. Only the chosen protocol is logged.
    pub(super) fn logged(member: &MemberMetadata, protocol: &str) -> Member {
        Member {
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            session_timeout_ms: member.session_timeout_ms,
            protocols: vec![(protocol.to_owned(), member.subscription.clone())],
            assignment: member.assignment.clone(),
            logged_assignment: member.assignment.clone(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
            session_deadline_ms: None,
        }
    }

    /// A classic member of a group of the consumer protocol. `None` if it does not speak the classic protocol.
    pub(super) fn downgraded(metadata: &ConsumerMemberMetadata) -> Option<Member> {
        let classic = metadata.classic.as_ref()?;
        Some(Member {
            group_instance_id: metadata.instance_id.clone(),
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            rebalance_timeout_ms: metadata.rebalance_timeout_ms,
            session_timeout_ms: classic.session_timeout_ms,
            protocols: classic.protocols.clone(),
            assignment: Bytes::new(),
            logged_assignment: Bytes::new(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: false,
            session_deadline_ms: None,
        })
    }

    /// Assignment strategies in its order of preference, each with what it says about itself.
    pub(crate) fn protocols(&self) -> &Protocols {
        &self.protocols
    }

    /// What it may read until it joins again.
    pub(crate) fn logged_assignment(&self) -> &Bytes {
        &self.logged_assignment
    }

    /// Whether this is the member as the log has it, protocol and all. If not, it comes from an older generation.
    pub(super) fn said(&self, protocol: &str, logged: &MemberMetadata) -> bool {
        self.group_instance_id == logged.group_instance_id
            && self.protocols.iter().any(|(name, metadata)| name == protocol && *metadata == logged.subscription)
    }

    /// Takes over from the log what may have changed.
    pub(super) fn update(&mut self, logged: &MemberMetadata) {
        self.client_id.clone_from(&logged.client_id);
        self.client_host.clone_from(&logged.client_host);
        self.rebalance_timeout_ms = logged.rebalance_timeout_ms;
        self.session_timeout_ms = logged.session_timeout_ms;
        self.assignment = logged.assignment.clone();
        self.logged_assignment = logged.assignment.clone();
    }

    /// What it said about itself for one strategy; empty if it does not know it.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols
            .iter()
            .find(|(name, _)| name == protocol)
            .map(|(_, metadata)| metadata.clone())
            .unwrap_or_default()
    }

    pub(crate) fn is_static(&self) -> bool {
        self.group_instance_id.is_some()
    }

    pub(crate) fn is_awaiting_join(&self) -> bool {
        self.awaiting_join.is_some()
    }

    pub(crate) fn is_awaiting_sync(&self) -> bool {
        self.awaiting_sync.is_some()
    }

    /// Whether silence is no sign of death: a parked member waits for us. A new one does too, but it may as well
    /// have gone away without our knowing, and would come back under another id.
    pub(super) fn is_excused(&self) -> bool {
        !self.is_new && (self.is_awaiting_join() || self.is_awaiting_sync())
    }
}

/// Copies what a JoinGroup brought, so that keeping it does not keep the whole request in memory. Of two
/// protocols with one name, the first counts.
pub(super) fn own_protocols(protocols: &[(String, Bytes)]) -> Protocols {
    let mut names = std::collections::BTreeSet::new();
    protocols
        .iter()
        .filter(|(name, _)| names.insert(name.as_str()))
        .map(|(name, metadata)| (name.clone(), Bytes::copy_from_slice(metadata)))
        .collect()
}
