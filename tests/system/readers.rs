//! Consumers that ask for much. Those that do not read the answer hold no more memory together than there is for them, and
//! who reads goes on; whoever waits for more than it may have is not kept waiting.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use client::{Cluster, Connection};
use protocol::frame::encode_request;
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::records::BatchBuilder;
use protocol::wire::Records;

use crate::broker_process::BrokerProcess;
use crate::metrics::scrape;
use crate::restart::create;

const MIB: usize = 1 << 20;
const READERS: usize = 24;
/// What each of them asks for, all of which is in memory.
const WANTED_BYTES: usize = 12 * MIB;
const BATCH_BYTES: usize = 128 << 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// Appends so many bytes, and answers the offset behind them.
async fn append(connection: &Connection, bytes: usize) -> i64 {
    let mut end = 0;
    for _ in 0..bytes / BATCH_BYTES {
        let mut batch = BatchBuilder::new(0);
        batch.append(1, None, Some(&vec![b'x'; BATCH_BYTES]), &[]);
        let data = PartitionProduceData { index: 0, records: Some(Records::from_chunks(vec![batch.build().freeze()])) };
        let topic = TopicProduceData { name: "tail".into(), partition_data: vec![data], ..Default::default() };
        let request = ProduceRequest { acks: 1, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() };
        let answer = connection.send_version(&request, 12).await.unwrap();
        let answer = &answer.responses[0].partition_responses[0];
        assert!(!answer.error_code.is_error(), "{}", answer.error_code);
        end = answer.base_offset + 1;
    }
    end
}

fn fetch(offset: i64, bytes: usize) -> FetchRequest {
    let bytes = i32::try_from(bytes).unwrap();
    let partition = FetchPartition { fetch_offset: offset, partition_max_bytes: bytes, ..Default::default() };
    let topic = FetchTopic { topic: "tail".into(), partitions: vec![partition], ..Default::default() };
    let mut request = FetchRequest { max_wait_ms: 1000, min_bytes: 1, max_bytes: bytes, ..Default::default() };
    (request.session_id, request.session_epoch, request.topics) = (0, -1, vec![topic]);
    request
}

/// What readers' answers hold, as the broker tells.
fn used(broker: &BrokerProcess) -> f64 {
    scrape(broker).value("ottla_memory_used_bytes{budget=\"answers\"}")
}

#[tokio::test]
async fn readers_that_do_not_read_hold_a_bounded_part_of_memory() {
    let broker = BrokerProcess::start(&["ottla.memory.limit=128MiB", "ottla.tail.cache.bytes=16777216"]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let connection = cluster.any().await.unwrap();
    create(&cluster, "tail", 1, &[]).await;
    let mut stalled = Vec::new();
    for _ in 0..READERS {
        // Each asks for other bytes, which have left the cache when the next comes.
        let end = append(&connection, WANTED_BYTES).await;
        let first = end - (WANTED_BYTES / BATCH_BYTES) as i64;
        let mut stream = TcpStream::connect(&broker.address).unwrap();
        stream.write_all(&encode_request(&fetch(first, WANTED_BYTES), 12, 1, Some("stalled")).concat()).unwrap();
        // Its answer is on its way: the socket has a part of it.
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.peek(&mut [0; 4]).unwrap(), 4);
        stalled.push(stream);
    }
    let held = used(&broker);
    assert!(held > WANTED_BYTES as f64 / 2.0 && held <= 16.0 * MIB as f64, "{held} bytes of answers");
    let anonymous = broker.anonymous_bytes();
    assert!(anonymous < 100 * MIB as u64, "{anonymous} bytes for {READERS} readers of {WANTED_BYTES}");

    let end = append(&connection, 10 * BATCH_BYTES).await;
    let (mut offset, mut answers) = (end - 10, 0);
    while offset < end {
        let answer = connection.send_version(&fetch(offset, WANTED_BYTES), 12).await.unwrap();
        let records = answer.responses[0].partitions[0].records.clone().unwrap_or_default().into_bytes();
        let last = protocol::records::batches(&records).map(|batch| batch.unwrap().next_offset()).last();
        offset = last.expect("there is always a batch to go on with");
        answers += 1;
        assert!(answers <= 10);
    }

    drop(stalled);
    let deadline = Instant::now() + PATIENCE;
    while used(&broker) > 0.0 {
        assert!(Instant::now() < deadline, "{} bytes are still held", used(&broker));
    }
    assert!(append(&connection, MIB).await > end);
}

#[tokio::test]
async fn nobody_waits_for_more_than_it_may_have() {
    let broker = BrokerProcess::start(&[]);
    let cluster = Cluster::connect(&broker.address, "test").await.unwrap();
    let connection = cluster.any().await.unwrap();
    create(&cluster, "tail", 1, &[]).await;
    append(&connection, MIB).await;
    let wait_ms = i32::try_from(2 * PATIENCE.as_millis()).unwrap();
    let request = FetchRequest { max_wait_ms: wait_ms, min_bytes: 100 * MIB as i32, ..fetch(0, MIB / 2) };
    let answer = tokio::time::timeout(PATIENCE, connection.send_version(&request, 12)).await.expect("no wait").unwrap();
    let records = answer.responses[0].partitions[0].records.clone().unwrap_or_default();
    assert!(records.len() > MIB / 4, "{} bytes", records.len());
}
