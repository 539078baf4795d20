//! `kafka-verifiable-consumer`: a member of a group that says everything that happens to it, in lines of JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{Assignor, FetchedRecord, GroupConfig, GroupConsumer, GroupEvent, StartOffset, TopicPartition};
use serde::Serialize;

use super::flags::{Flag, Parsed, switch, value};
use super::properties::Properties;
use super::verifiable_events::{Event, argument_error, number, say_event};
use super::{BOOTSTRAP_SERVER, connect_with, errors};
use crate::consume::leave;
use crate::failure::{Failure, Outcome};
use crate::interrupts::Interrupts;

pub(crate) const FLAGS: &[Flag] = &[
    BOOTSTRAP_SERVER,
    value("topic", "name", "Read this topic"),
    value("group-id", "name", "As a member of this group"),
    value("group-instance-id", "name", "Which keeps this name over restarts"),
    value("group-protocol", "name", "Only classic"),
    value("group-remote-assignor", "name", "As in Kafka's tool, without effect in the classic protocol"),
    value("max-messages", "n", "End after so many records; -1, as without it, for never"),
    value("session-timeout", "ms", "A member that is silent for so long is taken for dead"),
    switch("verbose", "Say every record"),
    switch("enable-autocommit", "Commit from time to time, not after each poll"),
    value("reset-policy", "policy", "Where to begin without a position: earliest, as without it, latest or none"),
    value("assignment-strategy", "class", "RangeAssignor, as without it, or RoundRobinAssignor"),
    value("command-config", "file", "Settings of the consumer").or(&["consumer.config"]),
];

const FACE: &str = "verifiable-consumer";
/// What Kafka's consumer gives out at a time (max.poll.records).
const POLL_RECORDS: usize = 500;
/// One wait for something to happen.
const WAIT: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Partitions<'a> {
    partitions: &'a [Place],
}

#[derive(Serialize)]
struct Place {
    topic: String,
    partition: i32,
}

#[derive(Serialize)]
struct RecordData<'a> {
    key: Option<String>,
    value: Option<String>,
    topic: &'a str,
    partition: i32,
    offset: i64,
}

#[derive(Serialize)]
struct Consumed {
    count: usize,
    partitions: Vec<Summary>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    topic: String,
    partition: i32,
    count: usize,
    min_offset: i64,
    max_offset: i64,
}

#[derive(Serialize)]
struct Committed {
    offsets: Vec<CommittedOffset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    success: bool,
}

#[derive(Serialize)]
struct CommittedOffset {
    topic: String,
    partition: i32,
    offset: i64,
}

/// What this member does.
struct Reading {
    commits_itself: bool,
    is_verbose: bool,
    /// None for no end.
    left: Option<usize>,
}

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let required = |flag: &'static str| {
        let missing = move || argument_error(FACE, &format!("argument --{flag} is required"));
        parsed.value(flag).and_then(|found| found.ok_or_else(missing))
    };
    let (topic, group_id, bootstrap) = (required("topic")?, required("group-id")?, required("bootstrap-server")?);
    let config = config(parsed, group_id, topic)?;
    let max_messages: i32 = number(parsed, FACE, "max-messages")?.unwrap_or(-1);
    let mut reading = Reading {
        commits_itself: config.commit_interval.is_some(),
        is_verbose: parsed.has("verbose"),
        left: usize::try_from(max_messages).ok(),
    };
    let mut settings = Properties::load(parsed.value("command-config")?)?;
    settings.require_plaintext()?;
    let cluster = connect_with(bootstrap, &mut settings).await?;
    settings.mention_unused("kafka-verifiable-consumer");
    let mut interrupts = Interrupts::new()?;
    say_event("startup_complete", Event {})?;
    let mut consumer = GroupConsumer::new(&cluster, config);
    let read = tokio::select! {
        read = reading.read(&mut consumer) => Some(read),
        () = interrupts.next() => None,
    };
    if read.is_none() {
        say_event("shutdown_requested", Event {})?;
    }
    let held = places(consumer.assignment());
    if !held.is_empty() {
        say_event("partitions_revoked", Partitions { partitions: &held })?;
    }
    let left = leave(consumer).await;
    say_event("shutdown_complete", Event {})?;
    let Some(read) = read else { return Ok(()) };
    say_event("shutdown_requested", Event {})?;
    match (read, left) {
        // As Kafka's tool: said where it belongs, and an end like any other.
        (Err(Failure::Client(failure)), _) => {
            eprintln!("Error during processing, terminating consumer process: {}", errors::client_words(&failure));
            Ok(())
        }
        (Err(failure), _) => Err(failure),
        (Ok(()), left) => left,
    }
}

