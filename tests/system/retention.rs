//! Old records go by age and by size, and a reader that was behind goes on at what is left.

use std::time::Instant;

use client::{Acks, Cluster, Producer, StartOffset, TopicPartition, list_offsets};
use protocol::ErrorCode;
use protocol::records::Codec;

use crate::broker_process::{BrokerProcess, DEADLINE};
use crate::compaction::now_ms;
use crate::restart::create;
use crate::total_retention::{alter, fetch_error, read_on, write};

const SMALL: (&str, &str) = ("segment.bytes", "1048576");
const HOUR_MS: i64 = 3_600_000;

/// Waits until the topic begins at `start`.
async fn await_start(broker: &BrokerProcess, cluster: &Cluster, topic: &str, start: i64) {
    let place = TopicPartition { topic: topic.into(), partition: 0 };
    let begun = Instant::now();
    loop {
        let found = list_offsets(cluster, std::slice::from_ref(&place), StartOffset::Earliest).await.unwrap()[&place];
        if found == start {
            return;
        }
        assert!(found < start && begun.elapsed() < DEADLINE, "{topic} begins at {found}:\n{}", broker.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn segments_go_by_age_and_by_size_and_readers_go_on() {
    let mut broker = BrokerProcess::start(&["log.retention.check.interval.ms=50"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "aged", 1, &[SMALL, ("retention.ms", "-1")]).await;
    create(&cluster, "sized", 1, &[SMALL, ("retention.bytes", "2000000")]).await;
    create(&cluster, "kept", 1, &[SMALL, ("retention.ms", "-1"), ("retention.bytes", "-1")]).await;
    create(&cluster, "compact", 1, &[SMALL, ("retention.ms", "1000"), ("cleanup.policy", "compact")]).await;
    // Two records to a segment; the fourth is the first that is young enough.
    let old_ms = now_ms() - 4 * HOUR_MS;
    for topic in ["kept", "compact", "sized"] {
        write(&cluster, topic, 7, old_ms).await;
    }
    write(&cluster, "aged", 3, old_ms).await;
    write(&cluster, "aged", 4, now_ms() - HOUR_MS).await;
    assert_eq!(alter(&cluster, 2, "aged", ("retention.ms", "7200000")).await, ErrorCode::NONE);

    await_start(&broker, &cluster, "aged", 2).await;
    // Half a megabyte each: without the first segment there is still more than asked for, without the second less.
    await_start(&broker, &cluster, "sized", 2).await;
    assert_eq!(fetch_error(&cluster, "aged", 1).await, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(read_on(&cluster, "aged", 0, 7).await, [2, 3, 4, 5, 6]);

    broker.crash();
    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    assert_eq!(read_on(&cluster, "aged", 0, 7).await, [2, 3, 4, 5, 6], "and not less after a crash");
    assert_eq!(read_on(&cluster, "sized", 0, 7).await, [2, 3, 4, 5, 6]);
    for topic in ["kept", "compact"] {
        assert_eq!(read_on(&cluster, topic, 0, 7).await, [0, 1, 2, 3, 4, 5, 6], "{topic}");
    }
}

#[tokio::test]
async fn the_active_segment_goes_too_when_all_of_it_is_old() {
    let broker = BrokerProcess::start(&["log.retention.check.interval.ms=50"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "log", 1, &[("retention.ms", "3600000")]).await;
    write(&cluster, "log", 3, now_ms() - 2 * HOUR_MS).await;
    await_start(&broker, &cluster, "log", 3).await;
    let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
    let record = client::OutgoingRecord { value: Some("after".into()), timestamp_ms: now_ms(), ..Default::default() };
    producer.send("log", 0, &[record]).await.unwrap();
    assert_eq!(read_on(&cluster, "log", 0, 4).await, [3], "offsets go on where they were");
}
