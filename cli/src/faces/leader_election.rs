//! `kafka-leader-election`.

use std::collections::BTreeSet;

use client::TopicPartition;
use protocol::ErrorCode;
use serde_json::Value;

use super::errors::exception;
use super::flags::{Flag, Parsed, switch, value};
use super::properties::read_file;
use super::{connect, joined};
use crate::admin::elections::{self, Kind};
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    value("bootstrap-server", "host:port", "Brokers to connect to, with commas between them"),
    value("command-config", "file", "Properties of the client").or(&["admin.config"]),
    value("election-type", "preferred|unclean", "Who is to lead: the first replica, or any that is alive"),
    value("topic", "name", "The topic of --partition"),
    value("partition", "n", "Elect a leader of this partition"),
    value("path-to-json-file", "file", r#"Elect leaders of {"partitions":[{"topic":"t","partition":1}]}"#),
    switch("all-topic-partitions", "Elect leaders of all partitions that need one"),
];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let kind = check(parsed)?;
    let places = match (parsed.value("path-to-json-file")?, parsed.value("topic")?, parsed.number("partition")?) {
        (Some(path), ..) => Some(read(&read_file(path)?)?),
        (None, Some(topic), Some(partition)) => Some(vec![TopicPartition::new(topic, partition)]),
        _ => None,
    };
    let kind_name = match kind {
        Kind::Preferred => "PREFERRED",
        Kind::Unclean => "UNCLEAN",
    };
    let results = elections::elect(&connect(parsed).await?, kind, places.as_deref()).await?;
    let of = |is_wanted: &dyn Fn(Option<ErrorCode>) -> bool| {
        let code = |result: &Result<(), client::ClientError>| result.as_ref().err().and_then(client::ClientError::code);
        joined(results.iter().filter(|(_, result)| is_wanted(code(result))).map(|(place, _)| place), ", ")
    };
    let elected = of(&|code| code.is_none());
    if !elected.is_empty() {
        say(&format!("Successfully completed leader election ({kind_name}) for partitions {elected}\n"))?;
    }
    let unneeded = of(&|code| code == Some(ErrorCode::ELECTION_NOT_NEEDED));
    if !unneeded.is_empty() {
        say(&format!("Valid replica already elected for partitions {unneeded}\n"))?;
    }
    let mut failed = 0;
    for (place, result) in &results {
        let Err(error) = result else { continue };
        if error.code() != Some(ErrorCode::ELECTION_NOT_NEEDED) {
            failed += 1;
            let words = exception(error);
            say(&format!("Error completing leader election ({kind_name}) for partition: {place}: {words}\n"))?;
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::Input(format!("{failed} replica(s) could not be elected"))),
    }
}

/// Checks what goes with what.
fn check(parsed: &Parsed) -> Result<Kind, Failure> {
    let refused = |text: String| Err(Failure::Input(text));
    let missing: Vec<&str> =
        ["bootstrap-server", "election-type"].into_iter().filter(|flag| !parsed.has(flag)).collect();
    if !missing.is_empty() {
        return refused(format!("Missing required option(s): {}", missing.join(", ")));
    }
    let which = ["topic", "all-topic-partitions", "path-to-json-file"];
    if which.iter().filter(|flag| parsed.has(flag)).count() != 1 {
        return refused(format!("One and only one of the following options is required: {}", which.join(", ")));
    }
    match (parsed.has("topic"), parsed.has("partition")) {
        (true, false) => return refused("Missing required option(s): partition".into()),
        (false, true) => return refused("Option partition is only allowed if topic is used".into()),
        _ => {}
    }
    match parsed.required("election-type")? {
        text if text.eq_ignore_ascii_case("preferred") => Ok(Kind::Preferred),
        text if text.eq_ignore_ascii_case("unclean") => Ok(Kind::Unclean),
        text => refused(format!("Cannot parse argument '{text}' of option election-type")),
    }
}

fn read(text: &str) -> Result<Vec<TopicPartition>, Failure> {
    let refused = |text: &str| Failure::Input(text.into());
    let json: Value = serde_json::from_str(text).map_err(|_| refused("Replica election data is empty"))?;
    let listed = json.get("partitions").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| refused("Replica election data is missing \"partitions\" field"))?;
    let (mut places, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for item in listed {
        let partition = item.get("partition").and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok());
        let (Some(topic), Some(partition)) = (item.get("topic").and_then(Value::as_str), partition) else {
            return Err(Failure::Input(format!("Replica election data: {item} has no \"topic\" and \"partition\"")));
        };
        let place = TopicPartition::new(topic, partition);
        if !places.insert(place.clone()) {
            twice.insert(place);
        }
    }
    match twice.is_empty() {
        true => Ok(places.into_iter().collect()),
        false => Err(Failure::Input(format!(
            "Replica election data contains duplicate partitions: [{}]",
            joined(twice.iter(), ", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_read_and_each_is_there_once() {
        let one = r#"{"topic":"t","partition":0}"#;
        assert_eq!(read(&format!(r#"{{"partitions":[{one}]}}"#)).unwrap(), [TopicPartition::new("t", 0)]);
        for bad in ["x", "{}", r#"{"partitions":[{"topic":"t"}]}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let twice = read(&format!(r#"{{"partitions":[{one},{one}]}}"#)).unwrap_err().to_string();
        assert_eq!(twice, "Replica election data contains duplicate partitions: [t-0]");
    }
}
