//! The last offset of each key in the dirty part of a log, in bounded memory.
//!
//! Keys are known by a hash of 16 bytes under a secret of the pass (see `siphash.rs`), so an entry costs 24 bytes
//! whatever its key is. The table doubles as long as the next one fits beside it; then the map is full, and a pass covers
//! what it has.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::Path;

use protocol::records::Batch;
use tracing::warn;

use super::siphash::{self, Secret};
use super::transactions::Transactions;
use super::{Brake, UNCOMPRESSED_MAX_BYTES};
use crate::error::StorageError;
use crate::log::PartitionLog;
use crate::scan::scan;
use crate::segment::Segment;
use std::ops::Range;
use std::sync::Arc;

const SLOT_BYTES: usize = 24;
const FIRST_SLOTS: usize = 1024;
/// Of ten slots as many are used: beyond that, chains of neighbours grow long.
const USED_OF_TEN: usize = 8;

/// A slot: hash and offset; an offset of [`FREE`] is none.
type Slot = ([u64; 2], i64);
const FREE: i64 = -1;

/// Offsets by key.
pub(super) struct OffsetMap {
    secret: Secret,
    slots: Vec<Slot>,
    used: usize,
    limit_bytes: usize,
}

impl OffsetMap {
    /// An empty map that will take at most `limit_bytes`, but some keys in any case.
    pub(super) fn new(limit_bytes: usize) -> OffsetMap {
        let random = RandomState::new();
        let secret = Secret(random.hash_one(0), random.hash_one(1));
        OffsetMap { secret, slots: vec![([0; 2], FREE); FIRST_SLOTS], used: 0, limit_bytes }
    }

    /// How many keys it has.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// The last offset of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<i64> {
        let (_, offset) = self.slots[self.place(&self.slots, self.hash(key))];
        (offset != FREE).then_some(offset)
    }

    /// Notes that a key stands at `offset`, which is behind all that were noted; false when there is no room.
    pub(super) fn put(&mut self, key: &[u8], offset: i64) -> bool {
        let hash = self.hash(key);
        let mut place = self.place(&self.slots, hash);
        if self.slots[place].1 == FREE {
            if self.used + 1 > self.slots.len() / 10 * USED_OF_TEN {
                if !self.grow() {
                    return false;
                }
                place = self.place(&self.slots, hash);
            }
            self.used += 1;
        }
        self.slots[place] = (hash, offset);
        true
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        let hash = siphash::hash(self.secret, key);
        [hash as u64, (hash >> 64) as u64]
    }

    /// Where a hash stands, or would.
    fn place(&self, slots: &[Slot], hash: [u64; 2]) -> usize {
        // Some slots are always free.
        let mut place = ((u128::from(hash[0]) * slots.len() as u128) >> 64) as usize;
        while slots[place].1 != FREE && slots[place].0 != hash {
            place = if place + 1 == slots.len() { 0 } else { place + 1 };
        }
        place
    }

    fn grow(&mut self) -> bool {
        // While it grows both are there, and a little more is not worth the work.
        let room = (self.limit_bytes / SLOT_BYTES).saturating_sub(self.slots.len());
        let count = room.min(self.slots.len() * 2);
        if count < self.slots.len() / 4 * 5 {
            return false;
        }
        let mut larger = vec![([0; 2], FREE); count];
        for slot in self.slots.iter().filter(|slot| slot.1 != FREE) {
            let place = self.place(&larger, slot.0);
            larger[place] = *slot;
        }
        self.slots = larger;
        true
    }
}

impl PartitionLog {
    /// Reads dirty segments into the map until it is full; answers up to where it reaches, or `None` when the pass is to
    /// end. The last of `segments` only says where the one before ends.
    pub(super) fn build_map(
        &self,
        map: &mut OffsetMap,
        segments: &[Arc<Segment>],
        range: &Range<i64>,
        brake: &Brake<'_>,
    ) -> Result<Option<i64>, StorageError> {
        let disk = &*self.shared.disk;
        let mut transactions = Transactions::default();
        for pair in segments.windows(2) {
            let segment = &pair[0];
            let opened = transactions
                .enter(self, segment, pair[1].base_offset())
                .and_then(|()| segment.position_before(disk, range.start))
                .and_then(|from| Ok((segment.file(disk)?, from)));
            let (file, from) = match opened {
                // Retention was faster.
                Err(_) if self.is_gone(segment) => continue,
                opened => opened?,
            };
            let mut why = None;
            let ended = scan(&*file, segment.path(), from..segment.size(), true, |batch, _| {
                why = if batch.base_offset() >= range.end {
                    Some(Stop::Full(range.end))
                } else if !brake.spend(batch.size_bytes() as u64) {
                    Some(Stop::Cancelled)
                } else if is_void(&mut transactions, batch) {
                    None
                } else {
                    add(map, batch, range, segment.path()).map(Stop::Full)
                };
                why.as_ref().map_or(Ok(()), |_| Err(String::new()))
            })?;
            match (why, ended.invalid) {
                (None, None) => {}
                (None, Some(reason)) => {
                    let path = segment.path().to_owned();
                    return Err(StorageError::Corrupt { path, position: ended.position, reason });
                }
                (Some(Stop::Cancelled), _) => return Ok(None),
                (Some(Stop::Full(end)), _) => return Ok(Some(end)),
            }
        }
        Ok(Some(range.end))
    }
}

enum Stop {
    Cancelled,
    /// From this offset on there was no room, or nothing may be compacted.
    Full(i64),
}

/// Whether a batch has no key that counts.
fn is_void(transactions: &mut Transactions, batch: &Batch<'_>) -> bool {
    if batch.is_control() {
        transactions.end(batch);
        return true;
    }
    transactions.is_void(batch)
}

/// Adds the keys of a batch; answers the first offset for which there was no room.
fn add(map: &mut OffsetMap, batch: &Batch<'_>, range: &Range<i64>, path: &Path) -> Option<i64> {
    if batch.last_offset() < range.start || batch.record_count() == 0 {
        return None;
    }
    let records = match batch.records(UNCOMPRESSED_MAX_BYTES) {
        Ok(records) => records,
        Err(error) => {
            warn!(segment = %path.display(), offset = batch.base_offset(), %error, "a batch cannot be unpacked; compaction keeps it");
            return None;
        }
    };
    for record in records.iter().map_while(Result::ok).filter(|record| range.contains(&record.offset)) {
        if let Some(key) = record.key
            && !map.put(key, record.offset)
        {
            return Some(record.offset);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_the_last_offset_of_each_key_until_it_is_full() {
        let limit_bytes = 3 * 8 * FIRST_SLOTS * SLOT_BYTES;
        let mut map = OffsetMap::new(limit_bytes);
        let mut offset = 0;
        while map.put(format!("key {}", offset / 2).as_bytes(), offset) {
            offset += 1;
        }
        assert!(map.slots.len() * SLOT_BYTES <= limit_bytes);
        assert_eq!(map.len() as i64, offset / 2);
        assert!(map.len() > 8 * FIRST_SLOTS, "{}", map.len());
        for key in 0..offset / 2 {
            assert_eq!(map.get(format!("key {key}").as_bytes()), Some(key * 2 + 1));
        }
        assert_eq!(map.get(b"another"), None);
        assert!(map.put(b"key 7", offset), "of a key that is known there is always room");
        assert_eq!(map.get(b"key 7"), Some(offset));
    }
}
