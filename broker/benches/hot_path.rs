//! Whole requests, one at a time over loopback, each on a broker in this process: `cargo bench -p broker`. What
//! ApiVersions takes is the way of any request, to its handler and back.

#![allow(clippy::unwrap_used, reason = "whatever fails here has nothing to measure")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker::config::{ConfigInput, ConfigSource};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use protocol::api::{Message, Request};
use protocol::frame::{encode_request, skip_response_header};
use protocol::messages::ApiVersionsRequest;
use protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::records::BatchBuilder;
use protocol::wire::{Decoder, Records};

const TOPIC: &str = "measured";
/// The last versions that name topics by name.
const PRODUCE_VERSION: i16 = 12;
const FETCH_VERSION: i16 = 12;
const SETTINGS: [&str; 2] = ["listeners=PLAINTEXT://127.0.0.1:0", "ottla.http.listener=none"];

criterion_group! {
    name = hot_path;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    targets = requests
}
criterion_main!(hot_path);

fn requests(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut set: Vec<String> = SETTINGS.map(str::to_owned).into();
    set.push(format!("log.dirs={}", directory.path().display()));
    let (source, _) = ConfigSource::load(&ConfigInput { set, ..Default::default() }).unwrap();
    let running = runtime.block_on(broker::start(source)).unwrap();
    let mut client = Client::connect(running.addresses()[0]);
    let topic =
        CreatableTopic { name: TOPIC.to_owned(), num_partitions: 2, replication_factor: 1, ..Default::default() };
    client.call(&CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() }, 7);

    let mut group = criterion.benchmark_group("request");
    let versions = encode(&ApiVersionsRequest::default(), 0);
    group.bench_function("ApiVersions", |bencher| bencher.iter(|| client.ask(&versions)));
    let one = produce(0, 1);
    group.bench_function(BenchmarkId::new("Produce", "1 KB, acks=1"), |bencher| bencher.iter(|| client.ask(&one)));
    // One batch in a partition of its own, so that it stays the end of the log.
    client.ask(&produce(1, 1));
    let fetch = fetch(1);
    group.bench_function(BenchmarkId::new("Fetch", "1 KB at the end"), |bencher| bencher.iter(|| client.ask(&fetch)));
    group.finish();
    runtime.block_on(running.stop()).unwrap();
}

fn encode<R: Request>(request: &R, version: i16) -> Bytes {
    encode_request(request, version, 7, Some("bench")).concat().into()
}

fn produce(partition: i32, records: usize) -> Bytes {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let mut builder = BatchBuilder::new(0);
    (0..records).for_each(|_| builder.append(now, None, Some(&[b'x'; 1024]), &[]));
    let data = PartitionProduceData { index: partition, records: Some(Records::from(builder.build().freeze())) };
    let topic = TopicProduceData { name: TOPIC.to_owned(), partition_data: vec![data], ..Default::default() };
    let request = ProduceRequest { acks: 1, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() };
    encode(&request, PRODUCE_VERSION)
}

/// Outside any session, so that the same request can be sent again.
fn fetch(partition: i32) -> Bytes {
    let wanted = FetchPartition { partition, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: TOPIC.into(), partitions: vec![wanted], ..Default::default() };
    let request = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    encode(&request, FETCH_VERSION)
}

struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, answer: vec![0; 1 << 20] }
    }

    /// Sends a request and waits for its answer, of which it gives the number of bytes.
    fn ask(&mut self, request: &[u8]) -> usize {
        self.stream.write_all(request).unwrap();
        let mut size = [0; 4];
        self.stream.read_exact(&mut size).unwrap();
        let size = u32::from_be_bytes(size) as usize;
        self.stream.read_exact(&mut self.answer[..size]).unwrap();
        size
    }

    fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let size = self.ask(&encode(request, version));
        let mut decoder = Decoder::new(Bytes::copy_from_slice(&self.answer[..size]));
        skip_response_header(R::KEY, version, &mut decoder).unwrap();
        R::Response::decode(&mut decoder, version).unwrap()
    }
}
