//! How a member comes from what it has to what it shall have, without two members ever reading one partition.
//!
//! ```text
//!            target changed, nothing to give back and all is free
//!   Stable ◄───────────────────────────────────────────────────────┐
//!     │                                                            │
//!     │ something to give back        given back                   │
//!     ├──────────────────► UnrevokedPartitions ──► (decides anew) ─┤
//!     │                                                            │
//!     │ others have not given back    they have                    │
//!     └──────────────────► UnreleasedPartitions ─► (decides anew) ─┘
//! ```
//! A member stays at its epoch until it has given back what it shall not have. Then it moves to the epoch of the
//! target, and gets what is free, and the rest as it becomes free.

use protocol::Uuid;

use super::record::{Assignment, CurrentAssignment, MemberState, OwnedPartitions};

/// What a member says that it reads: topics and partitions.
pub(crate) type ReportedPartitions = [(Uuid, Vec<i32>)];

/// What decides about one member's next step.
pub(crate) struct Reconciliation<'a> {
    /// The group epoch that the target is for.
    pub(crate) target_epoch: i32,
    /// What the member shall have.
    pub(crate) target: &'a Assignment,
    /// Whether the member subscribes to a topic.
    pub(crate) is_subscribed: &'a dyn Fn(&Uuid) -> bool,
    /// Whether another member has a partition.
    pub(crate) is_taken: &'a dyn Fn(Uuid, i32) -> bool,
    /// What the member says that it reads. `None` if it said nothing.
    pub(crate) reported: Option<&'a ReportedPartitions>,
    /// Whether the member subscribes to something else since this request.
    pub(crate) subscription_changed: bool,
}

impl Reconciliation<'_> {
    /// The member's next assignment; `None` if it stays as it is.
    pub(crate) fn next(&self, current: &CurrentAssignment) -> Option<CurrentAssignment> {
        match current.state {
            MemberState::Stable if current.member_epoch != self.target_epoch => Some(self.decide(current)),
            MemberState::Stable if self.subscription_changed => self.without_unsubscribed(current),
            MemberState::Stable => None,
            MemberState::UnrevokedPartitions if self.has_any(&current.pending_revocation) => {
                if self.subscription_changed { self.without_unsubscribed(current) } else { None }
            }
            MemberState::UnrevokedPartitions => Some(self.decide(current)),
            MemberState::UnreleasedPartitions => Some(self.decide(current)).filter(|next| {
                // The epoch before is forgotten only when the member moves on.
                next.state != current.state
                    || next.member_epoch != current.member_epoch
                    || next.assigned != current.assigned
                    || next.pending_revocation != current.pending_revocation
            }),
        }
    }

    /// Whether the member still reads any of these. It does if it does not say.
    fn has_any(&self, partitions: &OwnedPartitions) -> bool {
        let Some(reported) = self.reported else { return !partitions.is_empty() };
        reported.iter().any(|(topic, reported)| {
            partitions
                .get(topic)
                .is_some_and(|pending| reported.iter().any(|partition| pending.contains_key(partition)))
        })
    }

    fn decide(&self, current: &CurrentAssignment) -> CurrentAssignment {
        let mut kept = OwnedPartitions::new();
        let mut revoked = OwnedPartitions::new();
        for (topic, partitions) in &current.assigned {
            let target = self.target.get(topic).filter(|_| (self.is_subscribed)(topic));
            for (&partition, &epoch) in partitions {
                let stays = target.is_some_and(|target| target.binary_search(&partition).is_ok());
                let into = if stays { &mut kept } else { &mut revoked };
                into.entry(*topic).or_default().insert(partition, epoch);
            }
        }
        if self.has_any(&revoked) {
            return CurrentAssignment {
                member_epoch: current.member_epoch,
                previous_member_epoch: current.member_epoch,
                state: MemberState::UnrevokedPartitions,
                assigned: kept,
                pending_revocation: revoked,
            };
        }
        let mut all_free = true;
        for (topic, target) in self.target.iter().filter(|(topic, _)| (self.is_subscribed)(topic)) {
            for &partition in target {
                let has_it = kept.get(topic).is_some_and(|kept| kept.contains_key(&partition));
                if !has_it && (self.is_taken)(*topic, partition) {
                    all_free = false;
                } else if !has_it {
                    kept.entry(*topic).or_default().insert(partition, self.target_epoch);
                }
            }
        }
        CurrentAssignment {
            member_epoch: self.target_epoch,
            previous_member_epoch: current.member_epoch,
            state: if all_free { MemberState::Stable } else { MemberState::UnreleasedPartitions },
            assigned: kept,
            pending_revocation: OwnedPartitions::new(),
        }
    }

    /// Takes away at once what the member does not subscribe to any more, before there is a new target.
    fn without_unsubscribed(&self, current: &CurrentAssignment) -> Option<CurrentAssignment> {
        let is_gone = |topic: &Uuid| !(self.is_subscribed)(topic);
        if !current.assigned.keys().any(is_gone) {
            return None;
        }
        let mut next = CurrentAssignment { previous_member_epoch: current.member_epoch, ..current.clone() };
        next.assigned.retain(|topic, _| !is_gone(topic));
        let mut pending = current.pending_revocation.clone();
        for (topic, partitions) in current.assigned.iter().filter(|(topic, _)| is_gone(topic)) {
            pending.entry(*topic).or_default().extend(partitions);
        }
        if self.has_any(&pending) {
            next.state = MemberState::UnrevokedPartitions;
            next.pending_revocation = pending;
        }
        Some(next)
    }
}
