//! The offsets that one group has committed, and those that open transactions are about to commit.

use std::collections::BTreeMap;

use super::record::{OffsetKey, OffsetValue};

/// A committed offset, and when in the order of the log it was committed.
struct Committed {
    value: OffsetValue,
    sequence: u64,
}

/// Topic to partition to offset. No topic is empty.
type Offsets = BTreeMap<String, BTreeMap<i32, Committed>>;

/// The offsets of one group.
#[derive(Default)]
pub(crate) struct GroupOffsets {
    committed: Offsets,
    /// By producer. No producer's are empty, unless a tombstone emptied them while the transaction is open.
    pending: BTreeMap<i64, Offsets>,
    count: usize,
    pending_count: usize,
}

impl GroupOffsets {
    /// Committed offsets.
    pub(crate) fn committed_len(&self) -> usize {
        self.count
    }

    /// Offsets of open transactions.
    pub(crate) fn pending_len(&self) -> usize {
        self.pending_count
    }

    /// Whether a transaction is open.
    pub(crate) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether nothing is committed and no transaction is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0 && self.pending.is_empty()
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&OffsetValue> {
        self.committed.get(topic)?.get(&partition).map(|committed| &committed.value)
    }

    /// Everything that is committed, by topic and partition.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (&String, impl Iterator<Item = (i32, &OffsetValue)>)> {
        self.committed.iter().map(|(topic, partitions)| {
            (topic, partitions.iter().map(|(partition, committed)| (*partition, &committed.value)))
        })
    }

    /// Every partition with a committed or pending offset, ascending; some twice.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (&str, i32)> {
        std::iter::once(&self.committed)
            .chain(self.pending.values())
            .flatten()
            .flat_map(|(topic, partitions)| partitions.keys().map(|partition| (topic.as_str(), *partition)))
    }

    /// Partitions of one topic with a committed or pending offset; some twice.
    pub(crate) fn partitions_of(&self, topic: &str) -> impl Iterator<Item = i32> {
        std::iter::once(&self.committed)
            .chain(self.pending.values())
            .filter_map(move |offsets| offsets.get(topic))
            .flat_map(|partitions| partitions.keys().copied())
    }

    /// Whether this producer's open transaction may change this offset.
    pub(crate) fn is_pending_of(&self, producer_id: i64, topic: &str, partition: i32) -> bool {
        let offsets = self.pending.get(&producer_id).and_then(|offsets| offsets.get(topic));
        offsets.is_some_and(|found| found.contains_key(&partition))
    }

    /// Whether an open transaction may change this offset.
    pub(crate) fn is_unstable(&self, topic: &str, partition: i32) -> bool {
        self.pending.values().any(|offsets| offsets.get(topic).is_some_and(|found| found.contains_key(&partition)))
    }

    /// Whether there is anything that a tombstone would remove.
    pub(crate) fn contains(&self, topic: &str, partition: i32) -> bool {
        self.get(topic, partition).is_some() || self.is_unstable(topic, partition)
    }

    /// Takes a committed offset from the log.
    pub(crate) fn commit(&mut self, key: &OffsetKey, value: OffsetValue, sequence: u64) {
        self.count += usize::from(put(&mut self.committed, &key.topic, key.partition, Committed { value, sequence }));
    }

    /// Takes an offset of an open transaction from the log.
    pub(crate) fn commit_pending(&mut self, producer_id: i64, key: &OffsetKey, value: OffsetValue, sequence: u64) {
        let offsets = self.pending.entry(producer_id).or_default();
        self.pending_count += usize::from(put(offsets, &key.topic, key.partition, Committed { value, sequence }));
    }

    /// Takes a tombstone from the log. It ends pending offsets too: a commit that was deleted must not come back.
    pub(crate) fn delete(&mut self, topic: &str, partition: i32) {
        self.count -= usize::from(remove(&mut self.committed, topic, partition));
        for offsets in self.pending.values_mut() {
            self.pending_count -= usize::from(remove(offsets, topic, partition));
        }
    }

    /// Takes the end of a transaction from the log. Where a later commit outside the transaction exists, that one
    /// stands: the order of the log decides, not the order of the endings.
    pub(crate) fn end_transaction(&mut self, producer_id: i64, committed: bool) {
        for (topic, partitions) in self.pending.remove(&producer_id).unwrap_or_default() {
            for (partition, pending) in partitions {
                self.pending_count -= 1;
                let existing = self.committed.get(&topic).and_then(|partitions| partitions.get(&partition));
                if committed && existing.is_none_or(|existing| existing.sequence < pending.sequence) {
                    self.count += usize::from(put(&mut self.committed, &topic, partition, pending));
                }
            }
        }
    }
}

/// Returns whether the partition is new.
fn put(offsets: &mut Offsets, topic: &str, partition: i32, committed: Committed) -> bool {
    match offsets.get_mut(topic) {
        Some(partitions) => partitions.insert(partition, committed).is_none(),
        None => {
            offsets.insert(topic.to_owned(), BTreeMap::from([(partition, committed)]));
            true
        }
    }
}

/// Returns whether there was anything to remove.
fn remove(offsets: &mut Offsets, topic: &str, partition: i32) -> bool {
    let Some(partitions) = offsets.get_mut(topic) else { return false };
    let removed = partitions.remove(&partition).is_some();
    if partitions.is_empty() {
        offsets.remove(topic);
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(offset: i64) -> OffsetValue {
        OffsetValue {
            offset,
            leader_epoch: -1,
            metadata: String::new(),
            commit_timestamp_ms: 0,
            expire_timestamp_ms: None,
        }
    }

    fn key() -> OffsetKey {
        OffsetKey { group_id: "g".into(), topic: "t".into(), partition: 0 }
    }

    fn offset_of(offsets: &GroupOffsets) -> Option<i64> {
        offsets.get("t", 0).map(|value| value.offset)
    }

    #[test]
    fn a_transaction_counts_when_it_commits() {
        let mut offsets = GroupOffsets::default();
        offsets.commit(&key(), value(1), 1);
        offsets.commit_pending(7, &key(), value(2), 2);
        assert_eq!((offset_of(&offsets), offsets.is_unstable("t", 0), offsets.pending_len()), (Some(1), true, 1));
        offsets.end_transaction(7, true);
        assert_eq!((offset_of(&offsets), offsets.is_unstable("t", 0), offsets.pending_len()), (Some(2), false, 0));
        assert_eq!(offsets.committed_len(), 1);
    }

    #[test]
    fn an_aborted_transaction_leaves_nothing() {
        let mut offsets = GroupOffsets::default();
        offsets.commit_pending(7, &key(), value(2), 1);
        assert!(!offsets.is_empty());
        offsets.end_transaction(7, false);
        assert!(offsets.is_empty() && offsets.pending_len() == 0);
    }

    #[test]
    fn the_later_record_stands_however_transactions_end() {
        let mut offsets = GroupOffsets::default();
        offsets.commit_pending(7, &key(), value(2), 1);
        offsets.commit(&key(), value(3), 2);
        offsets.end_transaction(7, true);
        assert_eq!(offset_of(&offsets), Some(3));
    }

    #[test]
    fn a_tombstone_ends_pending_offsets_too() {
        let mut offsets = GroupOffsets::default();
        offsets.commit(&key(), value(1), 1);
        offsets.commit_pending(7, &key(), value(2), 2);
        offsets.delete("t", 0);
        assert!(!offsets.is_empty(), "the transaction is still open");
        offsets.end_transaction(7, true);
        assert_eq!((offset_of(&offsets), offsets.committed_len()), (None, 0));
        assert!(offsets.is_empty());
    }
}
