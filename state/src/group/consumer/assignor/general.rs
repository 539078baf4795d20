//! The uniform assignor for members that subscribe to different topics.
//!
//! What is free goes to the subscriber with the least; then partitions move, one at a time, from whoever has two more
//! than another who could take them. Each move makes the assignment more even, so it ends.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::Input;
use super::table::Table;
use crate::group::consumer::record::Assignment;

/// How often all topics are gone through for moves. The first rounds do nearly everything; the limit keeps an odd set
/// of subscriptions from holding up the coordinator.
const ROUNDS_MAX: usize = 32;

pub(super) fn assign(input: &Input<'_>) -> Vec<Assignment> {
    let mut table = Table::retaining(input);
    let subscribers = input.subscribers();
    let mut order: Vec<usize> = (0..input.topics.len()).filter(|&topic| !subscribers[topic].is_empty()).collect();
    // Where there is the least choice first.
    order.sort_by_key(|&topic| subscribers[topic].len());
    for &topic in &order {
        hand_out(topic, &subscribers[topic], &mut table);
    }
    for _ in 0..ROUNDS_MAX {
        let mut moved = false;
        for &topic in &order {
            moved |= level(topic, &subscribers[topic], &mut table);
        }
        if !moved {
            break;
        }
    }
    table.into_assignments(input)
}

/// Gives the free partitions of a topic to the subscribers who have the least.
fn hand_out(topic: usize, subscribers: &[usize], table: &mut Table) {
    let mut least: BinaryHeap<_> = subscribers.iter().map(|&member| Reverse((table.counts[member], member))).collect();
    for owner in table.owners[topic].iter_mut().filter(|owner| owner.is_none()) {
        let Some(Reverse((count, member))) = least.pop() else { return };
        *owner = Some(member);
        table.counts[member] += 1;
        least.push(Reverse((count + 1, member)));
    }
}

/// Moves partitions of a topic as long as that makes the numbers of two members more even; returns whether any moved.
fn level(topic: usize, subscribers: &[usize], table: &mut Table) -> bool {
    let mut by_count: BTreeSet<(usize, usize)> =
        subscribers.iter().map(|&member| (table.counts[member], member)).collect();
    let mut owned: Vec<(usize, usize)> =
        table.owners[topic].iter().enumerate().filter_map(|(partition, owner)| Some(((*owner)?, partition))).collect();
    owned.sort_unstable();
    let mut givers: BTreeSet<(usize, usize)> =
        owned.iter().map(|&(member, _)| (table.counts[member], member)).collect();
    let mut moved = false;
    while let (Some(&(most, giver)), Some(&(least, taker))) = (givers.last(), by_count.first()) {
        if most < least + 2 {
            break;
        }
        let place = owned.partition_point(|&(member, _)| member <= giver) - 1;
        let (_, partition) = owned.remove(place);
        table.owners[topic][partition] = Some(taker);
        givers.remove(&(most, giver));
        by_count.remove(&(most, giver));
        by_count.remove(&(least, taker));
        givers.remove(&(least, taker));
        table.counts[giver] -= 1;
        table.counts[taker] += 1;
        by_count.extend([(most - 1, giver), (least + 1, taker)]);
        if place > 0 && owned[place - 1].0 == giver {
            givers.insert((most - 1, giver));
        }
        let back = owned.partition_point(|entry| *entry < (taker, partition));
        owned.insert(back, (taker, partition));
        givers.insert((least + 1, taker));
        moved = true;
    }
    moved
}
