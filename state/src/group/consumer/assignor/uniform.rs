//! The uniform assignor for members that all subscribe to the same topics: in one pass over the partitions.

use std::collections::VecDeque;

use super::Input;
use super::table::Table;
use crate::group::consumer::record::Assignment;

/// Everybody gets the same number, give or take one, and keeps as much as that allows.
pub(super) fn assign(input: &Input<'_>) -> Vec<Assignment> {
    let mut table = Table::retaining(input);
    let wanted = &input.members[0].topics;
    let quotas = quotas(&table.counts, wanted.iter().map(|&topic| input.topics[topic].1).sum());
    shed(&mut table, &quotas);
    let mut needy: VecDeque<usize> =
        (0..quotas.len()).filter(|&member| table.counts[member] < quotas[member]).collect();
    for &topic in wanted.iter() {
        for owner in table.owners[topic].iter_mut().filter(|owner| owner.is_none()) {
            // The quotas add up to the partitions, so nobody is left over and nothing either.
            let Some(member) = needy.pop_front() else { continue };
            *owner = Some(member);
            table.counts[member] += 1;
            if table.counts[member] < quotas[member] {
                needy.push_back(member);
            }
        }
    }
    table.into_assignments(input)
}

/// How many partitions each member gets. One more goes first to those who have more already, so that they keep it.
fn quotas(counts: &[usize], partitions: usize) -> Vec<usize> {
    let (least, mut more) = (partitions / counts.len(), partitions % counts.len());
    let mut quotas = vec![least; counts.len()];
    for has_more in [true, false] {
        for (quota, count) in quotas.iter_mut().zip(counts) {
            if more > 0 && (*count > least) == has_more {
                *quota += 1;
                more -= 1;
            }
        }
    }
    quotas
}

/// Takes away what is above the quotas, the last partitions first.
fn shed(table: &mut Table, quotas: &[usize]) {
    for owner in table.owners.iter_mut().rev().flat_map(|owners| owners.iter_mut().rev()) {
        if let Some(member) = *owner
            && table.counts[member] > quotas[member]
        {
            table.counts[member] -= 1;
            *owner = None;
        }
    }
}
