//! What was sent and what was promised, and whether a partition keeps it.

use std::collections::BTreeMap;

use crate::reader::Contents;
use crate::value::{self, BatchId};

/// How a writer sends, which decides how often a batch may stand in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discipline {
    /// Sends again until it is told; the broker keeps one copy.
    Idempotent,
    /// Sends again until it is told; copies are possible.
    Retrying,
    /// Sends once; a batch without an answer may or may not be there.
    Once,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Without an answer.
    Unknown,
    /// Acknowledged, at this offset if the answer had one.
    Acknowledged(Option<i64>),
}

#[derive(Debug)]
struct Sent {
    discipline: Discipline,
    count: u32,
    fate: Fate,
}

/// One partition.
#[derive(Debug, Default)]
pub(crate) struct PartitionLedger {
    sent: BTreeMap<BatchId, Sent>,
    next: BTreeMap<u32, u32>,
    /// What a reader has seen once stays.
    seen: BTreeMap<i64, (BatchId, u32)>,
    /// Up to where records were deleted for sure, and perhaps.
    deleted: (i64, i64),
    /// Commits that were acknowledged, and that were tried.
    committed: (i64, i64),
}

/// Everything of one world.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) partitions: BTreeMap<i32, PartitionLedger>,
    pub(crate) acknowledged: u64,
    pub(crate) commits: u64,
    pub(crate) deletions: u64,
    /// Records read and compared.
    pub(crate) read: u64,
    /// `retention.bytes` of the topic: from there on older segments may vanish.
    pub(crate) retention_bytes: Option<usize>,
}

impl Ledger {
    /// A writer is about to send a batch.
    pub(crate) fn sending(&mut self, partition: i32, writer: u32, count: u32, discipline: Discipline) -> BatchId {
        let ledger = self.partitions.entry(partition).or_default();
        let next = ledger.next.entry(writer).or_default();
        let id = BatchId { writer, number: *next };
        *next += 1;
        ledger.sent.insert(id, Sent { discipline, count, fate: Fate::Unknown });
        id
    }

    /// It was acknowledged; a negative offset says only that it is there.
    pub(crate) fn acknowledged(&mut self, partition: i32, batch: BatchId, offset: i64) {
        self.acknowledged += 1;
        let sent = self.partitions.get_mut(&partition).and_then(|ledger| ledger.sent.get_mut(&batch)).unwrap();
        sent.fate = Fate::Acknowledged((offset >= 0).then_some(offset));
    }

    /// A group is about to commit.
    pub(crate) fn committing(&mut self, positions: &BTreeMap<i32, i64>) {
        for (partition, offset) in positions {
            let committed = &mut self.partitions.entry(*partition).or_default().committed;
            committed.1 = committed.1.max(*offset);
        }
    }

    /// It was told that it has.
    pub(crate) fn committed(&mut self, positions: &BTreeMap<i32, i64>) {
        self.commits += 1;
        for (partition, offset) in positions {
            let committed = &mut self.partitions.entry(*partition).or_default().committed;
            committed.0 = committed.0.max(*offset);
        }
    }

    /// An offset up to which records may be deleted: some of those that were acknowledged.
    pub(crate) fn deleting(&mut self, partition: i32, random: &mut fastrand::Rng) -> i64 {
        let ledger = self.partitions.entry(partition).or_default();
        let end = ledger.seen.last_key_value().map_or(0, |(offset, _)| offset + 1);
        let offset = ledger.deleted.1 + (random.f64() * 0.3 * (end - ledger.deleted.1).max(0) as f64) as i64;
        ledger.deleted.1 = ledger.deleted.1.max(offset);
        offset
    }

    /// They are.
    pub(crate) fn deleted(&mut self, partition: i32, offset: i64) {
        self.deletions += 1;
        let deleted = &mut self.partitions.entry(partition).or_default().deleted;
        deleted.0 = deleted.0.max(offset);
    }

    /// The file is gone that remembers where logs start: records may be back.
    pub(crate) fn starts_forgotten(&mut self) {
        self.partitions.values_mut().for_each(|ledger| ledger.deleted.0 = 0);
    }