fn config(parsed: &Parsed, group_id: &str, topic: &str) -> Result<GroupConfig, Failure> {
    if let Some(protocol) = parsed.value("group-protocol")?
        && !protocol.eq_ignore_ascii_case("classic")
    {
        return Err(Failure::Input(format!(
            "--group-protocol {protocol}: this tool speaks the classic protocol only; Kafka's own tool speaks both"
        )));
    }
    let mut config = GroupConfig::new(group_id, &[topic]);
    match parsed.value("reset-policy")?.unwrap_or("earliest").to_ascii_lowercase().as_str() {
        "earliest" => config.start = StartOffset::Earliest,
        "latest" => config.start = StartOffset::Latest,
        "none" => config.needs_position = true,
        other => {
            return Err(Failure::Input(format!(
                "Invalid value {other} for configuration auto.offset.reset: earliest, latest or none"
            )));
        }
    }
    let strategy = parsed.value("assignment-strategy")?.unwrap_or("RangeAssignor");
    config.assignor = match strategy.rsplit('.').next() {
        Some("RangeAssignor") => Assignor::Range,
        Some("RoundRobinAssignor") => Assignor::RoundRobin,
        _ => {
            return Err(Failure::Input(format!(
                "{strategy} is a Java class, which cannot be loaded here; there are RangeAssignor and RoundRobinAssignor"
            )));
        }
    };
    if let Some(session_ms) = number::<u32>(parsed, FACE, "session-timeout")? {
        config.session_timeout = Duration::from_millis(session_ms.into());
        config.heartbeat_interval = config.heartbeat_interval.min(config.session_timeout / 3);
    }
    if !parsed.has("enable-autocommit") {
        config.commit_interval = None;
    }
    config.group_instance_id = parsed.value("group-instance-id")?.map(str::to_owned);
    Ok(config)
}

impl Reading {
    async fn read(&mut self, consumer: &mut GroupConsumer) -> Outcome {
        while self.left != Some(0) {
            let (records, rebalance) = poll(consumer).await?;
            if !records.is_empty() {
                let offsets = self.say_records(&records)?;
                if !self.commits_itself {
                    commit(consumer, offsets).await?;
                }
            }
            match rebalance {
                Some(GroupEvent::Revoked(lost)) => {
                    say_event("partitions_revoked", Partitions { partitions: &places(lost.iter()) })?;
                }
                Some(GroupEvent::Assigned(ours)) => {
                    say_event("partitions_assigned", Partitions { partitions: &places(ours.iter()) })?;
                }
                Some(GroupEvent::Record(_)) | None => {}
            }
        }
        Ok(())
    }

    /// Says what came, which counts as a whole, and of which those over the limit are left out; answers the position
    /// behind the others.
    fn say_records(&mut self, records: &[FetchedRecord]) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
        let mut by_place: BTreeMap<TopicPartition, Vec<&FetchedRecord>> = BTreeMap::new();
        for record in records {
            by_place.entry(TopicPartition::new(record.topic.clone(), record.partition)).or_default().push(record);
        }
        let mut summaries = Vec::with_capacity(by_place.len());
        let mut offsets = BTreeMap::new();
        for (place, mut records) in by_place {
            records.truncate(self.left.unwrap_or(usize::MAX));
            self.left = self.left.map(|left| left - records.len());
            let (Some(first), Some(last)) = (records.first(), records.last()) else { continue };
            summaries.push(Summary {
                topic: place.topic.to_string(),
                partition: place.partition,
                count: records.len(),
                min_offset: first.offset,
                max_offset: last.offset,
            });
            offsets.insert(place, last.offset + 1);
            if self.is_verbose {
                records.iter().try_for_each(|record| say_event("record_data", RecordData::of(record)))?;
            }
        }
        say_event("records_consumed", Consumed { count: records.len(), partitions: summaries })?;
        Ok(offsets)
    }
}

/// The records that are at hand, after a wait for the first, or a rebalance.
async fn poll(consumer: &mut GroupConsumer) -> Result<(Vec<FetchedRecord>, Option<GroupEvent>), Failure> {
    let (mut records, mut wait) = (Vec::new(), WAIT);
    while records.len() < POLL_RECORDS {
        match consumer.next_event(wait).await? {
            Some(GroupEvent::Record(record)) => records.push(record),
            Some(rebalance) => return Ok((records, Some(rebalance))),
            None => break,
        }
        wait = Duration::ZERO;
    }
    Ok((records, None))
}

impl RecordData<'_> {
    fn of(record: &FetchedRecord) -> RecordData<'_> {
        let text = |bytes: &Option<bytes::Bytes>| bytes.as_deref().map(|b| String::from_utf8_lossy(b).into_owned());
        RecordData {
            key: text(&record.key),
            value: text(&record.value),
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset,
        }
    }
}

async fn commit(consumer: &mut GroupConsumer, offsets: BTreeMap<TopicPartition, i64>) -> Outcome {
    let said = offsets.iter().map(|(place, offset)| CommittedOffset {
        topic: place.topic.to_string(),
        partition: place.partition,
        offset: *offset,
    });
    let said = said.collect();
    let error = consumer.commit_at(offsets).await.err().map(|failure| errors::client_words(&failure));
    say_event("offsets_committed", Committed { offsets: said, success: error.is_none(), error })
}

fn places<'a>(places: impl Iterator<Item = &'a TopicPartition>) -> Vec<Place> {
    places.map(|place| Place { topic: place.topic.to_string(), partition: place.partition }).collect()
}
