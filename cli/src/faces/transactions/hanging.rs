//! `kafka-transactions find-hanging`: what partitions have open that no coordinator will end.

use std::collections::{BTreeMap, BTreeSet};

use client::{Cluster, TopicPartition};
use protocol::ErrorCode;
use protocol::messages::ListTransactionsRequest;

use super::super::flags::Parsed;
use super::super::table::table;
use super::{connect, failed, number, places};
use crate::admin::transactions::{self, ANY_DURATION, ProducerState};
use crate::clock::now_ms;
use crate::failure::{Failure, Outcome};
use crate::output::say;

const MINUTE_MS: i64 = 60_000;
/// No transaction may last longer where transaction.max.timeout.ms is what it is by default.
const DEFAULT_MAX_TIMEOUT_MIN: i32 = 15;
/// Partitions in one request, so that a broker with many is not kept busy with one.
const BATCH_PARTITIONS: usize = 500;

/// A transaction as one of its partitions knows it.
type Candidate = (TopicPartition, ProducerState);

/// Where to look.
#[derive(Debug)]
struct Scope<'a> {
    broker: Option<i32>,
    topic: Option<&'a str>,
    partition: Option<i32>,
    max_timeout_ms: i64,
}

pub(super) async fn run(parsed: &Parsed) -> Outcome {
    let scope = scope(parsed)?;
    let cluster = connect(parsed).await?;
    let searched = searched(&cluster, &scope).await?;
    let candidates = candidates(&cluster, &scope, &searched).await?;
    let coordinated = coordinated(&cluster, &candidates).await?;
    say(&shown(&hanging(candidates, &coordinated), now_ms()))
}

fn scope(parsed: &Parsed) -> Result<Scope<'_>, Failure> {
    let scope = Scope {
        broker: number(parsed, "broker-id")?,
        topic: parsed.value("topic")?,
        partition: number(parsed, "partition")?,
        max_timeout_ms: MINUTE_MS
            * i64::from(number(parsed, "max-transaction-timeout")?.unwrap_or(DEFAULT_MAX_TIMEOUT_MIN)),
    };
    match &scope {
        Scope { broker: None, topic: None, .. } => Err(Failure::Input(
            "The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search".into(),
        )),
        Scope { topic: None, partition: Some(_), .. } => {
            Err(Failure::Input("The --partition argument requires --topic to be provided".into()))
        }
        _ => Ok(scope),
    }
}

/// The partitions to ask about.
async fn searched(cluster: &Cluster, scope: &Scope<'_>) -> Result<Vec<TopicPartition>, Failure> {
    let topics = match (scope.topic, scope.partition) {
        (Some(topic), Some(partition)) => return Ok(vec![TopicPartition::new(topic, partition)]),
        (Some(topic), None) => {
            let topic = cluster.topic(topic).await;
            vec![topic.map_err(|error| failed("Failed to describe 1 topics", error))?]
        }
        (None, _) => {
            let topics = cluster.topics(None).await.and_then(|topics| topics.into_iter().collect());
            topics.map_err(|error| failed("Failed to list topics", error))?
        }
    };
    let mut searched = Vec::new();
    for topic in topics {
        for partition in &topic.partitions {
            if scope.broker.is_none_or(|broker| partition.replicas.contains(&broker)) {
                searched.push(TopicPartition::new(topic.name.clone(), partition.index));
            }
        }
    }
    Ok(searched)
}

/// What is open there, and older than a transaction can be.
async fn candidates(
    cluster: &Cluster,
    scope: &Scope<'_>,
    searched: &[TopicPartition],
) -> Result<Vec<Candidate>, Failure> {
    let whom = scope.broker.map_or_else(|| "their leaders".to_owned(), |id| format!("broker {id}"));
    let mut candidates = Vec::new();
    for batch in searched.chunks(BATCH_PARTITIONS) {
        let what = format!("Failed to describe producers for {} partitions on {whom}", batch.len());
        let found = transactions::producers(cluster, batch, scope.broker).await;
        let found = found.map_err(|error| failed(&what, error))?;
        let now_ms = now_ms();
        for (place, producers) in found {
            let producers = producers.map_err(|error| failed(&what, error))?;
            let old = producers.into_iter().filter(|producer| is_old(producer, scope.max_timeout_ms, now_ms));
            candidates.extend(old.map(|producer| (place.clone(), producer)));
        }
    }
    Ok(candidates)
}

fn is_old(producer: &ProducerState, max_timeout_ms: i64, now_ms: i64) -> bool {
    producer.current_txn_start_offset >= 0 && now_ms.saturating_sub(producer.last_timestamp) > max_timeout_ms
}

