//! All groups of one coordinator, and which of them time will ask for next.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::GroupConfig;
use super::classic::{ClassicGroup, ClassicGroupState};
use super::consumer::ConsumerGroup;
use super::offsets::GroupOffsets;

/// A group: its members and its offsets.
///
/// It is either of the classic protocol or of the consumer protocol; `classic` has no members then.
pub(crate) struct GroupEntry {
    pub(crate) classic: ClassicGroup,
    pub(crate) consumer: Option<Box<ConsumerGroup>>,
    pub(crate) offsets: GroupOffsets,
    /// Where the group stands in `Registry::wakes`.
    indexed_wake_ms: Option<u64>,
    /// What the group contributes to `Registry::member_count`.
    counted_members: usize,
}

impl GroupEntry {
    /// Whether Kafka calls it Empty. It may have offsets, and members that were told to come.
    pub(crate) fn is_empty_group(&self) -> bool {
        self.consumer.as_ref().map_or(self.classic.state() == ClassicGroupState::Empty, |group| group.is_empty())
    }

    /// Whether nobody is in, and nobody was told to come.
    pub(crate) fn is_deserted(&self) -> bool {
        self.consumer.as_ref().map_or(self.classic.is_deserted(), |group| group.is_empty())
    }

    /// Whether the log holds something of this group, besides offsets, that tombstones must end.
    pub(crate) fn is_logged(&self) -> bool {
        self.consumer.is_some() || self.classic.is_logged()
    }

    /// Whether members say what they read in a way that can be understood.
    pub(crate) fn is_of_consumers(&self) -> bool {
        self.consumer.is_some() || self.classic.uses_consumer_protocol()
    }

    /// The topics that members read, if they can be known.
    pub(crate) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        match &self.consumer {
            Some(group) => Some(group.subscribed_topics()),
            None => self.classic.subscribed_topics(),
        }
    }

    /// Committed and pending offsets.
    pub(crate) fn offset_count(&self) -> usize {
        self.offsets.committed_len() + self.offsets.pending_len()
    }

    /// Whether members read a topic, given [`GroupEntry::subscribed_topics`]. If a consumer's subscription cannot
    /// be read, it may read anything.
    pub(crate) fn is_subscribed(&self, subscribed: Option<&BTreeSet<String>>, topic: &str) -> bool {
        subscribed.map_or_else(|| self.is_of_consumers(), |topics| topics.contains(topic))
    }

    /// Whether nothing is left that anybody could ask for, and the log knows of nothing either.
    fn is_forgotten(&self) -> bool {
        let members_are = match &self.consumer {
            Some(group) => group.is_forgotten(),
            None => self.classic.is_deserted() && !self.classic.is_logged(),
        };
        members_are && self.offsets.is_empty()
    }
}

/// All groups of one coordinator.
///
/// After whatever may have changed a group, [`Registry::settle`] brings the index and the counts up to date.
#[derive(Default)]
pub(crate) struct Registry {
    groups: BTreeMap<Arc<str>, GroupEntry>,
    /// One entry for each group that waits for something: a moment not after its earliest deadline.
    wakes: BTreeSet<(u64, Arc<str>)>,
    member_count: usize,
}

impl Registry {
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Members and pending members of all groups.
    pub(crate) fn member_count(&self) -> usize {
        self.member_count
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &GroupEntry)> {
        self.groups.iter()
    }

    /// The groups from this id on.
    pub(crate) fn iter_from(&self, start: Option<&Arc<str>>) -> impl Iterator<Item = (&Arc<str>, &GroupEntry)> {
        let start = start.map_or(Bound::Unbounded, |id| Bound::Included(Arc::clone(id)));
        self.groups.range((start, Bound::Unbounded))
    }

    pub(crate) fn get(&self, group_id: &str) -> Option<&GroupEntry> {
        self.groups.get(group_id)
    }

