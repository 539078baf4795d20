//! `ottla perf` against a broker of ours: what it counts is what the broker has.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "shared with other tests")]
mod process;

use std::process::{Output, Stdio};
use std::time::Instant;

use process::{Broker, DEADLINE, interrupt, ottla};
use serde_json::Value;

fn perf(broker: &Broker, words: &str) -> Output {
    let mut command = ottla();
    command.arg("perf").args(words.split_whitespace()).args(["--quiet", "-o", "json", "-b", &broker.address]);
    command.output().unwrap()
}

/// The summary of a load without any error.
fn measured(broker: &Broker, words: &str) -> Value {
    let output = perf(broker, words);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words}: {complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn tool(broker: &Broker, words: &str) -> Value {
    let output = ottla().args(words.split_whitespace()).args(["-o", "json", "-b", &broker.address]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The names of all topics.
fn topics(broker: &Broker) -> Vec<String> {
    let list = tool(broker, "topic list");
    list.as_array().unwrap().iter().map(|topic| topic["name"].as_str().unwrap().to_string()).collect()
}

/// How many records a topic has.
fn records_in(broker: &Broker, topic: &str) -> u64 {
    let described = tool(broker, &format!("topic describe {topic}"));
    let partitions = described[0]["partitions"].as_array().unwrap();
    partitions.iter().map(|partition| partition["next_offset"].as_u64().unwrap()).sum()
}

#[test]
fn every_record_that_is_counted_is_there_however_it_is_written() {
    let broker = Broker::start(&["broker"]);
    for (number, flags) in [
        "",
        "--pre-encoded",
        "--pre-encoded --idempotent",
        "--idempotent -z zstd --random-share 0.5",
        "-z lz4 --pre-encoded --acks 1",
        "--keys 100 --connections 1",
        "--batch-size 1 --in-flight 1 --acks 0",
        "--rate 50000 --linger 5ms -z gzip",
    ]
    .into_iter()
    .enumerate()
    {
        let topic = format!("written-{number}");
        let words = format!("produce -t {topic} --partitions 3 --records 3001 -s 100 --keep {flags}");
        let summary = measured(&broker, &words);
        let produced = &summary["produced"];
        assert_eq!((&produced["records"], &produced["errors"]), (&3001.into(), &serde_json::json!({})), "{flags}");
        assert_eq!(produced["latency"]["count"], 3001, "{flags}");
        // Nobody waits for the broker without acks.
        let begun = Instant::now();
        while records_in(&broker, &topic) != 3001 {
            assert!(
                flags.contains("--acks 0") && begun.elapsed() < DEADLINE,
                "{flags}: {}",
                records_in(&broker, &topic)
            );
        }
        let read = measured(&broker, &format!("consume -t {topic} --groups 2 --consumers 2"));
        assert_eq!((&read["consumed"]["records"], &read["missing"]), (&6002.into(), &0.into()), "{flags}");
    }
    let joined = measured(&broker, "consume -t written-0 --groups 2 --consumers 2 --join");
    assert_eq!(joined["consumed"]["records"], 6002);
}

#[test]
fn topics_that_were_made_go_again_and_others_stay() {
    let broker = Broker::start(&["broker"]);
    tool_ok(&broker, "topic create mine --partitions 2");
    assert_eq!(measured(&broker, "produce -t mine --records 10")["produced"]["records"], 10);
    assert_eq!(measured(&broker, "produce --records 10 --partitions 2")["produced"]["records"], 10);
    let read = measured(&broker, "consume --fill 1MiB --record-size 1KiB --partitions 2");
    assert_eq!((&read["consumed"]["records"], topics(&broker)), (&1024.into(), vec!["mine".to_string()]));
    assert_eq!(records_in(&broker, "mine"), 10);

    // Interrupted in its middle, it cleans up too.
    let mut command = ottla();
    command.args(["perf", "produce", "--duration", "1h", "-o", "json", "-b", &broker.address]);
    let process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while topics(&broker).len() == 1 {
        assert!(begun.elapsed() < DEADLINE, "it makes no topic");
    }
    interrupt(&process);
    let output = process.wait_with_output().unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &summary["interrupted"]), (Some(0), &true.into()));
    assert_eq!(topics(&broker), ["mine"]);
}

fn tool_ok(broker: &Broker, words: &str) {
    let output = ottla().args(words.split_whitespace()).args(["-b", &broker.address]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{words}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_record_is_timed_from_when_it_was_due_until_each_group_has_it() {
    let broker = Broker::start(&["broker"]);
    for flags in ["", "--pre-encoded", "-z snappy", "--join", "--backlog 100KB --pre-encoded"] {
        let words = "end-to-end --partitions 4 --records 4000 --rate 8000 -s 100 --groups 2 --consumers 2";
        let summary = measured(&broker, &format!("{words} --warmup 200ms {flags}"));
        assert_eq!(summary["produced"]["records"], 4000, "{flags}");
        assert_eq!(summary["produced"]["records_with_warmup"], 5600, "{flags}");
        assert_eq!(summary["consumed"]["records"], 8000, "{flags}: {summary}");
        assert_eq!(summary["consumed"]["records_with_warmup"], 11_200, "{flags}");
        assert_eq!((&summary["end_to_end"]["count"], &summary["missing"]), (&8000.into(), &0.into()), "{flags}");
        let (written, read) = (&summary["produced"]["latency"]["p50"], &summary["end_to_end"]["p50"]);
        assert!(written.as_f64() > Some(0.0) && read.as_f64() > Some(0.0), "{flags}: {summary}");
    }
    assert!(topics(&broker).is_empty());
}

#[test]
fn a_rate_is_held_and_one_that_cannot_be_is_said_not_to_be() {
    let broker = Broker::start(&["broker"]);
    let held = measured(&broker, "produce --partitions 2 --rate 2000 --duration 2s --warmup 100ms");
    assert_eq!((&held["produced"]["records"], &held["unsent"]), (&4000.into(), &0.into()), "{held}");
    let rate = held["produced"]["records_per_second"].as_f64().unwrap();
    assert!((1000.0..=2100.0).contains(&rate), "{held}");
    // A hundred million requests a second.
    let words = "produce --partitions 1 --rate 100000000 --batch-size 1 --duration 200ms --warmup 0s -s 10";
    let not_held = measured(&broker, words);
    let (sent, unsent) = (not_held["produced"]["records"].as_u64().unwrap(), not_held["unsent"].as_u64().unwrap());
    assert_eq!(sent + unsent, 20_000_000, "{not_held}");
    assert!(unsent > 0, "{not_held}");
}

#[test]
fn what_a_broker_refuses_is_counted_by_its_code_and_fails() {
    let broker = Broker::start(&["broker"]);
    let output = perf(&broker, "produce --partitions 1 --records 50 -s 2KiB --config max.message.bytes=1000");
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["produced"]["errors"]["MESSAGE_TOO_LARGE"], 50, "{summary}");
    assert_eq!((&summary["produced"]["records"], output.status.code()), (&0.into(), Some(1)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("MESSAGE_TOO_LARGE 50"));
}

#[test]
fn what_cannot_be_done_says_how_it_could() {
    let broker = Broker::start(&["broker"]);
    for (words, cure) in [
        ("consume -t nothing", "ottla perf produce --topic nothing --keep"),
        ("end-to-end -s 8", "at least 16 bytes"),
        ("produce --idempotent --acks 1", "waits for all acks"),
        ("produce --pre-encoded --keys 5", "leave one of the two out"),
        ("produce --connections 20000", "1 to 10000 are possible"),
        ("produce --batch-size 100MB --connections 100", "smaller batches"),
    ] {
        let output = perf(&broker, words);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && complaint.contains(cure), "{words}: {complaint}");
    }
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = ottla().args(["perf", "produce", "-b", &free]).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains(&free) && complaint.contains("start a broker with `ottla`"), "{complaint}");
    assert!(topics(&broker).is_empty());
}

#[test]
fn a_workload_file_is_carried_out() {
    let broker = Broker::start(&["broker"]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("w.yaml");
    let text = "name: two topics\ntopics: 2\npartitionsPerTopic: 3\nmessageSize: 64\nuseRandomizedPayloads: true\n\
        randomBytesRatio: 0.5\nrandomizedPayloadPoolSize: 10\nsubscriptionsPerTopic: 2\nconsumerPerSubscription: 2\n\
        producersPerTopic: 2\nproducerRate: 1000\nconsumerBacklogSizeGB: 0\ntestDurationMinutes: 0.02\n\
        warmupDurationMinutes: 0\n";
    std::fs::write(&path, text).unwrap();
    let summary = measured(&broker, &format!("run -f {} --acks 1", path.display()));
    assert_eq!((&summary["produced"]["records"], &summary["consumed"]["records"]), (&1200.into(), &2400.into()));
    std::fs::write(&path, format!("{text}nonsense: 1\n")).unwrap();
    let output = perf(&broker, &format!("run -f {}", path.display()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 15: nonsense"), "{output:?}");
}

#[test]
fn a_group_settles_each_time_that_somebody_comes_or_goes() {
    let broker = Broker::start(&["broker"]);
    let summary = measured(&broker, "rebalance --members 4 --rounds 2 --partitions 6 --heartbeat 20ms");
    assert_eq!((&summary["members"], &summary["partitions"]), (&4.into(), &6.into()));
    for step in ["all_join", "one_joins", "one_leaves"] {
        let times = summary[step].as_array().unwrap();
        assert!(times.len() == 2 && times.iter().all(|ms| ms.as_f64() > Some(0.0)), "{step}: {summary}");
    }
    assert!(topics(&broker).is_empty());
}

#[test]
fn what_is_counted_as_committed_can_be_read() {
    let broker = Broker::start(&["broker"]);
    let size = ["--transaction-records 30 --batch-records 20", "--transaction-duration 20ms --batch-records 20"];
    for (number, flags) in size.into_iter().enumerate() {
        let topic = format!("committed-{number}");
        let run = |duration_ms: u32| {
            let words = format!(
                "transactions -t {topic} --keep --partitions 3 -s 100 --producers 2 --warmup 0s \
                 --duration {duration_ms}ms --transactional-id {topic} {flags}"
            );
            measured(&broker, &words)
        };
        // A slow disk may not have ended one in the shortest time.
        let mut runs = [500, 2000, 8000, 30_000].into_iter().map(run);
        let ended = |summary: &Value| summary["transactions"].as_u64() > Some(0);
        let summary = runs.find(ended).expect("no transaction was counted");
        let [transactions, records] = ["transactions", "records"].map(|field| summary[field].as_u64().unwrap());
        for latency in ["begin_to_commit", "commit"] {
            assert_eq!(summary[latency]["count"], transactions, "{flags}: {summary}");
        }
        if number == 0 {
            assert_eq!(records, transactions * 30, "{flags}: {summary}");
        } else {
            assert!(
                records >= transactions * 20 && summary["begin_to_commit"]["p50"].as_f64() >= Some(20.0),
                "{summary}"
            );
        }
        // Beside them there are the last transactions, which ended too late to be counted, and the markers.
        let read = measured(&broker, &format!("consume -t {topic}"));
        assert!(read["consumed"]["records"].as_u64() >= Some(records), "{flags}: {read}");
        let listed = tool(&broker, &format!("topic describe {topic}"));
        assert_eq!(listed[0]["partitions"].as_array().map(Vec::len), Some(3));
    }
    let output = perf(&broker, "transactions --transaction-records 5 --transaction-duration 1s");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
