//! A sorted map whose clones share what they have in common.
//!
//! Entries lie in sorted chunks, and the chunks in a sorted list. A change copies one chunk and the list of pointers
//! to the others, never the entries themselves: inserting into a map of 10,000 entries that somebody else also holds
//! copies about 200 pointers and 64 entries. Two versions are compared by skipping the chunks they share.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// A chunk is split when it would hold more entries than this.
const CHUNK_ENTRIES_MAX: usize = 64;
/// A chunk with fewer entries than this joins its neighbour, when both fit into one with room to grow.
const CHUNK_ENTRIES_MIN: usize = 16;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

/// A sorted map; cloning it is one counter.
///
/// Keys and values are cloned when a shared chunk changes: make them cheap to clone.
#[derive(Clone)]
pub(crate) struct SharedMap<K, V> {
    /// No chunk is empty; keys ascend within a chunk and from chunk to chunk.
    chunks: Arc<Vec<Chunk<K, V>>>,
    len: usize,
}

/// A key whose value differs between two maps: (key, value before, value after).
pub(crate) type Difference<'a, K, V> = (&'a K, Option<&'a V>, Option<&'a V>);

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        SharedMap { chunks: Arc::default(), len: 0 }
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (chunk, entry) = self.find(key).ok()?;
        Some(&self.chunks[chunk][entry].1)
    }

    /// Sets the value of `key`, and hands back the one it had.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let place = self.find(&key);
        let chunks = Arc::make_mut(&mut self.chunks);
        match place {
            Ok((chunk, entry)) => Some(std::mem::replace(&mut Arc::make_mut(&mut chunks[chunk])[entry].1, value)),
            Err((chunk, entry)) => {
                self.len += 1;
                if chunks.is_empty() {
                    chunks.push(Arc::new(vec![(key, value)]));
                    return None;
                }
                let entries = Arc::make_mut(&mut chunks[chunk]);
                entries.insert(entry, (key, value));
                if entries.len() > CHUNK_ENTRIES_MAX {
                    let upper = entries.split_off(CHUNK_ENTRIES_MAX / 2);
                    chunks.insert(chunk + 1, Arc::new(upper));
                }
                None
            }
        }
    }

    /// Removes `key`, and hands back the value it had.
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (chunk, entry) = self.find(key).ok()?;
        self.len -= 1;
        let chunks = Arc::make_mut(&mut self.chunks);
        let (_, value) = Arc::make_mut(&mut chunks[chunk]).remove(entry);
        if chunks[chunk].is_empty() {
            chunks.remove(chunk);
        } else if chunks[chunk].len() < CHUNK_ENTRIES_MIN {
            join_with_neighbour(chunks, chunk);
        }
        Some(value)
    }

    /// Every entry, keys ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().map(|(key, value)| (key, value)))
    }

    /// Every entry from `key` on, that one included.
    pub(crate) fn iter_from<'a, Q: Ord + ?Sized>(
        &'a self,
        key: &Q,
    ) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, Q, K, V>
    where
        K: Borrow<Q>,
    {
        let (first, skipped) = match self.find(key) {
            Ok(place) | Err(place) => place,
        };
        self.chunks
            .iter()
            .skip(first)
            .enumerate()
            .flat_map(move |(i, chunk)| chunk[if i == 0 { skipped } else { 0 }..].iter())
            .map(|(key, value)| (key, value))
    }

    /// What differs from `self` to `after`, keys ascending. Chunks that both share are not looked into.
    pub(crate) fn differences<'a>(
        &'a self,
        after: &'a SharedMap<K, V>,
        same: impl Fn(&V, &V) -> bool,
    ) -> Vec<Difference<'a, K, V>> {
        let (mut old, mut new) = (Cursor::new(self), Cursor::new(after));
        let mut found = Vec::new();
        loop {
            while old.skip_shared(&mut new) {}
            let order = match (old.entry(), new.entry()) {
                (None, None) => return found,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(was), Some(is)) => was.0.cmp(&is.0),
            };
            let was = if order.is_le() { old.advance() } else { None };
            let is = if order.is_ge() { new.advance() } else { None };
            match (was, is) {
                (Some(was), Some(is)) if !same(&was.1, &is.1) => found.push((&is.0, Some(&was.1), Some(&is.1))),
                (Some(was), None) => found.push((&was.0, Some(&was.1), None)),
                (None, Some(is)) => found.push((&is.0, None, Some(&is.1))),
                _ => {}
            }
        }
    }

    /// Where `key` is, or where it belongs: (chunk, entry).
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<(usize, usize), (usize, usize)>
    where
        K: Borrow<Q>,
    {
        let after = self.chunks.partition_point(|chunk| chunk[0].0.borrow() <= key);
        let chunk = after.saturating_sub(1);
        let Some(entries) = self.chunks.get(chunk) else { return Err((0, 0)) };
        match entries.binary_search_by(|(other, _)| other.borrow().cmp(key)) {
            Ok(entry) => Ok((chunk, entry)),
            Err(entry) => Err((chunk, entry)),
        }
    }
}

