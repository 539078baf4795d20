//! A disk that refuses: an error code for the partition it hits, everything else goes on.

use std::path::PathBuf;

use client::Cluster;
use protocol::ErrorCode;

use crate::broker_process::BrokerProcess;
use crate::faulty::{Fault, create, send_once};
use crate::http_client::get;
use crate::reader::read;

const BEFORE: i64 = 3;

/// A broker with a few records in the partition that will be hit and in one that will not, and the file of the first.
async fn prepared() -> (BrokerProcess, Cluster, PathBuf) {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    for topic in ["sick", "well"] {
        create(&cluster, topic, 1, &[]).await;
        for index in 0..BEFORE {
            send_once(&cluster, topic, format!("before {index}").as_bytes()).await.unwrap();
        }
    }
    let file = broker.data_dir().join("sick-0/00000000000000000000.log");
    (broker, cluster, file)
}

async fn assert_refused(cluster: &Cluster) {
    let refused = send_once(cluster, "sick", b"refused").await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::KAFKA_STORAGE_ERROR), "{refused}");
}

async fn values(cluster: &Cluster, topic: &str) -> Vec<String> {
    let contents = read(cluster, topic, 0).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    contents.records.iter().map(|record| text(record.value.as_deref().unwrap_or_default())).collect()
}

fn expected(last: &str) -> Vec<String> {
    (0..BEFORE).map(|index| format!("before {index}")).chain([last.to_string()]).collect()
}

/// Writes fail for a while, wholly or with a part of the batch on the disk, and work again afterwards.
async fn writes_fail_for_a_while(error: &str, words: &str) {
    let (mut broker, cluster, file) = prepared().await;
    let injection = format!("pwrite64:error={error}");
    let Some(fault) = Fault::begin(&broker, &injection, Some(&file)) else { return };
    for _ in 0..3 {
        assert_refused(&cluster).await;
    }
    broker.await_line(&["ERROR", "sick-0", words]);
    send_once(&cluster, "well", b"meanwhile").await.unwrap();
    assert_eq!(values(&cluster, "sick").await.len() as i64, BEFORE, "what is there can be read");
    fault.end();
    assert_eq!(send_once(&cluster, "sick", b"after").await.unwrap().base_offset, BEFORE);
    assert_eq!(values(&cluster, "sick").await, expected("after"));
    broker.crash();
    let broker = broker.restart();
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    assert_eq!(values(&cluster, "sick").await, expected("after"));
    assert_eq!(values(&cluster, "well").await, expected("meanwhile"));
}

#[tokio::test]
async fn a_full_disk_refuses_until_there_is_room() {
    writes_fail_for_a_while("ENOSPC", "No space left").await;
}

#[tokio::test]
async fn a_write_error_refuses_until_it_is_over() {
    writes_fail_for_a_while("EIO", "Input/output error").await;
}

/// The kernel may have dropped what it could not write, and say next time that all is well.
#[tokio::test]
async fn after_a_failed_flush_nothing_is_acknowledged_until_a_restart() {
    let (mut broker, cluster, file) = prepared().await;
    let Some(fault) = Fault::begin(&broker, "fdatasync,fsync:error=EIO", Some(&file)) else { return };
    assert_refused(&cluster).await;
    broker.await_line(&["ERROR", "sick-0", "flushing failed", "until the broker is restarted"]);
    fault.end();
    for _ in 0..3 {
        assert_refused(&cluster).await;
    }
    let ready = get(&broker.http_address(), "/readyz");
    assert!(ready.status == 503 && ready.body.contains("log directory offline"), "{} {}", ready.status, ready.body);
    for told in [
        "kafka_log_logmanager_offlinelogdirectorycount 1",
        "ottla_log_dir_offline{",
        "ottla_flush_failures_total ",
        "kafka_server_kafkaserver_brokerstate 3",
    ] {
        let metrics = get(&broker.http_address(), "/metrics").body;
        let line = metrics.lines().find(|line| line.starts_with(told)).unwrap_or_else(|| panic!("no {told}"));
        assert!(!line.ends_with(" 0"), "{line}");
    }
    // One disk is below all of them.
    let refused = send_once(&cluster, "well", b"meanwhile").await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::KAFKA_STORAGE_ERROR), "{refused}");
    assert_eq!(values(&cluster, "sick").await[..BEFORE as usize], expected("")[..BEFORE as usize]);
    broker.stop();
    assert!(!broker.data_dir().join(".kafka_cleanshutdown").exists(), "nobody knows what is on the disk");
    let broker = broker.restart();
    assert_eq!(get(&broker.http_address(), "/readyz").status, 200);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let found = values(&cluster, "sick").await;
    assert_eq!(found[..BEFORE as usize], expected("")[..BEFORE as usize]);
    let written = send_once(&cluster, "sick", b"after").await.unwrap();
    assert_eq!(written.base_offset, found.len() as i64);
    send_once(&cluster, "well", b"afterwards").await.unwrap();
    assert_eq!(values(&cluster, "well").await, expected("afterwards"));
}
