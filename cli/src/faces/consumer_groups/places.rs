//! Partitions as the command line names them: `topic`, or `topic:0,1`.

use client::{Cluster, TopicPartition};

use crate::admin::topics;
use crate::failure::Failure;

/// A topic as it was written, with its partitions if some were.
pub(super) fn parse(text: &str) -> Result<(&str, Option<Vec<i32>>), Failure> {
    let Some((topic, list)) = text.split_once(':') else { return Ok((text, None)) };
    if list.contains(':') || list.is_empty() {
        return Err(Failure::Usage(format!("Invalid topic arg '{text}', expected topic name and partitions")));
    }
    let number = |partition: &str| {
        partition
            .parse()
            .map_err(|_| Failure::Usage(format!("Invalid partition '{partition}' specified in topic arg '{text}''")))
    };
    Ok((topic, Some(list.split(',').map(number).collect::<Result<_, _>>()?)))
}

/// Every partition that is meant.
///
/// # Errors
/// When a topic that stands alone does not exist.
pub(super) async fn find<'a>(
    cluster: &Cluster,
    texts: impl Iterator<Item = &'a str>,
) -> Result<Vec<TopicPartition>, Failure> {
    let mut places = Vec::new();
    for text in texts {
        match parse(text)? {
            (topic, Some(partitions)) => {
                places.extend(partitions.into_iter().map(|partition| TopicPartition::new(topic, partition)));
            }
            (topic, None) => places.extend(topics::partitions(cluster, topic).await?),
        }
    }
    places.sort();
    places.dedup();
    Ok(places)
}