    pub(crate) fn get_mut(&mut self, group_id: &str) -> Option<&mut GroupEntry> {
        self.groups.get_mut(group_id)
    }

    pub(crate) fn get_or_create(&mut self, group_id: &str) -> &mut GroupEntry {
        if !self.groups.contains_key(group_id) {
            let id: Arc<str> = Arc::from(group_id);
            let classic = ClassicGroup::new(Arc::clone(&id));
            let offsets = GroupOffsets::default();
            self.groups
                .insert(id, GroupEntry { classic, consumer: None, offsets, indexed_wake_ms: None, counted_members: 0 });
        }
        self.groups.get_mut(group_id).expect("it was there, or has just been put there")
    }

    /// Whether the group exists, or one more may.
    pub(crate) fn has_room_for(&self, group_id: &str, config: &GroupConfig) -> bool {
        self.groups.len() < config.max_groups || self.groups.contains_key(group_id)
    }

    /// Brings index and counts up to date, and forgets a group of which nothing is left.
    pub(crate) fn settle(&mut self, group_id: &str) {
        let Some((id, entry)) = self.groups.get_key_value(group_id) else { return };
        let (id, is_forgotten) = (Arc::clone(id), entry.is_forgotten());
        let Some(entry) = self.groups.get_mut(group_id) else { return };

        let consumers = entry.consumer.as_ref().map_or(0, |group| group.member_count());
        let members = entry.classic.member_count() + consumers;
        self.member_count = self.member_count - entry.counted_members + members;
        entry.counted_members = members;

        let consumer_wake_ms = entry.consumer.as_ref().and_then(|group| group.wake_ms());
        let wake_ms = entry.classic.wake_ms().into_iter().chain(consumer_wake_ms).min().filter(|_| !is_forgotten);
        if wake_ms != entry.indexed_wake_ms {
            if let Some(old_ms) = entry.indexed_wake_ms.take() {
                self.wakes.remove(&(old_ms, Arc::clone(&id)));
            }
            if let Some(wake_ms) = wake_ms {
                self.wakes.insert((wake_ms, Arc::clone(&id)));
            }
            entry.indexed_wake_ms = wake_ms;
        }
        if is_forgotten {
            self.groups.remove(group_id);
        }
    }

    /// Forgets who is in a group, as its tombstone says. Offsets have tombstones of their own.
    pub(crate) fn forget_members(&mut self, group_id: &str) {
        if let Some((id, _)) = self.groups.get_key_value(group_id) {
            let id = Arc::clone(id);
            self.get_or_create(group_id).classic = ClassicGroup::new(id);
            self.settle(group_id);
        }
    }

    /// The group, if it is one of the consumer protocol.
    pub(crate) fn consumer(&self, group_id: &str) -> Option<&ConsumerGroup> {
        self.groups.get(group_id)?.consumer.as_deref()
    }

    /// The group as one of the consumer protocol, which it becomes if it is not: a record of one is in the log.
    pub(crate) fn make_consumer(&mut self, group_id: &str) -> &mut ConsumerGroup {
        let id: Arc<str> = Arc::from(group_id);
        let entry = self.get_or_create(group_id);
        if entry.consumer.is_none() {
            entry.classic = ClassicGroup::new(Arc::clone(&id));
        }
        entry.consumer.get_or_insert_with(|| Box::new(ConsumerGroup::new(id)))
    }

    /// The earliest moment at which a group may have something to do.
    pub(crate) fn next_wake_ms(&self) -> Option<u64> {
        self.wakes.first().map(|(wake_ms, _)| *wake_ms)
    }

    /// The groups whose moment has come.
    pub(crate) fn due(&self, monotonic_ms: u64) -> Vec<Arc<str>> {
        let due = self.wakes.iter().take_while(|(wake_ms, _)| *wake_ms <= monotonic_ms);
        due.map(|(_, id)| Arc::clone(id)).collect()
    }
}
