//! What assignments must be, whatever the input, and how long they may take.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::Uuid;

use super::{Assignor, Candidate, Input};
use crate::group::consumer::record::Assignment;

fn id(topic: usize) -> Uuid {
    Uuid((topic as u128 + 1).to_be_bytes())
}

/// Members by id with what they subscribe to, and what they had.
#[derive(Clone, Default)]
struct Group {
    topics: Vec<usize>,
    members: BTreeMap<String, (Arc<[usize]>, Assignment)>,
}

impl Group {
    fn assign(&mut self, assignor: Assignor) {
        let topics = self.topics.iter().enumerate().map(|(topic, partitions)| (id(topic), *partitions)).collect();
        let candidate = |(member_id, (topics, previous)): (&'_ String, &'_ (Arc<[usize]>, Assignment))| -> (String, Arc<[usize]>, Assignment) {
            (member_id.clone(), Arc::clone(topics), previous.clone())
        };
        let owned: Vec<_> = self.members.iter().map(candidate).collect();
        let members = owned.iter().map(|(member_id, topics, previous)| Candidate {
            member_id,
            instance_id: None,
            topics: Arc::clone(topics),
            previous,
        });
        let assignments = assignor.assign(&Input { members: members.collect(), topics });
        for ((_, previous), assignment) in self.members.values_mut().zip(assignments) {
            *previous = assignment;
        }
    }

    fn join(&mut self, member_id: String, topics: &Arc<[usize]>) {
        self.members.insert(member_id, (Arc::clone(topics), Assignment::new()));
    }

    fn owners(&self) -> BTreeMap<(Uuid, i32), &str> {
        let mut owners = BTreeMap::new();
        for (member_id, (_, assignment)) in &self.members {
            for (topic, partitions) in assignment {
                for partition in partitions {
                    assert_eq!(owners.insert((*topic, *partition), member_id.as_str()), None, "owned twice");
                }
            }
        }
        owners
    }

    fn count(&self, member_id: &str) -> usize {
        self.members[member_id].1.values().map(Vec::len).sum()
    }

    /// Every partition that somebody wants belongs to one who wants it.
    fn check_complete(&self) {
        let wanted: BTreeSet<usize> = self.members.values().flat_map(|(topics, _)| topics.iter().copied()).collect();
        let owners = self.owners();
        assert_eq!(owners.len(), wanted.iter().map(|&topic| self.topics[topic]).sum::<usize>());
        for (topics, assignment) in self.members.values() {
            let wanted: BTreeSet<Uuid> = topics.iter().map(|&topic| id(topic)).collect();
            assert!(assignment.keys().all(|topic| wanted.contains(topic)));
        }
    }

    /// Nobody has two more than another who could take one of them.
    fn check_even(&self) {
        for ((topic, _), owner) in self.owners() {
            for (other, (topics, _)) in &self.members {
                let could_take = topics.iter().any(|&wanted| id(wanted) == topic);
                assert!(!could_take || self.count(owner) <= self.count(other) + 1, "{owner} has more than {other}");
            }
        }
    }
}

fn all_topics(group: &Group) -> Arc<[usize]> {
    (0..group.topics.len()).collect()
}

#[test]
fn uniform_is_even_and_sticky_whatever_happens() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut group =
            Group { topics: (0..random.usize(1..6)).map(|_| random.usize(1..40)).collect(), ..Group::default() };
        let all = all_topics(&group);
        for step in 0..20 {
            let before = group.clone();
            if group.members.is_empty() || random.bool() {
                group.join(format!("{}-{step}", random.u8(..)), &all);
            } else {
                let gone = random.choice(group.members.keys()).unwrap().clone();
                group.members.remove(&gone);
            }
            group.assign(Assignor::Uniform);
            if group.members.is_empty() {
                continue;
            }
            println!("seed {seed} step {step}: {} members", group.members.len());
            group.check_complete();
            let counts: Vec<usize> = group.members.keys().map(|member_id| group.count(member_id)).collect();
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
            check_sticky(&before, &group);
        }
    }
}

/// Only as much moves as must: what those who stay have above the new share, and what those had who are gone.
fn check_sticky(before: &Group, after: &Group) {
    let (old, new) = (before.owners(), after.owners());
    let moved =
        old.iter().filter(|(place, owner)| after.members.contains_key(**owner) && new[*place] != **owner).count();
    let least = new.len() / after.members.len();
    let mut more = new.len() % after.members.len();
    let mut must_move = 0;
    for member_id in before.members.keys().filter(|member_id| after.members.contains_key(*member_id)) {
        let had = before.count(member_id);
        let share = if had > least && more > 0 {
            more -= 1;
            least + 1
        } else {
            least
        };
        must_move += had.saturating_sub(share);
    }
    assert_eq!(moved, must_move);
}

