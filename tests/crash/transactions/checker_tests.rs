//! Histories written by hand: a good one, and what may not be.

use std::collections::BTreeMap;

use super::checker::{Contents, Rule, check};
use super::history::{History, Place, Value};

const A: Place = ("t", 0);
const B: Place = ("t", 1);

/// A world that may be spoiled before it is checked.
struct Case {
    history: History,
    contents: BTreeMap<Place, Contents>,
}

fn value(transaction: usize, write: usize) -> Option<Value> {
    Some(Value { transaction, write })
}

impl Case {
    /// One producer: 0 is committed to both places, 1 aborted, 2 asked to be committed and nobody knows, 3 was left open
    /// when another instance came, which committed 4. A reader and a prober looked on in the first place.
    fn good() -> Case {
        let mut history = History::default();
        let first = history.instance_asked("p");
        history.instance_answered(first);
        let ends = [Some((true, true)), Some((false, true)), Some((true, false)), None];
        let offsets = [(0, 0), (2, 2), (4, 4), (6, 6)];
        for ((end, offsets), transaction) in ends.into_iter().zip(offsets).zip(0..) {
            history.begun(first, false);
            for (place, offset) in [(A, offsets.0), (B, offsets.1)] {
                let value = history.write_asked(transaction, place);
                history.write_answered(value, offset);
            }
            let asked = history.tick();
            history.was_stable(A, asked, offsets.0);
            let Some((committed, answered)) = end else { continue };
            history.end_asked(transaction, committed);
            if answered {
                history.end_answered(transaction);
            }
            if committed {
                history.was_read(1, A, offsets.0, value(transaction, 0));
            }
        }
        let second = history.instance_asked("p");
        history.instance_answered(second);
        history.begun(second, false);
        let last = history.write_asked(4, A);
        history.write_answered(last, 8);
        history.end_asked(4, true);
        history.end_answered(4);
        let all = |write: usize| (0..4).map(move |n| (n as i64 * 2, value(n, write))).collect::<Vec<_>>();
        let committed = |write: usize| vec![(0, value(0, write)), (4, value(2, write))];
        let (mut a, mut b) = (
            Contents { all: all(0), committed: committed(0), last_stable_offset: 10, end_offset: 10 },
            Contents { all: all(1), committed: committed(1), last_stable_offset: 8, end_offset: 8 },
        );
        a.all.push((8, value(4, 0)));
        a.committed.push((8, value(4, 0)));
        b.all.shrink_to_fit();
        Case { history, contents: BTreeMap::from([(A, a), (B, b)]) }
    }

    fn at(&mut self, place: Place) -> &mut Contents {
        self.contents.get_mut(&place).unwrap()
    }

    /// Which rules are broken, each once.
    fn rules(&self) -> Vec<Rule> {
        let mut rules: Vec<Rule> = check(&self.history, &self.contents).into_iter().map(|(rule, _)| rule).collect();
        rules.sort();
        rules.dedup();
        rules
    }
}

/// The rules that a good history breaks when it was spoiled.
fn spoiled(spoil: impl FnOnce(&mut Case)) -> Vec<Rule> {
    let mut case = Case::good();
    spoil(&mut case);
    case.rules()
}

#[test]
fn a_good_history_is_accepted() {
    assert_eq!(spoiled(|_| {}), []);
    // Nobody knows of 2, so it may also be gone, everywhere.
    let gone = spoiled(|case| {
        case.history.reads.retain(|read| read.value != value(2, 0));
        case.contents.values_mut().for_each(|contents| {
            let _ = contents.committed.remove(1);
        });
    });
    assert_eq!(gone, []);
}

#[test]
fn what_nobody_wrote_and_what_stands_twice_is_found() {
    assert_eq!(spoiled(|case| case.at(A).all.push((11, None))), [Rule::Phantom]);
    assert_eq!(spoiled(|case| case.at(A).all.push((11, value(99, 0)))), [Rule::Phantom]);
    assert_eq!(spoiled(|case| case.at(A).all.push((11, value(0, 1)))), [Rule::Phantom], "it was sent elsewhere");
    assert!(spoiled(|case| case.at(A).all.push((11, value(4, 0)))).contains(&Rule::Duplicate));
    assert_eq!(spoiled(|case| case.history.was_read(2, A, 0, None)), [Rule::Phantom]);
}

#[test]
fn an_offset_has_one_value() {
    assert_eq!(spoiled(|case| case.at(A).committed[0].0 = 1), [Rule::LostWrite, Rule::InconsistentOffset].sorted());
    assert_eq!(spoiled(|case| case.history.transactions[1].writes[0].offset = Some(7)), [Rule::InconsistentOffset]);
    let moved = spoiled(|case| case.history.was_read(2, A, 1, value(0, 0)));
    assert_eq!(moved, [Rule::InconsistentOffset]);
}

