//! A record written and read again, through a topic that is there for nothing else; and by it the broker's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use client::{Acks, ClientError, Cluster, Consumer, OutgoingRecord, Producer, StartOffset, TopicPartition};
use protocol::ErrorCode;
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use protocol::records::Codec;
use tokio::time::timeout;

use super::report::Finding;
use crate::admin::topics::{self, BROKERS_DEFAULT};

/// What the temporary topics begin with; two underscores keep them out of patterns and listings.
const TOPIC_PREFIX: &str = "__ottla-doctor";
/// Clocks that differ by so much make timestamps and retention strange.
const CLOCK_WARN_MS: u64 = 2_000;
/// A broker refuses records that are so far ahead of it (message.timestamp.after.max.ms).
const CLOCK_FAIL_MS: u64 = 3_600_000;

/// What was measured.
struct Trip {
    took: Duration,
    /// How far the broker's clock is from ours, ms; none when it does not say.
    clock_ahead_ms: Option<i64>,
}

/// Creates a topic, writes, reads, and removes the topic, whatever happened between; also at Ctrl-C.
pub(super) async fn check(cluster: &Cluster, limit: Duration) -> Vec<Finding> {
    const CHECK: &str = "roundtrip";
    let topic = format!("{TOPIC_PREFIX}-{}-{}", now_ms(), std::process::id());
    let outcome = tokio::select! {
        outcome = timeout(limit, travel(cluster, &topic)) => outcome,
        _ = tokio::signal::ctrl_c() => Ok(Err(ClientError::NoAnswer { address: topic.clone(), reason: "interrupted" })),
    };
    let mut findings = match outcome {
        Ok(Ok(trip)) => {
            let what = format!("created a topic, wrote and read a record in {} ms", trip.took.as_millis());
            let clock = trip.clock_ahead_ms.map(clock);
            std::iter::once(Finding::ok(CHECK, what)).chain(clock).collect()
        }
        Ok(Err(error)) => vec![Finding::fail(CHECK, error.to_string(), cure(&error))],
        Err(_) => {
            let cure = "the disk may be slow or replicas missing: look into the broker's log";
            vec![Finding::fail(CHECK, format!("not done within {} ms", limit.as_millis()), cure)]
        }
    };
    if let Err(reason) = timeout(limit, remove(cluster, &topic)).await.unwrap_or(Err("no answer came".into())) {
        let what = format!("the temporary topic {topic} could not be removed: {reason}");
        findings.push(Finding::warn(CHECK, what, format!("`ottla topic delete {topic}`")));
    }
    findings
}

async fn travel(cluster: &Cluster, topic: &str) -> Result<Trip, ClientError> {
    let begun = Instant::now();
    create(cluster, topic).await?;
    let value = Bytes::from(format!("from {topic}"));
    let before_ms = now_ms();
    let record = OutgoingRecord { value: Some(value.clone()), timestamp_ms: before_ms, ..Default::default() };
    let written = Producer::new(cluster, Acks::All, Codec::None).send(topic, 0, &[record]).await?;
    let after_ms = now_ms();
    let mut consumer = Consumer::new(cluster);
    consumer.assign(&[TopicPartition::new(topic, 0)], StartOffset::Earliest).await?;
    // The deadline is the caller's.
    let read = loop {
        if let Some(record) = consumer.next(Duration::from_secs(1)).await? {
            break record;
        }
    };
    if read.value.as_ref() != Some(&value) {
        let reason = "it is not what was written".to_string();
        return Err(ClientError::Corrupt { what: format!("the record of {topic}"), reason });
    }
    let broker_ms = Some(written.log_append_time_ms).filter(|moment| *moment >= 0);
    Ok(Trip { took: begun.elapsed(), clock_ahead_ms: broker_ms.map(|broker| ahead_ms(broker, before_ms, after_ms)) })
}

/// How far the broker's moment lies outside of ours.
fn ahead_ms(broker_ms: i64, before_ms: i64, after_ms: i64) -> i64 {
    if broker_ms < before_ms { broker_ms - before_ms } else { (broker_ms - after_ms).max(0) }
}

async fn create(cluster: &Cluster, name: &str) -> Result<(), ClientError> {
    let config = |name: &str, value: &str| CreatableTopicConfig { name: name.into(), value: Some(value.into()) };
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: 1,
        replication_factor: BROKERS_DEFAULT,
        configs: vec![config("message.timestamp.type", "LogAppendTime"), config("retention.ms", "60000")],
        ..Default::default()
    };
    topics::create(cluster, topic, false).await.map(|_| ())
}

async fn remove(cluster: &Cluster, name: &str) -> Result<(), String> {
    let removed = topics::delete(cluster, &[name.into()]).await.map_err(|error| error.to_string())?;
    match removed.into_iter().find_map(|(_, result)| result.err()) {
        // It was never made.
        Some(error) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => Ok(()),
        Some(error) => Err(error.to_string()),
        None => Ok(()),
    }
}

fn clock(ahead_ms: i64) -> Finding {
    const CHECK: &str = "clock";
    let cure = "set the clocks: run chrony or systemd-timesyncd; in WSL2 after sleep `sudo hwclock -s`";
    let side = if ahead_ms > 0 { "ahead of" } else { "behind" };
    let what = format!("the broker's clock is {} ms {side} the one here", ahead_ms.unsigned_abs());
    match ahead_ms.unsigned_abs() {
        0 => Finding::ok(CHECK, "the broker's clock and the one here agree"),
        1..CLOCK_WARN_MS => Finding::ok(CHECK, what),
        CLOCK_WARN_MS..CLOCK_FAIL_MS => Finding::warn(CHECK, what, cure),
        _ => Finding::fail(CHECK, what, cure),
    }
}

fn cure(error: &ClientError) -> &'static str {
    match error.code() {
        Some(ErrorCode::NOT_ENOUGH_REPLICAS | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND) => {
            "fewer brokers are in sync than min.insync.replicas asks for: start the missing ones, or lower it"
        }
        Some(ErrorCode::INVALID_REPLICATION_FACTOR) => {
            "default.replication.factor is more than there are brokers: lower it, or start the missing ones"
        }
        Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED) => {
            "this user may not create topics: --read-only leaves this check out"
        }
        Some(ErrorCode::KAFKA_STORAGE_ERROR) => {
            "the disk is full or broken: see the line about it, and the broker's log"
        }
        Some(ErrorCode::MESSAGE_TOO_LARGE) => {
            "the broker refuses even a record of a few bytes: raise message.max.bytes"
        }
        _ => "look into the broker's log",
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::report::Level;
    use super::*;

    #[test]
    fn a_moment_between_ours_is_no_difference_and_others_count_from_the_nearer_end() {
        assert_eq!([5, 10, 20].map(|broker| ahead_ms(broker, 5, 20)), [0, 0, 0]);
        assert_eq!([2, 25].map(|broker| ahead_ms(broker, 5, 20)), [-3, 5]);
        let levels = [0, -1999, 2000, -3_599_999, 3_600_000].map(|ahead| clock(ahead).level);
        assert_eq!(levels, [Level::Ok, Level::Ok, Level::Warn, Level::Warn, Level::Fail]);
        assert!(clock(-5000).what.contains("5000 ms behind"));
    }
}
