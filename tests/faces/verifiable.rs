//! The verifiable tools. Kafka's say their last words when the JVM ends, so each command line has a JVM of its own.

use serde_json::{Map, Value};

use super::process::Broker;
use super::{Said, face, real, script};

/// In the order in which they are given.
const LINES: &[&str] = &[
    "verifiable-producer @ --topic v --max-messages 5 --value-prefix 7 --repeating-keys 3",
    "verifiable-producer @ --topic one --max-messages 4 --message-create-time 1000 --throughput 100 --acks 1",
    "verifiable-producer @ --topic one --max-messages 2 --acks 0",
    "verifiable-producer @ --topic one --max-messages 1 --message-create-time 99999999999999",
    "verifiable-producer @ --topic one --acks 5",
    "verifiable-producer @ --acks 1",
    "verifiable-producer --topic one",
    "verifiable-consumer @ --topic v --group-id g --max-messages 5 --verbose",
    "verifiable-consumer @ --topic one --group-id g --max-messages 3 --assignment-strategy org.apache.kafka.clients.consumer.RoundRobinAssignor",
    "verifiable-consumer @ --topic one --group-id g --max-messages 3 --enable-autocommit --group-instance-id i",
    "verifiable-consumer @ --topic one --group-id g --max-messages 0",
    "verifiable-consumer @ --topic one",
    "console-consumer @ --topic one --group g --timeout-ms 2000",
];

/// What was said, without what the clock or chance decides: events of one kind in a row come in any order, and so do
/// fields and partitions, which Java keeps in hash maps.
fn normal(said: &Said) -> (i32, Vec<String>, String) {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut row = 0;
    for line in said.out.lines() {
        let (name, line) = match serde_json::from_str(line) {
            Ok(Value::Object(event)) => (event["name"].to_string(), without_clock(event)),
            _ => (String::new(), line.to_string()),
        };
        if out.last().is_some_and(|(last, _)| *last != name) {
            row = out.len();
        }
        out.push((name, line));
        out[row..].sort();
    }
    // argparse breaks its lines where the terminal ends; ours has a line about --help behind it.
    let words: Vec<&str> = said.err.split_whitespace().collect();
    let error = words.iter().position(|word| *word == "error:");
    let end = words.iter().position(|word| word.starts_with("kafka-")).unwrap_or(words.len());
    let lines = out.into_iter().map(|(_, line)| line).collect();
    (said.code, lines, error.map_or(String::new(), |from| words[from..end].join(" ")))
}

fn without_clock(mut event: Map<String, Value>) -> String {
    for field in ["timestamp", "avg_throughput", "message"] {
        event.remove(field);
    }
    for field in ["partitions", "offsets"] {
        if let Some(Value::Array(list)) = event.get_mut(field) {
            list.sort_by_key(Value::to_string);
        }
    }
    Value::Object(event).to_string()
}

fn play(run: impl Fn(&str, &[String]) -> Said) -> Vec<Said> {
    let broker = Broker::start(&["broker"]);
    let create = |arguments: &str| face("kafka-topics", &script::words(arguments, &broker.address), "");
    assert_eq!(create("@ --create --topic v --partitions 2").code, 0);
    assert_eq!(create("@ --create --topic one").code, 0);
    let said = |line: &&str| {
        let (tool, arguments) = line.split_once(' ').unwrap();
        run(tool, &script::words(arguments, &broker.address))
    };
    LINES.iter().map(said).collect()
}

#[test]
fn the_verifiable_tools_say_what_kafkas_say() {
    if real::Tools::start().is_err() {
        assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "Apache Kafka's tools do not run");
        eprintln!("SKIPPED: there are no tools of Apache Kafka to compare with");
        return;
    }
    let theirs = std::thread::spawn(|| play(real::alone));
    let ours = play(|tool, arguments| face(&format!("kafka-{tool}"), arguments, ""));
    let mut different = 0;
    for ((line, ours), theirs) in LINES.iter().zip(ours).zip(theirs.join().unwrap()) {
        let (ours, theirs) = (normal(&ours), normal(&theirs));
        if ours != theirs {
            different += 1;
            eprintln!("--- {line}\nKafka's: {theirs:#?}\nours:    {ours:#?}");
        }
    }
    assert_eq!(different, 0, "command lines that answer differently; see above");
}
