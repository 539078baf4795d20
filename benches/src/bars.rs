//! What has to be reached, and whether it was.

use crate::contender::Contender::{self, Kafka, Limit, Ottla, OttlaKafkaMode};
use crate::measure::Measure::{self, *};
use crate::measure::Table;
use crate::report::number;
use crate::workloads as w;

/// A workload's number, held to a limit: as a ratio to another contender's, or by itself.
struct Bar {
    workload: &'static str,
    measure: Measure,
    of: Contender,
    to: Option<Contender>,
    limit: Bound,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}
use Bound::{AtLeast, AtMost};

/// A bar, and how it went.
pub(crate) struct Verdict {
    pub(crate) workload: &'static str,
    pub(crate) measure: String,
    pub(crate) bar: String,
    pub(crate) found: String,
    pub(crate) reached: bool,
}

const fn ratio(workload: &'static str, measure: Measure, (of, to): (Contender, Contender), limit: Bound) -> Bar {
    Bar { workload, measure, of, to: Some(to), limit }
}

const fn value(workload: &'static str, measure: Measure, of: Contender, limit: Bound) -> Bar {
    Bar { workload, measure, of, to: None, limit }
}

const BARS: &[Bar] = &[
    ratio(w::LARGE_ACKS_1, MbPerSecond, (Ottla, Kafka), AtLeast(2.0)),
    ratio(w::LARGE_ACKS_1, MbPerSecond, (Ottla, Limit), AtLeast(0.6)),
    ratio(w::LARGE_ACKS_ALL, MbPerSecond, (OttlaKafkaMode, Kafka), AtLeast(2.0)),
    ratio(w::LARGE_ACKS_ALL, MbPerSecond, (OttlaKafkaMode, Limit), AtLeast(0.6)),
    ratio(w::DURABLE, MbPerSecond, (Ottla, OttlaKafkaMode), AtLeast(0.7)),
    ratio(w::SMALL, RequestsPerSecond, (Ottla, Kafka), AtLeast(2.0)),
    ratio(w::SMALL, RequestsPerSecond, (Ottla, Limit), AtLeast(0.75)),
    ratio(w::LARGE_ACKS_1, CpuSecondsPerGb, (Ottla, Kafka), AtMost(1.0 / 3.0)),
    ratio(w::LARGE_ACKS_1, CpuSecondsPerGb, (Ottla, Limit), AtMost(1.5)),
    ratio(w::CATCH_UP, CpuSecondsPerGb, (Ottla, Kafka), AtMost(0.7)),
    ratio(w::TAIL, CpuSecondsPerGb, (Ottla, Kafka), AtMost(0.7)),
    ratio(w::PACED, P99Ms, (OttlaKafkaMode, Kafka), AtMost(0.5)),
    ratio(w::PACED, P999Ms, (OttlaKafkaMode, Kafka), AtMost(0.5)),
    ratio(w::PACED, CpuPercent, (OttlaKafkaMode, Kafka), AtMost(0.25)),
    value(w::PACED, P99Ms, Ottla, AtMost(5.0)),
    value(w::PACED, P999Ms, Ottla, AtMost(20.0)),
    value(w::MILLION, RecordsPerSecond, Ottla, AtLeast(999_000.0)),
    value(w::MILLION, P99Ms, Ottla, AtMost(100.0)),
    value(w::HEAVIEST, AnonymousMb, Ottla, AtMost(64.0)),
    ratio(w::HEAVIEST, AnonymousMb, (Ottla, Kafka), AtMost(0.1)),
    ratio(w::TRANSACTIONS, TransactionsPerSecond, (OttlaKafkaMode, Kafka), AtLeast(2.0)),
    ratio(w::TRANSACTIONS, P99Ms, (OttlaKafkaMode, Kafka), AtMost(0.5)),
    ratio(w::TRANSACTIONS_ALONE, TransactionsPerSecond, (OttlaKafkaMode, Kafka), AtLeast(2.0)),
    ratio(w::TRANSACTIONS_ALONE, P99Ms, (OttlaKafkaMode, Kafka), AtMost(0.5)),
    value(w::TRANSACTIONAL_IDS, GrownMb, Ottla, AtMost(30.0)),
    value(w::START, Seconds, Ottla, AtMost(0.05)),
    ratio(w::START, Seconds, (Ottla, Kafka), AtMost(1.0 / 40.0)),
    ratio(w::THOUSAND_PARTITIONS, Seconds, (Ottla, Kafka), AtMost(0.25)),
    ratio(w::THOUSAND_PARTITIONS, AnonymousMb, (Ottla, Kafka), AtMost(0.1)),
];