    /// Compares a partition with what was promised. Nobody writes meanwhile, and whoever retries has had an answer.
    pub(crate) fn check(&mut self, partition: i32, contents: &Contents, committed: Option<i64>) {
        let ledger = self.partitions.entry(partition).or_default();
        let (sure, perhaps) = ledger.deleted;
        let Contents { start, end, .. } = *contents;
        self.read += contents.records.len() as u64;
        match self.retention_bytes {
            Some(bytes) if start > perhaps => check_retained(partition, contents, bytes),
            _ => assert!(
                (sure..=perhaps).contains(&start),
                "{partition}: begins at {start}, deleted {sure} to {perhaps}"
            ),
        }
        let perhaps = perhaps.max(start);
        // Whoever read it as gone need not expect it back.
        ledger.deleted = (start, perhaps);
        let copies = ledger.walk(partition, contents);
        for (id, sent) in &mut ledger.sent {
            check_batch(partition, *id, sent, copies.get(id).map_or(&[], Vec::as_slice), start);
        }
        check_order(partition, &copies);
        let lost = ledger.seen.range(start..).find(|(offset, _)| **offset >= end);
        assert!(lost.is_none(), "{partition}: {lost:?} was there and is not, the end is {end}");
        // A member that has read nothing of a partition commits the start that it found there.
        let (told, tried) = (ledger.committed.0, ledger.committed.1.max(perhaps));
        let committed = committed.unwrap_or(0);
        assert!((told..=tried).contains(&committed), "{partition}: {committed} is committed, not {told} to {tried}");
        assert!(committed <= end, "{partition}: {committed} is committed, and the end is {end}");
        ledger.committed.0 = committed;
    }
}

impl PartitionLedger {
    /// Looks at every record; answers where the first records of each batch stand.
    fn walk(&mut self, partition: i32, contents: &Contents) -> BTreeMap<BatchId, Vec<i64>> {
        let mut copies: BTreeMap<BatchId, Vec<i64>> = BTreeMap::new();
        let mut open: Option<(BatchId, u32)> = None;
        for (record, expected) in contents.records.iter().zip(contents.start..) {
            let offset = record.offset;
            assert_eq!(offset, expected, "{partition}: offsets have a gap");
            let bytes = record.value.as_deref().unwrap_or_default();
            let Some((id, count, index)) = value::parse(bytes) else {
                panic!("{partition}: nobody sent what stands at {offset}: {:?}", String::from_utf8_lossy(bytes));
            };
            let sent = self.sent.get(&id).unwrap_or_else(|| panic!("{partition}: {id:?} at {offset} was never sent"));
            assert_eq!(sent.count, count, "{partition}: {id:?} at {offset}");
            let begins = index == 0 || offset == contents.start;
            assert!(
                open == Some((id, index)) || (open.is_none() && begins),
                "{partition}: at {offset} stands {index} of {count} of {id:?}, and {open:?} was to follow"
            );
            open = (index + 1 < count).then_some((id, index + 1));
            copies.entry(id).or_default().push(offset - i64::from(index));
            let before = self.seen.insert(offset, (id, index));
            assert!(
                before.is_none_or(|before| before == (id, index)),
                "{partition}: at {offset} stood {before:?}, and now {id:?} {index}"
            );
        }
        assert!(open.is_none(), "{partition}: half a batch at the end; {open:?} is missing");
        copies.values_mut().for_each(Vec::dedup);
        copies
    }
}

/// The first copies of a writer's batches stand in the order in which it sent them.
fn check_order(partition: i32, copies: &BTreeMap<BatchId, Vec<i64>>) {
    let mut last: Option<(BatchId, i64)> = None;
    for (id, places) in copies {
        if let Some((before, place)) = last.filter(|(before, _)| before.writer == id.writer) {
            assert!(place < places[0], "{partition}: {before:?} stands at {place} and {id:?} at {places:?}");
        }
        last = Some((*id, places[0]));
    }
}

/// Retention takes only what is more than the topic keeps. Values make up nearly all of a log: they are noise.
fn check_retained(partition: i32, contents: &Contents, retention_bytes: usize) {
    let bytes: usize = contents.records.iter().map(|record| record.value.as_ref().map_or(0, |value| value.len())).sum();
    assert!(bytes > retention_bytes * 8 / 10, "{partition}: only {bytes} bytes are left from {} on", contents.start);
}

fn check_batch(partition: i32, id: BatchId, sent: &mut Sent, places: &[i64], start: i64) {
    let once = sent.discipline != Discipline::Retrying;
    assert!(!once || places.len() <= 1, "{partition}: {id:?} stands at {places:?}");
    let last = |offset: i64| offset + i64::from(sent.count);
    match sent.fate {
        Fate::Acknowledged(Some(offset)) => assert!(
            places.contains(&offset) || last(offset) <= start,
            "{partition}: {id:?} was acknowledged at {offset}, and stands at {places:?}"
        ),
        Fate::Acknowledged(None) => {
            assert!(!places.is_empty() || start > 0, "{partition}: {id:?} was acknowledged, and is nowhere");
            sent.fate = Fate::Acknowledged(places.first().copied());
        }
        // Seen once, it is as good as acknowledged: nobody takes it back.
        Fate::Unknown => {
            let found = places.first().map(|place| Fate::Acknowledged(Some(*place)));
            sent.fate = found.unwrap_or(Fate::Unknown);
        }
    }
}
