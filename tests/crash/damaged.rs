//! Damage to what was durable: the partition stays shut and says so, the others serve, and nothing is cut away.

use std::fs;
use std::path::{Path, PathBuf};

use client::{Acks, Cluster, Producer};
use protocol::ErrorCode;
use protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use protocol::messages::fetch::{FetchPartition, FetchTopic};
use protocol::messages::{DeleteRecordsRequest, FetchRequest};
use protocol::records::Codec;

use crate::broker_process::BrokerProcess;
use crate::faulty::{create, record, send_once};
use crate::reader::read;

/// Batches of which two do not fit into a segment.
const BATCH_BYTES: usize = 600_000;
const BATCHES: usize = 4;
/// Where a batch says its format.
const MAGIC_AT: usize = 16;

async fn filled() -> BrokerProcess {
    let broker = BrokerProcess::start(&["log.segment.bytes=1048576"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
    for topic in ["struck", "spared"] {
        create(&cluster, topic, 1, &[]).await;
        for _ in 0..BATCHES {
            producer.send(topic, 0, &[record(BATCH_BYTES)]).await.unwrap();
        }
    }
    broker
}

/// Any change of log starts writes the recovery points too.
async fn checkpoint(cluster: &Cluster) {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset: 0 }];
    let topics = vec![DeleteRecordsTopic { name: "spared".into(), partitions }];
    let request = DeleteRecordsRequest { topics, timeout_ms: 10_000 };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    assert!(!answer.topics[0].partitions[0].error_code.is_error(), "{answer:?}");
}

fn flip_middle(path: &Path) {
    flip(path, usize::try_from(fs::metadata(path).unwrap().len()).unwrap() / 2);
}

fn flip(path: &Path, position: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[position] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Strikes a file between a crash and a restart, looks at what the broker makes of it, mends it, and looks again.
async fn strike(mut broker: BrokerProcess, segment: i64) {
    let path: PathBuf = broker.data_dir().join(format!("struck-0/{segment:020}.log"));
    broker.crash();
    flip_middle(&path);
    let struck = fs::read(&path).unwrap();
    let mut broker = broker.restart();

    broker.await_line(&["ERROR", "struck-0", "is damaged at byte", "restore the file from a backup"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let refused = send_once(&cluster, "struck", b"more").await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::KAFKA_STORAGE_ERROR), "{refused}");
    assert_eq!(read(&cluster, "spared", 0).await.unwrap().records.len(), BATCHES);
    send_once(&cluster, "spared", b"more").await.unwrap();
    // Not even by a clean stop, after which the next start believes what it finds.
    broker.stop();
    assert!(!broker.data_dir().join(".kafka_cleanshutdown").exists(), "a damaged log is no clean directory");
    assert!(fs::read(&path).unwrap() == struck, "the damaged file was changed");

    flip_middle(&path);
    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    assert_eq!(read(&cluster, "struck", 0).await.unwrap().records.len(), BATCHES);
    assert_eq!(send_once(&cluster, "struck", b"more").await.unwrap().base_offset, BATCHES as i64);
}

#[tokio::test]
async fn damage_in_an_older_segment_shuts_the_partition() {
    strike(filled().await, 1).await;
}

#[tokio::test]
async fn damage_below_the_recovery_point_shuts_the_partition() {
    let broker = filled().await;
    checkpoint(&Cluster::connect(&broker.address, "test").await.unwrap()).await;
    strike(broker, BATCHES as i64 - 1).await;
}

/// Segments before the recovery point are not read at start, so this one is found when somebody asks for it.
#[tokio::test]
async fn damage_that_a_reader_finds_is_an_error_and_not_silence() {
    let mut broker = filled().await;
    checkpoint(&Cluster::connect(&broker.address, "test").await.unwrap()).await;
    let path = broker.data_dir().join("struck-0/00000000000000000001.log");
    broker.crash();
    flip(&path, MAGIC_AT);
    let struck = fs::read(&path).unwrap();
    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let refused = fetch_code(&cluster, "struck", 1).await;
    assert_eq!(refused, ErrorCode::KAFKA_STORAGE_ERROR);
    broker.await_line(&["ERROR", "struck-0", "is damaged at byte"]);
    assert_eq!(fetch_code(&cluster, "struck", 0).await, ErrorCode::NONE, "other records of it can be read");
    assert_eq!(fetch_code(&cluster, "spared", 1).await, ErrorCode::NONE);
    assert!(fs::read(&path).unwrap() == struck, "the damaged file was changed");
}

async fn fetch_code(cluster: &Cluster, topic: &str, fetch_offset: i64) -> ErrorCode {
    let partition = FetchPartition { fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() };
    let topics = vec![FetchTopic { topic: topic.into(), partitions: vec![partition], ..Default::default() }];
    let request = FetchRequest { max_wait_ms: 0, min_bytes: 1, max_bytes: 1 << 20, topics, ..Default::default() };
    let answer = cluster.any().await.unwrap().send_version(&request, 12).await.unwrap();
    answer.responses[0].partitions[0].error_code
}
