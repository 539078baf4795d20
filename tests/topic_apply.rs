//! `ottla topic apply` as its users run it: files in, topics out, the same again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with other tests")]
mod process;

use std::fs;
use std::io::Write;
use std::process::{Output, Stdio};

use process::{Broker, ottla};
use serde_json::{Value, json};

const TOPICS: &str = "\
apiVersion: kafka.strimzi.io/v1beta2
kind: KafkaTopic
metadata:
  name: todo-tasks-created
  labels:
    strimzi.io/cluster: todo-kafka
spec:
  topicName: todo.tasks.created
  partitions: 3
  replicas: 1
  config:
    retention.ms: 604800000
    compression.type: snappy
    preallocate: false
---
apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata:
  name: clicks
spec:
  config:
    cleanup.policy: [compact, delete]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kafka-metrics}
";

/// Runs a tool: its exit code, what it printed and what it complained about.
fn tool(broker: &Broker, words: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = ottla();
    command.args(words).env("OTTLA_BOOTSTRAP_SERVER", &broker.address);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A tool that fails early does not read its input.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = process.wait_with_output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Applies `input`; everything must succeed.
fn apply(broker: &Broker, input: &str) -> String {
    let (code, printed, complaints) = tool(broker, &["topic", "apply", "-f", "-"], input);
    assert_eq!(code, Some(0), "{complaints}");
    printed
}

/// Partitions and settings of a topic.
fn described(broker: &Broker, topic: &str) -> (usize, Value) {
    let (code, printed, complaints) = tool(broker, &["topic", "describe", topic, "-o", "json"], "");
    assert_eq!(code, Some(0), "{complaints}");
    let described: Value = serde_json::from_str(&printed).unwrap();
    (described[0]["partitions"].as_array().unwrap().len(), described[0]["configs"].clone())
}

#[test]
fn strimzis_topics_are_created_once_and_followed() {
    let broker = Broker::start(&["broker"]);
    let file = ["topic", "apply", "-f", "-"];
    let (code, dry, _) = tool(&broker, &[&file[..], &["--dry-run"]].concat(), TOPICS);
    assert_eq!(
        (code, dry.as_str()),
        (
            Some(0),
            "todo.tasks.created: would be created\n  + partitions: 3\n  + replicas: 1\n  + compression.type: snappy\n  \
             + preallocate: false\n  + retention.ms: 604800000\n\
             clicks: would be created\n  + cleanup.policy: compact,delete\n"
        )
    );
    let (_, listed, _) = tool(&broker, &["topic", "list"], "");
    assert_eq!(listed, "NAME  PARTITIONS  REPLICAS\n", "a dry run creates nothing");

    let (code, printed, skipped) = tool(&broker, &file, TOPICS);
    assert_eq!((code, printed.as_str()), (Some(0), "todo.tasks.created: created\nclicks: created\n"), "{skipped}");
    assert!(skipped.contains("skipped ConfigMap kafka-metrics") && skipped.contains("stdin:"), "{skipped}");
    let settings = json!({"retention.ms": "604800000", "compression.type": "snappy", "preallocate": "false"});
    assert_eq!(described(&broker, "todo.tasks.created"), (3, settings));
    assert_eq!(described(&broker, "clicks"), (1, json!({"cleanup.policy": "compact,delete"})));
    assert_eq!(apply(&broker, TOPICS), "todo.tasks.created: unchanged\nclicks: unchanged\n");

    let more = TOPICS
        .replace("partitions: 3", "partitions: 5")
        .replace("retention.ms: 604800000", "retention.ms: 1000")
        .replace("compression.type: snappy", "max.message.bytes: 5000");
    let (code, dry, _) = tool(&broker, &[&file[..], &["--dry-run"]].concat(), &more);
    assert_eq!(
        (code, dry.as_str()),
        (
            Some(0),
            "todo.tasks.created: would be changed\n  - partitions: 3\n  + partitions: 5\n  + max.message.bytes: 5000\n  \
             - retention.ms: 604800000\n  + retention.ms: 1000\n  - compression.type: snappy\nclicks: unchanged\n"
        )
    );
    assert_eq!(described(&broker, "todo.tasks.created").0, 3, "a dry run changes nothing");
    assert_eq!(
        apply(&broker, &more),
        "todo.tasks.created: changed: partitions 3 -> 5, max.message.bytes set to 5000, \
         retention.ms 604800000 -> 1000, compression.type snappy -> default\nclicks: unchanged\n"
    );
    let settings = json!({"retention.ms": "1000", "max.message.bytes": "5000", "preallocate": "false"});
    assert_eq!(described(&broker, "todo.tasks.created"), (5, settings));
    assert_eq!(apply(&broker, &more), "todo.tasks.created: unchanged\nclicks: unchanged\n");
}

#[test]
fn what_fails_is_named_and_the_rest_is_done() {
    let broker = Broker::start(&["broker"]);
    apply(&broker, "topics:\n  - name: wide\n    partitions: 3\n");
    let list = "\
topics:
  - name: wide
    partitions: 2
    config: {retention.ms: 1000}
  - name: moved
    partitons: 2
  - name: bad/name
  - name: setting
    config: {no.such.setting: 1}
  - name: value
    config: {retention.ms: soon}
  - name: copies
    replicas: 3
  - good
  - good
";
    for dry_run in [true, false] {
        let words: &[&str] = if dry_run { &["--dry-run"] } else { &[] };
        let (code, printed, complaints) = tool(&broker, &[&["topic", "apply", "-f", "-"], words].concat(), list);
        assert_eq!(code, Some(1));
        assert_eq!(printed, if dry_run { "good: would be created\n" } else { "good: created\n" });
        for (topic, line, words) in [
            ("wide", 2, "cannot remove partitions"),
            ("moved", 6, "partitons: not known here"),
            ("bad/name", 7, "INVALID_TOPIC_EXCEPTION"),
            ("setting", 8, "no.such.setting"),
            ("value", 10, "retention.ms"),
            ("copies", 12, "at least as many brokers"),
            ("good", 15, "declared at stdin:14 already"),
        ] {
            let is_it = |complaint: &&str| complaint.contains(&format!("{topic} (stdin:{line})"));
            let complaint = complaints.lines().find(is_it).unwrap_or_else(|| panic!("{topic}:{line}: {complaints}"));
            assert!(complaint.contains(words), "{complaint}");
        }
        assert!(complaints.ends_with("7 of 8 topics failed; what can be done was done\n"), "{complaints}");
    }
    assert_eq!(described(&broker, "wide"), (3, json!({})), "a topic that is refused is left alone whole");
}

#[test]
fn files_and_directories_are_read_and_answered_in_json() {
    let broker = Broker::start(&["broker"]);
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    fs::write(at("b.yaml"), "topics: [second]\n").unwrap();
    fs::write(at("a.yml"), "- first\n").unwrap();
    fs::write(at("c.json"), "{\"topics\": [{\"name\": \"third\", \"partitions\": 2}]}").unwrap();
    fs::write(at("notes.txt"), "no list").unwrap();
    let here = directory.path().display().to_string();
    let (code, printed, complaints) = tool(&broker, &["topic", "apply", "-f", &here], "");
    assert_eq!(
        (code, printed.as_str()),
        (Some(0), "first: created\nsecond: created\nthird: created\n"),
        "{complaints}"
    );

    fs::write(at("b.yaml"), "topics:\n  - name: second\n    partitions: 4\n  - {name: [}\n").unwrap();
    let words = ["topic", "apply", "-f", &at("a.yml"), "-f", &at("b.yaml"), "-f", &at("c.json"), "-o", "json"];
    let (code, printed, _) = tool(&broker, &words, "");
    assert_eq!(code, Some(1), "one file is no YAML");
    let applied: Value = serde_json::from_str(&printed).unwrap();
    let results: Vec<&Value> = applied.as_array().unwrap().iter().map(|topic| &topic["result"]).collect();
    assert_eq!(results, ["failed", "unchanged", "unchanged"]);
    assert!(applied[0]["source"].as_str().unwrap().contains("b.yaml:4"), "{applied}");

    for words in [&["-f", "/no/such/file"][..], &["-f", "-"]] {
        let (code, _, complaint) = tool(&broker, &[&["topic", "apply"], words].concat(), "");
        assert!(code == Some(1) && !complaint.is_empty(), "{words:?}: {complaint}");
    }
}
