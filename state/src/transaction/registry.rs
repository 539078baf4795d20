//! All transactional ids of one coordinator, and when each has something to do.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::TransactionCounts;
use super::metadata::{Partitions, TransactionMetadata, TransactionState};
use super::record::TransactionRecord;
use super::request::MarkerAttempt;

/// What is known of one id. There may be very many that do nothing, so what only a transaction needs is apart.
pub(crate) struct Entry {
    /// What the log holds.
    pub(crate) metadata: TransactionMetadata,
    /// While a transaction is open, and after loading from [`Registry::open`] on.
    pub(crate) open: Option<Box<Open>>,
}

/// What is remembered of an open transaction until the machine is gone.
#[derive(Default)]
pub(crate) struct Open {
    /// When it has something to do, on the monotonic clock.
    wake_ms: Option<u64>,
    /// An order to write markers that has no answer yet.
    pub(crate) attempt: Option<MarkerAttempt>,
    /// Partitions that do not know how the transaction ended.
    pub(crate) unwritten: Partitions,
    /// Orders that did not succeed in full, one after another.
    pub(crate) failures: u32,
}

/// All ids of one coordinator.
#[derive(Default)]
pub(crate) struct Registry {
    /// Boxed, because nodes of the map may be half empty.
    entries: BTreeMap<Arc<str>, Box<Entry>>,
    /// One for each entry with a `wake_ms`.
    wakes: BTreeSet<(u64, Arc<str>)>,
    counts: TransactionCounts,
}

impl Registry {
    pub(crate) fn counts(&self) -> TransactionCounts {
        TransactionCounts { transactional_ids: self.entries.len(), ..self.counts }
    }

    pub(crate) fn get(&self, transactional_id: &str) -> Option<&Entry> {
        self.entries.get(transactional_id).map(|entry| &**entry)
    }

    pub(crate) fn metadata(&self, transactional_id: &str) -> Option<&TransactionMetadata> {
        self.entries.get(transactional_id).map(|entry| &entry.metadata)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Entry)> {
        self.entries.iter().map(|(id, entry)| (id, &**entry))
    }

    /// The ids from this one on.
    pub(crate) fn iter_from(&self, start: Option<&Arc<str>>) -> impl Iterator<Item = (&Arc<str>, &Entry)> {
        let start = start.map_or(Bound::Unbounded, |id| Bound::Included(Arc::clone(id)));
        self.entries.range((start, Bound::Unbounded)).map(|(id, entry)| (id, &**entry))
    }

    /// What is remembered of the id's open transaction. `None` for an id that is not known.
    pub(crate) fn open(&mut self, transactional_id: &str) -> Option<&mut Open> {
        self.entries.get_mut(transactional_id).map(|entry| &mut **entry.open.get_or_insert_default())
    }

    /// When the id's open transaction has something to do next.
    pub(crate) fn wake_at(&mut self, transactional_id: &str, wake_ms: Option<u64>) {
        let Some((id, _)) = self.entries.get_key_value(transactional_id) else { return };
        let id = Arc::clone(id);
        let Some(open) = self.open(transactional_id) else { return };
        let before = std::mem::replace(&mut open.wake_ms, wake_ms);
        if let Some(before) = before {
            self.wakes.remove(&(before, Arc::clone(&id)));
        }
        if let Some(wake_ms) = wake_ms {
            self.wakes.insert((wake_ms, id));
        }
    }

    /// The earliest moment at which a transaction has something to do.
    pub(crate) fn next_wake_ms(&self) -> Option<u64> {
        self.wakes.first().map(|(wake_ms, _)| *wake_ms)
    }

    /// Ids whose moment has come, some of them if there are many.
    pub(crate) fn due(&self, monotonic_ms: u64, limit: usize) -> Vec<Arc<str>> {
        let due = self.wakes.iter().take_while(|(wake_ms, _)| *wake_ms <= monotonic_ms).take(limit);
        due.map(|(_, id)| Arc::clone(id)).collect()
    }

    /// Takes a record that is in the log.
    pub(crate) fn apply(&mut self, record: &TransactionRecord) {
        let id = record.transactional_id.as_str();
        self.uncount(id);
        let Some(value) = &record.value else {
            self.wake_at(id, None);
            self.entries.remove(id);
            return;
        };
        self.count(value.state);
        match self.entries.get_mut(id) {
            Some(entry) => entry.metadata = value.clone(),
            None => {
                self.entries.insert(Arc::from(id), Box::new(Entry { metadata: value.clone(), open: None }));
            }
        }
        if !value.state.is_open() && self.get(id).is_some_and(|entry| entry.open.is_some()) {
            self.wake_at(id, None);
            if let Some(entry) = self.entries.get_mut(id) {
                entry.open = None;
            }
        }
    }

    fn count(&mut self, state: TransactionState) {
        self.counts.ongoing += usize::from(state == TransactionState::Ongoing);
        self.counts.prepared += usize::from(state.is_prepared());
    }

    fn uncount(&mut self, transactional_id: &str) {
        if let Some(state) = self.metadata(transactional_id).map(|metadata| metadata.state) {
            self.counts.ongoing -= usize::from(state == TransactionState::Ongoing);
            self.counts.prepared -= usize::from(state.is_prepared());
        }
    }
}
