//! A compacted topic, rewritten all the time: the last value of each key stays, and nothing older comes back.

use std::collections::BTreeMap;

use client::{Cluster, FetchedRecord, OutgoingRecord, Producer};
use protocol::records::Codec;

use crate::actors::{Stage, any_codec, now_ms};
use crate::faulty::create;
use crate::reader::{Contents, read};
use crate::value::noise;

/// Its only partition is the first.
pub(crate) const COMPACTED: &str = "compacted";
const KEYS: u32 = 8;
const RECORDS_MAX: u32 = 6;
/// One record in so many deletes its key.
const TOMBSTONE_EVERY: u32 = 5;
/// Says how the writer counts it; a tombstone has no value to say it.
const NUMBER: &str = "number";
/// A record with this key is written before everything is read, and ends the reading.
const MARK: &str = "mark";
const PADDING_MAX: usize = 2000;
const READINGS_MAX: u32 = 50;

/// Creates it, with segments of a moment, so that the cleaner always has work.
pub(crate) async fn create_compacted(cluster: &Cluster, tombstones_expire: bool) {
    let delete_retention_ms = if tombstones_expire { "0" } else { "86400000" };
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "60"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", delete_retention_ms),
    ];
    create(cluster, COMPACTED, 1, &configs).await;
}

/// What is known of one key.
#[derive(Debug, Default)]
struct Key {
    /// Numbers count from 1; zero says none.
    acknowledged: u32,
    sent: u32,
}

/// A writer of keys of its own, which sends again until it is told.
pub(crate) struct Keeper {
    id: u32,
    producer: Producer,
    idempotent: bool,
    tombstones_expire: bool,
    random: fastrand::Rng,
    keys: BTreeMap<u32, Key>,
    /// What an answer or a reader said of an offset stays true.
    places: BTreeMap<i64, (u32, u32)>,
    next: u32,
    pub(crate) acknowledged: u64,
}

impl Keeper {
    pub(crate) async fn new(
        id: u32,
        idempotent: bool,
        cluster: &Cluster,
        tombstones_expire: bool,
        mut random: fastrand::Rng,
    ) -> Keeper {
        let codec = any_codec(&mut random);
        let producer = match idempotent {
            true => Producer::idempotent(cluster, codec).await.unwrap(),
            false => Producer::new(cluster, client::Acks::All, codec),
        };
        let (keys, places) = (BTreeMap::new(), BTreeMap::new());
        Keeper { id, producer, idempotent, tombstones_expire, random, keys, places, next: 1, acknowledged: 0 }
    }

    pub(crate) async fn work(mut self, stage: Stage) -> Keeper {
        while !stage.is_over() {
            let count = self.random.u32(1..=RECORDS_MAX);
            let first = self.random.u32(..KEYS);
            let batch: Vec<(u32, u32)> = (0..count).map(|at| (self.key(first, at), self.next + at)).collect();
            self.next += count;
            for (key, number) in &batch {
                self.keys.entry(*key).or_default().sent = *number;
            }
            let records: Vec<OutgoingRecord> = batch.iter().map(|(key, number)| self.record(*key, *number)).collect();
            let written = match self.producer.send(COMPACTED, 0, &records).await {
                Ok(written) => written,
                Err(error) => panic!("keeper {} was refused {batch:?}: {error}", self.id),
            };
            self.acknowledged += 1;
            for ((key, number), offset) in batch.into_iter().zip(written.base_offset..) {
                self.keys.entry(key).or_default().acknowledged = number;
                if written.base_offset >= 0 {
                    self.stands_at(offset, (key, number));
                }
            }
        }
        self
    }

    /// Whoever may write a batch twice writes no key twice in it: what follows a second copy would be older.
    fn key(&mut self, first: u32, at: u32) -> u32 {
        if self.idempotent { self.random.u32(..KEYS) } else { (first + at) % KEYS }
    }

    fn record(&self, key: u32, number: u32) -> OutgoingRecord {
        OutgoingRecord {
            key: Some(format!("{}/{key}", self.id).into()),
            value: value(self.id, number).map(Into::into),
            headers: vec![(NUMBER.into(), Some(number.to_string().into()))],
            timestamp_ms: now_ms(),
        }
    }

