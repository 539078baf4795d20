//! `kafka-transactions`: transactions as their coordinators know them and as partitions do, and the end of those that hang
//! (KIP-664, KIP-1152).

mod abort;
mod hanging;
mod producers;

use std::str::FromStr;

use client::TopicPartition;
use protocol::messages::ListTransactionsRequest;

use super::flags::{Flag, Parsed, value};
use super::table::table;
use super::{COMMAND_CONFIG, connect, errors, joined, sub_command};
use crate::admin::transactions::{self, ANY_DURATION, Described};
use crate::clock::now_ms;
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    value("bootstrap-server", "host:port", "Brokers to connect to, with commas between them"),
    COMMAND_CONFIG,
    value("duration-filter", "ms", "list: what has run for longer; everything, when it is negative"),
    value("transactional-id-pattern", "expression", "list: transactional ids that match as a whole"),
    value("transactional-id", "id", "describe: this transactional id"),
    value("topic", "name", "describe-producers, abort, find-hanging: this topic"),
    value("partition", "n", "describe-producers, abort, find-hanging: this partition of it"),
    value("broker-id", "n", "describe-producers, find-hanging: as this broker knows it, instead of the leaders"),
    value("start-offset", "offset", "abort: what begins there"),
    value("producer-id", "id", "abort: what this producer has open, with the two epochs and without --start-offset"),
    value("producer-epoch", "n", "abort: the producer's epoch"),
    value("coordinator-epoch", "n", "abort: the coordinator's epoch"),
    value("max-transaction-timeout", "minutes", "find-hanging: what is older than this; 15 minutes, without it"),
    value("transactionalId", "id", "forceTerminateTransaction: this transactional id"),
];

/// Each sub-command, and what it takes besides the flags of all of them.
const COMMANDS: [(&str, &[&str]); 6] = [
    ("list", &["duration-filter", "transactional-id-pattern"]),
    ("describe", &["transactional-id"]),
    ("describe-producers", &["broker-id", "topic", "partition"]),
    ("abort", &["topic", "partition", "start-offset", "producer-id", "producer-epoch", "coordinator-epoch"]),
    ("find-hanging", &["broker-id", "max-transaction-timeout", "topic", "partition"]),
    ("forceTerminateTransaction", &["transactionalId"]),
];
const OF_ALL: [&str; 2] = ["bootstrap-server", "command-config"];

/// Where something is not.
const NONE: &str = "None";

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    match command(parsed)? {
        "list" => list(parsed).await,
        "describe" => describe(parsed).await,
        "describe-producers" => producers::run(parsed).await,
        "abort" => abort::run(parsed).await,
        "find-hanging" => hanging::run(parsed).await,
        _ => terminate(parsed).await,
    }
}

/// The sub-command, which nothing was given that it does not take.
fn command(parsed: &Parsed) -> Result<&'static str, Failure> {
    let command = sub_command(parsed, &COMMANDS.map(|(name, _)| name))?;
    let flags = COMMANDS.iter().filter(|(name, _)| *name == command).flat_map(|(_, flags)| *flags);
    let known: Vec<&str> = flags.chain(&OF_ALL).copied().collect();
    if let Some(flag) = parsed.other_than(&known) {
        return Err(Failure::Usage(format!("error: unrecognized arguments: '--{flag}'")));
    }
    if let Some(word) = parsed.words.get(1) {
        return Err(Failure::Usage(format!("error: unrecognized arguments: '{word}'")));
    }
    required(parsed, "bootstrap-server")?;
    Ok(command)
}