#[test]
fn all_or_nothing() {
    let lost = spoiled(|case| {
        let _ = case.at(B).committed.remove(0);
    });
    assert_eq!(lost, [Rule::LostWrite]);
    assert_eq!(
        spoiled(|case| {
            let _ = case.at(B).committed.remove(1);
        }),
        [Rule::Torn]
    );
    assert_eq!(spoiled(|case| case.at(B).committed.insert(1, (2, value(1, 1)))), [Rule::AbortedRead]);
    assert_eq!(spoiled(|case| case.at(B).committed.push((6, value(3, 1)))), [Rule::AbortedRead], "left open");
    // It was acknowledged; that nobody sees it does not make it less.
    assert_eq!(
        spoiled(|case| {
            let _ = case.at(B).all.remove(1);
        }),
        [Rule::LostWrite]
    );
}

#[test]
fn readers_see_what_is_decided_once_and_all_of_it() {
    let early = spoiled(|case| case.history.reads[0].at = 2);
    assert_eq!(early, [Rule::EarlyRead]);
    assert!(spoiled(|case| case.history.was_read(2, B, 2, value(1, 1))).contains(&Rule::AbortedRead));
    assert_eq!(spoiled(|case| case.history.reads.retain(|read| read.offset > 0)), [Rule::Skipped]);
    assert_eq!(spoiled(|case| case.history.reads.swap(0, 1)), [Rule::Skipped], "it went back");
    let twice = spoiled(|case| case.history.was_read(1, A, 4, value(2, 0)));
    assert_eq!(twice, [Rule::Skipped]);
}

#[test]
fn what_one_producer_sends_stands_in_its_order() {
    let swapped = spoiled(|case| {
        // Committed one after the other, and written the other way round.
        case.history.transactions.iter_mut().flat_map(|txn| &mut txn.writes).for_each(|write| write.offset = None);
        case.history.reads.clear();
        let a = case.at(A);
        (a.all[0].1, a.all[1].1) = (value(1, 0), value(0, 0));
        a.committed[0].0 = 2;
    });
    assert_eq!(swapped, [Rule::OutOfOrder]);
}

#[test]
fn a_fenced_producer_does_nothing() {
    let late_write = spoiled(|case| {
        let value = case.history.write_asked(3, B);
        case.history.write_answered(value, 8);
        case.at(B).all.push((8, Some(value)));
    });
    assert_eq!(late_write, [Rule::Fenced]);
    let late_commit = spoiled(|case| {
        case.history.end_asked(3, true);
        case.history.end_answered(3);
        case.at(A).committed.insert(2, (6, value(3, 0)));
        case.at(B).committed.push((6, value(3, 1)));
    });
    assert_eq!(late_commit, [Rule::AbortedRead, Rule::Fenced]);
    // Without an answer, but behind what its successor wrote.
    let unanswered = spoiled(|case| {
        let value = case.history.write_asked(3, A);
        case.at(A).all.push((9, Some(value)));
    });
    assert_eq!(unanswered, [Rule::Fenced]);
}

#[test]
fn readers_wait_for_what_is_open() {
    let probe = |offset| {
        spoiled(move |case| {
            let (asked, transaction) = (case.history.tick(), case.history.begun(1, false));
            let value = case.history.write_asked(transaction, A);
            case.history.write_answered(value, 10);
            case.at(A).all.push((10, Some(value)));
            let later = case.history.tick();
            case.history.was_stable(A, asked, 11);
            case.history.was_stable(A, later, offset);
        })
    };
    assert_eq!(probe(11), [Rule::PassedOpen], "the first was asked before anything was open");
    assert_eq!(probe(10), [Rule::WentBack]);
    assert_eq!(spoiled(|case| case.history.stable[2].offset = 5), [Rule::PassedOpen]);
    assert_eq!(spoiled(|case| case.history.stable[2].offset = 1), [Rule::WentBack]);
    assert_eq!(spoiled(|case| case.at(A).last_stable_offset = 6), [Rule::Hanging]);
    let allowed = spoiled(|case| {
        case.history.stable[3].offset = 7;
        case.history.transactions[3].may_time_out = true;
    });
    assert_eq!(allowed, [], "the coordinator may have ended it");
}

trait Sorted {
    fn sorted(self) -> Self;
}

impl<const N: usize> Sorted for [Rule; N] {
    fn sorted(mut self) -> Self {
        self.sort();
        self
    }
}
