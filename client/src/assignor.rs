//! How the leader of a classic group deals out partitions: Kafka's range and round-robin assignors.

use std::collections::{BTreeMap, BTreeSet};

use crate::TopicPartition;

/// The way that partitions are dealt. All members of a group have to know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Assignor {
    /// Of each topic, every member gets a run of neighbouring partitions.
    #[default]
    Range,
    /// All partitions of all topics go round, one after the other.
    RoundRobin,
}

impl Assignor {
    /// The name under which members agree on it.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
        }
    }

    /// Deals the partitions of each topic (its name and how many it has). Every member is in the answer.
    pub(crate) fn assign(
        self,
        members: Vec<Subscriber>,
        topics: &BTreeMap<String, i32>,
    ) -> BTreeMap<String, Vec<TopicPartition>> {
        match self {
            Assignor::Range => assign_ranges(members, topics),
            Assignor::RoundRobin => assign_round_robin(members, topics),
        }
    }
}

/// A member as the leader of the group sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscriber {
    pub(crate) member_id: String,
    /// Members that keep a name over restarts are sorted by it, so that they keep their partitions too (KIP-345).
    pub(crate) group_instance_id: Option<String>,
    pub(crate) topics: Vec<String>,
}

/// By name: static members first, so that they keep their places.
fn sort(members: &mut [Subscriber]) {
    members.sort_by_key(|member| {
        let is_dynamic = member.group_instance_id.is_none();
        (is_dynamic, member.group_instance_id.clone(), member.member_id.clone())
    });
}

/// Everybody, with nothing yet.
fn nothing_for(members: &[Subscriber]) -> BTreeMap<String, Vec<TopicPartition>> {
    members.iter().map(|member| (member.member_id.clone(), Vec::new())).collect()
}

/// Each topic among those who want it, in the order of their names. The first ones get one more when it does not come
/// out even.
fn assign_ranges(
    mut members: Vec<Subscriber>,
    topics: &BTreeMap<String, i32>,
) -> BTreeMap<String, Vec<TopicPartition>> {
    sort(&mut members);
    let mut assignment = nothing_for(&members);
    for (topic, partitions) in topics {
        let takers: Vec<&Subscriber> = members.iter().filter(|member| member.topics.contains(topic)).collect();
        let Some(count) = i32::try_from(takers.len()).ok().filter(|count| *count > 0) else { continue };
        let mut next = 0;
        for (place, taker) in (0..count).zip(takers) {
            let share = partitions / count + i32::from(place < partitions % count);
            let range = (next..next + share).map(|partition| TopicPartition::new(topic.as_str(), partition));
            assignment.entry(taker.member_id.clone()).or_default().extend(range);
            next += share;
        }
    }
    assignment
}

/// One partition after the other, each to the next member that wants its topic.
fn assign_round_robin(
    mut members: Vec<Subscriber>,
    topics: &BTreeMap<String, i32>,
) -> BTreeMap<String, Vec<TopicPartition>> {
    sort(&mut members);
    let mut assignment = nothing_for(&members);
    let wanted: BTreeSet<&String> = members.iter().flat_map(|member| &member.topics).collect();
    let mut circle = members.iter().cycle();
    for (topic, partitions) in topics.iter().filter(|(topic, _)| wanted.contains(topic)) {
        for partition in 0..*partitions {
            // Somebody wants the topic, so the search ends.
            if let Some(taker) = circle.find(|member| member.topics.contains(topic)) {
                let place = TopicPartition::new(topic.as_str(), partition);
                assignment.entry(taker.member_id.clone()).or_default().push(place);
            }
        }
    }
    assignment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, instance: Option<&str>, topics: &[&str]) -> Subscriber {
        Subscriber {
            member_id: id.into(),
            group_instance_id: instance.map(str::to_owned),
            topics: topics.iter().map(|topic| topic.to_string()).collect(),
        }
    }

    fn assigned(members: Vec<Subscriber>, topics: &[(&str, i32)]) -> Vec<(String, String)> {
        let topics = topics.iter().map(|(topic, count)| (topic.to_string(), *count)).collect();
        let text = |places: Vec<TopicPartition>| places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assign_ranges(members, &topics).into_iter().map(|(member, places)| (member, text(places))).collect()
    }

    fn expect(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(member, places)| (member.to_string(), places.to_string())).collect()
    }

    #[test]
    fn the_first_members_get_one_more() {
        let members = vec![member("b", None, &["t", "u"]), member("a", None, &["t", "u"])];
        let found = assigned(members, &[("t", 3), ("u", 3)]);
        assert_eq!(found, expect(&[("a", "t-0 t-1 u-0 u-1"), ("b", "t-2 u-2")]));
    }

    #[test]
    fn only_those_who_want_a_topic_get_it() {
        let members = vec![member("a", None, &["t"]), member("b", None, &["u"]), member("c", None, &["gone"])];
        let found = assigned(members, &[("t", 1), ("u", 2), ("nobody", 1)]);
        assert_eq!(found, expect(&[("a", "t-0"), ("b", "u-0 u-1"), ("c", "")]));
    }

    #[test]
    fn static_members_come_first_by_their_own_names() {
        let members = vec![member("a", None, &["t"]), member("x", Some("2"), &["t"]), member("y", Some("1"), &["t"])];
        let found = assigned(members, &[("t", 2)]);
        assert_eq!(found, expect(&[("a", ""), ("x", "t-1"), ("y", "t-0")]));
    }

    #[test]
    fn round_robin_goes_on_from_topic_to_topic() {
        let members = vec![member("b", None, &["t", "u"]), member("a", None, &["t", "u"]), member("c", None, &["u"])];
        let topics = [("t", 3), ("u", 3), ("nobody", 1)].map(|(topic, count)| (topic.to_string(), count)).into();
        let text = |places: &Vec<TopicPartition>| places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let found = Assignor::RoundRobin.assign(members, &topics);
        let found: Vec<(String, String)> =
            found.iter().map(|(member, places)| (member.clone(), text(places))).collect();
        assert_eq!(found, expect(&[("a", "t-0 t-2 u-2"), ("b", "t-1 u-0"), ("c", "u-1")]));
    }

    #[test]
    fn more_members_than_partitions_leave_some_without() {
        let members = (0..3).map(|id| member(&id.to_string(), None, &["t"])).collect();
        assert_eq!(assigned(members, &[("t", 2)]), expect(&[("0", "t-0"), ("1", "t-1"), ("2", "")]));
    }
}