/// As [`Parsed::required`], in the words of tools with sub-commands.
fn required<'a>(parsed: &'a Parsed, name: &'a str) -> Result<&'a str, Failure> {
    parsed.value(name)?.ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Failure {
    Failure::Usage(format!("error: argument --{name} is required"))
}

/// As [`Parsed::number`], in the words of tools with sub-commands.
fn number<T: FromStr>(parsed: &Parsed, name: &str) -> Result<Option<T>, Failure> {
    let wrong = |text| Failure::Usage(format!("error: argument --{name}: '{text}' is not a number that it can be"));
    parsed.value(name)?.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

/// `--topic` and `--partition`, both of which have to be there.
fn place(parsed: &Parsed) -> Result<TopicPartition, Failure> {
    let topic = required(parsed, "topic")?;
    let partition = number(parsed, "partition")?.ok_or_else(|| missing("partition"))?;
    Ok(TopicPartition::new(topic, partition))
}

/// What could not be done, and why. That nobody answers is said as by all tools.
fn failed(what: &str, error: impl Into<Failure>) -> Failure {
    match error.into() {
        Failure::Client(error) if error.code().is_some() => {
            Failure::Input(format!("{what}: {}.", errors::client_words(&error)))
        }
        failure => failure,
    }
}

async fn list(parsed: &Parsed) -> Outcome {
    let filter = ListTransactionsRequest {
        duration_filter: number(parsed, "duration-filter")?.unwrap_or(ANY_DURATION),
        transactional_id_pattern: parsed.value("transactional-id-pattern")?.map(str::to_owned),
        ..Default::default()
    };
    let cluster = connect(parsed).await?;
    let listed = transactions::list(&cluster, &filter).await;
    let listed = listed.map_err(|error| failed("Failed to list transactions", error))?;
    let mut rows = vec![["TransactionalId", "Coordinator", "ProducerId", "TransactionState"].map(str::to_owned)];
    rows.extend(listed.into_iter().map(|(coordinator, one)| {
        [one.transactional_id, coordinator.to_string(), one.producer_id.to_string(), one.transaction_state]
    }));
    say(&table(&rows))
}

async fn describe(parsed: &Parsed) -> Outcome {
    let id = required(parsed, "transactional-id")?;
    let cluster = connect(parsed).await?;
    let described = transactions::describe(&cluster, id).await;
    let what = format!("Failed to describe transaction state of transactional-id `{id}`");
    let (coordinator, described) = described.map_err(|error| failed(&what, error))?;
    say(&description(coordinator, &described, now_ms()))
}

fn description(coordinator: i32, described: &Described, now_ms: i64) -> String {
    let columns = [
        "CoordinatorId",
        "TransactionalId",
        "ProducerId",
        "ProducerEpoch",
        "TransactionState",
        "TransactionTimeoutMs",
        "CurrentTransactionStartTimeMs",
        "TransactionDurationMs",
        "TopicPartitions",
    ];
    let (started, lasted) = match described.transaction_start_time_ms {
        ..0 => (NONE.to_string(), NONE.to_string()),
        started_ms => (started_ms.to_string(), now_ms.saturating_sub(started_ms).to_string()),
    };
    let row = [
        coordinator.to_string(),
        described.transactional_id.clone(),
        described.producer_id.to_string(),
        described.producer_epoch.to_string(),
        described.transaction_state.clone(),
        described.transaction_timeout_ms.to_string(),
        started,
        lasted,
        joined(places(described), ","),
    ];
    table(&[columns.map(str::to_owned), row])
}

/// Where its coordinator has still to write markers, or will have to.
fn places(described: &Described) -> impl Iterator<Item = TopicPartition> + '_ {
    described.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| TopicPartition::new(topic.topic.as_str(), *partition))
    })
}

async fn terminate(parsed: &Parsed) -> Outcome {
    let id = required(parsed, "transactionalId")?;
    let cluster = connect(parsed).await?;
    let what = format!("Failed to force terminate transactionalId `{id}`");
    transactions::terminate(&cluster, id).await.map_err(|error| failed(&what, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::messages::describe_transactions::TopicData;

    /// As the face reads it.
    pub(super) fn parsed(words: &str) -> Parsed {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        Parsed::parse(&FLAGS.iter().collect::<Vec<_>>(), &words).unwrap()
    }

    #[test]
    fn a_sub_command_takes_its_own_flags_only() {
        let command = |words: &str| command(&parsed(words)).map_err(|failure| failure.to_string());
        assert_eq!(command("--bootstrap-server k:1 list --duration-filter -1"), Ok("list"));
        assert_eq!(command("--bootstrap-server k:1 describe-producers --topic t"), Ok("describe-producers"));
        for (words, wrong) in [
            ("--bootstrap-server k:1 list --topic t", "unrecognized arguments: '--topic'"),
            ("--bootstrap-server k:1 describe --transactionalId t", "unrecognized arguments: '--transactionalId'"),
            ("--bootstrap-server k:1 list more", "unrecognized arguments: 'more'"),
            ("--bootstrap-server k:1 nonsense", "invalid choice: 'nonsense'"),
            ("--bootstrap-server k:1", "too few arguments"),
            ("list", "argument --bootstrap-server is required"),
        ] {
            let said = command(words).unwrap_err();
            assert!(said.starts_with("error: ") && said.contains(wrong), "{words}: {said}");
        }
    }

    #[test]
    fn a_partition_is_a_topic_and_a_number() {
        assert_eq!(place(&parsed("--topic t --partition 3")).unwrap(), TopicPartition::new("t", 3));
        for (words, wrong) in [
            ("--partition 3", "error: argument --topic is required"),
            ("--topic t", "error: argument --partition is required"),
            ("--topic t --partition x", "error: argument --partition: 'x' is not a number that it can be"),
        ] {
            assert_eq!(place(&parsed(words)).unwrap_err().to_string(), wrong, "{words}");
        }
        assert!(number::<i16>(&parsed("--producer-epoch 40000"), "producer-epoch").is_err());
    }

    #[test]
    fn a_transaction_is_described_in_columns() {
        let idle = Described {
            transactional_id: "a".into(),
            transaction_state: "Empty".into(),
            transaction_timeout_ms: 60_000,
            transaction_start_time_ms: -1,
            producer_id: 7,
            ..Default::default()
        };
        let cells = |text: String| -> Vec<Vec<String>> {
            text.lines().map(|line| line.split('\t').map(|cell| cell.trim_end().to_owned()).collect()).collect()
        };
        let shown = cells(description(1, &idle, 5_000));
        assert_eq!(shown[0].len(), shown[1].len());
        assert_eq!(shown[1], ["1", "a", "7", "0", "Empty", "60000", "None", "None", "", ""]);
        let topics = vec![
            TopicData { topic: "t".into(), partitions: vec![0, 2] },
            TopicData { topic: "u".into(), partitions: vec![1] },
        ];
        let open = Described { transaction_start_time_ms: 4_000, topics, ..idle };
        assert_eq!(cells(description(1, &open, 5_000))[1][6..], ["4000", "1000", "t-0,t-2,u-1", ""]);
    }
}
