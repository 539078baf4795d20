//! Whether a history keeps what transactions promise, in Jepsen's terms where it has one.
//!
//! Pure: histories in, violations out. What is not checked because Kafka does not promise it: that a transaction
//! becomes visible everywhere at the same moment, and any order between the writes of two producers.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{End, History, Place, Time, Transaction, Value, Write};

/// A partition when everything is over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    /// What readers of committed records find.
    pub(crate) committed: Vec<(i64, Option<Value>)>,
    /// What readers of all records find.
    pub(crate) all: Vec<(i64, Option<Value>)>,
    /// How far readers of committed records may go.
    pub(crate) last_stable_offset: i64,
    pub(crate) end_offset: i64,
}

/// What a partition must not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// There is what nobody wrote, or where nobody wrote it.
    Phantom,
    /// One value stands twice.
    Duplicate,
    /// One offset has two values, as two read it or as its writer was told.
    InconsistentOffset,
    /// What a producer wrote first stands last.
    OutOfOrder,
    /// Of an aborted transaction, or one that never asked to be committed, something is visible (G1a).
    AbortedRead,
    /// Something was visible before its producer asked for the commit.
    EarlyRead,
    /// Of a committed transaction something is not there.
    LostWrite,
    /// Nobody knows how a transaction ended, and readers see part of it.
    Torn,
    /// A reader went past what it should have been given, or back.
    Skipped,
    /// Readers of committed records were let past the beginning of an open transaction.
    PassedOpen,
    /// What was stable is not.
    WentBack,
    /// A producer did something after another one took over.
    Fenced,
    /// A transaction is open that nobody ends.
    Hanging,
}

/// A broken rule, and where.
pub(crate) type Violation = (Rule, String);

/// All violations; `contents` has every place.
pub(crate) fn check(history: &History, contents: &BTreeMap<Place, Contents>) -> Vec<Violation> {
    let mut checker = Checker { history, contents, found: Vec::new(), successors: successors(history) };
    let standing = checker.places();
    let visible = checker.visible(&standing);
    for number in 0..history.transactions.len() {
        checker.outcome(number, &visible);
        checker.fencing(number);
    }
    checker.acknowledged(&standing);
    checker.order(&standing);
    checker.reads(&standing);
    checker.stable();
    checker.found
}

/// For each instance the next one of its name.
fn successors(history: &History) -> BTreeMap<usize, usize> {
    let (mut last, mut successors) = (BTreeMap::new(), BTreeMap::new());
    for (number, instance) in history.instances.iter().enumerate() {
        if let Some(before) = last.insert(&instance.name, number) {
            successors.insert(before, number);
        }
    }
    successors
}

struct Checker<'a> {
    history: &'a History,
    contents: &'a BTreeMap<Place, Contents>,
    found: Vec<Violation>,
    successors: BTreeMap<usize, usize>,
}

/// Where each value stands.
type Standing = BTreeMap<Value, (Place, i64)>;

