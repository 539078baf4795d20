//! `ottla doctor` against a broker that is well, and against what people had instead of one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod fake;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../process/mod.rs"]
mod process;

use std::io::{Read, Write};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use fake::{Kafka, advertising, fake, nobody, tls};
use process::{Broker, ottla};
use serde_json::Value;

/// Long enough for a busy machine, short enough to wait for.
const LIMIT_MS: &str = "2000";

/// Runs the doctor: its exit code, what it printed and what it complained about.
fn doctor(address: &str, words: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = ottla()
        .args(["doctor", "--bootstrap-server", address])
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The line of a failed check, which must be the reason for exit code 1, come in time and name a cure.
fn failure(address: &str, check: &str) -> String {
    let begun = Instant::now();
    let (code, printed, complaint) = doctor(address, &["--timeout-ms", LIMIT_MS]);
    assert!(begun.elapsed() < process::DEADLINE, "{:?}", begun.elapsed());
    assert_eq!(code, Some(1), "{printed}");
    assert!(complaint.contains("FAIL"), "{complaint}");
    let is_it = |line: &&str| line.starts_with(&format!("FAIL  {check}"));
    let line = printed.lines().find(is_it).unwrap_or_else(|| panic!("no {check}: {printed}"));
    assert!(line.contains("; cure: "), "{line}");
    line.into()
}

#[test]
fn a_broker_that_is_well_passes_and_keeps_nothing_of_it() {
    let broker = Broker::start(&["broker"]);
    let (code, printed, complaint) = doctor(&broker.address, &[]);
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{printed}");
    for check in
        ["name", "tcp", "protocol", "memory", "advertised", "disk", "partitions", "groups", "roundtrip", "clock"]
    {
        let is_it = |line: &&str| line.split_whitespace().nth(1) == Some(check);
        assert_eq!(printed.lines().filter(is_it).count(), 1, "{check}: {printed}");
    }
    let (_, json, _) = doctor(&broker.address, &["-o", "json"]);
    let findings: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(findings.as_array().unwrap().len(), printed.lines().count());
    assert!(findings.as_array().unwrap().iter().all(|finding| finding["level"] != "fail"), "{json}");

    let (code, printed, _) = doctor(&broker.address, &["--read-only"]);
    assert!(code == Some(0) && !printed.contains("roundtrip"), "{printed}");
    let listed = ottla().args(["topic", "list", "--internal", "-b", &broker.address]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.starts_with("NAME") && !listed.contains("doctor"), "{listed}");
}

#[test]
fn a_group_that_nobody_reads_for_is_warned_of() {
    let broker = Broker::start(&["broker"]);
    let tool = |words: &[&str], input: &str| {
        let mut process = ottla()
            .args(words)
            .args(["-b", &broker.address])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert!(process.wait().unwrap().success(), "{words:?}");
    };
    tool(&["produce", "t"], "a\nb\nc\n");
    tool(&["consume", "t", "--group", "slow", "--from-beginning", "-n", "1"], "");
    let (code, printed, _) = doctor(&broker.address, &["--lag", "2"]);
    assert_eq!(code, Some(0), "a warning is no failure: {printed}");
    let warning = printed.lines().find(|line| line.starts_with("warn  groups")).unwrap_or_else(|| panic!("{printed}"));
    assert!(
        warning.contains("slow (Empty) is 2 records behind") && warning.contains("start its consumers"),
        "{warning}"
    );
    let (_, printed, _) = doctor(&broker.address, &["--lag", "3"]);
    assert!(printed.contains("ok    groups      1, at most 2 records behind"), "{printed}");
}

#[test]
fn what_is_no_kafka_is_named_with_the_cure() {
    let closing = fake(drop);
    assert!(failure(&closing, "protocol").contains("closes them without a word"));
    let silent = fake(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    assert!(failure(&silent, "protocol").contains("says nothing"));
    // An alert at once, as OpenSSL's servers send it; and a server that closes on plaintext, as Java's do.
    let alerting = tls();
    let java = fake(|mut stream| {
        let mut first = [0; 2];
        if stream.read_exact(&mut first).is_ok() && first == [0x16, 0x03] {
            let _ = stream.write_all(&[0x16, 0x03, 0x03, 0, 4, 14, 0, 0, 0]);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    for tls in [alerting, java] {
        let line = failure(&tls, "protocol");
        assert!(line.contains("speaks TLS") && line.contains("authType: none"), "{line}");
    }
    let web = fake(|mut stream| {
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    // One that says so at once, and one that waits for the end of a line first.
    let patient = fake(|mut stream| {
        let mut heard = Vec::new();
        let mut byte = [0];
        while stream.read_exact(&mut byte).is_ok() {
            heard.push(byte[0]);
            if heard.ends_with(b"\r\n\r\n") {
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
                return;
            }
        }
    });
    for web in [web, patient] {
        assert!(failure(&web, "protocol").contains("speaks HTTP"));
    }
    let shell = fake(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\nFAIL  fake\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    assert!(failure(&shell, "protocol").contains("\"SSH-2.0-"));
}

#[test]
fn addresses_that_lead_nowhere_are_named_with_the_cure() {
    assert!(failure(&nobody(), "tcp").contains("nothing listens there"));
    assert!(failure("no-such-host.invalid:9092", "name").contains("DNS"));
    assert!(failure("kafka-0.kafka-headless.default.svc:9092", "name").contains("Kubernetes"));
    assert!(failure("localhost", "name").contains("localhost:9092"));
    assert!(failure("SSL://localhost:9093", "name").contains("alone: localhost:9093"));
    let broker = Broker::start(&["broker"]);
    let both = format!("{},{}", nobody(), broker.address);
    let (code, printed, _) = doctor(&both, &["--timeout-ms", LIMIT_MS]);
    assert!(code == Some(1) && printed.contains("ok    advertised"), "the rest is looked at all the same: {printed}");
}

#[test]
fn advertised_addresses_that_cannot_be_used_are_named_with_the_cure() {
    let dead = nobody().rsplit_once(':').unwrap().1.parse().unwrap();
    for (host, port, words) in [
        ("127.0.0.1", dead, "KAFKA_ADVERTISED_LISTENERS"),
        ("kafka-0.kafka-headless.ns.svc", 9092, "only inside a Kubernetes cluster"),
        ("0.0.0.0", 9092, "no address to connect to"),
    ] {
        let line = failure(&advertising(host, port), "advertised");
        assert!(line.contains(&format!("broker 7 sends clients to {host}:{port}")) && line.contains(words), "{line}");
    }
    // An address of TEST-NET-1: packets to it vanish, or there is no way to it; in either case it ends in time.
    let begun = Instant::now();
    failure(&advertising("192.0.2.1", 9092), "advertised");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());

    let broker = Broker::start(&["broker"]);
    let port = broker.address.rsplit_once(':').unwrap().1.parse().unwrap();
    let line = failure(&advertising("127.0.0.1", port), "advertised");
    assert!(line.contains("a broker of another cluster"), "{line}");
    let line = failure(&Kafka { is_silent: true, ..Kafka::default() }.serve(), "metadata");
    assert!(line.contains("SASL"), "{line}");
}

#[test]
fn a_round_trip_that_cannot_be_made_fails_with_its_reason() {
    let broker = Broker::start(&["broker", "--set", "message.max.bytes=50"]);
    let line = failure(&broker.address, "roundtrip");
    assert!(line.contains("MESSAGE_TOO_LARGE"), "{line}");
    let listed = ottla().args(["topic", "list", "--internal", "-b", &broker.address]).output().unwrap();
    assert!(!String::from_utf8(listed.stdout).unwrap().contains("doctor"), "it is removed all the same");
}
