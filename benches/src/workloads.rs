//! The workloads by name: what is measured when somebody says nothing else, and the rest.

use std::time::Duration;

use client::Acks;
use load::{Consume, Fetching, Length, NewTopic, Produce, Start, Topics, Values, Workload};
use protocol::records::Codec;

use crate::contender::Contender;

pub(crate) const START: &str = "start to first acknowledged produce";
pub(crate) const LARGE_ACKS_1: &str = "produce 64 KB batches, acks=1, 12 partitions";
pub(crate) const LARGE_ACKS_ALL: &str = "produce 64 KB batches, acks=all, 12 partitions";
pub(crate) const SMALL: &str = "produce single 1 KB records, acks=1, 16 connections";
pub(crate) const CATCH_UP: &str = "consume 64 KB batches, catching up";
pub(crate) const TAIL: &str = "1 producer at 50 MB/s, 3 groups at its heels";
pub(crate) const PACED: &str = "10,000 records of 1 KB a second, acks=all, end to end";
pub(crate) const MILLION: &str = "1,000,000 records of 100 B a second, produced and consumed";
pub(crate) const THOUSAND_PARTITIONS: &str = "1,000 partitions, a record each";
/// The one that asks the most of memory.
pub(crate) const HEAVIEST: &str = MILLION;

const KIB: usize = 1024;
const NAME: &str = "bench";

/// One line of the table.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Whether it runs when nothing else is asked for.
    pub(crate) is_core: bool,
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
    ThousandPartitions,
    TopicStorm,
    WideMetadata,
    Rebalance,
    IdleConnections,
}

impl Row {
    /// Whether the contender can do it: the limit has no groups, and topics are no work to it.
    pub(crate) fn is_for(&self, contender: Contender) -> bool {
        contender.is_broker() || matches!(self.kind, Kind::Load(_) | Kind::CatchUp { .. })
    }
}

/// Producers of batches that are encoded once, flat out.
fn writers(connections: usize, value_bytes: usize, batch_bytes: usize, acks: Acks) -> Produce {
    Produce {
        connections,
        values: Values::random(value_bytes, 0.5),
        keys: 0,
        batch_bytes,
        linger: Duration::ZERO,
        acks,
        codec: Codec::None,
        idempotent: false,
        rate: None,
        in_flight: 5,
        pre_encoded: true,
    }
}

/// Readers of whole batches that deal the partitions out among them.
fn readers(groups: usize, start: Start) -> Consume {
    Consume { groups, consumers: 1, start, joined: false, fetching: Fetching::default(), after_bytes: 0 }
}

fn topic(partitions: i32) -> Topics {
    let create = NewTopic { partitions, replication_factor: 1, settings: Vec::new() };
    Topics { names: vec![NAME.to_owned()], create: Some(create), keep: false }
}

/// `seconds` after as long a warm-up, which is what a JVM needs at least.
fn timed(partitions: i32, seconds: f64) -> Workload {
    let length = Duration::from_secs_f64(seconds);
    Workload {
        topics: topic(partitions),
        produce: None,
        consume: None,
        warmup: length / 2,
        length: Length::Time(length),
    }
}

fn produce(name: &str, partitions: i32, produce: Produce, seconds: f64) -> Row {
    let workload = Workload { produce: Some(produce), ..timed(partitions, seconds) };
    Row { name: name.to_owned(), kind: Kind::Load(Box::new(workload)), is_core: false }
}

fn core(row: Row) -> Row {
    Row { is_core: true, ..row }
}

/// A backlog of so many bytes in batches of 64 KB, read by `groups` from the beginning.
fn catch_up(name: &str, bytes: u64, groups: usize, cold: bool) -> Row {
    let value = KIB;
    let keep = Topics { keep: true, ..topic(12) };
    let untimed = Workload { topics: keep, warmup: Duration::ZERO, ..timed(12, 1.0) };
    let backlog = Workload {
        produce: Some(writers(4, value, 64 * KIB, Acks::Leader)),
        length: Length::Records(bytes / value as u64),
        ..untimed.clone()
    };
    let read = Workload {
        topics: Topics { create: None, ..untimed.topics.clone() },
        consume: Some(readers(groups, Start::Earliest)),
        length: Length::Everything,
        ..untimed
    };
    Row {
        name: name.to_owned(),
        kind: Kind::CatchUp { backlog: Box::new(backlog), read: Box::new(read), cold },
        is_core: false,
    }
}

