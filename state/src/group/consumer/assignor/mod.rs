//! Who gets which partition: the assignors that run in the coordinator.
//!
//! [`Assignor::assign`] is a function of its input, and of nothing else: members in their order, topics in theirs.

mod general;
mod range;
mod table;
#[cfg(test)]
mod tests;
mod uniform;

use std::sync::Arc;

use protocol::Uuid;

use super::record::Assignment;

/// A way to divide partitions among members (`group.consumer.assignors`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// All members have the same number of partitions, give or take one, and keep what they have.
    Uniform,
    /// Each member has a range of every topic, the same one where topics have as many partitions: for joins.
    Range,
}

impl Assignor {
    /// All there are.
    pub const ALL: [Assignor; 2] = [Assignor::Uniform, Assignor::Range];

    /// The name that clients and config files use.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }

    /// The assignor of that name.
    pub fn from_name(name: &str) -> Option<Assignor> {
        Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// What each member gets, in the order of the members. Every partition of a topic that anybody subscribes to goes
    /// to exactly one of its subscribers.
    pub(crate) fn assign(self, input: &Input<'_>) -> Vec<Assignment> {
        match self {
            _ if input.members.is_empty() => Vec::new(),
            Assignor::Uniform if input.is_homogeneous() => uniform::assign(input),
            Assignor::Uniform => general::assign(input),
            Assignor::Range => range::assign(input),
        }
    }
}

/// A member that wants partitions.
pub(crate) struct Candidate<'a> {
    pub(crate) member_id: &'a str,
    pub(crate) instance_id: Option<&'a str>,
    /// What it subscribes to, ascending: places in [`Input::topics`].
    pub(crate) topics: Arc<[usize]>,
    /// What it was meant to have so far.
    pub(crate) previous: &'a Assignment,
}

/// What an assignment is computed from.
pub(crate) struct Input<'a> {
    pub(crate) members: Vec<Candidate<'a>>,
    /// Topics and how many partitions they have, ascending by id.
    pub(crate) topics: Vec<(Uuid, usize)>,
}

impl Input<'_> {
    /// Whether all members subscribe to the same topics.
    fn is_homogeneous(&self) -> bool {
        let same =
            |pair: &[Candidate<'_>]| Arc::ptr_eq(&pair[0].topics, &pair[1].topics) || pair[0].topics == pair[1].topics;
        self.members.windows(2).all(same)
    }

    /// Who subscribes to each topic, in the order of the members.
    fn subscribers(&self) -> Vec<Vec<usize>> {
        let mut subscribers = vec![Vec::new(); self.topics.len()];
        for (member, candidate) in self.members.iter().enumerate() {
            for &topic in candidate.topics.iter() {
                subscribers[topic].push(member);
            }
        }
        subscribers
    }
}
