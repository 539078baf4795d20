//! What is no stream of records: many partitions, topics, members, idle connections.

use std::time::{Duration, Instant};

use client::{Acks, Cluster, Connection, GroupConfig, GroupConsumer, OutgoingRecord, Producer};
use protocol::ErrorCode;
use protocol::messages::create_topics::CreatableTopic;
use protocol::messages::delete_topics::DeleteTopicState;
use protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest};
use protocol::records::Codec;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::measure::{Measure, Numbers};

/// For the broker to do what it was asked.
const TIMEOUT_MS: i32 = 60_000;
const PARTITIONS: i32 = 1000;
/// A record in each partition may take so long.
const PATIENCE: Duration = Duration::from_secs(60);
const STORM_TOPICS: usize = 200;
const MEMBERS: usize = 50;
const MEMBERS_PARTITIONS: i32 = 500;
const WIDE_TOPICS: usize = 50;
const WIDE_PARTITIONS: i32 = 100;
const WIDE_REQUESTS: u32 = 50;
pub(crate) const IDLE_CONNECTIONS: usize = 1000;
/// For a rebalance to settle.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// Creates a topic.
///
/// # Errors
/// What the broker did not do.
pub(crate) async fn create(cluster: &Cluster, name: &str, partitions: i32) -> Outcome<()> {
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: TIMEOUT_MS, ..Default::default() };
    let answer = cluster.any().await?.send(&request).await?;
    answer.topics.into_iter().try_for_each(|topic| check(name, topic.error_code))
}

/// Deletes topics.
///
/// # Errors
/// What the broker did not do.
pub(crate) async fn delete(cluster: &Cluster, names: &[String]) -> Outcome<()> {
    let state = |name: &String| DeleteTopicState { name: Some(name.clone()), ..Default::default() };
    let request = DeleteTopicsRequest {
        topics: names.iter().map(state).collect(),
        topic_names: names.to_vec(),
        timeout_ms: TIMEOUT_MS,
    };
    let answer = cluster.any().await?.send(&request).await?;
    answer.responses.into_iter().try_for_each(|topic| check("a deleted topic", topic.error_code))
}

fn check(what: &str, code: ErrorCode) -> Outcome<()> {
    match code {
        ErrorCode::NONE => Ok(()),
        code => Err(format!("{what}: {code}").into()),
    }
}

fn record(bytes: usize) -> OutgoingRecord {
    let timestamp_ms = crate::usage::now_seconds() as i64 * 1000;
    OutgoingRecord { value: Some(vec![b'x'; bytes].into()), timestamp_ms, ..Default::default() }
}

/// One record, acknowledged by the leader.
///
/// # Errors
/// What the broker did not do.
pub(crate) async fn first_record(bootstrap: &str) -> Outcome<()> {
    let cluster = Cluster::connect(bootstrap, "benches").await?;
    create(&cluster, "first", 1).await?;
    Producer::new(&cluster, Acks::All, Codec::None).send("first", 0, &[record(100)]).await?;
    Ok(())
}

