//! The same load over ever more partitions and connections: cost is to grow gently.
//!
//! Each step has a contender that was just started, so that its memory is that of the step and not of a larger one before.

use std::time::Duration;

use client::Acks;
use load::Produce;

use super::shapes::{NAME, produce, writers};
use super::{Group, KIB, Kind, Row};
use crate::report::count;

const PARTITIONS: [i32; 5] = [1, 10, 100, 1000, 10_000];
const CONNECTIONS: [usize; 4] = [1, 16, 200, 2000];
/// Where the other of the two grows.
const FEW_PARTITIONS: i32 = 12;
const FEW_CONNECTIONS: usize = 4;
/// Apache Kafka refuses to make more than 9,999 partitions in one go; where there are more, there are several topics.
const TOPIC_PARTITIONS_MAX: i32 = 5000;
/// For a partition's first batch, which makes its files: the warm-up is to reach every partition.
const FIRST_TOUCH: Duration = Duration::from_millis(2);

pub(super) fn rows(seconds: f64) -> Vec<Row> {
    let over_partitions = PARTITIONS.into_iter().map(|partitions| partitions_row(partitions, seconds));
    let over_connections = CONNECTIONS.into_iter().map(|connections| {
        let name = format!("produce 16 KB batches, acks=1, {} connections", count(connections));
        let crowd = Produce { in_flight: 1, ..writers(connections, KIB, 16 * KIB, Acks::Leader) };
        grown(produce(&name, FEW_PARTITIONS, crowd, seconds))
    });
    over_partitions.chain(over_connections).collect()
}

fn partitions_row(partitions: i32, seconds: f64) -> Row {
    let name = format!("produce 16 KB batches, acks=1, {} partitions", count(partitions.unsigned_abs() as usize));
    let topics = partitions.unsigned_abs().div_ceil(TOPIC_PARTITIONS_MAX.unsigned_abs()) as usize;
    let writers = writers(FEW_CONNECTIONS / topics, KIB, 16 * KIB, Acks::Leader);
    let mut row = grown(produce(&name, partitions / topics as i32, writers, seconds));
    if let Kind::Load(workload) = &mut row.kind {
        workload.topics.names = (0..topics).map(|number| format!("{NAME}-{number}")).collect();
        workload.warmup += FIRST_TOUCH * partitions.unsigned_abs();
    }
    row
}

fn grown(row: Row) -> Row {
    Row { group: Group::Growth, is_fresh: true, ..row }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_the_partitions_and_connections_that_their_names_say() {
        let sizes: Vec<(usize, usize)> = rows(1.0)
            .iter()
            .map(|row| {
                let Kind::Load(workload) = &row.kind else { panic!("{} is no load", row.name) };
                let (topics, create) = (workload.topics.names.len(), workload.topics.create.as_ref().unwrap());
                let connections = workload.produce.as_ref().unwrap().connections;
                assert!(create.partitions <= TOPIC_PARTITIONS_MAX);
                (topics * create.partitions as usize, topics * connections)
            })
            .collect();
        let partitions = PARTITIONS.map(|partitions| (partitions as usize, FEW_CONNECTIONS));
        let connections = CONNECTIONS.map(|connections| (FEW_PARTITIONS as usize, connections));
        assert_eq!(sizes, [&partitions[..], &connections[..]].concat());
    }
}