#[test]
fn different_subscriptions_are_as_even_as_they_can_be_by_single_moves() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut group =
            Group { topics: (0..random.usize(2..7)).map(|_| random.usize(1..20)).collect(), ..Group::default() };
        for step in 0..12 {
            let wanted: Arc<[usize]> = (0..group.topics.len()).filter(|_| random.bool()).collect();
            group.join(format!("member-{}", random.u8(..12)), &wanted);
            group.assign(Assignor::Uniform);
            println!("seed {seed} step {step}: {} members", group.members.len());
            group.check_complete();
            group.check_even();
            let settled = group.clone();
            group.assign(Assignor::Uniform);
            assert_eq!(settled.owners(), group.owners(), "what is even stays");
        }
    }
}

#[test]
fn range_gives_the_same_range_of_each_topic() {
    let mut group = Group { topics: vec![7, 7, 2], ..Group::default() };
    let all = all_topics(&group);
    for member in ["a", "b", "c"] {
        group.join(member.to_owned(), &all);
    }
    group.assign(Assignor::Range);
    group.check_complete();
    let ranges: Vec<&Assignment> = group.members.values().map(|(_, assignment)| assignment).collect();
    assert_eq!(*ranges[0], [(id(0), vec![0, 1, 2]), (id(1), vec![0, 1, 2]), (id(2), vec![0])].into());
    assert_eq!(*ranges[1], [(id(0), vec![3, 4]), (id(1), vec![3, 4]), (id(2), vec![1])].into());
    assert_eq!(*ranges[2], [(id(0), vec![5, 6]), (id(1), vec![5, 6])].into());
}

#[test]
fn static_members_come_first_in_a_range_and_by_their_own_names() {
    let nothing = Assignment::new();
    let topics: Arc<[usize]> = [0].into();
    let member =
        |member_id, instance_id| Candidate { member_id, instance_id, topics: Arc::clone(&topics), previous: &nothing };
    let members = vec![member("a", None), member("b", Some("2")), member("c", Some("1"))];
    let assignments = Assignor::Range.assign(&Input { members, topics: vec![(id(0), 3)] });
    let first: Vec<i32> = assignments.iter().map(|assignment| assignment[&id(0)][0]).collect();
    assert_eq!(first, [2, 1, 0]);
}

/// How often it is tried where it counts: whoever else uses the machine can only make it look slower than it is.
const ATTEMPTS: usize = if cfg!(debug_assertions) { 1 } else { 5 };

/// How long an assignment takes, from the same start each time; the fastest counts.
#[allow(clippy::disallowed_methods, reason = "the one place that measures")]
fn timed(group: &mut Group, assignor: Assignor, what: &str) {
    let attempt = || {
        let mut group = group.clone();
        let started = std::time::Instant::now();
        group.assign(assignor);
        (started.elapsed(), group)
    };
    let (took, assigned) = (0..ATTEMPTS).map(|_| attempt()).min_by_key(|(took, _)| *took).expect("there are some");
    *group = assigned;
    println!("{what}: {} members, 10000 partitions: {took:?}", group.members.len());
    group.check_complete();
    assert!(cfg!(debug_assertions) || took.as_millis() <= 100, "{what}: {took:?}");
}

/// The time counts where the code is compiled to be fast; elsewhere it counts that it ends.
#[test]
fn a_thousand_members_and_ten_thousand_partitions_take_no_time() {
    let mut group = Group { topics: vec![1_000; 10], ..Group::default() };
    let all = all_topics(&group);
    (0..999).for_each(|member| group.join(format!("member-{member:04}"), &all));
    timed(&mut group, Assignor::Uniform, "uniform, from nothing");
    timed(&mut group, Assignor::Range, "range");
    timed(&mut group, Assignor::Uniform, "uniform, after range");
    group.join("zzz".to_owned(), &(0..5).collect());
    timed(&mut group, Assignor::Uniform, "uniform, one subscribes to less");
    let other: Arc<[usize]> = (5..10).collect();
    for place in (0..999).step_by(2) {
        group.join(format!("member-{place:04}"), &other);
    }
    timed(&mut group, Assignor::Uniform, "uniform, half subscribe to less");
}
