//! The one binary as its users run it: a broker in a process of its own, and every tool against it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use process::{Broker, DEADLINE, interrupt, ottla};
use serde_json::{Value, json};

/// Nothing more to read; the broker answers a fetch within half of it.
const QUIET_MS: &str = "1500";

impl Broker {
    fn tool(&self, words: &[&str]) -> Command {
        let mut command = ottla();
        command.args(words).env("OTTLA_BOOTSTRAP_SERVER", &self.address);
        command
    }

    /// What a tool printed; it must succeed.
    fn run(&self, words: &[&str]) -> String {
        self.run_with(words, "")
    }

    fn run_with(&self, words: &[&str], input: &str) -> String {
        let output = finish(self.tool(words), input);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// What a tool complained about; it must fail with code 1.
    fn refused(&self, words: &[&str], input: &str) -> String {
        let output = finish(self.tool(words), input);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {}", text(&output.stdout));
        text(&output.stderr)
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.run(words)).unwrap()
    }
}

fn finish(mut command: Command, input: &str) -> Output {
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A tool that fails early does not read its input.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    process.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Waits until a group is as described.
fn await_group(broker: &Broker, group: &str, is_there: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let output = finish(broker.tool(&["group", "describe", group, "-o", "json"]), "");
        let description: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if is_there(&description) {
            return description;
        }
        assert!(begun.elapsed() < DEADLINE, "group {group}: {description}");
    }
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn topics_are_created_listed_described_and_deleted() {
    let broker = Broker::start(&["broker"]);
    let created = broker.run(&["topic", "create", "orders", "--partitions", "3", "--config", "retention.ms=60000"]);
    assert_eq!(created, "created topic orders with 3 partitions and 1 replica\n");
    assert_eq!(broker.run(&["topic", "create", "plain"]), "created topic plain with 1 partition and 1 replica\n");
    let refused = broker.refused(&["topic", "create", "orders"], "");
    assert!(refused.contains("TOPIC_ALREADY_EXISTS") && refused.contains(&broker.address), "{refused}");
    assert!(refused.contains("--if-not-exists"), "{refused}");
    broker.run(&["topic", "create", "orders", "--if-not-exists"]);

    assert_eq!(
        broker.run(&["topic", "list"]),
        "NAME    PARTITIONS  REPLICAS\norders           3         1\nplain            1         1\n"
    );
    let listed = broker.json(&["topic", "list", "-o", "json"]);
    assert_eq!(listed[0], json!({"name": "orders", "partitions": 3, "replication_factor": 1, "internal": false}));

    broker.run_with(&["produce", "orders", "--partition", "1"], "a\nb\n");
    let described = broker.json(&["topic", "describe", "orders", "-o", "json"]);
    assert_eq!(described[0]["configs"], json!({"retention.ms": "60000"}));
    let offsets = |place: usize| {
        let partition = &described[0]["partitions"][place];
        (partition["first_offset"].as_i64(), partition["next_offset"].as_i64())
    };
    assert_eq!([0, 1, 2].map(offsets), [(Some(0), Some(0)), (Some(0), Some(2)), (Some(0), Some(0))]);

    assert_eq!(broker.run(&["topic", "delete", "orders", "plain"]), "deleted topic orders\ndeleted topic plain\n");
    assert_eq!(broker.run(&["topic", "list"]), "NAME  PARTITIONS  REPLICAS\n");
    let refused = broker.refused(&["topic", "describe", "orders"], "");
    assert!(refused.contains("UNKNOWN_TOPIC_OR_PARTITION"), "{refused}");
    broker.refused(&["topic", "delete", "orders"], "");
    broker.run(&["topic", "delete", "orders", "--if-exists"]);
}

#[test]
fn settings_are_shown_set_and_taken_back() {
    let broker = Broker::start(&["broker"]);
    broker.run(&["topic", "create", "t"]);
    assert_eq!(broker.run(&["config", "show", "--topic", "t"]), "NAME  VALUE  SOURCE\n");
    let set = broker.run(&["config", "set", "--topic", "t", "retention.ms=60000", "cleanup.policy=compact,delete"]);
    assert_eq!(set, "changed the settings of topic t\n");
    let shown = broker.json(&["config", "show", "--topic", "t", "-o", "json"]);
    assert_eq!((&shown[0]["name"], &shown[0]["value"]), (&json!("cleanup.policy"), &json!("compact,delete")));
    assert_eq!(shown[1]["source"], json!("DYNAMIC_TOPIC_CONFIG"));
    broker.run(&["config", "unset", "--topic", "t", "cleanup.policy"]);
    assert_eq!(broker.json(&["config", "show", "--topic", "t", "-o", "json"]).as_array().unwrap().len(), 1);
    let all = broker.json(&["config", "show", "--broker", "1", "--all", "-o", "json"]);
    assert!(all.as_array().unwrap().iter().any(|setting| setting["name"] == "num.partitions"), "{all}");
    let refused = broker.refused(&["config", "set", "--topic", "t", "nonsense=1"], "");
    assert!(refused.contains("INVALID_CONFIG"), "{refused}");

    let cluster = broker.json(&["cluster", "-o", "json"]);
    let address = format!("{}:{}", cluster["brokers"][0]["host"].as_str().unwrap(), cluster["brokers"][0]["port"]);
    assert_eq!(address, broker.address);
    assert!(broker.run(&["cluster"]).contains("controller"), "the one broker is it");
    let mut completion = ottla();
    completion.args(["completion", "bash"]);
    assert!(text(&finish(completion, "").stdout).contains("complete "), "a script for the shell");
}

#[test]
fn what_is_produced_is_consumed() {
    // Without the word `broker`.
    let broker = Broker::start(&[]);
    broker.run(&["topic", "create", "t", "--partitions", "2"]);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        broker.run_with(&["produce", "t", "-k", ":", "-z", codec], &format!("key:{codec}\r\n"));
    }
    broker.run_with(&["produce", "t", "-k", ":", "--idempotent"], "key:idempotent\n");
    broker.run_with(&["produce", "t", "-k", ":", "--acks", "1"], "key:leader");
    broker.run_with(&["produce", "t", "-k", ":", "--acks", "0"], "key:nobody\n");

    let all = ["consume", "t", "--from-beginning", "-n", "8"];
    let values = "none\ngzip\nsnappy\nlz4\nzstd\nidempotent\nleader\nnobody\n";
    assert_eq!(broker.run(&all), values, "one key, one partition, one order");
    let with_keys = broker.run(&["consume", "t", "--from-beginning", "-n", "1", "--print-key", "--print-offset"]);
    assert_eq!(with_keys, "Offset:0\tkey\tnone\n");
    let one: Value =
        serde_json::from_str(&broker.run(&["consume", "t", "--from-beginning", "-n", "1", "--json"])).unwrap();
    assert_eq!((&one["key"], &one["value"], &one["offset"]), (&json!("key"), &json!("none"), &json!(0)));

    let partition = one["partition"].to_string();
    let from_six = broker.run(&["consume", "t", "-p", &partition, "--offset", "6", "--timeout-ms", QUIET_MS]);
    assert_eq!(from_six, "leader\nnobody\n");
    assert_eq!(broker.run(&["consume", "t", "-p", &partition, "--offset", "-1", "-n", "1"]), "nobody\n");
    let refused = broker.refused(&["consume", "t", "-p", &partition, "--offset", "99"], "");
    assert!(refused.contains("OFFSET_OUT_OF_RANGE"), "{refused}");

    let refused = broker.refused(&["produce", "t", "-k", ":"], "k:v\nno key\n");
    assert_eq!(refused, "ottla: line 2 has no \":\" between key and value\n");
    broker.refused(&["produce", "t", "--partition", "9"], "x\n");
    broker.refused(&["consume", "nowhere"], "");
}

