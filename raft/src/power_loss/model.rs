//! What was written to a log, and what may be left of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use openraft::{CommittedLeaderId, EntryPayload};
use state::cluster::{Command, Image};

use super::{Entry, LogId, Vote};
use crate::types::Proposal;

const NODE: u64 = 1;

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kept {
    pub(super) vote: Option<Vote>,
    pub(super) purged: Option<LogId>,
    pub(super) entries: Vec<Arc<Entry>>,
}

impl Kept {
    pub(super) fn last(&self) -> Option<LogId> {
        self.entries.last().map(|entry| entry.log_id).or(self.purged)
    }

    fn next_index(&self) -> u64 {
        self.last().map_or(0, |last| last.index + 1)
    }
}

/// Everything that was written, record by record: after a failure the log is what it was after one of them.
#[derive(Debug)]
pub(super) struct History {
    /// After each record since the last start; the first is what was found then.
    steps: Vec<Kept>,
    /// The step that was acknowledged last, and the ones before it with it.
    acknowledged: usize,
    term: u64,
    /// Entries that are never taken back, from the first on, with those that were purged.
    committed: BTreeMap<u64, Arc<Entry>>,
    snapshot: Option<LogId>,
}

impl Default for History {
    fn default() -> History {
        let steps = vec![Kept::default()];
        History { steps, acknowledged: 0, term: 0, committed: BTreeMap::new(), snapshot: None }
    }
}

impl History {
    fn now(&self) -> &Kept {
        self.steps.last().expect("there is always one")
    }

    fn step(&mut self, change: impl FnOnce(&mut Kept)) {
        let mut next = self.now().clone();
        change(&mut next);
        self.steps.push(next);
    }

    pub(super) fn acknowledge(&mut self) {
        self.acknowledged = self.steps.len() - 1;
    }

    pub(super) fn vote(&mut self, rng: &mut Rng) -> Vote {
        self.term += 1;
        let mut vote = Vote::new(self.term, NODE);
        vote.committed = rng.bool();
        self.step(|kept| kept.vote = Some(vote));
        vote
    }

    pub(super) fn append(&mut self, rng: &mut Rng) -> Vec<Entry> {
        let next = self.now().next_index();
        let entries: Vec<Entry> = (next..next + rng.u64(1..5)).map(|index| self.entry(index, rng)).collect();
        for entry in &entries {
            let entry = Arc::new(entry.clone());
            self.step(|kept| kept.entries.push(entry));
        }
        entries
    }

    /// An entry like no other.
    fn entry(&self, index: u64, rng: &mut Rng) -> Entry {
        let log_id = LogId::new(CommittedLeaderId::new(self.term, NODE), index);
        let elected = Command::ControllerElected { controller_id: rng.i32(0..) };
        let payload = match rng.u32(..8) {
            0 => EntryPayload::Blank,
            1 => {
                let cluster_id = "x".repeat(rng.usize(..2_000));
                let created = Command::ClusterCreated { cluster_id, features: BTreeMap::new() };
                EntryPayload::Normal(Proposal(Arc::from([elected, created])))
            }
            _ => EntryPayload::Normal(Proposal(Arc::from([elected]))),
        };
        Entry { log_id, payload }
    }

    /// From where entries are to be taken back, if any may be.
    pub(super) fn truncate(&mut self, rng: &mut Rng) -> Option<LogId> {
        let open = self.now().entries.iter().filter(|entry| !self.committed.contains_key(&entry.log_id.index));
        let open: Vec<LogId> = open.map(|entry| entry.log_id).collect();
        let from = *rng.choice(&open)?;
        self.step(|kept| kept.entries.retain(|entry| entry.log_id.index < from.index));
        Some(from)
    }

    /// Up to where entries are to be forgotten, if a snapshot has any.
    pub(super) fn purge(&mut self, rng: &mut Rng) -> Option<LogId> {
        let covered = self.now().entries.iter().filter(|entry| Some(entry.log_id) <= self.snapshot);
        let covered: Vec<LogId> = covered.map(|entry| entry.log_id).collect();
        let up_to = *rng.choice(&covered)?;
        self.step(|kept| {
            kept.entries.retain(|entry| entry.log_id.index > up_to.index);
            kept.purged = Some(up_to);
        });
        Some(up_to)
    }

    /// Commits some of what was acknowledged.
    pub(super) fn commit(&mut self, rng: &mut Rng) -> Option<LogId> {
        let entries: Vec<Arc<Entry>> = self.now().entries.clone();
        let count = rng.usize(..=entries.len());
        self.committed.extend(entries.into_iter().take(count).map(|entry| (entry.log_id.index, entry)));
        self.committed.values().next_back().map(|entry| entry.log_id)
    }

    pub(super) fn commit_all(&mut self) {
        let entries = self.now().entries.clone();
        self.committed.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
    }

    pub(super) fn committed_after(&self, applied: Option<LogId>) -> Vec<Entry> {
        let from = applied.map_or(0, |applied| applied.index + 1);
        self.committed.range(from..).map(|(_, entry)| Entry::clone(entry)).collect()
    }

    pub(super) fn note_snapshot(&mut self, snapshot: Option<LogId>) {
        self.snapshot = snapshot;
    }

    pub(super) fn snapshot(&self) -> Option<LogId> {
        self.snapshot
    }

    /// Compares what was found after a failure; the history goes on from there.
    pub(super) fn recovered(&mut self, found: Kept, snapshot: Option<LogId>) {
        if !self.steps[self.acknowledged..].contains(&found) {
            panic!(
                "the log is none of what it was since step {} was acknowledged: {found:#?}\nbut one of {:#?}",
                self.acknowledged,
                &self.steps[self.acknowledged..]
            );
        }
        assert!(snapshot.is_none_or(|at| self.committed.get(&at.index).is_some_and(|entry| entry.log_id == at)));
        self.snapshot = snapshot;
        self.steps = vec![found];
        self.acknowledged = 0;
    }

    pub(super) fn image(&self) -> Image {
        let mut image = Image::default();
        for entry in self.committed.values() {
            if let EntryPayload::Normal(Proposal(commands)) = &entry.payload {
                commands.iter().for_each(|command| drop(image.apply(command)));
            }
        }
        image
    }
}
