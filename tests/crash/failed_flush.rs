//! A flush that fails is the last one: what is on the disk can be read, and nobody is told that more is, until a
//! restart has found out what there is.

use bytes::Bytes;
use client::{Acks, Cluster, Producer};
use protocol::ErrorCode;
use protocol::messages::create_topics::CreatableTopic;
use protocol::messages::{CreateTopicsRequest, DescribeLogDirsRequest};
use protocol::records::{BatchBuilder, Codec};

use crate::broker_process::BrokerProcess;
use crate::faulty::{Fault, create, send_once};
use crate::reader::read;

fn plain(value: &[u8]) -> Bytes {
    let mut batch = BatchBuilder::new(0);
    batch.append(1, None, Some(value), &[]);
    batch.build().freeze()
}

async fn log_dir_error(cluster: &Cluster) -> ErrorCode {
    let request = DescribeLogDirsRequest { topics: None };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    answer.results[0].error_code
}

#[tokio::test]
async fn one_failed_flush_stops_the_whole_directory() {
    let mut broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "hit", 1, &[]).await;
    create(&cluster, "beside", 3, &[]).await;
    for topic in ["hit", "beside"] {
        send_once(&cluster, topic, b"before").await.unwrap();
    }
    assert_eq!(log_dir_error(&cluster).await, ErrorCode::NONE);
    let file = broker.data_dir().join("hit-0/00000000000000000000.log");
    let Some(fault) = Fault::begin(&broker, "fdatasync,fsync:error=EIO", Some(&file)) else { return };
    let refused = send_once(&cluster, "hit", b"refused").await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::KAFKA_STORAGE_ERROR), "{refused}");
    fault.end();

    // Acknowledged or not, flushed or not, with a file already or without: the disk is well again, and not believed.
    for partition in 0..3 {
        for acks in [Acks::Leader, Acks::All] {
            let batch = plain(b"refused");
            let refused = Producer::new(&cluster, acks, Codec::None).send_batch("beside", partition, batch).await;
            assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::KAFKA_STORAGE_ERROR));
        }
    }
    for topic in ["hit", "beside"] {
        let refused = send_once(&cluster, topic, b"refused").await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::KAFKA_STORAGE_ERROR), "{refused}");
        let found = read(&cluster, topic, 0).await.unwrap();
        assert_eq!(found.records[0].value.as_deref(), Some(&b"before"[..]), "what is there can be read");
    }
    assert_eq!(log_dir_error(&cluster).await, ErrorCode::KAFKA_STORAGE_ERROR);
    broker.await_line(&["ERROR", "hit-0", "flushing failed", "Check the disk (dmesg), then restart"]);
    let log = broker.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "it is said once: {errors:#?}");

    broker.crash();
    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    assert_eq!(log_dir_error(&cluster).await, ErrorCode::NONE);
    for topic in ["hit", "beside"] {
        send_once(&cluster, topic, b"after").await.unwrap();
        let found = read(&cluster, topic, 0).await.unwrap();
        assert_eq!(found.records[0].value.as_deref(), Some(&b"before"[..]));
        assert_eq!(found.records.last().unwrap().value.as_deref(), Some(&b"after"[..]));
    }
}

#[tokio::test]
async fn a_failed_flush_of_the_metadata_log_ends_the_broker() {
    let mut broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    create(&cluster, "before", 1, &[]).await;
    send_once(&cluster, "before", b"value").await.unwrap();
    let dir = broker.data_dir().join("ottla-metadata");
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let wal = names.filter(|path| path.to_string_lossy().contains("wal-")).max().unwrap();
    let Some(fault) = Fault::begin(&broker, "fdatasync,fsync:error=EIO", Some(&wal)) else { return };
    let topic =
        CreatableTopic { name: "refused".into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = cluster.any().await.unwrap().send(&request).await;
    assert!(answer.is_err() || answer.unwrap().topics[0].error_code.is_error(), "nothing was decided");
    broker.await_line(&["ERROR", "the metadata log cannot be written", "check the disk (dmesg)"]);
    broker.await_line(&["ERROR", "the metadata log stopped"]);
    // It ends by itself, and strace with it.
    assert_eq!(broker.stop().code(), Some(1), "whoever watches over it must see that it failed");
    fault.end();
    assert!(!broker.data_dir().join(".kafka_cleanshutdown").exists());

    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let found = read(&cluster, "before", 0).await.unwrap();
    assert_eq!(found.records[0].value.as_deref(), Some(&b"value"[..]));
    create(&cluster, "after", 1, &[]).await;
}
