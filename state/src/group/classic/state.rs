//! A classic group and its members.

use std::fmt;

/// Where a group stands.
///
/// ```text
///                        last member gone
///            ┌───────────────────────────────────────┐
///            ▼                                       │
///   ┌──► Empty ──first member──► PreparingRebalance ─┤◄─────────────┬───────────────┐
///   │                                │               │              │               │
///   │                     all joined, or time is up  │     member joins, leaves,     │
///   │                                ▼               │     dies or changes           │
///   │                       CompletingRebalance ─────┴──────────────┘               │
///   │                                │                                              │
///   │                      leader sent assignments, logged                          │
///   │                                ▼                                              │
///   │                             Stable ───────────────────────────────────────────┘
///   │
///   └── created          Empty ──no offsets, or deleted──► Dead (no longer held)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClassicGroupState {
    /// No members; there may be offsets.
    Empty,
    /// Waiting for members to join.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Everybody has an assignment.
    Stable,
    /// There is no such group.
    Dead,
}

impl ClassicGroupState {
    /// The name that Kafka gives it on the wire.
    pub fn name(self) -> &'static str {
        match self {
            ClassicGroupState::Empty => "Empty",
            ClassicGroupState::PreparingRebalance => "PreparingRebalance",
            ClassicGroupState::CompletingRebalance => "CompletingRebalance",
            ClassicGroupState::Stable => "Stable",
            ClassicGroupState::Dead => "Dead",
        }
    }
}

impl fmt::Display for ClassicGroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