    fn stands_at(&mut self, offset: i64, record: (u32, u32)) {
        let before = self.places.insert(offset, record);
        assert!(before.is_none_or(|before| before == record), "at {offset} stood {before:?}, and now {record:?}");
    }

    /// Compares what is left of its keys with what it was promised.
    fn check(&mut self, records: &[FetchedRecord]) {
        let mut found: BTreeMap<u32, u32> = BTreeMap::new();
        for record in records {
            let Some((id, key)) = owner(record) else { continue };
            if id != self.id {
                continue;
            }
            let number = number(record);
            assert_eq!(record.value.as_deref(), value(id, number).as_deref(), "{id}/{key} at {}", record.offset);
            let sent = self.keys.get(&key).is_some_and(|known| number <= known.sent);
            assert!(sent, "{id}/{key} {number} at {} was never sent", record.offset);
            self.stands_at(record.offset, (key, number));
            let before = found.insert(key, number);
            let ascends = before.is_none_or(|before| before < number || before == number && !self.idempotent);
            assert!(ascends, "{id}/{key}: {number} at {} comes after {before:?}", record.offset);
        }
        let (id, expire) = (self.id, self.tombstones_expire);
        for (key, known) in &mut self.keys {
            match found.get(key) {
                Some(number) => {
                    assert!(*number >= known.acknowledged, "{id}/{key} is {number}, and {known:?}");
                    (known.acknowledged, known.sent) = (*number, *number);
                }
                None => {
                    let mut perhaps = known.acknowledged..=known.sent;
                    let deleted = expire && perhaps.any(|number| number.is_multiple_of(TOMBSTONE_EVERY));
                    assert!(known.acknowledged == 0 || deleted, "{id}/{key} is nowhere, and {known:?}");
                }
            }
        }
    }
}

/// Looks at everything, on behalf of all who write.
pub(crate) async fn check_compacted(cluster: &Cluster, keepers: &mut [Keeper]) -> u64 {
    let mark = OutgoingRecord { key: Some(MARK.into()), timestamp_ms: now_ms(), ..Default::default() };
    let mut producer = Producer::new(cluster, client::Acks::All, Codec::None);
    let written = producer.send(COMPACTED, 0, &[mark]).await.unwrap();
    let contents = read_settled(cluster).await;
    assert_eq!(contents.end, written.base_offset + 1, "{COMPACTED}: what was written last is not the end");
    let records = &contents.records;
    assert!(records.is_sorted_by(|one, other| one.offset < other.offset), "{COMPACTED}: offsets do not ascend");
    for record in records.iter().filter(|record| owner(record).is_none()) {
        assert_eq!(record.key.as_deref(), Some(MARK.as_bytes()), "nobody wrote {record:?}");
    }
    keepers.iter_mut().for_each(|keeper| keeper.check(records));
    records.len() as u64
}

/// Reads until two readings agree. Where tombstones expire at once, a reader that saw a record may miss its deletion:
/// the record went, and the tombstone with the next pass, while it was on its way. The next reading sees neither.
async fn read_settled(cluster: &Cluster) -> Contents {
    let mut before = read(cluster, COMPACTED, 0).await.unwrap();
    for _ in 0..READINGS_MAX {
        let contents = read(cluster, COMPACTED, 0).await.unwrap();
        if contents.records == before.records {
            return contents;
        }
        before = contents;
    }
    panic!("{COMPACTED} changes at each of {READINGS_MAX} readings, and nobody writes");
}

/// Whose key it is, and which.
fn owner(record: &FetchedRecord) -> Option<(u32, u32)> {
    let (id, key) = std::str::from_utf8(record.key.as_deref()?).ok()?.split_once('/')?;
    Some((id.parse().ok()?, key.parse().ok()?))
}

fn number(record: &FetchedRecord) -> u32 {
    let header = record.headers.iter().find(|(name, _)| name == NUMBER).and_then(|(_, value)| value.as_deref());
    std::str::from_utf8(header.unwrap_or_else(|| panic!("no number in {record:?}"))).unwrap().parse().unwrap()
}

/// The value of a number, or none for a tombstone.
fn value(id: u32, number: u32) -> Option<Vec<u8>> {
    (!number.is_multiple_of(TOMBSTONE_EVERY)).then(|| noise(u64::from(id) << 32 | u64::from(number), PADDING_MAX))
}
