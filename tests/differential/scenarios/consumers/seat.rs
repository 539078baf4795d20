//! A member of a consumer group, which says what a real one would: the epoch and the partitions that it was told last.

use protocol::messages::consumer_group_heartbeat::RequestedTopicPartitions;
use protocol::messages::*;

use super::{alive, joining};
use crate::pair::{Both, Pair};
use crate::side::Side;

type Beat = ConsumerGroupHeartbeatRequest;

/// Who it is. What it was told is kept with each side, because the two brokers need not say the same.
#[derive(Clone, Copy)]
pub(crate) struct Seat<'a> {
    pub(crate) group: &'a str,
    pub(crate) member: &'a str,
    /// The topics that the member may be given.
    pub(crate) topics: &'a [&'a str],
}

impl Seat<'_> {
    /// A request that joins, with a subscription to all topics of the seat.
    pub(crate) fn joining(&self) -> Beat {
        Beat {
            subscribed_topic_names: Some(self.topics.iter().map(ToString::to_string).collect()),
            ..joining(self.group, self.member)
        }
    }

    pub(crate) fn join(&self, pair: &mut Pair, label: &str) {
        self.say(pair, label, |_| self.joining());
    }

    /// A heartbeat that says nothing but that the member is there.
    pub(crate) fn beating(&self, side: &Side) -> Beat {
        self.at(side, 0)
    }

    pub(crate) fn beat(&self, pair: &mut Pair, label: &str) {
        self.say(pair, label, |side| self.beating(side));
    }

    /// A heartbeat so many epochs beyond that of the member.
    pub(crate) fn at(&self, side: &Side, beyond: i32) -> Beat {
        alive(self.group, self.member, self.epoch(side) + beyond)
    }

    /// A heartbeat that says that the member has what it was told to have.
    pub(crate) fn having(&self, side: &Side) -> Beat {
        let told = |topic: &&str| {
            let mask = side.number(&self.told_of(topic)).max(0);
            let partitions: Vec<i32> = (0..63).filter(|partition| mask & (1 << partition) != 0).collect();
            let topic_id = side.topic_id(topic);
            (!partitions.is_empty()).then_some(RequestedTopicPartitions { topic_id, partitions })
        };
        Beat { topic_partitions: Some(self.topics.iter().filter_map(told).collect()), ..self.beating(side) }
    }

    pub(crate) fn confirm(&self, pair: &mut Pair, label: &str) {
        self.say(pair, label, |side| self.having(side));
    }

    /// Leaves for good (-1), or for now (-2).
    pub(crate) fn leave(&self, pair: &mut Pair, label: &str, epoch: i32) {
        pair.once(label, |_| alive(self.group, self.member, epoch));
    }

    /// The epoch that the member was last told.
    pub(crate) fn epoch(&self, side: &Side) -> i32 {
        i32::try_from(side.number(&self.epoch_name())).expect("epochs are of 32 bits")
    }

    /// Asks both, and takes down what they tell the member.
    pub(crate) fn say(&self, pair: &mut Pair, label: &str, build: impl Fn(&Side) -> Beat) {
        self.say_in(pair, label, pair.latest::<Beat>(), build);
    }

    pub(crate) fn say_in(&self, pair: &mut Pair, label: &str, version: i16, build: impl Fn(&Side) -> Beat) {
        let both = pair.ask(label, version, build);
        self.learn(pair, &both);
    }

    /// Asks each until it tells the member to have so many partitions.
    pub(crate) fn wait_for(&self, pair: &mut Pair, label: &str, partitions: usize, build: impl Fn(&Side) -> Beat) {
        pair.once_until(label, build, |side, answer| {
            self.take_down(side, answer);
            let told = answer.assignment.iter().flat_map(|assignment| &assignment.topic_partitions);
            answer.assignment.is_some() && told.map(|topic| topic.partitions.len()).sum::<usize>() == partitions
        });
    }

    fn learn(&self, pair: &mut Pair, both: &Both<ConsumerGroupHeartbeatResponse>) {
        for (side, answer) in [(&mut pair.kafka, &both.kafka), (&mut pair.ottla, &both.ottla)] {
            if let Some(answer) = answer {
                self.take_down(side, answer);
            }
        }
    }

    fn take_down(&self, side: &mut Side, answer: &ConsumerGroupHeartbeatResponse) {
        if answer.member_epoch <= 0 {
            return;
        }
        side.set_number(&self.epoch_name(), i64::from(answer.member_epoch));
        let Some(assignment) = &answer.assignment else { return };
        for topic in self.topics {
            let id = side.topic_id(topic);
            let of_topic = assignment.topic_partitions.iter().filter(|told| told.topic_id == id);
            let told = of_topic.flat_map(|told| &told.partitions).fold(0, |mask, partition| mask | 1 << partition);
            side.set_number(&self.told_of(topic), told);
        }
    }

    fn epoch_name(&self) -> String {
        format!("epoch of {} in {}", self.member, self.group)
    }

    fn told_of(&self, topic: &str) -> String {
        format!("partitions of {topic} for {} in {}", self.member, self.group)
    }
}
