//! Produce and InitProducerId.

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use protocol::messages::*;
use protocol::records::{BatchBuilder, Codec};
use protocol::wire::Records;

use super::{create, produce_to};
use crate::batch;
use crate::pair::Pair;
use crate::side::Side;

/// Below it the formats are not those of record batches; Apache Kafka no longer serves them.
const FIRST_VERSION: i16 = 3;
const DAY_MS: i64 = 86_400_000;
/// Of the topic that takes one batch after another; each case has its own.
const PARTITIONS: i32 = 100;
const FIRST_OF_CASES: i32 = 20;

pub(crate) fn run(pair: &mut Pair) {
    create(pair, "in", PARTITIONS, &[]);
    create(pair, "in.compacted", 1, &[("cleanup.policy", "compact")]);
    create(pair, "in.stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    create(pair, "in.small", 1, &[("max.message.bytes", "500")]);
    create(pair, "in.recent", 1, &[("message.timestamp.before.max.ms", "3600000")]);
    create(pair, "in.gzip", 1, &[("compression.type", "gzip")]);
    create(pair, "in.old", 1, &[]);
    for version in 0..FIRST_VERSION {
        pair.ask("a format before record batches", version, |side| produce_to(side, "in.old", 0, &batch::plain(1)));
    }
    batches(pair);
    requests(pair);
    acknowledged(pair);
    sequences(pair);
    producer_ids(pair);
}

fn every_version(pair: &mut Pair, label: &str, build: impl Fn(&Side) -> ProduceRequest) {
    for version in FIRST_VERSION..=pair.latest::<ProduceRequest>() {
        pair.ask(label, version, &build);
    }
}

fn header_field(at: usize, bytes: &[u8]) -> Bytes {
    batch::patched(batch::plain(3), at, bytes)
}

/// What to call it, the topic, and the bytes.
type Case = (&'static str, &'static str, Bytes);

fn batches(pair: &mut Pair) {
    let cases = [frames(), fields(), contents()].concat();
    for (place, (label, topic, bytes)) in cases.into_iter().enumerate() {
        let partition = if topic == "in" { FIRST_OF_CASES + place as i32 } else { 0 };
        every_version(pair, label, |side| produce_to(side, topic, partition, &bytes));
        pair.once(&format!("{label}, as it is stored"), |side| super::fetch::fetch(side, topic, partition, 0));
    }
}

/// Bytes that are a batch, more than one, or none.
fn frames() -> Vec<Case> {
    let plain = batch::plain(3);
    let two = [batch::plain(1), batch::plain(2)].concat().into();
    let corrupt = {
        let mut bytes = plain.to_vec();
        *bytes.last_mut().expect("a batch has bytes") ^= 1;
        Bytes::from(bytes)
    };
    vec![
        ("three records", "in", plain.clone()),
        ("no bytes", "in", Bytes::new()),
        ("two batches", "in", two),
        ("a flipped bit", "in", corrupt),
        ("a batch cut off in its records", "in", plain.slice(..plain.len() - 5)),
        ("a batch cut off in its header", "in", plain.slice(..40)),
        ("five bytes", "in", plain.slice(..5)),
        ("a batch and a few bytes", "in", [&plain[..], b"more"].concat().into()),
        ("base offset 5", "in", header_field(0, &5_i64.to_be_bytes())),
        ("a batch of negative length", "in", header_field(8, &(-1_i32).to_be_bytes())),
        ("a batch length too small", "in", header_field(8, &10_i32.to_be_bytes())),
        ("leader epoch 9", "in", header_field(12, &9_i32.to_be_bytes())),
        ("magic 3", "in", header_field(16, &[3])),
        ("magic 1", "in", header_field(16, &[1])),
        ("magic -1", "in", header_field(16, &[0xff])),
        ("checksum 0", "in", header_field(batch::CRC_AT, &[0; 4])),
    ]
}

/// Batches whose header or records say what they should not.
fn fields() -> Vec<Case> {
    let start = *batch::START_MS;
    let record_at = 61;
    vec![
        ("codec 5", "in", header_field(22, &[5])),
        ("codec 7", "in", header_field(22, &[7])),
        ("the producer says append time", "in", header_field(22, &[0x08])),
        ("a delete horizon", "in", header_field(22, &[0x40])),
        ("an attribute nobody knows", "in", header_field(21, &[0x01])),
        ("a control batch", "in", header_field(22, &[0x20])),
        ("a last offset delta of -1", "in", header_field(23, &(-1_i32).to_be_bytes())),
        ("a last offset delta too large", "in", header_field(23, &7_i32.to_be_bytes())),
        ("a last offset delta too small", "in", header_field(23, &1_i32.to_be_bytes())),
        ("a count of -1", "in", header_field(57, &(-1_i32).to_be_bytes())),
        ("a count of 0", "in", header_field(57, &0_i32.to_be_bytes())),
        ("a count too small", "in", header_field(57, &2_i32.to_be_bytes())),
        ("a count too large", "in", header_field(57, &9_i32.to_be_bytes())),
        (
            "a count too large with its delta",
            "in",
            batch::patched(header_field(23, &8_i32.to_be_bytes()), 57, &9_i32.to_be_bytes()),
        ),
        (
            "a count too small with its delta",
            "in",
            batch::patched(header_field(23, &1_i32.to_be_bytes()), 57, &2_i32.to_be_bytes()),
        ),
        ("a record that is longer than the batch", "in", header_field(record_at, &[0x7e])),
        ("a record of length 0", "in", header_field(record_at, &[0])),
        ("a record with attributes", "in", header_field(record_at + 1, &[1])),
        ("records out of order", "in", header_field(record_at + 3, &[8])),
        ("a wrong largest timestamp", "in", header_field(35, &(start + 50).to_be_bytes())),
        ("a largest timestamp of -1", "in", header_field(35, &(-1_i64).to_be_bytes())),
    ]
}

/// Batches that are right, for topics that ask for something else; and codecs.
fn contents() -> Vec<Case> {
    let plain = batch::plain(3);
    let start = *batch::START_MS;
    vec![
        ("no timestamp", "in", batch::at(-1)),
        ("timestamp 0", "in", batch::at(0)),
        ("timestamp -2", "in", batch::at(-2)),
        ("a timestamp of tomorrow", "in", batch::at(start + DAY_MS)),
        ("a timestamp of last week", "in", batch::at(start - 7 * DAY_MS)),
        ("a timestamp of last week where it is too old", "in.recent", batch::at(start - 7 * DAY_MS)),
        ("no timestamp where it is too old", "in.recent", batch::at(-1)),
        ("records without keys to a compacted topic", "in.compacted", batch::without_key()),
        ("records with keys to a compacted topic", "in.compacted", plain.clone()),
        ("records without keys", "in", batch::without_key()),
        ("no records", "in", BatchBuilder::new(0).build().freeze()),
        ("too large a batch", "in.small", batch::of_size(600)),
        ("a batch just small enough", "in.small", batch::of_size(500 - 61 - 11)),
        ("a batch just too large", "in.small", batch::of_size(500 - 61 - 10)),
        ("too large for any topic", "in", batch::of_size(1_100_000)),
        ("append time", "in.stamped", plain.clone()),
        ("append time, the producer says so too", "in.stamped", header_field(22, &[0x08])),
        ("append time, compressed", "in.stamped", batch::compressed(Codec::Gzip)),
        ("recompressed", "in.gzip", plain),
        ("as compressed as the topic", "in.gzip", batch::compressed(Codec::Gzip)),
        ("gzip", "in", batch::compressed(Codec::Gzip)),
        ("snappy", "in", batch::compressed(Codec::Snappy)),
        ("lz4", "in", batch::compressed(Codec::Lz4)),
        ("zstd", "in", batch::compressed(Codec::Zstd)),
        ("gzip that is none", "in", header_field(22, &[1])),
        ("snappy that is none", "in", header_field(22, &[2])),
        ("lz4 that is none", "in", header_field(22, &[3])),
        ("zstd that is none", "in", header_field(22, &[4])),
        ("base sequence without a producer", "in", header_field(53, &0_i32.to_be_bytes())),
        ("a producer without a base sequence", "in", batch::sequenced(4000, 0, -1, 2)),
        ("a producer epoch of -1", "in", batch::sequenced(4001, -1, 0, 2)),
        ("a transactional batch without a producer", "in", header_field(22, &[0x10])),
    ]
}

fn requests(pair: &mut Pair) {
    let plain = batch::plain(1);
    every_version(pair, "an unknown topic", |side| produce_to(side, "missing", 0, &plain));
    every_version(pair, "an invalid topic", |side| produce_to(side, "a/b", 0, &plain));
    every_version(pair, "an unknown partition", |side| produce_to(side, "in", PARTITIONS, &plain));
    every_version(pair, "a negative partition", |side| produce_to(side, "in", -1, &plain));
    // Apache Kafka gives no answer at all to null records, so these are not compared.
    every_version(pair, "no topics", |_| ProduceRequest { acks: 1, timeout_ms: 100, ..Default::default() });
    every_version(pair, "no partitions", |side| {
        let mut request = produce_to(side, "in", 0, &plain);
        request.topic_data[0].partition_data.clear();
        request
    });
    every_version(pair, "a negative timeout", |side| ProduceRequest {
        timeout_ms: -1,
        ..produce_to(side, "in", 0, &plain)
    });
    every_version(pair, "a transactional id without a transaction", |side| ProduceRequest {
        transactional_id: Some("t".into()),
        ..produce_to(side, "in", 0, &plain)
    });
    every_version(pair, "a transaction without a transactional id", |side| {
        let bytes = batch::records(BatchBuilder::new(0).producer(4002, 0, 0).transactional(), 0..1);
        produce_to(side, "in", 0, &bytes)
    });
    every_version(pair, "good and bad partitions", |side| several(side, &[("in", 0), ("in", -7), ("missing", 0)]));
    every_version(pair, "one partition twice", |side| several(side, &[("in", 5), ("in", 5)]));
    every_version(pair, "one topic in two parts", |side| {
        let mut request = produce_to(side, "in", 6, &plain);
        request.topic_data.extend(produce_to(side, "in", 7, &plain).topic_data);
        request
    });
}

fn several(side: &Side, partitions: &[(&str, i32)]) -> ProduceRequest {
    let mut request = ProduceRequest { acks: 1, timeout_ms: 1000, ..Default::default() };
    for (name, index) in partitions {
        let data = PartitionProduceData { index: *index, records: Some(Records::from(batch::plain(1))) };
        match request.topic_data.iter_mut().find(|topic| topic.name == *name) {
            Some(topic) => topic.partition_data.push(data),
            None => request.topic_data.push(TopicProduceData {
                name: name.to_string(),
                topic_id: side.topic_id(name),
                partition_data: vec![data],
            }),
        }
    }
    request
}

fn acknowledged(pair: &mut Pair) {
    for acks in [1, 2, -2, i16::MAX] {
        every_version(pair, &format!("acks {acks}"), |side| ProduceRequest {
            acks,
            ..produce_to(side, "in", 0, &batch::plain(1))
        });
    }
    for version in FIRST_VERSION..=pair.latest::<ProduceRequest>() {
        let cases: &[(&str, &str, i32, Bytes)] = &[
            ("acks 0", "in", 0, batch::plain(1)),
            ("acks 0, an unknown topic", "missing", 0, batch::plain(1)),
            ("acks 0, an unknown partition", "in", PARTITIONS, batch::plain(1)),
            ("acks 0, too large", "in.small", 0, batch::of_size(600)),
            ("acks 0, a bad checksum", "in", 0, header_field(batch::CRC_AT, &[0; 4])),
        ];
        for (label, topic, index, bytes) in cases {
            pair.ask_silently(label, version, |side| ProduceRequest {
                acks: 0,
                ..produce_to(side, topic, *index, bytes)
            });
        }
    }
}

fn sequences(pair: &mut Pair) {
    create(pair, "in.sequence", 1, &[]);
    init_producer(pair, "a");
    init_producer(pair, "b");
    // The producer, its epoch, the first sequence and the count of each batch.
    let steps: &[(&str, &str, i16, i32, i64)] = &[
        ("first", "a", 0, 0, 2),
        ("next", "a", 0, 2, 3),
        ("the same again", "a", 0, 2, 3),
        ("the first again", "a", 0, 0, 2),
        ("a gap", "a", 0, 9, 1),
        ("an overlap", "a", 0, 3, 2),
        ("a part of one that was", "a", 0, 2, 1),
        ("after it all", "a", 0, 5, 1),
        ("two", "a", 0, 6, 1),
        ("three", "a", 0, 7, 1),
        ("four", "a", 0, 8, 1),
        ("five", "a", 0, 9, 1),
        ("the first, forgotten by now", "a", 0, 0, 2),
        ("the fifth from the end", "a", 0, 5, 1),
        ("the sixth from the end", "a", 0, 2, 3),
        ("a new epoch that does not begin at 0", "a", 1, 10, 1),
        ("a new epoch", "a", 1, 0, 1),
        ("the epoch before", "a", 0, 10, 1),
        ("the epoch before, a duplicate", "a", 0, 9, 1),
        ("the new epoch goes on", "a", 1, 1, 1),
        ("an epoch further on", "a", 5, 0, 1),
        ("an unknown producer at 7", "b", 0, 7, 2),
        ("and on", "b", 0, 9, 1),
        ("up to the largest sequence", "c", 0, i32::MAX, 1),
        ("around", "c", 0, 0, 1),
        ("not around", "c", 0, 5, 1),
        ("across the end", "d", 0, i32::MAX - 1, 4),
        ("after the end", "d", 0, 2, 1),
    ];
    for (label, producer, epoch, sequence, count) in steps {
        pair.once(&format!("sequence: {label}"), |side| {
            let id = match side.number(producer) {
                -1 => 5000 + i64::from(producer.as_bytes()[0]),
                id => id,
            };
            produce_to(side, "in.sequence", 0, &batch::sequenced(id, *epoch, *sequence, *count))
        });
    }
    pair.once("two producers in one request", |side| {
        let mut request = produce_to(side, "in", 0, &batch::sequenced(6000, 0, 0, 1));
        let other = produce_to(side, "in", 1, &batch::sequenced(6001, 0, 0, 1));
        request.topic_data[0].partition_data.extend(other.topic_data[0].partition_data.clone());
        request
    });
    pair.once("sequences read back", |side| super::fetch::fetch(side, "in.sequence", 0, 0));
}

fn init_producer(pair: &mut Pair, alias: &str) {
    super::setup::wait_for_producer_ids(pair);
    let both = pair.once("a producer id", |_| InitProducerIdRequest::default());
    for (side, answer) in [(&mut pair.kafka, both.kafka), (&mut pair.ottla, both.ottla)] {
        let answer = answer.expect("both give out producer ids");
        assert_eq!(answer.error_code, ErrorCode::NONE);
        side.set_number(alias, answer.producer_id);
    }
}

fn producer_ids(pair: &mut Pair) {
    let cases: &[(&str, Option<&str>, i32, i64, i16)] = &[
        ("idempotent", None, 0, -1, -1),
        ("idempotent with a timeout", None, 60_000, -1, -1),
        ("idempotent with a negative timeout", None, -5, -1, -1),
        ("an empty transactional id", Some(""), 60_000, -1, -1),
        ("idempotent, an id without an epoch", None, 0, 7, -1),
        ("idempotent, an epoch without an id", None, 0, -1, 3),
        ("idempotent, an id and an epoch", None, 0, 1234, 3),
        ("idempotent, negative", None, 0, -5, -5),
    ];
    for (label, transactional_id, transaction_timeout_ms, producer_id, producer_epoch) in cases {
        pair.every_version(&format!("producer id: {label}"), |_| InitProducerIdRequest {
            transactional_id: transactional_id.map(Into::into),
            transaction_timeout_ms: *transaction_timeout_ms,
            producer_id: *producer_id,
            producer_epoch: *producer_epoch,
        });
    }
}