fn end_to_end(name: &str, partitions: i32, from: Produce, to: Consume, seconds: f64) -> Row {
    let workload = Workload { produce: Some(from), consume: Some(to), ..timed(partitions, seconds) };
    Row { name: name.to_owned(), kind: Kind::Load(Box::new(workload)), is_core: false }
}

fn scene(name: &str, kind: Kind) -> Row {
    Row { name: name.to_owned(), kind, is_core: false }
}

/// Every line, in the order in which they run. `seconds` is how long each is measured.
pub(crate) fn rows(seconds: f64) -> Vec<Row> {
    let large = |acks| writers(4, KIB, 64 * KIB, acks);
    let paced = Produce {
        rate: Some(10_000.0),
        batch_bytes: 16 * KIB,
        pre_encoded: false,
        ..writers(1, KIB, 16 * KIB, Acks::All)
    };
    let tail = Produce { rate: Some(50_000.0), ..writers(1, KIB, 64 * KIB, Acks::Leader) };
    let million =
        Produce { rate: Some(1e6), linger: Duration::from_millis(5), ..writers(4, 100, 64 * KIB, Acks::Leader) };
    let mut rows = vec![
        core(produce(LARGE_ACKS_1, 12, large(Acks::Leader), seconds)),
        core(produce(LARGE_ACKS_ALL, 12, large(Acks::All), seconds)),
        core(produce(SMALL, 16, writers(16, KIB, 1, Acks::Leader), seconds)),
        core(catch_up(CATCH_UP, 1 << 30, 1, false)),
        core(end_to_end(TAIL, 12, tail, readers(3, Start::Latest), seconds)),
        core(end_to_end(PACED, 12, paced, readers(1, Start::Latest), 2.0 * seconds)),
        core(end_to_end(MILLION, 12, million, readers(1, Start::Latest), 2.0 * seconds)),
        core(scene(THOUSAND_PARTITIONS, Kind::ThousandPartitions)),
        scene("200 topics created and deleted", Kind::TopicStorm),
        scene("metadata of 5,000 partitions", Kind::WideMetadata),
        scene("50 members join a group, 500 partitions", Kind::Rebalance),
        scene("1,000 idle connections", Kind::IdleConnections),
        catch_up("consume 64 KB batches, catching up, cold", 1 << 30, 1, true),
        catch_up("consume 64 KB batches, catching up, 10 groups", 1 << 28, 10, false),
        produce("produce 64 KB batches, acks=0, 12 partitions", 12, large(Acks::None), seconds),
        produce("produce 100 B records in 16 KB batches, acks=1", 12, writers(4, 100, 16 * KIB, Acks::Leader), seconds),
        produce("produce single 1 KB records, acks=all, 16 connections", 16, writers(16, KIB, 1, Acks::All), seconds),
    ];
    for (name, codec) in [("lz4", Codec::Lz4), ("zstd", Codec::Zstd)] {
        let compressed = Produce { codec, ..large(Acks::Leader) };
        rows.push(produce(&format!("produce 64 KB batches, {name}, acks=1"), 12, compressed, seconds));
    }
    for (label, partitions) in [("1", 1), ("12", 12), ("100", 100), ("1,000", 1000), ("10,000", 10_000)] {
        let name = format!("produce 16 KB batches, acks=1, {label} partitions");
        rows.push(produce(&name, partitions, writers(4, KIB, 16 * KIB, Acks::Leader), seconds));
    }
    for (label, connections) in [("1", 1), ("16", 16), ("200", 200), ("2,000", 2000)] {
        let name = format!("produce 16 KB batches, acks=1, {label} connections");
        let crowd = Produce { in_flight: 1, ..writers(connections, KIB, 16 * KIB, Acks::Leader) };
        rows.push(produce(&name, 12, crowd, seconds));
    }
    rows
}