/// Of each producer that has a transactional id, the partitions that its coordinator will end the transaction in.
async fn coordinated(
    cluster: &Cluster,
    candidates: &[Candidate],
) -> Result<BTreeMap<i64, BTreeSet<TopicPartition>>, Failure> {
    let producer_ids: BTreeSet<i64> = candidates.iter().map(|(_, producer)| producer.producer_id).collect();
    let mut coordinated = BTreeMap::new();
    // Without any, all would be listed.
    if producer_ids.is_empty() {
        return Ok(coordinated);
    }
    let filter = ListTransactionsRequest {
        producer_id_filters: producer_ids.iter().copied().collect(),
        duration_filter: ANY_DURATION,
        ..Default::default()
    };
    let listed = transactions::list(cluster, &filter).await;
    let what = format!("Failed to list transactions for {} producers", producer_ids.len());
    let listed = listed.map_err(|error| failed(&what, error))?;
    let what = format!("Failed to describe {} transactions", listed.len());
    for (_, transaction) in listed {
        match transactions::describe(cluster, &transaction.transactional_id).await {
            Ok((_, described)) => {
                coordinated.insert(transaction.producer_id, places(&described).collect());
            }
            // It has expired since it was listed.
            Err(error) if error.code() == Some(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND) => {}
            Err(error) => return Err(failed(&what, error)),
        }
    }
    Ok(coordinated)
}

/// What is left are those that no coordinator knows, or not in this partition.
fn hanging(mut candidates: Vec<Candidate>, coordinated: &BTreeMap<i64, BTreeSet<TopicPartition>>) -> Vec<Candidate> {
    candidates.retain(|(place, producer)| {
        !coordinated.get(&producer.producer_id).is_some_and(|places| places.contains(place))
    });
    candidates
}

fn shown(hanging: &[Candidate], now_ms: i64) -> String {
    let columns = [
        "Topic",
        "Partition",
        "ProducerId",
        "ProducerEpoch",
        "CoordinatorEpoch",
        "StartOffset",
        "LastTimestamp",
        "Duration(min)",
    ];
    let row = |(place, producer): &Candidate| {
        [
            place.topic.to_string(),
            place.partition.to_string(),
            producer.producer_id.to_string(),
            producer.producer_epoch.to_string(),
            producer.coordinator_epoch.max(-1).to_string(),
            producer.current_txn_start_offset.to_string(),
            producer.last_timestamp.to_string(),
            (now_ms.saturating_sub(producer.last_timestamp) / MINUTE_MS).to_string(),
        ]
    };
    let rows: Vec<_> = std::iter::once(columns.map(str::to_owned)).chain(hanging.iter().map(row)).collect();
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::super::tests::parsed;
    use super::*;

    fn open(producer_id: i64, last_timestamp: i64) -> ProducerState {
        ProducerState { producer_id, last_timestamp, current_txn_start_offset: 9, ..Default::default() }
    }

    #[test]
    fn a_search_has_bounds() {
        let refused = |words: &str| scope(&parsed(words)).unwrap_err().to_string();
        assert!(refused("find-hanging").contains("requires either --topic or --broker-id"));
        assert!(refused("find-hanging --broker-id 1 --partition 0").contains("requires --topic"));
        assert_eq!(scope(&parsed("--topic t")).unwrap().max_timeout_ms, 15 * 60_000);
        let widest = parsed("--broker-id 1 --max-transaction-timeout 2147483647");
        assert_eq!(scope(&widest).unwrap().max_timeout_ms, i64::from(i32::MAX) * 60_000);
    }

    #[test]
    fn only_what_is_open_can_be_old() {
        assert!(is_old(&open(1, 1_000), 500, 1_501));
        assert!(!is_old(&open(1, 1_000), 500, 1_500));
        let ended = ProducerState { current_txn_start_offset: -1, ..open(1, 0) };
        assert!(!is_old(&ended, 500, 1_000_000));
        assert!(is_old(&open(1, i64::MIN), 500, i64::MAX), "however odd a producer's clock is");
    }

    #[test]
    fn what_a_coordinator_will_end_does_not_hang() {
        let places: Vec<TopicPartition> = (0..3).map(|partition| TopicPartition::new("t", partition)).collect();
        let candidates =
            vec![(places[0].clone(), open(1, 0)), (places[1].clone(), open(1, 0)), (places[2].clone(), open(2, 0))];
        let coordinated = BTreeMap::from([(1, BTreeSet::from([places[0].clone(), places[2].clone()]))]);
        let left: Vec<_> =
            hanging(candidates, &coordinated).into_iter().map(|(place, open)| (place, open.producer_id)).collect();
        assert_eq!(left, [(places[1].clone(), 1), (places[2].clone(), 2)]);
    }

    #[test]
    fn what_hangs_is_shown_with_its_age_in_minutes() {
        let shown = shown(&[(TopicPartition::new("t", 1), open(5, 60_000))], 60_000 + 17 * MINUTE_MS + 59_999);
        let cells: Vec<&str> = shown.lines().nth(1).unwrap().split('\t').map(str::trim).collect();
        assert_eq!(cells, ["t", "1", "5", "0", "0", "9", "60000", "17", ""]);
    }
}
