//! `kafka-delete-records`.

use std::collections::BTreeMap;

use client::TopicPartition;
use serde::Deserialize;

use super::errors::exception;
use super::flags::{Flag, Parsed, value};
use super::properties::read_file;
use super::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connect};
use crate::admin::records;
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    value(
        "offset-json-file",
        "file",
        r#"{"partitions":[{"topic":"t","partition":0,"offset":5}],"version":1}; -1 is the end"#,
    ),
];

#[derive(Deserialize)]
struct Offsets {
    #[serde(default = "first_version")]
    version: i32,
    partitions: Vec<Offset>,
}

#[derive(Deserialize)]
struct Offset {
    topic: String,
    partition: i32,
    offset: i64,
}

fn first_version() -> i32 {
    1
}

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    parsed.required("bootstrap-server")?;
    let before = read(&read_file(parsed.required("offset-json-file")?)?)?;
    let cluster = connect(parsed).await?;
    say("Executing records delete operation\n")?;
    let results = records::delete(&cluster, &before).await?;
    say("Records delete operation completed:\n")?;
    for (place, result) in results {
        say(&match result {
            Ok(first) => format!("partition: {place}\tlow_watermark: {first}\n"),
            Err(error) => format!("partition: {place}\terror: {}\n", exception(&error)),
        })?;
    }
    Ok(())
}

fn read(text: &str) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
    let offsets: Offsets = serde_json::from_str(text)
        .map_err(|error| Failure::Input(format!("The input string is not a valid JSON: {error}")))?;
    if offsets.version != 1 {
        return Err(Failure::Input(format!("Not supported version field value {}", offsets.version)));
    }
    let (mut before, mut twice) = (BTreeMap::new(), Vec::new());
    for Offset { topic, partition, offset } in offsets.partitions {
        let place = TopicPartition::new(topic, partition);
        if before.insert(place.clone(), offset).is_some() {
            twice.push(place.to_string());
        }
    }
    match twice.is_empty() {
        true => Ok(before),
        false => {
            let text = format!("Offset json file contains duplicate topic partitions: {}", twice.join(","));
            Err(Failure::Input(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_is_named_once() {
        let one = r#"{"topic":"t","partition":0,"offset":5}"#;
        assert_eq!(read(&format!(r#"{{"partitions":[{one}]}}"#)).unwrap()[&TopicPartition::new("t", 0)], 5);
        assert!(read(&format!(r#"{{"partitions":[{one},{one}]}}"#)).is_err());
        assert!(read(&format!(r#"{{"partitions":[{one}],"version":2}}"#)).is_err());
        assert!(read("{").is_err());
    }
}
