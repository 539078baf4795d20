//! Topics that coordinators write, through Kafka's message formatters and ours: both read the same broker.

use super::process::Broker;
use super::{face, real, script};

const FORMATTERS: [&str; 3] =
    ["OffsetsMessageFormatter", "GroupMetadataMessageFormatter", "TransactionLogMessageFormatter"];

/// A transaction's state: text, so that a line can hold it.
const TRANSACTION: &str = "\0\0\0\x01x\t\0\x01\0\0\0\0\0\0\0\x05\0\x02\0\0\0\x64\x01\x02\x02t\x03\0\0\0\0\0\0\0\x04\0\
                           \0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\x01\x02\x02\0\x02\n";
const BROKEN: &str = "\0\0\0\x01x\t\0\x01\0\n";

#[test]
fn internal_topics_are_formatted_as_kafka_does() {
    let Ok(mut real) = real::Tools::start() else {
        assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "Apache Kafka's tools do not run");
        eprintln!("SKIPPED: there are no tools of Apache Kafka to compare with");
        return;
    };
    let broker = Broker::start(&["broker", "--set", "offsets.topic.num.partitions=1"]);
    let run = |tool: &str, arguments: &str, input: &str| {
        let said = face(tool, &script::words(arguments, &broker.address), input);
        assert_eq!(said.code, 0, "{said:?}");
    };
    run("kafka-console-producer", "@ --topic t", "a\nb\n");
    run("kafka-console-consumer", "@ --topic t --group g --from-beginning --max-messages 2", "");
    run("kafka-consumer-groups", "@ --group g --topic t --delete-offsets", "");
    let parse_key = "--reader-property parse.key=true";
    run("kafka-console-producer", &format!("@ --topic tx {parse_key}"), TRANSACTION);
    run("kafka-console-producer", &format!("@ --topic broken {parse_key}"), &format!("{BROKEN}{TRANSACTION}"));
    // A JVM that has never read anything takes longer for it than the others have time.
    let first = script::words("@ --topic t --partition 0 --offset earliest --max-messages 1", &broker.address);
    assert_eq!(real.run("console-consumer", &first, "").out, "a\n");
    let mut different = 0;
    let mut compare = |arguments: &str| {
        let words =
            script::words(&format!("@ {arguments} --partition 0 --offset earliest --timeout-ms 1500"), &broker.address);
        let (ours, theirs) = (face("kafka-console-consumer", &words, ""), real.run("console-consumer", &words, ""));
        if (ours.code, &ours.out) != (theirs.code, &theirs.out) {
            different += 1;
            eprintln!("--- {arguments}\nKafka's: {theirs:#?}\nours:    {ours:#?}");
        }
        ours.out
    };
    let mut all = String::new();
    for formatter in FORMATTERS {
        for topic in ["__consumer_offsets", "tx", "broken", "broken --skip-message-on-error"] {
            all += &compare(&format!("--topic {topic} --formatter org.apache.kafka.tools.consumer.{formatter}"));
        }
    }
    for part in [r#""value":null}"#, r#""protocolType":"consumer""#, r#""clientTransactionVersion":2"#] {
        assert!(all.contains(part), "{part} in {all}");
    }
    for formatter in ["DefaultMessageFormatter", "LoggingMessageFormatter", "NoOpMessageFormatter"] {
        compare(&format!("--topic t --formatter org.apache.kafka.tools.consumer.{formatter}"));
    }
    compare("--topic t --isolation-level read_committed");
    compare("--topic t --isolation-level nonsense");
    compare("--topic t --formatter com.example.OffsetsMessageFormatter");
    assert_eq!(different, 0, "command lines that answer differently; see above");
}
