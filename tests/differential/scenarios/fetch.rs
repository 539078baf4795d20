//! Fetch, with and without sessions.

use protocol::Uuid;
use protocol::messages::fetch::{FetchPartition, FetchTopic, ForgottenTopic};
use protocol::messages::*;
use protocol::records::Codec;

use super::{create, produce_to};
use crate::batch;
use crate::pair::Pair;
use crate::side::Side;

pub(crate) fn run(pair: &mut Pair) {
    create(pair, "out", 3, &[]);
    for (partition, batches) in [(0, 5), (1, 2)] {
        for _ in 0..batches {
            pair.once("records to fetch", |side| produce_to(side, "out", partition, &batch::plain(2)));
        }
    }
    pair.once("compressed records to fetch", |side| produce_to(side, "out", 1, &batch::compressed(Codec::Lz4)));
    positions(pair);
    limits(pair);
    requests(pair);
    sessions(pair);
    session_errors(pair);
}

/// A fetch of one partition that waits for nothing.
pub(crate) fn fetch(side: &Side, topic: &str, partition: i32, fetch_offset: i64) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![part(side, topic, &[(partition, fetch_offset)])],
        ..Default::default()
    }
}

fn part(side: &Side, topic: &str, partitions: &[(i32, i64)]) -> FetchTopic {
    let partition = |(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition: *partition,
        fetch_offset: *fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchTopic {
        topic: topic.into(),
        topic_id: side.topic_id(topic),
        partitions: partitions.iter().map(partition).collect(),
    }
}

fn positions(pair: &mut Pair) {
    for offset in [0, 1, 2, 9, 10, 11, 1000, -1, -2, i64::MAX, i64::MIN] {
        pair.every_version(&format!("offset {offset}"), |side| fetch(side, "out", 0, offset));
    }
    pair.every_version("an empty partition", |side| fetch(side, "out", 2, 0));
    pair.every_version("an empty partition, out of range", |side| fetch(side, "out", 2, 1));
    pair.every_version("an unknown topic", |side| fetch(side, "missing", 0, 0));
    pair.every_version("an unknown partition", |side| fetch(side, "out", 3, 0));
    pair.every_version("a negative partition", |side| fetch(side, "out", -1, 0));
    pair.every_version("compressed", |side| fetch(side, "out", 1, 5));
    for (current, last) in [(0, -1), (1, -1), (-2, -1), (-1, 0), (-1, 1), (0, 0), (0, 5), (3, 3)] {
        pair.every_version(&format!("leader epoch {current}, last fetched {last}"), |side| {
            let mut request = fetch(side, "out", 0, 4);
            request.topics[0].partitions[0].current_leader_epoch = current;
            request.topics[0].partitions[0].last_fetched_epoch = last;
            request
        });
    }
}

fn limits(pair: &mut Pair) {
    for (max_bytes, partition_max_bytes) in
        [(0, 0), (1, 1), (1 << 20, 1), (1, 1 << 20), (150, 1 << 20), (1 << 20, 150), (200, 200), (-1, -1), (400, 400)]
    {
        // Versions that cut batches in two give clients a tail to ignore, so positions and errors are what counts.
        pair.every_version(&format!("at most {max_bytes} bytes, {partition_max_bytes} of a partition"), |side| {
            let mut request = fetch(side, "out", 0, 0);
            request.max_bytes = max_bytes;
            request.topics = vec![part(side, "out", &[(0, 0), (1, 0), (2, 0)])];
            for partition in &mut request.topics[0].partitions {
                partition.partition_max_bytes = partition_max_bytes;
            }
            request
        });
    }
    for (min_bytes, max_wait_ms) in [(0, 0), (0, 100), (-1, -1), (1 << 20, 0), (1 << 20, 30), (1, -5)] {
        pair.every_version(&format!("at least {min_bytes} bytes within {max_wait_ms} ms"), |side| FetchRequest {
            min_bytes,
            max_wait_ms,
            ..fetch(side, "out", 0, 8)
        });
    }
}

fn requests(pair: &mut Pair) {
    for isolation_level in [0, 1, 2, -1] {
        pair.every_version(&format!("isolation level {isolation_level}"), |side| FetchRequest {
            isolation_level,
            ..fetch(side, "out", 0, 0)
        });
    }
    pair.every_version("nothing", |side| FetchRequest { topics: Vec::new(), ..fetch(side, "out", 0, 0) });
    pair.every_version("good and bad ones", |side| FetchRequest {
        topics: vec![
            part(side, "out", &[(1, 4), (0, 0), (9, 0), (2, 0)]),
            part(side, "missing", &[(0, 0)]),
            part(side, "here", &[(0, 0)]),
        ],
        ..fetch(side, "out", 0, 0)
    });
    pair.every_version("one partition twice", |side| FetchRequest {
        topics: vec![part(side, "out", &[(1, 0), (1, 2)])],
        ..fetch(side, "out", 0, 0)
    });
    pair.every_version("a rack", |side| FetchRequest { rack_id: "r1".into(), ..fetch(side, "out", 0, 0) });
    pair.every_version("another cluster", |side| FetchRequest {
        cluster_id: Some("another".into()),
        ..fetch(side, "out", 0, 0)
    });
    pair.every_version("the id of nothing", |side| {
        let mut request = fetch(side, "out", 0, 0);
        request.topics[0].topic_id = Uuid::ZERO;
        request
    });
}

/// A session of each kind from its first request to its last.
fn sessions(pair: &mut Pair) {
    for version in [7, 11, 12, 13, pair.latest::<FetchRequest>()] {
        create(pair, &format!("out.session.{version}"), 2, &[]);
        let topic = format!("out.session.{version}");
        let both = pair.ask("session: begin", version, |side| FetchRequest {
            session_epoch: 0,
            topics: vec![part(side, "out", &[(0, 0), (1, 0)]), part(side, &topic, &[(0, 0)])],
            ..fetch(side, "out", 0, 0)
        });
        for (side, answer) in [(&mut pair.kafka, both.kafka), (&mut pair.ottla, both.ottla)] {
            side.set_number("session", i64::from(answer.map_or(0, |answer| answer.session_id)));
        }
        let step = |pair: &mut Pair, label: &str, epoch: i32, add: &[(&str, i32, i64)], forget: &[(&str, i32)]| {
            pair.ask(&format!("session: {label}"), version, |side| FetchRequest {
                session_id: side.number("session") as i32,
                session_epoch: epoch,
                topics: add.iter().map(|(topic, index, offset)| part(side, topic, &[(*index, *offset)])).collect(),
                forgotten_topics_data: forget.iter().map(|(topic, index)| forgotten(side, topic, *index)).collect(),
                ..fetch(side, "out", 0, 0)
            });
        };
        step(pair, "the same again", 1, &[], &[]);
        step(pair, "read on to the end", 2, &[("out", 0, 10), ("out", 1, 7)], &[]);
        step(pair, "nothing new", 3, &[], &[]);
        pair.once("session: a record", |side| produce_to(side, &topic, 0, &batch::plain(1)));
        step(pair, "something new", 4, &[], &[]);
        step(pair, "add an unknown topic", 5, &[("missing", 0, 0)], &[]);
        step(pair, "the unknown one once more", 6, &[], &[]);
        step(pair, "add an unknown partition", 7, &[(&topic, 8, 0)], &[("missing", 0)]);
        step(pair, "out of range", 8, &[("out", 0, 99)], &[(&topic, 8)]);
        step(pair, "in range again", 9, &[("out", 0, 9)], &[]);
        step(pair, "forget what was never there", 10, &[], &[("missing", 4), ("out", 2)]);
        step(pair, "forget and add the same", 11, &[("out", 0, 9)], &[("out", 0)]);
        step(pair, "an epoch too far", 13, &[], &[]);
        step(pair, "an epoch too old", 5, &[], &[]);
        step(pair, "forget it all", 12, &[], &[("out", 0), ("out", 1), (&topic, 0)]);
        step(pair, "after that", 13, &[], &[]);
        step(pair, "end", -1, &[], &[]);
        step(pair, "after the end", 14, &[], &[]);
    }
}

fn forgotten(side: &Side, topic: &str, partition: i32) -> ForgottenTopic {
    ForgottenTopic { topic: topic.into(), topic_id: side.topic_id(topic), partitions: vec![partition] }
}

fn session_errors(pair: &mut Pair) {
    for (id, epoch) in [(123_456_789, 1), (123_456_789, 0), (123_456_789, -1), (0, 1), (0, 5), (-1, 1), (5, -2)] {
        for version in 7..=pair.latest::<FetchRequest>() {
            pair.ask(&format!("session {id}, epoch {epoch}"), version, |side| FetchRequest {
                session_id: id,
                session_epoch: epoch,
                ..fetch(side, "out", 0, 0)
            });
        }
    }
    // A session by name goes on by id, and the other way around.
    for (first, second) in [(12, 13), (13, 12)] {
        let both = pair
            .ask("session: begin to mix", first, |side| FetchRequest { session_epoch: 0, ..fetch(side, "out", 0, 0) });
        for (side, answer) in [(&mut pair.kafka, both.kafka), (&mut pair.ottla, both.ottla)] {
            side.set_number("session", i64::from(answer.map_or(0, |answer| answer.session_id)));
        }
        pair.ask(&format!("session: from v{first} to v{second}"), second, |side| FetchRequest {
            session_id: side.number("session") as i32,
            session_epoch: 1,
            ..fetch(side, "out", 1, 0)
        });
    }
}
