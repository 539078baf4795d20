//! Kafka's range assignor: of each topic, every member gets a run of neighbouring partitions.

use std::collections::BTreeMap;

use crate::TopicPartition;

/// The name under which members agree on it.
pub(crate) const RANGE: &str = "range";

/// A member as the leader of the group sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscriber {
    pub(crate) member_id: String,
    /// Members that keep a name over restarts are sorted by it, so that they keep their partitions too (KIP-345).
    pub(crate) group_instance_id: Option<String>,
    pub(crate) topics: Vec<String>,
}

/// Deals the partitions of each topic (its name and how many it has) among those who want it, in the order of their
/// names: static members first. The first ones get one more when it does not come out even. Every member is in the
/// answer.
pub(crate) fn assign_ranges(
    mut members: Vec<Subscriber>,
    topics: &BTreeMap<String, i32>,
) -> BTreeMap<String, Vec<TopicPartition>> {
    let name = |member: &Subscriber| {
        let is_dynamic = member.group_instance_id.is_none();
        (is_dynamic, member.group_instance_id.clone(), member.member_id.clone())
    };
    members.sort_by_key(name);
    let mut assignment: BTreeMap<String, Vec<TopicPartition>> =
        members.iter().map(|member| (member.member_id.clone(), Vec::new())).collect();
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
    fn more_members_than_partitions_leave_some_without() {
        let members = (0..3).map(|id| member(&id.to_string(), None, &["t"])).collect();
        assert_eq!(assigned(members, &[("t", 2)]), expect(&[("0", "t-0"), ("1", "t-1"), ("2", "")]));
    }
}