fn join_with_neighbour<K: Clone, V: Clone>(chunks: &mut Vec<Chunk<K, V>>, chunk: usize) {
    let lower = if chunk + 1 < chunks.len() { chunk } else { chunk.saturating_sub(1) };
    let Some(upper) = chunks.get(lower + 1) else { return };
    if chunks[lower].len() + upper.len() <= CHUNK_ENTRIES_MAX - CHUNK_ENTRIES_MIN {
        let upper = chunks.remove(lower + 1);
        Arc::make_mut(&mut chunks[lower]).extend(upper.iter().cloned());
    }
}

/// A place in a map, for walking two of them side by side.
struct Cursor<'a, K, V> {
    chunks: &'a [Chunk<K, V>],
    entry: usize,
}

impl<'a, K, V> Cursor<'a, K, V> {
    fn new(map: &'a SharedMap<K, V>) -> Self {
        Cursor { chunks: &map.chunks, entry: 0 }
    }

    fn entry(&self) -> Option<&'a (K, V)> {
        self.chunks.first().map(|chunk| &chunk[self.entry])
    }

    fn advance(&mut self) -> Option<&'a (K, V)> {
        let entry = self.entry()?;
        self.entry += 1;
        if self.entry == self.chunks[0].len() {
            self.chunks = &self.chunks[1..];
            self.entry = 0;
        }
        Some(entry)
    }

    /// Steps over a chunk at whose start both stand, if it is the very same one.
    fn skip_shared(&mut self, other: &mut Self) -> bool {
        let (Some(mine), Some(theirs)) = (self.chunks.first(), other.chunks.first()) else { return false };
        let shared = self.entry == 0 && other.entry == 0 && Arc::ptr_eq(mine, theirs);
        if shared {
            self.chunks = &self.chunks[1..];
            other.chunks = &other.chunks[1..];
        }
        shared
    }
}

impl<K: Ord + Clone + PartialEq, V: Clone + PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone + fmt::Debug, V: Clone + fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn entries<K: Ord + Clone, V: Clone>(map: &SharedMap<K, V>) -> Vec<(K, V)> {
        map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Random inserts and removals, against the standard map: contents, order, lookups, ranges and differences agree.
    #[test]
    fn behaves_like_a_btree_map() {
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut map, mut model) = (SharedMap::default(), BTreeMap::new());
            let (mut old_map, mut old_model) = (map.clone(), model.clone());
            for step in 0..2000u32 {
                let key = random.u32(0..600);
                // Alternate between growing and shrinking, so that chunks split and join.
                if random.u32(0..10) < if step / 500 % 2 == 0 { 8 } else { 2 } {
                    assert_eq!(map.insert(key, step), model.insert(key, step), "seed {seed}");
                } else {
                    assert_eq!(map.remove(&key), model.remove(&key), "seed {seed}");
                }
                assert_eq!(map.len(), model.len());
                if step % 97 == 0 {
                    assert!(map.iter().eq(model.iter()), "seed {seed} step {step}");
                    assert!(map.iter_from(&key).eq(model.range(key..)), "seed {seed} step {step}");
                    assert_eq!(map.get(&key), model.get(&key));
                    assert!(old_map.iter().eq(old_model.iter()), "a clone changed: seed {seed} step {step}");
                    let mut rebuilt = old_model.clone();
                    for (key, was, is) in old_map.differences(&map, |a, b| a == b) {
                        assert_eq!(was, old_model.get(key));
                        assert_ne!(was, is);
                        match is {
                            Some(value) => rebuilt.insert(*key, *value),
                            None => rebuilt.remove(key),
                        };
                    }
                    assert_eq!(rebuilt, model, "seed {seed} step {step}");
                    (old_map, old_model) = (map.clone(), model.clone());
                }
            }
        }
    }

    #[test]
    fn shared_chunks_are_not_compared() {
        let mut before = SharedMap::default();
        for key in 0..10_000u32 {
            before.insert(key, key);
        }
        let mut after = before.clone();
        after.insert(5_000, 0);
        let compared = std::cell::Cell::new(0);
        let found = before.differences(&after, |a, b| {
            compared.set(compared.get() + 1);
            a == b
        });
        assert_eq!(found, [(&5_000, Some(&5_000), Some(&0))]);
        assert!(compared.get() <= CHUNK_ENTRIES_MAX, "{} entries were compared", compared.get());
    }

    #[test]
    fn an_empty_map_has_nothing() {
        let mut map = SharedMap::<u32, u32>::default();
        assert_eq!((map.get(&1).copied(), map.remove(&1), map.len()), (None, None, 0));
        assert_eq!(map.iter_from(&1).count(), 0);
        map.insert(1, 1);
        map.remove(&1);
        assert_eq!(entries(&map), []);
        map.insert(2, 2);
        assert_eq!(entries(&map), [(2, 2)]);
    }
}
