//! From Apache Kafka to Ottla and back, as `docs/migration.md` says it.
//!
//! One Kafka serves all of it: it is filled, killed, started on logs of ours, stopped, and started on others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../system/broker_process.rs"]
mod broker_process;
mod from_kafka;
mod kafka;
mod mirror;
mod places;
mod to_kafka;

use std::path::Path;
use std::time::Instant;

use broker_process::BrokerProcess;
use kafka::{Kafka, Printed, Release, command};
use mirror::Mirror;
use places::copy;

/// Topics that Kafka's clients fill on Kafka.
const KAFKAS: [&str; 3] = ["k-codecs", "k-compacted", "k-transactions"];
/// And on Ottla.
const OURS: [&str; 2] = ["o-codecs", "o-compacted"];

const SETTINGS: [&str; 4] = [
    "log.cleaner.backoff.ms=20",
    "log.cleaner.min.cleanable.ratio=0.01",
    "offsets.topic.num.partitions=1",
    "log.roll.ms=50",
];

/// A command about several topics.
fn about(words: &[&str], topics: &[&str]) -> Vec<String> {
    command(&[words, topics].concat())
}

#[test]
fn logs_are_read_in_both_directions_after_any_end() {
    let Some(release) = Release::find() else { return };
    let begun = Instant::now();
    let phase = |name: &str| eprintln!("{name} after {:.1?}", begun.elapsed());
    let (mut kafka, mut ottla) = (Kafka::start(&release), BrokerProcess::start(&SETTINGS));
    let (their_data, our_data) = (kafka.data(), ottla.data_dir());
    let printed = release.clients(&[
        command(&["fill", &kafka.address, "k-", their_data.to_str().unwrap(), "transactions"]),
        command(&["fill", &ottla.address, "o-", our_data.to_str().unwrap()]),
        about(&["read", &kafka.address], &KAFKAS),
        about(&["read", &ottla.address], &OURS),
    ]);
    phase("filled");
    // It also makes our topics on Kafka, which then hold our logs.
    mirror_both(&release, &kafka.address, &ottla.address, &printed);
    phase("mirrored");

    // Both die, and Kafka comes back with our logs in it.
    let (killed, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    kafka.kill();
    ottla.crash();
    keep(&their_data, &our_data, killed.path());
    OURS.iter().for_each(|topic| to_kafka::take_over(&killed.path().join("ottla"), &their_data, topic));
    kafka.restart();
    let found = release.clients(&[about(&["read", &kafka.address], &OURS)]);
    to_kafka::assert_content(&kafka.complaints());
    OURS.iter().for_each(|topic| to_kafka::assert_same(topic, &found, &printed));
    phase("killed and read");

    // Both stop, and Kafka comes back with what we left now, and with our groups.
    kafka.stop();
    let mut ottla = ottla.restart();
    assert_eq!(ottla.stop().code(), Some(0));
    keep(&their_data, &our_data, stopped.path());
    for topic in OURS.into_iter().chain(["__consumer_offsets"]) {
        to_kafka::take_over(&stopped.path().join("ottla"), &their_data, topic);
        to_kafka::forget_producers(&their_data, topic);
    }
    kafka.restart();
    let ours = [killed.path().join("ottla"), stopped.path().join("ottla")];
    let mut commands = vec![
        about(&["read", &kafka.address], &OURS),
        command(&["committed", &kafka.address, "readers"]),
        about(&["append", &kafka.address], &OURS),
    ];
    commands.extend(ours.iter().flat_map(|dir| to_kafka::dumps(dir)));
    let found = release.clients(&commands);
    to_kafka::assert_content(&kafka.complaints());
    OURS.iter().for_each(|topic| to_kafka::assert_same(topic, &found, &printed));
    OURS.iter().for_each(|topic| to_kafka::assert_appended(topic, &found));
    assert!(found.of("committed", "readers").contains(&"o-codecs-0 40 half"));
    to_kafka::assert_clean(&found, &ours);
    phase("stopped and read");

    for (ended, was_clean) in [(&killed, false), (&stopped, true)] {
        from_kafka::refuses_to_serve(&ended.path().join("kafka"));
        from_kafka::assert_read(&ended.path().join("kafka"), was_clean, &printed);
    }
}

fn mirror_both(release: &Release, kafka: &str, ottla: &str, printed: &Printed) {
    let mirror = Mirror::start(release, kafka, ottla);
    let copied = release.clients(&[
        about(&["await-copy", kafka, ottla], &KAFKAS),
        about(&["await-copy", ottla, kafka], &OURS),
        about(&["read", ottla], &KAFKAS),
        about(&["read", kafka], &OURS),
        command(&["committed", ottla, "readers"]),
    ]);
    assert!(!mirror.log().contains("ERROR"), "{}", mirror.log());
    mirror::assert_copied(&KAFKAS, &copied, printed);
    mirror::assert_copied(&OURS, &copied, printed);
}

/// Copies both data directories as they are now.
fn keep(kafkas: &Path, ours: &Path, to: &Path) {
    copy(kafkas, &to.join("kafka"));
    copy(ours, &to.join("ottla"));
}
