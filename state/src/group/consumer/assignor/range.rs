//! The range assignor: each member gets a range of every topic, and the same range of topics of the same size. Whoever
//! joins two topics by key finds both sides in one member.

use super::table::Table;
use super::{Candidate, Input};
use crate::group::consumer::record::Assignment;

pub(super) fn assign(input: &Input<'_>) -> Vec<Assignment> {
    let owners = input.topics.iter().map(|(_, partitions)| vec![None; *partitions]).collect();
    let mut table = Table { owners, counts: Vec::new() };
    for (topic, mut members) in input.subscribers().into_iter().enumerate() {
        if members.is_empty() {
            continue;
        }
        members.sort_by_key(|&member| rank(&input.members[member]));
        let partitions = input.topics[topic].1;
        let (least, more) = (partitions / members.len(), partitions % members.len());
        let mut rest = table.owners[topic].as_mut_slice();
        for (place, member) in members.into_iter().enumerate() {
            let (range, behind) = rest.split_at_mut(least + usize::from(place < more));
            range.fill(Some(member));
            rest = behind;
        }
    }
    table.into_assignments(input)
}

/// Static members first, by their instance ids: they keep their ranges when they come back under other member ids.
fn rank<'a>(member: &Candidate<'a>) -> (bool, &'a str) {
    (member.instance_id.is_none(), member.instance_id.unwrap_or(member.member_id))
}
