//! The workloads by name: what is measured when somebody says nothing else, and the rest.

mod files;
mod growth;
mod shapes;

use std::time::Duration;

use client::Acks;
use load::{Length, Produce, Start, Workload};
use protocol::records::Codec;

use crate::contender::Contender;
use crate::drivers::{Drive, Task, Tool};
use shapes::{catch_up, core, end_to_end, produce, readers, row, scene, writers};

pub(crate) use files::from_file;
pub(crate) use shapes::{NAME, backlog};

pub(crate) const START: &str = "start to first acknowledged produce";
pub(crate) const LARGE_ACKS_1: &str = "produce 64 KB batches, acks=1, 12 partitions";
pub(crate) const LARGE_ACKS_ALL: &str = "produce 64 KB batches, acks=all, 12 partitions";
/// As many as their flushes can be shared among.
pub(crate) const DURABLE: &str = "produce 64 KB batches, acks=all, 12 partitions, 16 producers";
pub(crate) const SMALL: &str = "produce single 1 KB records, acks=1, 16 connections";
pub(crate) const CATCH_UP: &str = "consume 64 KB batches, catching up";
pub(crate) const TAIL: &str = "1 producer at 50 MB/s, 3 groups at its heels";
pub(crate) const PACED: &str = "10,000 records of 1 KB a second, acks=all, end to end";
pub(crate) const MILLION: &str = "1,000,000 records of 100 B a second, produced and consumed";
pub(crate) const THOUSAND_PARTITIONS: &str = "1,000 partitions, a record each";
pub(crate) const TRANSACTIONS: &str = "transactions of 100 records on 4 partitions, 16 producers";
pub(crate) const TRANSACTIONS_ALONE: &str = "transactions of 100 records on 4 partitions, 1 producer";
pub(crate) const TRANSACTIONAL_IDS: &str = "100,000 transactional ids";
/// The one that asks the most of memory.
pub(crate) const HEAVIEST: &str = MILLION;

const KIB: usize = 1024;
/// What is read that was written before, bytes; less where many read it.
const BACKLOG: u64 = 1 << 30;
const BACKLOG_OF_MANY: u64 = 1 << 28;

/// One line of the table.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) group: Group,
    pub(crate) kind: Kind,
    /// Whether it runs when nothing else is asked for.
    pub(crate) is_core: bool,
    /// Whether it wants a contender that has done nothing before.
    pub(crate) is_fresh: bool,
}

/// Which workloads belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Records in and out.
    Records,
    /// What is no stream of records.
    Scenes,
    /// One load over ever more partitions and connections.
    Growth,
    /// Other people's clients.
    Drivers,
    /// Workload files.
    Files,
}

/// How a line is measured.
#[derive(Clone)]
pub(crate) enum Kind {
    /// Records in and out.
    Load(Box<Workload>),
    /// The same, after `backlog` was written and, if it is to be cold, dropped from the page cache.
    CatchUp {
        backlog: Box<Workload>,
        read: Box<Workload>,
        cold: bool,
    },
    /// A client that is not ours.
    Drive(Drive),
    ThousandPartitions,
    TopicStorm,
    WideMetadata,
    Rebalance,
    IdleConnections,
    Transactions {
        producers: usize,
        seconds: f64,
    },
    TransactionalIds,
}

impl Group {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Group::Records => "records",
            Group::Scenes => "scenes",
            Group::Growth => "growth",
            Group::Drivers => "drivers",
            Group::Files => "files",
        }
    }
}

impl Row {
    /// Whether somebody who says `word` means it: a group, or a part of a name.
    pub(crate) fn is_meant(&self, word: &str) -> bool {
        self.group.name() == word || self.name.contains(word)
    }

    /// Whether the contender can do it: the limit has no groups, no producer ids and no topics that cost anything, and is
    /// made for our client only.
    pub(crate) fn is_for(&self, contender: Contender) -> bool {
        let is_plain = match &self.kind {
            Kind::Load(workload) => {
                let is_numbered = workload.produce.as_ref().is_some_and(|produce| produce.idempotent);
                !is_numbered && workload.consume.is_none_or(|consume| !consume.joined)
            }
            Kind::CatchUp { .. } => true,
            _ => false,
        };
        contender.is_broker() || is_plain
    }

