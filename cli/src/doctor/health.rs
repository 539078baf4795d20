//! What the cluster says of its partitions and its groups.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{ClientError, Cluster, TopicPartition, fetch_committed};
use protocol::ErrorCode;
use protocol::messages::list_groups::ListedGroup;
use protocol::messages::metadata::MetadataResponse;
use tokio::time::timeout;

use super::report::Finding;
use crate::admin::{groups, topics};

/// Names that one line shows.
const SHOWN: usize = 5;
/// Groups whose lag is asked for; each takes a few requests.
const GROUPS_MAX: usize = 200;

/// Partitions without a leader, and those with fewer replicas in sync than they shall have.
pub(super) fn partitions(metadata: &MetadataResponse) -> Vec<Finding> {
    const CHECK: &str = "partitions";
    let (mut offline, mut under, mut all) = (Vec::new(), Vec::new(), 0);
    for topic in &metadata.topics {
        let name = topic.name.as_deref().unwrap_or_default();
        if topic.error_code != ErrorCode::NONE {
            offline.push(format!("{name} ({})", topic.error_code));
        }
        for partition in &topic.partitions {
            all += 1;
            let place = format!("{name}-{}", partition.partition_index);
            if partition.leader_id < 0 {
                offline.push(place);
            } else if partition.isr_nodes.len() < partition.replica_nodes.len() {
                under.push(place);
            }
        }
    }
    let mut findings = Vec::new();
    if !offline.is_empty() {
        let what = format!("{} without a leader, so nobody can read or write them: {}", offline.len(), some(&offline));
        let cure = "start the brokers that have them; `ottla topic describe TOPIC` shows which";
        findings.push(Finding::fail(CHECK, what, cure));
    }
    if !under.is_empty() {
        let what = format!("{} have fewer replicas in sync than they should: {}", under.len(), some(&under));
        let cure =
            "start the missing brokers, or wait until they have caught up; `ottla topic describe TOPIC` shows which";
        findings.push(Finding::warn(CHECK, what, cure));
    }
    if findings.is_empty() {
        let topics = metadata.topics.len();
        findings
            .push(Finding::ok(CHECK, format!("{all} partitions of {topics} topics, each with its leader and in sync")));
    }
    findings
}

fn some(names: &[String]) -> String {
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "))
}

/// How far groups are behind; `worrying` records and more are warned of.
pub(super) async fn groups(cluster: &Cluster, worrying: i64, limit: Duration) -> Vec<Finding> {
    const CHECK: &str = "groups";
    let cure = "the coordinator may be starting: look into its log";
    match timeout(limit, lags(cluster)).await {
        Err(_) => vec![Finding::warn(CHECK, format!("no answer within {} ms", limit.as_millis()), cure)],
        Ok(Err(error)) => vec![Finding::fail(CHECK, error.to_string(), cure)],
        Ok(Ok(groups)) => {
            let behind = |(name, group): (&String, &Lag)| (group.records >= worrying).then(|| warning(name, group));
            let mut findings: Vec<Finding> = groups.iter().filter_map(behind).collect();
            if findings.is_empty() {
                let most = groups.values().map(|group| group.records).max().unwrap_or(0);
                let what = match groups.len() {
                    0 => "there are none".into(),
                    count => format!("{count}, at most {most} records behind"),
                };
                findings.push(Finding::ok(CHECK, what));
            }
            if groups.len() == GROUPS_MAX {
                let what = format!("only {GROUPS_MAX} were looked at");
                findings.push(Finding::warn(CHECK, what, "`ottla group list` shows all"));
            }
            findings
        }
    }
}

struct Lag {
    state: String,
    records: i64,
}

fn warning(name: &str, group: &Lag) -> Finding {
    let what = format!("{name} ({}) is {} records behind", group.state, group.records);
    let cure = if group.state == "Empty" {
        format!(
            "no member reads: start its consumers, or delete the group if nobody needs it (`ottla group describe {name}`)"
        )
    } else {
        format!(
            "its consumers are too slow or stuck: `ottla group describe {name}` shows which partitions; add members"
        )
    };
    Finding::warn("groups", what, cure)
}

async fn lags(cluster: &Cluster) -> Result<BTreeMap<String, Lag>, ClientError> {
    let listed = groups::list(cluster).await?.into_iter().take(GROUPS_MAX);
    let unread = |group: ListedGroup| (group.group_id, Lag { state: group.group_state, records: 0 });
    let mut groups: BTreeMap<String, Lag> = listed.map(unread).collect();
    for (name, lag) in &mut groups {
        let committed = fetch_committed(cluster, name, None).await?;
        let places: Vec<TopicPartition> = committed.keys().cloned().collect();
        let ends = topics::ends(cluster, &places).await?;
        let behind = committed.iter().filter_map(|(place, done)| ends.get(place).map(|end| (end - done.offset).max(0)));
        lag.records = behind.sum();
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use protocol::messages::metadata::{MetadataResponsePartition, MetadataResponseTopic};

    use super::super::report::Level;
    use super::*;

    #[test]
    fn partitions_without_leader_fail_and_those_out_of_sync_warn() {
        let partition = |partition_index, leader_id, isr: &[i32]| MetadataResponsePartition {
            partition_index,
            leader_id,
            replica_nodes: vec![1, 2, 3],
            isr_nodes: isr.to_vec(),
            ..Default::default()
        };
        let topic = |partitions| MetadataResponseTopic { name: Some("t".into()), partitions, ..Default::default() };
        let found =
            |partitions| self::partitions(&MetadataResponse { topics: vec![topic(partitions)], ..Default::default() });
        let well = found(vec![partition(0, 1, &[1, 2, 3])]);
        assert!(matches!(well.as_slice(), [finding] if finding.level == Level::Ok), "{well:?}");
        let ill = found(vec![partition(0, -1, &[1]), partition(1, 2, &[2, 3])]);
        let levels: Vec<Level> = ill.iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [Level::Fail, Level::Warn]);
        assert!(ill[0].what.contains("t-0") && ill[1].what.contains("t-1"), "{ill:?}");
    }
}
