//! What workloads are made of: writers, readers, topics, lengths.

use std::time::Duration;

use client::Acks;
use load::{Consume, Fetching, Length, NewTopic, Produce, Start, Topics, Values, Workload};
use protocol::records::Codec;

use super::{Group, KIB, Kind, Row};

/// The topic of every workload that needs one.
pub(crate) const NAME: &str = "bench";

/// Producers of batches that are encoded once, flat out.
pub(super) fn writers(connections: usize, value_bytes: usize, batch_bytes: usize, acks: Acks) -> Produce {
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
pub(super) fn readers(groups: usize, start: Start) -> Consume {
    Consume { groups, consumers: 1, start, joined: false, fetching: Fetching::default(), after_bytes: 0 }
}

fn topic(partitions: i32) -> Topics {
    let create = NewTopic { partitions, replication_factor: 1, settings: Vec::new() };
    Topics { names: vec![NAME.to_owned()], create: Some(create), keep: false }
}

/// `seconds` after half as long a warm-up, which is what a JVM needs at least.
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

/// A workload in the group of records; nobody runs it unless asked.
pub(super) fn row(name: &str, kind: Kind) -> Row {
    Row { name: name.to_owned(), group: Group::Records, kind, is_core: false, is_fresh: false }
}

/// One that runs when nothing else is asked for.
pub(super) fn core(row: Row) -> Row {
    Row { is_core: true, ..row }
}

pub(super) fn produce(name: &str, partitions: i32, produce: Produce, seconds: f64) -> Row {
    let workload = Workload { produce: Some(produce), ..timed(partitions, seconds) };
    row(name, Kind::Load(Box::new(workload)))
}

pub(super) fn end_to_end(name: &str, partitions: i32, from: Produce, to: Consume, seconds: f64) -> Row {
    let workload = Workload { produce: Some(from), consume: Some(to), ..timed(partitions, seconds) };
    row(name, Kind::Load(Box::new(workload)))
}

/// So many bytes in batches of 64 KB, in 12 partitions, on a topic that stays.
pub(crate) fn backlog(bytes: u64) -> Workload {
    Workload {
        topics: Topics { keep: true, ..topic(12) },
        produce: Some(writers(4, KIB, 64 * KIB, Acks::Leader)),
        warmup: Duration::ZERO,
        length: Length::Records(bytes / KIB as u64),
        ..timed(12, 1.0)
    }
}

/// A backlog of so many bytes, read by `groups` from the beginning.
pub(super) fn catch_up(name: &str, bytes: u64, groups: usize, cold: bool) -> Row {
    let backlog = Box::new(backlog(bytes));
    let read = Box::new(Workload {
        topics: Topics { create: None, ..backlog.topics.clone() },
        produce: None,
        consume: Some(readers(groups, Start::Earliest)),
        warmup: Duration::ZERO,
        length: Length::Everything,
    });
    row(name, Kind::CatchUp { backlog, read, cold })
}

pub(super) fn scene(name: &str, kind: Kind) -> Row {
    Row { group: Group::Scenes, ..row(name, kind) }
}
