//! Who has each partition, while an assignment is being made.

use super::Input;
use crate::group::consumer::record::Assignment;

/// Who has each partition, by topic and index.
pub(super) struct Table {
    /// `None` for a partition that is free.
    pub(super) owners: Vec<Vec<Option<usize>>>,
    /// How many partitions each member has.
    pub(super) counts: Vec<usize>,
}

impl Table {
    /// Everybody has what they had, as far as it exists and they still subscribe to it. Where two had the same
    /// partition, the first has it.
    pub(super) fn retaining(input: &Input<'_>) -> Table {
        let owners = input.topics.iter().map(|(_, partitions)| vec![None; *partitions]).collect();
        let mut table = Table { owners, counts: vec![0; input.members.len()] };
        for (member, candidate) in input.members.iter().enumerate() {
            for (topic_id, partitions) in candidate.previous {
                let Ok(topic) = input.topics.binary_search_by_key(topic_id, |(id, _)| *id) else { continue };
                if candidate.topics.binary_search(&topic).is_err() {
                    continue;
                }
                for &partition in partitions {
                    let owner = usize::try_from(partition).ok().and_then(|place| table.owners[topic].get_mut(place));
                    if let Some(owner @ None) = owner {
                        *owner = Some(member);
                        table.counts[member] += 1;
                    }
                }
            }
        }
        table
    }

    /// What each member has.
    pub(super) fn into_assignments(self, input: &Input<'_>) -> Vec<Assignment> {
        let mut assignments = vec![Assignment::new(); input.members.len()];
        for ((topic_id, _), owners) in input.topics.iter().zip(&self.owners) {
            for (partition, owner) in (0..).zip(owners) {
                if let Some(member) = owner {
                    assignments[*member].entry(*topic_id).or_default().push(partition);
                }
            }
        }
        assignments
    }
}