impl Checker<'_> {
    fn report(&mut self, rule: Rule, what: String) {
        self.found.push((rule, what));
    }

    fn place_of(&self, value: Value) -> Option<Place> {
        Some(self.history.transactions.get(value.transaction)?.writes.get(value.write)?.place)
    }

    /// Each value of the whole logs: known, once, and where it was sent.
    fn places(&mut self) -> Standing {
        let mut standing = Standing::new();
        for (place, contents) in self.contents {
            for (offset, value) in &contents.all {
                let Some(value) = value.filter(|value| self.place_of(*value) == Some(*place)) else {
                    self.report(Rule::Phantom, format!("{place:?} at {offset}: {value:?}"));
                    continue;
                };
                if let Some(before) = standing.insert(value, (*place, *offset)) {
                    self.report(Rule::Duplicate, format!("{value:?} at {before:?} and at {offset}"));
                }
            }
            if contents.last_stable_offset != contents.end_offset {
                let Contents { last_stable_offset, end_offset, .. } = contents;
                self.report(Rule::Hanging, format!("{place:?}: stable to {last_stable_offset} of {end_offset}"));
            }
        }
        standing
    }

    /// What readers of committed records find, which is what stands there.
    fn visible(&mut self, standing: &Standing) -> BTreeSet<Value> {
        let mut visible = BTreeSet::new();
        for (place, contents) in self.contents {
            for (offset, value) in &contents.committed {
                match value {
                    Some(value) if standing.get(value) == Some(&(*place, *offset)) => drop(visible.insert(*value)),
                    _ => self.report(Rule::InconsistentOffset, format!("{place:?} at {offset}: {value:?} to some")),
                }
            }
        }
        visible
    }

    /// All or nothing, and which of them.
    fn outcome(&mut self, number: usize, visible: &BTreeSet<Value>) {
        let transaction = &self.history.transactions[number];
        let (mut shown, mut missing) = (Vec::new(), Vec::new());
        for (write, sent) in transaction.writes.iter().enumerate() {
            let value = Value { transaction: number, write };
            match visible.contains(&value) {
                true => shown.push((value, sent.place)),
                // Without an answer it may never have been written.
                false if sent.answered.is_some() => missing.push((value, sent.place)),
                false => {}
            }
        }
        let rule = match self.commit_of(transaction) {
            Some(end) if end.answered.is_some() => (!missing.is_empty()).then_some(Rule::LostWrite),
            Some(_) => (!missing.is_empty() && !shown.is_empty()).then_some(Rule::Torn),
            None => (!shown.is_empty()).then_some(Rule::AbortedRead),
        };
        if let Some(rule) = rule {
            let end = transaction.end;
            self.report(rule, format!("transaction {number}, {end:?}: visible {shown:?}, not {missing:?}"));
        }
    }

    /// Nothing that was asked after another instance had its answer is accepted.
    fn fencing(&mut self, number: usize) {
        let transaction = &self.history.transactions[number];
        let Some(since) = self.fenced_since(transaction) else { return };
        for write in transaction.writes.iter().filter(|write| write.asked > since && write.answered.is_some()) {
            self.found.push((Rule::Fenced, format!("transaction {number} wrote after {since}: {write:?}")));
        }
        if let Some(end) = transaction.end.filter(|end| end.asked > since && end.answered.is_some()) {
            self.report(Rule::Fenced, format!("transaction {number} ended after {since}: {end:?}"));
        }
    }

    /// When the next instance had its answer.
    fn fenced_since(&self, transaction: &Transaction) -> Option<Time> {
        self.successors.get(&transaction.instance).and_then(|next| self.history.instances[*next].answered)
    }

    /// The commit of a producer that had not been fenced.
    fn commit_of(&self, transaction: &Transaction) -> Option<End> {
        let since = self.fenced_since(transaction);
        transaction.end.filter(|end| end.committed && since.is_none_or(|since| end.asked < since))
    }

    /// What was acknowledged is in the log, also when nobody may see it, and where its writer was told.
    fn acknowledged(&mut self, standing: &Standing) {
        for (number, transaction) in self.history.transactions.iter().enumerate() {
            for (write, sent) in transaction.writes.iter().enumerate().filter(|(_, sent)| sent.answered.is_some()) {
                let stands = standing.get(&Value { transaction: number, write });
                let told = sent.offset.map(|offset| (sent.place, offset));
                match stands {
                    None => self.found.push((Rule::LostWrite, format!("transaction {number}: {sent:?}"))),
                    Some(stands) if told.is_none_or(|told| told == *stands) => {}
                    Some(_) => {
                        let what = format!("transaction {number}: {sent:?} stands at {stands:?}");
                        self.found.push((Rule::InconsistentOffset, what));
                    }
                }
            }
        }
    }

    /// In each partition the values of one transactional id stand as they were sent. What a fenced instance wrote too
    /// late stands behind its successor's, and is found here even if it has had no answer.
    fn order(&mut self, standing: &Standing) {
        let mut last: BTreeMap<(&str, Place), (usize, Value, i64)> = BTreeMap::new();
        let mut values: Vec<(usize, Value, Place, i64)> = standing
            .iter()
            .map(|(value, (place, offset))| {
                (self.history.transactions[value.transaction].instance, *value, *place, *offset)
            })
            .collect();
        values.sort();
        for (instance, value, place, offset) in values {
            let name = self.history.instances[instance].name.as_str();
            if let Some((of, before, at)) = last.insert((name, place), (instance, value, offset))
                && at > offset
            {
                let rule = if of == instance { Rule::OutOfOrder } else { Rule::Fenced };
                self.found.push((rule, format!("{place:?}: {before:?} at {at}, and then {value:?} at {offset}")));
            }
        }
    }

    /// What readers were given: committed, in order, nothing left out, and the same as at the end.
    fn reads(&mut self, standing: &Standing) {
        let mut positions: BTreeMap<(u32, Place), (i64, usize)> = BTreeMap::new();
        for read in &self.history.reads {
            let Some(value) = read.value.filter(|value| self.place_of(*value) == Some(read.place)) else {
                self.report(Rule::Phantom, format!("{read:?}"));
                continue;
            };
            if standing.get(&value) != Some(&(read.place, read.offset)) {
                self.report(Rule::InconsistentOffset, format!("{read:?}, and in the end {:?}", standing.get(&value)));
            }
            let transaction = &self.history.transactions[value.transaction];
            match self.commit_of(transaction) {
                None => self.report(Rule::AbortedRead, format!("{read:?} of {transaction:?}")),
                Some(end) if read.at < end.asked => self.report(Rule::EarlyRead, format!("{read:?} before {end:?}")),
                Some(_) => {}
            }
            let (last, count) = positions.entry((read.reader, read.place)).or_insert((-1, 0));
            let went_back = read.offset <= *last;
            (*last, *count) = (read.offset, *count + 1);
            if went_back {
                self.report(Rule::Skipped, format!("{read:?} after what comes later"));
            }
        }
        for ((reader, place), (last, count)) in positions {
            let Some(contents) = self.contents.get(&place) else { continue };
            let there = contents.committed.iter().filter(|(offset, _)| *offset <= last).count();
            if there != count {
                self.report(Rule::Skipped, format!("{reader} was given {count} of {there} up to {last} of {place:?}"));
            }
        }
    }

    /// Readers wait for the first open transaction, and what they may read once stays readable.
    fn stable(&mut self) {
        let mut last: BTreeMap<Place, i64> = BTreeMap::new();
        for stable in &self.history.stable {
            let before = last.insert(stable.place, stable.offset);
            if before.is_some_and(|before| before > stable.offset) {
                self.report(Rule::WentBack, format!("{stable:?}, and before that {before:?}"));
            }
            for (number, transaction) in self.history.transactions.iter().enumerate() {
                if self.may_have_ended(transaction, stable.answered) {
                    continue;
                }
                let passed = |write: &&Write| {
                    let is_there = write.answered.is_some_and(|answered| answered < stable.asked);
                    write.place == stable.place && is_there && write.offset.is_some_and(|at| at < stable.offset)
                };
                if let Some(write) = transaction.writes.iter().find(passed) {
                    let what = format!("{stable:?} and transaction {number} with {write:?}");
                    self.found.push((Rule::PassedOpen, what));
                }
            }
        }
    }

    /// Whether anybody has asked for its end until then: its producer, or who came after it.
    fn may_have_ended(&self, transaction: &Transaction, until: Time) -> bool {
        let next = self.successors.get(&transaction.instance).map(|next| self.history.instances[*next].asked);
        let asked = transaction.end.map(|end| end.asked);
        transaction.may_time_out || asked.into_iter().chain(next).any(|asked| asked < until)
    }
}
