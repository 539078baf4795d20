//! Those who look on: readers of committed records, and somebody who asks how far they may go.

use std::time::Duration;

use client::{Consumer, FetchedRecord, Isolation, StartOffset, TopicPartition};
use protocol::ErrorCode;
use protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

use super::history::{Place, Value};
use super::stage::{Stage, pause};

const LATEST: i64 = -1;
const LIST_OFFSETS_VERSION: i16 = 7;

/// Reads all committed records from the beginning on, until it is over.
pub(crate) async fn read_along(stage: Stage, reader: u32, places: &[Place]) {
    let assigned: Vec<TopicPartition> =
        places.iter().map(|(topic, index)| TopicPartition::new(*topic, *index)).collect();
    let mut consumer = Consumer::new(&stage.cluster).isolation(Isolation::ReadCommitted);
    consumer.assign(&assigned, StartOffset::Earliest).await.unwrap();
    while !stage.is_over() {
        let found = consumer.next(Duration::from_millis(20)).await.unwrap_or_else(|error| panic!("reader: {error}"));
        let Some(record) = found else { continue };
        let place = places.iter().find(|(topic, index)| *topic == &*record.topic && *index == record.partition);
        let place = *place.expect("what was assigned");
        stage.with_history(|history| history.was_read(reader, place, record.offset, value_of(&record)));
    }
}

pub(crate) fn value_of(record: &FetchedRecord) -> Option<Value> {
    let text = std::str::from_utf8(record.value.as_deref()?).ok()?;
    Value::parse(text).map(|(value, _)| value)
}

/// Asks for last stable offsets, one after the other, until it is over.
pub(crate) async fn probe(stage: Stage, places: &[Place], mut random: fastrand::Rng) {
    while !stage.is_over() {
        let place = places[random.usize(..places.len())];
        let asked = stage.with_history(|history| history.tick());
        if let Some(offset) = latest(&stage, place, Isolation::ReadCommitted).await {
            stage.with_history(|history| history.was_stable(place, asked, offset));
        }
        pause().await;
    }
}

/// The end of what such readers may read; nothing while the partition is not led.
pub(crate) async fn latest(stage: &Stage, (topic, partition_index): Place, isolation: Isolation) -> Option<i64> {
    let partition = ListOffsetsPartition { partition_index, timestamp: LATEST, ..Default::default() };
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: i8::from(isolation == Isolation::ReadCommitted),
        topics: vec![ListOffsetsTopic { name: topic.into(), partitions: vec![partition] }],
        ..Default::default()
    };
    let answer = stage.ask_on(&request, LIST_OFFSETS_VERSION).await;
    let found = &answer.topics[0].partitions[0];
    match found.error_code {
        ErrorCode::NONE => Some(found.offset),
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::LEADER_NOT_AVAILABLE => None,
        code => panic!("{topic}-{partition_index} has no end: {code}"),
    }
}
