//! `--generate`: a plan that spreads partitions over some brokers.

use std::collections::BTreeMap;

use client::TopicPartition;

use super::super::connect;
use super::super::flags::Parsed;
use super::super::properties::read_file;
use super::{log_dirs, plan, replicas_of};
use crate::admin::nodes;
use crate::failure::{Failure, Outcome};

use crate::output::say;

pub(super) async fn run(parsed: &Parsed) -> Outcome {
    let wanted = brokers(parsed.required("broker-list")?)?;
    let topics = plan::read_topics(&read_file(parsed.required("topics-to-move-json-file")?)?)?;
    let cluster = connect(parsed).await?;
    let current = replicas_of(&cluster, &topics.iter().map(String::as_str).collect()).await?;
    let mut there = nodes::describe(&cluster).await?.brokers;
    there.retain(|broker| wanted.contains(&broker.broker_id));
    if !parsed.has("disable-rack-aware") && there.iter().any(|broker| broker.rack != there[0].rack) {
        let text = "the brokers are in several racks, of which this tool knows nothing: give --disable-rack-aware";
        return Err(Failure::Input(text.into()));
    }
    let ids: Vec<i32> = there.iter().map(|broker| broker.broker_id).collect();
    let proposed = spread(&current, &ids)?;
    say(&format!(
        "Current partition replica assignment\n{}\n\nProposed partition reassignment configuration\n{}\n",
        plan::to_json(&current, &log_dirs(&cluster, &current).await?)?,
        plan::to_json(&proposed, &BTreeMap::new())?
    ))
}

fn brokers(text: &str) -> Result<Vec<i32>, Failure> {
    let number = |text: &str| text.parse().map_err(|_| Failure::Input(format!("For input string: \"{text}\"")));
    let ids: Vec<i32> = text.split(',').map(number).collect::<Result<_, _>>()?;
    match plan::twice(ids.iter()) {
        twice if twice.is_empty() => Ok(ids),
        twice => {
            let twice = super::joined(twice.iter(), ", ");
            Err(Failure::Input(format!("Broker list contains duplicate entries: [{twice}]")))
        }
    }
}

/// Round robin: the leader moves on by one broker with each partition, and its followers are the brokers after it.
fn spread(
    current: &BTreeMap<TopicPartition, Vec<i32>>,
    brokers: &[i32],
) -> Result<BTreeMap<TopicPartition, Vec<i32>>, Failure> {
    let placed = current.iter().map(|(place, replicas)| {
        let (count, available) = (replicas.len(), brokers.len());
        if available == 0 {
            let text = "All brokers are currently fenced, or have all their log directories cordoned.";
            return Err(Failure::Input(text.into()));
        }
        if count > available {
            return Err(Failure::Input(format!(
                "The target replication factor of {count} cannot be reached because only {available} broker(s) are \
                 registered."
            )));
        }
        let first = usize::try_from(place.partition).unwrap_or(0);
        Ok((place.clone(), (0..count).map(|replica| brokers[(first + replica) % available]).collect()))
    });
    placed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_spread_over_brokers() {
        let current = |count: usize| BTreeMap::from([0, 1, 2].map(|id| (TopicPartition::new("t", id), vec![1; count])));
        let spread_over =
            |count: usize| spread(&current(count), &[4, 5]).map(|plan| plan.into_values().collect::<Vec<_>>());
        assert_eq!(spread_over(2).unwrap(), [[4, 5], [5, 4], [4, 5]]);
        assert!(spread_over(3).unwrap_err().to_string().contains("only 2 broker(s)"));
        assert!(brokers("1,1").is_err() && brokers("x").is_err());
    }
}