/// A topic of a thousand partitions, and a record in each, all in one request; what the broker did not take is sent again.
///
/// # Errors
/// What the broker did not do.
pub(crate) async fn thousand_partitions(cluster: &Cluster) -> Outcome<Numbers> {
    let begun = Instant::now();
    create(cluster, "thousand", PARTITIONS).await?;
    let one = [record(100)];
    let each: Vec<(i32, &[OutgoingRecord])> = (0..PARTITIONS).map(|partition| (partition, &one[..])).collect();
    let mut producer = Producer::new(cluster, Acks::Leader, Codec::None);
    // A broker may take longer to make so many partitions than a producer is patient; what it takes is what is measured.
    while let Err(error) = producer.send_all("thousand", &each).await {
        if !error.is_retriable() || begun.elapsed() > PATIENCE {
            return Err(error.into());
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    delete(cluster, &["thousand".to_owned()]).await?;
    Ok(Numbers::from([(Measure::Seconds, seconds)]))
}

/// Topics of three partitions, created one after the other, then deleted.
///
/// # Errors
/// What the broker did not do.
pub(crate) async fn topic_storm(cluster: &Cluster) -> Outcome<Numbers> {
    let names: Vec<String> = (0..STORM_TOPICS).map(|number| format!("storm-{number}")).collect();
    let begun = Instant::now();
    for name in &names {
        create(cluster, name, 3).await?;
    }
    for name in &names {
        delete(cluster, std::slice::from_ref(name)).await?;
    }
    Ok(Numbers::from([(Measure::Seconds, begun.elapsed().as_secs_f64())]))
}

/// Answers to "which topics are there" where there are 5,000 partitions.
///
/// # Errors
/// What the broker did not do.
pub(crate) async fn wide_metadata(cluster: &Cluster) -> Outcome<Numbers> {
    let names: Vec<String> = (0..WIDE_TOPICS).map(|number| format!("wide-{number}")).collect();
    for name in &names {
        create(cluster, name, WIDE_PARTITIONS).await?;
    }
    let connection = cluster.any().await?;
    let request = MetadataRequest { topics: None, ..Default::default() };
    let begun = Instant::now();
    for _ in 0..WIDE_REQUESTS {
        connection.send(&request).await?;
    }
    let per_second = f64::from(WIDE_REQUESTS) / begun.elapsed().as_secs_f64();
    delete(cluster, &names).await?;
    Ok(Numbers::from([(Measure::RequestsPerSecond, per_second)]))
}

/// Fifty members join a group, from the first join until each has its share of 500 partitions in one generation.
///
/// # Errors
/// What the broker did not do; no agreement within a minute.
pub(crate) async fn rebalance(cluster: &Cluster) -> Outcome<Numbers> {
    const TOPIC: &str = "rebalanced";
    create(cluster, TOPIC, MEMBERS_PARTITIONS).await?;
    let seconds = settle(cluster, TOPIC).await;
    delete(cluster, &[TOPIC.to_owned()]).await?;
    Ok(Numbers::from([(Measure::Seconds, seconds?)]))
}

/// How long it takes, seconds.
async fn settle(cluster: &Cluster, topic: &str) -> Outcome<f64> {
    let (sender, mut states) = tokio::sync::mpsc::channel(MEMBERS);
    let begun = Instant::now();
    let mut members = JoinSet::new();
    for number in 0..MEMBERS {
        let (cluster, sender) = (cluster.clone(), sender.clone());
        let config =
            GroupConfig { heartbeat_interval: Duration::from_millis(100), ..GroupConfig::new("rebalanced", &[topic]) };
        members.spawn(async move {
            let mut member = GroupConsumer::new(&cluster, config);
            loop {
                if member.next(Duration::from_millis(20)).await.is_err() {
                    continue;
                }
                let state = (number, member.generation_id(), member.assignment().count());
                if sender.send(state).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(sender);
    let mut seen = vec![(-1, 0); MEMBERS];
    while let Ok(Some((number, generation, partitions))) = tokio::time::timeout(SETTLE_LIMIT, states.recv()).await {
        seen[number] = (generation, partitions);
        let newest = seen.iter().map(|(generation, _)| *generation).max().unwrap_or(-1);
        let shared: usize = seen.iter().filter(|(g, _)| *g == newest).map(|(_, partitions)| partitions).sum();
        let is_settled = seen.iter().all(|(generation, _)| *generation == newest);
        if is_settled && shared == MEMBERS_PARTITIONS as usize {
            return Ok(begun.elapsed().as_secs_f64());
        }
        if begun.elapsed() > SETTLE_LIMIT {
            break;
        }
    }
    Err(format!("{MEMBERS} members did not settle within {SETTLE_LIMIT:?}").into())
}

/// A thousand connections that have asked for versions and metadata and now do nothing.
///
/// # Errors
/// What the broker did not do.
pub(crate) async fn idle_connections(bootstrap: &str) -> Outcome<Numbers> {
    let request = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    let begun = Instant::now();
    let mut connections = Vec::with_capacity(IDLE_CONNECTIONS);
    for _ in 0..IDLE_CONNECTIONS {
        let connection = Connection::connect(bootstrap, "benches").await?;
        connection.send(&request).await?;
        connections.push(connection);
    }
    let seconds = begun.elapsed().as_secs_f64();
    // Long enough for a look at the memory that they take.
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(Numbers::from([(Measure::Seconds, seconds)]))
}
