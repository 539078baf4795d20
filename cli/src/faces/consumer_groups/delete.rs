//! `kafka-consumer-groups --delete` and `--delete-offsets`.

use client::Cluster;
use protocol::ErrorCode;

use super::super::errors::exception;
use super::super::flags::Parsed;
use super::{chosen, complain, places};
use crate::admin::{groups, topics};
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(super) async fn groups(cluster: &Cluster, parsed: &Parsed) -> Outcome {
    let (mut deleted, mut refused) = (Vec::new(), Vec::new());
    for id in chosen(cluster, parsed).await? {
        match groups::delete(cluster, &id).await {
            Ok(()) => deleted.push(id),
            Err(error) if error.code().is_some() => refused.push((id, error)),
            Err(error) => return Err(error.into()),
        }
    }
    if refused.is_empty() {
        return say(&format!("Deletion of requested consumer groups ('{}') was successful.\n", deleted.join("', '")));
    }
    complain("Deletion of some consumer groups failed:")?;
    for (id, error) in refused {
        say(&format!("* Group '{id}' could not be deleted due to: {}\n", exception(&error)))?;
    }
    if deleted.is_empty() {
        return Ok(());
    }
    say(&format!("\nThese consumer groups were deleted successfully: '{}'\n", deleted.join("', '")))
}

pub(super) async fn offsets(cluster: &Cluster, parsed: &Parsed) -> Outcome {
    let id = parsed.required("group")?;
    // Topic, partition, what became of it.
    let mut lines: Vec<(String, String, Option<String>)> = Vec::new();
    let mut wanted = Vec::new();
    for text in parsed.values("topic") {
        match places::parse(text)? {
            (_, Some(_)) => wanted.extend(places::find(cluster, std::iter::once(text)).await?),
            (topic, None) => match topics::partitions(cluster, topic).await {
                Ok(found) => wanted.extend(found),
                Err(error) => lines.push((topic.into(), "-".into(), Some(exception(&error)))),
            },
        }
    }
    let mut failure = None;
    if !wanted.is_empty() {
        match groups::forget(cluster, id, &wanted).await {
            Ok(results) => {
                for (place, result) in results {
                    let error = result.err();
                    failure = failure.or(error.as_ref().and_then(client::ClientError::code));
                    let words = error.as_ref().map(exception);
                    lines.push((place.topic.to_string(), place.partition.to_string(), words));
                }
            }
            Err(error) => {
                failure = error.code();
                if failure.is_none() {
                    return Err(Failure::Client(error));
                }
                let words = exception(&error);
                let line = |place: client::TopicPartition| {
                    (place.topic.to_string(), place.partition.to_string(), Some(words.clone()))
                };
                lines.extend(wanted.into_iter().map(line));
            }
        }
    }
    match failure {
        None => say(&format!("Request succeeded for deleting offsets from group {id}.\n"))?,
        Some(ErrorCode::INVALID_GROUP_ID) => complain(&format!("'{id}' is not valid."))?,
        Some(ErrorCode::GROUP_ID_NOT_FOUND) => complain(&format!("'{id}' does not exist."))?,
        Some(ErrorCode::NON_EMPTY_GROUP) => {
            complain(&format!("Deleting offsets of a consumer group '{id}' is forbidden if the group is not empty."))?
        }
        Some(_) => complain("Encountered some partition-level error, see the follow-up details.")?,
    }
    let topic = lines.iter().map(|line| line.0.len()).max().unwrap_or(0).max(15);
    let mut text = format!("\n{:<topic$} {:<10} {:<15}", "TOPIC", "PARTITION", "STATUS");
    for (name, partition, words) in lines {
        let status = words.map_or_else(|| "Successful".into(), |words| format!("Error: {words}"));
        text.push_str(&format!("\n{name:<topic$} {partition:<10} {status:<15}"));
    }
    text.push('\n');
    say(&text)
}