    /// About how long it takes, its preparation included.
    pub(crate) fn estimate(&self) -> Duration {
        let seconds = match &self.kind {
            Kind::Load(workload) => match workload.length {
                Length::Time(length) => (workload.warmup + length).as_secs_f64() + 0.5,
                Length::Records(_) | Length::Everything => 5.0,
            },
            Kind::CatchUp { cold, .. } => {
                if *cold {
                    12.0
                } else {
                    6.0
                }
            }
            Kind::Drive(Drive { task: Task::Produce { seconds, .. }, .. }) => 1.5 * seconds + 4.0,
            Kind::Drive(_) => 12.0,
            Kind::Transactions { seconds, .. } => 1.5 * seconds + 1.0,
            Kind::TransactionalIds => 30.0,
            Kind::ThousandPartitions | Kind::IdleConnections => 3.0,
            Kind::TopicStorm | Kind::WideMetadata | Kind::Rebalance => 8.0,
        };
        Duration::from_secs_f64(seconds)
    }

    /// File descriptors that the client and the broker each need at least.
    pub(crate) fn descriptors(&self) -> u64 {
        const OTHERS: u64 = 500;
        match &self.kind {
            Kind::Load(workload) => {
                let partitions = workload.topics.create.as_ref().map_or(1, |create| create.partitions.unsigned_abs());
                let writers = workload.produce.as_ref().map_or(0, |produce| produce.connections);
                // A log and its indexes are a file each to some broker.
                let topics = workload.topics.names.len() as u64;
                OTHERS + topics * (u64::from(partitions) + writers as u64)
            }
            Kind::IdleConnections => OTHERS + crate::scenes::IDLE_CONNECTIONS as u64,
            Kind::WideMetadata | Kind::ThousandPartitions => OTHERS + 5000,
            _ => OTHERS,
        }
    }
}

/// Every line, in the order in which they run. `seconds` is how long each is measured.
pub(crate) fn rows(seconds: f64) -> Vec<Row> {
    let mut rows = streams(seconds);
    rows.extend(scenes(seconds));
    rows.extend(growth::rows(seconds));
    rows.extend(drivers(seconds));
    rows.extend(files::example(seconds));
    rows
}

fn streams(seconds: f64) -> Vec<Row> {
    let large = |acks| writers(4, KIB, 64 * KIB, acks);
    let medium = |acks| writers(4, KIB, 16 * KIB, acks);
    let paced = Produce { rate: Some(10_000.0), pre_encoded: false, ..writers(1, KIB, 16 * KIB, Acks::All) };
    let tail = Produce { rate: Some(50_000.0), ..writers(1, KIB, 64 * KIB, Acks::Leader) };
    let million =
        Produce { rate: Some(1e6), linger: Duration::from_millis(5), ..writers(4, 100, 64 * KIB, Acks::Leader) };
    let at_heels = |name: &str, groups| end_to_end(name, 12, tail.clone(), readers(groups, Start::Latest), seconds);
    let mut rows = vec![
        core(produce(LARGE_ACKS_1, 12, large(Acks::Leader), seconds)),
        core(produce(LARGE_ACKS_ALL, 12, large(Acks::All), seconds)),
        core(produce(DURABLE, 12, writers(16, KIB, 64 * KIB, Acks::All), seconds)),
        core(produce(SMALL, 16, writers(16, KIB, 1, Acks::Leader), seconds)),
        core(catch_up(CATCH_UP, BACKLOG, 1, false)),
        core(at_heels(TAIL, 3)),
        core(end_to_end(PACED, 12, paced, readers(1, Start::Latest), 2.0 * seconds)),
        core(end_to_end(MILLION, 12, million, readers(1, Start::Latest), 2.0 * seconds)),
        core(scene(THOUSAND_PARTITIONS, Kind::ThousandPartitions)),
        at_heels("1 producer at 50 MB/s, 1 group at its heels", 1),
        at_heels("1 producer at 50 MB/s, 10 groups at its heels", 10),
        catch_up("consume 64 KB batches, catching up, cold", BACKLOG, 1, true),
        catch_up("consume 64 KB batches, catching up, 10 groups", BACKLOG_OF_MANY, 10, false),
        catch_up("consume 64 KB batches, catching up, cold, 10 groups", BACKLOG_OF_MANY, 10, true),
        produce("produce 64 KB batches, acks=0, 12 partitions", 12, large(Acks::None), seconds),
        produce("produce 16 KB batches, acks=0, 12 partitions", 12, medium(Acks::None), seconds),
        produce("produce 16 KB batches, acks=1, 12 partitions", 12, medium(Acks::Leader), seconds),
        produce("produce 16 KB batches, acks=all, 12 partitions", 12, medium(Acks::All), seconds),
        produce("produce 100 B records in 16 KB batches, acks=1", 12, writers(4, 100, 16 * KIB, Acks::Leader), seconds),
        produce("produce 100 B records in 64 KB batches, acks=1", 12, writers(4, 100, 64 * KIB, Acks::Leader), seconds),
        produce("produce single 100 B records, acks=1, 16 connections", 16, writers(16, 100, 1, Acks::Leader), seconds),
        produce("produce single 1 KB records, acks=0, 16 connections", 16, writers(16, KIB, 1, Acks::None), seconds),
        produce("produce single 1 KB records, acks=all, 16 connections", 16, writers(16, KIB, 1, Acks::All), seconds),
    ];
    for (name, codec) in [("lz4", Codec::Lz4), ("zstd", Codec::Zstd)] {
        let compressed = Produce { codec, ..large(Acks::Leader) };
        rows.push(produce(&format!("produce 64 KB batches, {name}, acks=1"), 12, compressed, seconds));
    }
    rows
}

