//! What happened, in counts: a run in which nothing happened proves nothing.

use super::history::History;
use super::stage::{PHASES, Phase};

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// By phase; the last are those that came while nobody was where they should hit.
    pub(crate) kills: [u64; PHASES.len() + 1],
    /// Of the whole logs, each compared.
    pub(crate) records: u64,
    /// Told to readers while it went on.
    pub(crate) reads: u64,
    pub(crate) probes: u64,
    pub(crate) instances: u64,
    pub(crate) committed: u64,
    pub(crate) aborted: u64,
    /// Asked to be committed, and nobody knows.
    pub(crate) unknown: u64,
    /// Nobody asked.
    pub(crate) left: u64,
    pub(crate) transfers: u64,
    pub(crate) copied: u64,
}

impl Tally {
    pub(crate) fn killed(&mut self, phase: Option<Phase>) {
        self.kills[phase.map_or(PHASES.len(), |phase| phase as usize)] += 1;
    }

    pub(crate) fn kills(&self) -> u64 {
        self.kills.iter().sum()
    }

    pub(crate) fn note(&mut self, history: &History) {
        self.reads += history.reads.len() as u64;
        self.probes += history.stable.len() as u64;
        self.instances += history.instances.len() as u64;
        for transaction in &history.transactions {
            let counted = match transaction.end {
                None => &mut self.left,
                Some(end) if !end.committed => &mut self.aborted,
                Some(end) if end.answered.is_none() => &mut self.unknown,
                Some(_) => &mut self.committed,
            };
            *counted += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        self.kills.iter_mut().zip(&other.kills).for_each(|(kills, more)| *kills += more);
        self.records += other.records;
        self.reads += other.reads;
        self.probes += other.probes;
        self.instances += other.instances;
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.unknown += other.unknown;
        self.left += other.left;
        self.transfers += other.transfers;
        self.copied += other.copied;
    }

    /// Of one world alone not everything can be asked.
    pub(crate) fn was_worth_it(&self, worlds: u64) {
        let each = [self.aborted, self.left, self.transfers, self.copied, self.reads, self.probes];
        assert!(each.iter().all(|count| *count >= worlds) && self.committed > 20 * worlds, "only {self:?}");
        if worlds > 3 {
            let missed = PHASES.iter().find(|phase| self.kills[**phase as usize] == 0);
            assert!(missed.is_none() && self.unknown > 0, "no kill in {missed:?}: {self:?}");
        }
    }
}