#[test]
fn many_lines_come_back_in_order() {
    let broker = Broker::start(&["broker"]);
    let lines: String = (0..200_000).map(|number| format!("line {number}\n")).collect();
    broker.run_with(&["produce", "fresh", "-z", "lz4"], &lines);
    let back = broker.run(&["consume", "fresh", "--from-beginning", "-n", "200000"]);
    assert!(back == lines, "{} bytes in, {} bytes out", lines.len(), back.len());
}

#[test]
fn a_group_shares_a_topic_and_remembers_its_place() {
    let broker = Broker::start(&["broker"]);
    broker.run(&["topic", "create", "t", "--partitions", "2"]);
    broker.run_with(&["produce", "t", "-p", "0"], "a\nb\n");
    broker.run_with(&["produce", "t", "-p", "1"], "c\n");
    let consume = ["consume", "t", "--group", "g", "--from-beginning"];
    let first = broker.run(&[&consume[..], &["-n", "3"]].concat());
    assert_eq!(sorted(&first), ["a", "b", "c"]);

    let listed = broker.json(&["group", "list", "-o", "json"]);
    assert_eq!((&listed[0]["group"], &listed[0]["state"]), (&json!("g"), &json!("Empty")), "it has left");
    broker.run_with(&["produce", "t", "-p", "0"], "d\n");
    let described = broker.json(&["group", "describe", "g", "-o", "json"]);
    let position = &described["positions"][0];
    assert_eq!([&position["committed"], &position["end"], &position["lag"]], [&json!(2), &json!(3), &json!(1)]);
    assert_eq!(broker.run(&[&consume[..], &["-n", "1"]].concat()), "d\n", "what is committed is not read again");

    let mut members: Vec<Child> =
        (0..2).map(|_| broker.tool(&consume).stdout(Stdio::piped()).spawn().unwrap()).collect();
    let shared = await_group(&broker, "g", |group| {
        let assigned =
            group["members"].as_array().into_iter().flatten().filter(|member| member["assigned"]["t"] != Value::Null);
        group["state"] == "Stable" && assigned.count() == 2
    });
    assert_eq!(shared["assignor"], "range");
    broker.run_with(&["produce", "t", "-p", "0"], "e\n");
    broker.run_with(&["produce", "t", "-p", "1"], "f\n");
    let mut seen = Vec::new();
    for member in &mut members {
        let mut line = String::new();
        BufReader::new(member.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        seen.push(line);
    }
    seen.sort_unstable();
    assert_eq!(seen, ["e\n", "f\n"], "each read one partition");

    for member in &mut members {
        interrupt(member);
        assert_eq!(member.wait().unwrap().code(), Some(0), "Ctrl-C is no failure");
        let mut rest = String::new();
        member.stdout.as_mut().unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
    let left = await_group(&broker, "g", |group| group["state"] == "Empty");
    let lag: Vec<i64> =
        left["positions"].as_array().unwrap().iter().filter_map(|position| position["lag"].as_i64()).collect();
    assert_eq!(lag, [0, 0], "both committed before they left");
    let refused = broker.refused(&["group", "describe", "nobody"], "");
    assert!(refused.contains("`ottla group list`"), "{refused}");
}

#[test]
fn a_missing_broker_is_named_and_a_wrong_word_explained() {
    // A port that was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = ottla();
    command.args(["topic", "list", "-b", &address]);
    let output = finish(command, "");
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint.contains(&address) && complaint.contains("--bootstrap-server"), "{complaint}");
    for words in [&["topic"][..], &["topic", "create"], &["nonsense"], &["--set", "a=b", "topic", "list"]] {
        let mut command = ottla();
        command.args(words);
        assert_eq!(finish(command, "").status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn a_broker_stops_when_asked_and_keeps_what_it_had() {
    let mut broker = Broker::start(&["broker"]);
    broker.run(&["topic", "create", "t", "--config", "max.message.bytes=5000"]);
    broker.run_with(&["produce", "t"], "kept\n");
    broker.run(&["consume", "t", "--group", "g", "--from-beginning", "-n", "1"]);
    let describe = ["topic", "describe", "t", "-o", "json"];
    let mut topic = broker.json(&describe);
    let group = broker.run(&["group", "describe", "g"]);
    broker.restart();
    // Whoever leads after a restart leads anew.
    topic[0]["partitions"][0]["leader_epoch"] = json!(1);
    assert_eq!(broker.json(&describe), topic);
    assert_eq!(broker.run(&["group", "describe", "g"]), group);
    assert_eq!(broker.run(&["consume", "t", "--from-beginning", "-n", "1"]), "kept\n");
}