fn scenes(seconds: f64) -> [Row; 7] {
    let transactions = |name, producers| scene(name, Kind::Transactions { producers, seconds });
    [
        transactions(TRANSACTIONS, 16),
        transactions(TRANSACTIONS_ALONE, 1),
        Row { is_fresh: true, ..scene(TRANSACTIONAL_IDS, Kind::TransactionalIds) },
        scene("200 topics created and deleted", Kind::TopicStorm),
        scene("metadata of 5,000 partitions", Kind::WideMetadata),
        scene("50 members join a group, 500 partitions", Kind::Rebalance),
        scene("1,000 idle connections", Kind::IdleConnections),
    ]
}

fn drivers(seconds: f64) -> Vec<Row> {
    let drive = |name: &str, tool, task| {
        let name = match tool {
            Tool::Librdkafka => format!("librdkafka: {name}"),
            Tool::JavaTools => format!("Kafka's perf tools: {name}"),
        };
        Row { group: Group::Drivers, ..row(&name, Kind::Drive(Drive { tool, task })) }
    };
    let mut rows = Vec::new();
    for tool in [Tool::Librdkafka, Tool::JavaTools] {
        let produce = |value_bytes, acks, rate| Task::Produce { value_bytes, acks, seconds, rate };
        rows.extend([
            drive("produce 1 KB, acks=all", tool, produce(1024, "all", None)),
            drive("produce 100 B, acks=1", tool, produce(100, "1", None)),
            drive("produce 10,000 of 1 KB a second, acks=all", tool, produce(1024, "all", Some(10_000))),
            drive("consume 1 KB", tool, Task::Consume { bytes: BACKLOG }),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_workload_has_a_name_of_its_own_and_can_be_done() {
        let rows = rows(1.0);
        let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names.len(), rows.len());
        for row in &rows {
            assert!(row.is_for(Contender::Kafka) && row.estimate() > Duration::ZERO);
            match &row.kind {
                Kind::Load(workload) => workload.check().unwrap_or_else(|error| panic!("{}: {error}", row.name)),
                Kind::CatchUp { backlog, read, .. } => {
                    backlog.check().unwrap();
                    read.check().unwrap();
                }
                _ => {}
            }
        }
    }

    #[test]
    fn words_are_groups_or_parts_of_names() {
        let rows = rows(1.0);
        let meant = |word| rows.iter().filter(|row| row.is_meant(word)).count();
        assert_eq!((meant("growth"), meant("scenes"), meant("drivers"), meant("librdkafka")), (9, 8, 8, 4));
        assert_eq!((meant(PACED), meant("no such thing")), (1, 0));
    }

    #[test]
    fn what_the_limit_cannot_do_is_not_asked_of_it() {
        let rows = rows(1.0);
        let is_for_it =
            |word: &str| rows.iter().filter(|row| row.is_meant(word)).any(|row| row.is_for(Contender::Limit));
        assert!(is_for_it("growth") && is_for_it(CATCH_UP) && is_for_it(MILLION));
        assert!(!is_for_it("scenes") && !is_for_it("drivers") && !is_for_it("files"));
    }
}