/// What no change may fall below: far from what is reached, for a few short rounds on a machine that may be busy.
const GATE: &[Bar] = &[
    ratio(w::LARGE_ACKS_1, MbPerSecond, (Ottla, Limit), AtLeast(0.3)),
    ratio(w::LARGE_ACKS_1, CpuSecondsPerGb, (Ottla, Limit), AtMost(2.5)),
    ratio(w::SMALL, RequestsPerSecond, (Ottla, Limit), AtLeast(0.35)),
];

/// The gate's bars.
pub(crate) fn judge_gate(table: &Table) -> Vec<Verdict> {
    GATE.iter().filter_map(|bar| bar.judge(table)).collect()
}

/// Every bar whose workload ran for those that it is about.
pub(crate) fn judge(table: &Table) -> Vec<Verdict> {
    BARS.iter().filter_map(|bar| bar.judge(table)).collect()
}

impl Bar {
    fn judge(&self, table: &Table) -> Option<Verdict> {
        let spread = match self.to {
            Some(to) => table.ratio(self.workload, self.measure, (self.of, to)),
            None => table.spread(self.workload, self.measure, self.of),
        }?;
        let title = self.measure.title();
        let measure = match self.to {
            Some(to) => format!("{title}, {} ÷ {}", self.of.name(), to.name()),
            None => format!("{title}, {}", self.of.name()),
        };
        let (bar, reached) = match self.limit {
            AtLeast(least) => (format!("≥ {}", number(least)), spread.median >= least),
            AtMost(most) => (format!("≤ {}", number(most)), spread.median <= most),
        };
        let found = format!("{} ({}–{})", number(spread.median), number(spread.min), number(spread.max));
        Some(Verdict { workload: self.workload, measure, bar, found, reached })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Numbers;

    #[test]
    fn the_gate_lets_through_what_is_near_the_limit_and_nothing_else() {
        let judged = |megabytes, cpu| {
            let mut table = Table::default();
            for (who, numbers) in [(Ottla, [megabytes, cpu]), (Limit, [500.0, 0.5])] {
                let [megabytes, cpu] = numbers;
                table.add(0, w::LARGE_ACKS_1, who, &[(MbPerSecond, megabytes), (CpuSecondsPerGb, cpu)].into());
            }
            judge_gate(&table).iter().map(|verdict| verdict.reached).collect::<Vec<_>>()
        };
        assert_eq!(judged(250.0, 1.0), [true, true]);
        assert_eq!(judged(140.0, 1.6), [false, false]);
    }

    #[test]
    fn a_bar_is_about_what_ran() {
        let mut table = Table::default();
        table.add(0, w::START, Ottla, &Numbers::from([(Seconds, 0.03)]));
        let verdicts = judge(&table);
        assert_eq!(verdicts.len(), 1);
        assert!(verdicts[0].reached && verdicts[0].bar == "≤ 0.050", "{}", verdicts[0].bar);
        table.add(0, w::START, Kafka, &Numbers::from([(Seconds, 0.9)]));
        assert_eq!(judge(&table).iter().map(|verdict| verdict.reached).collect::<Vec<_>>(), [true, false]);
    }
}
