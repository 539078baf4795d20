//! A disk that fills up: producers are refused before it is full, everything else goes on, and it heals by itself.

use std::process::Command;
use std::sync::Arc;

use client::{Acks, Cluster, Connection, Producer};
use protocol::ErrorCode;
use protocol::messages::DeleteTopicsRequest;
use protocol::messages::delete_topics::DeleteTopicState;
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::records::{BatchBuilder, Codec};
use protocol::wire::Records;

use crate::broker_process::{BrokerProcess, OTTLA};
use crate::restart::{create, record, values};

const MIB: usize = 1 << 20;

/// A broker on a tmpfs of 8 MB, in a namespace of its own.
pub(crate) fn start(settings: &str) -> BrokerProcess {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let probe = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).status();
    assert!(probe.is_ok_and(|status| status.success()), "this test needs unshare (util-linux) and user namespaces");
    let mut command = Command::new("unshare");
    let script = format!("mount -t tmpfs -o size=8m tmpfs '{}' && exec '{OTTLA}' {settings} \"$@\"", data.display());
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
    BrokerProcess::start_through(command, Arc::clone(&directory))
}

/// One batch of about so many bytes, sent once: what the broker says of it.
async fn produce(connection: &Connection, topic: &str, bytes: usize) -> ErrorCode {
    let mut batch = BatchBuilder::new(0);
    batch.append(1, None, Some(&vec![b'x'; bytes]), &[]);
    let data = PartitionProduceData { index: 0, records: Some(Records::from_chunks(vec![batch.build().freeze()])) };
    let topic = TopicProduceData { name: topic.into(), partition_data: vec![data], ..Default::default() };
    let request = ProduceRequest { acks: 1, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() };
    let answer = connection.send_version(&request, 12).await.unwrap();
    answer.responses[0].partition_responses[0].error_code
}

/// Writes batches of so many bytes until one is refused; answers how many were not.
pub(crate) async fn fill(connection: &Connection, topic: &str, bytes: usize) -> usize {
    for written in 0..8 * MIB / bytes {
        match produce(connection, topic, bytes).await {
            ErrorCode::NONE => {}
            ErrorCode::KAFKA_STORAGE_ERROR => return written,
            other => panic!("{other}"),
        }
    }
    panic!("8 MB hold no more than that")
}

#[tokio::test]
async fn producers_wait_for_space_and_get_it_back() {
    let broker = start("");
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let connection = cluster.any().await.unwrap();
    create(&cluster, "kept", 1, &[]).await;
    create(&cluster, "full", 1, &[]).await;
    let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
    producer.send("kept", 0, &[record("a")]).await.unwrap();
    assert!(fill(&connection, "full", MIB / 2).await > 5);
    // Small ones take what large ones leave, down to the reserve.
    fill(&connection, "full", 4096).await;
    broker.await_line(&["ERROR", "nearly full", "delete topics"]);
    assert_eq!(values(&cluster, "kept", 0).await, ["a"], "reading goes on");
    // There is room for the metadata of that, and of many more.
    for number in 0..50 {
        create(&cluster, &format!("more-{number}"), 1, &[]).await;
    }

    let doomed = DeleteTopicState { name: Some("full".into()), ..Default::default() };
    let request = DeleteTopicsRequest { topics: vec![doomed], timeout_ms: 1000, ..Default::default() };
    let answer = connection.send(&request).await.unwrap();
    assert_eq!(answer.responses[0].error_code, ErrorCode::NONE, "deleting goes on");
    producer.send("kept", 0, &[record("b")]).await.expect("there is space again");
    broker.await_line(&["INFO", "there is space again"]);
    assert_eq!(values(&cluster, "kept", 0).await, ["a", "b"]);
}

#[tokio::test]
async fn without_a_reserve_a_full_disk_is_still_only_an_error_code() {
    let broker = start("--set ottla.log.reserve.bytes=0");
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let connection = cluster.any().await.unwrap();
    create(&cluster, "full", 1, &[]).await;
    let written = fill(&connection, "full", MIB / 2).await;
    assert_eq!(values(&cluster, "full", 0).await.len(), written, "what was acknowledged can be read");
}
