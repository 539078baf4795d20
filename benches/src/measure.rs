//! What is measured of a workload, and the table of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::contender::Contender;
use crate::statistics::Spread;

/// One number of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    MbPerSecond,
    RecordsPerSecond,
    RequestsPerSecond,
    TransactionsPerSecond,
    P50Ms,
    P99Ms,
    P999Ms,
    MaxMs,
    /// Of the broker, not of its clients.
    CpuSecondsPerGb,
    CpuSecondsPerMillionRequests,
    /// Of one processor.
    CpuPercent,
    AnonymousMb,
    /// Anonymous memory afterwards, less what there was before.
    GrownMb,
    FileMb,
    /// Of both kinds at the same time.
    ResidentMb,
    DiskMb,
    /// Records that were due and did not go out before the end.
    Unsent,
    /// Of whatever the workload does, from its beginning to its end.
    Seconds,
}

impl Measure {
    /// Its name in a table, with its unit.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Measure::MbPerSecond => "MB/s",
            Measure::RecordsPerSecond => "records/s",
            Measure::RequestsPerSecond => "requests/s",
            Measure::TransactionsPerSecond => "transactions/s",
            Measure::P50Ms => "p50, ms",
            Measure::P99Ms => "p99, ms",
            Measure::P999Ms => "p99.9, ms",
            Measure::MaxMs => "max, ms",
            Measure::CpuSecondsPerGb => "broker CPU-s/GB",
            Measure::CpuSecondsPerMillionRequests => "broker CPU-s/million requests",
            Measure::CpuPercent => "broker CPU, % of one",
            Measure::AnonymousMb => "peak anonymous RSS, MB",
            Measure::GrownMb => "anonymous RSS more than before, MB",
            Measure::FileMb => "peak file RSS, MB",
            Measure::ResidentMb => "peak RSS, MB",
            Measure::DiskMb => "written to disk, MB",
            Measure::Unsent => "records not sent in time",
            Measure::Seconds => "s",
        }
    }
}

/// The numbers of one run.
pub(crate) type Numbers = BTreeMap<Measure, f64>;

/// Every number of every round, in the order in which the workloads ran.
#[derive(Default)]
pub(crate) struct Table {
    workloads: Vec<String>,
    /// By round, since one may have failed.
    values: BTreeMap<(String, Measure, Contender), BTreeMap<usize, f64>>,
    failures: Vec<String>,
}

impl Table {
    /// Takes what a contender reached in a round.
    pub(crate) fn add(&mut self, round: usize, workload: &str, contender: Contender, numbers: &Numbers) {
        if !self.workloads.iter().any(|known| known == workload) {
            self.workloads.push(workload.to_owned());
        }
        for (measure, value) in numbers {
            self.values.entry((workload.to_owned(), *measure, contender)).or_default().insert(round, *value);
        }
    }

    /// Takes that a contender did not get through a workload, or not through a round.
    pub(crate) fn fail(&mut self, round: usize, contender: Contender, what: &str) {
        self.failures.push(format!("round {}: {}: {what}", round + 1, contender.name()));
    }

    /// What is missing, as lines for a person.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    pub(crate) fn workloads(&self) -> &[String] {
        &self.workloads
    }

    /// What was measured of a workload.
    pub(crate) fn measures(&self, workload: &str) -> Vec<Measure> {
        let mut measures: Vec<_> =
            self.values.keys().filter(|(name, ..)| name == workload).map(|(_, measure, _)| *measure).collect();
        measures.dedup();
        measures
    }

    /// Who ran at all.
    pub(crate) fn contenders(&self) -> Vec<Contender> {
        let ran = |contender: &Contender| self.values.keys().any(|(_, _, other)| other == contender);
        Contender::ALL.into_iter().filter(ran).collect()
    }

    /// One value for each round in which it was measured.
    pub(crate) fn rounds(&self, workload: &str, measure: Measure, contender: Contender) -> Vec<f64> {
        let rounds = self.values.get(&(workload.to_owned(), measure, contender));
        rounds.map(|rounds| rounds.values().copied().collect()).unwrap_or_default()
    }

    /// `None` when it was not measured.
    pub(crate) fn spread(&self, workload: &str, measure: Measure, contender: Contender) -> Option<Spread> {
        let values = self.rounds(workload, measure, contender);
        (!values.is_empty()).then(|| Spread::of(&values))
    }

    /// How many times as much the first has. Neighbours in time are compared, so that a machine that changes its mind
    /// between rounds changes both. `None` when there is no round with both.
    pub(crate) fn ratio(&self, workload: &str, measure: Measure, (of, to): (Contender, Contender)) -> Option<Spread> {
        let rounds = |contender| self.values.get(&(workload.to_owned(), measure, contender));
        let (of, to) = (rounds(of)?, rounds(to)?);
        let pairs = of.iter().filter_map(|(round, value)| Some((value, to.get(round).filter(|other| **other != 0.0)?)));
        let ratios: Vec<f64> = pairs.map(|(value, other)| value / other).collect();
        (!ratios.is_empty()).then(|| Spread::of(&ratios))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_time_are_compared() {
        let mut table = Table::default();
        for (round, (ours, theirs)) in [(10.0, 5.0), (30.0, 10.0), (8.0, 2.0)].into_iter().enumerate() {
            table.add(round, "w", Contender::Ottla, &Numbers::from([(Measure::MbPerSecond, ours)]));
            table.add(round, "w", Contender::Kafka, &Numbers::from([(Measure::MbPerSecond, theirs)]));
        }
        // A round in which one failed.
        table.add(3, "w", Contender::Ottla, &Numbers::from([(Measure::MbPerSecond, 1000.0)]));
        let pair = (Contender::Ottla, Contender::Kafka);
        assert_eq!(table.ratio("w", Measure::MbPerSecond, pair), Some(Spread { median: 3.0, min: 2.0, max: 4.0 }));
        assert_eq!(table.ratio("w", Measure::P99Ms, pair), None);
        assert_eq!(table.spread("w", Measure::MbPerSecond, Contender::Kafka).map(|spread| spread.median), Some(5.0));
        assert_eq!((table.measures("w"), table.contenders()), (vec![Measure::MbPerSecond], vec![pair.0, pair.1]));
    }
}
