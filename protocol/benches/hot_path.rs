//! What a request costs before and after the broker does anything about it: `cargo bench -p protocol`.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use protocol::Uuid;
use protocol::api::{Message, Request};
use protocol::frame::{RequestHeader, encode_request, encode_response};
use protocol::messages::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use protocol::messages::produce::*;
use protocol::records::{Batch, BatchBuilder, validate_records};
use protocol::wire::{Decoder, Records};

const PRODUCE_VERSION: i16 = 13;
const FETCH_VERSION: i16 = 17;
const TOPIC_ID: Uuid = Uuid([7; 16]);
/// Records in batches, and bytes of each.
const BATCHES: [(&str, usize, usize); 2] = [("1 record of 1 KB", 1, 1024), ("64 records of 1 KB", 64, 1000)];

criterion_group! {
    name = hot_path;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = produce, fetch, records
}
criterion_main!(hot_path);

fn batch(records: usize, value_bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(0);
    (0..records).for_each(|_| builder.append(1_000, None, Some(&vec![b'x'; value_bytes]), &[]));
    builder.build().freeze()
}

fn produce(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("produce");
    for (name, records, value_bytes) in BATCHES {
        let data = PartitionProduceData { index: 3, records: Some(Records::from(batch(records, value_bytes))) };
        let topic = TopicProduceData { topic_id: TOPIC_ID, partition_data: vec![data], ..Default::default() };
        let request = ProduceRequest { acks: 1, timeout_ms: 1_000, topic_data: vec![topic], ..Default::default() };
        let frame: Bytes = encode_request(&request, PRODUCE_VERSION, 1, Some("producer-1")).concat().into();
        let frame = frame.slice(4..);
        group.bench_function(BenchmarkId::new("decode the request", name), |bencher| {
            bencher.iter(|| {
                let (header, body) = RequestHeader::decode(frame.clone()).expect("it was encoded above");
                ProduceRequest::decode(&mut Decoder::new(body), header.api_version)
            });
        });
    }
    let partition = PartitionProduceResponse { index: 3, base_offset: 1_000_000, ..Default::default() };
    let topic = TopicProduceResponse { topic_id: TOPIC_ID, partition_responses: vec![partition], ..Default::default() };
    let response = ProduceResponse { responses: vec![topic], ..Default::default() };
    group.bench_function("encode the response", |bencher| {
        bencher.iter(|| encode_response(ProduceRequest::KEY, PRODUCE_VERSION, 1, black_box(&response)));
    });
}

fn fetch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fetch");
    for (name, records, value_bytes) in BATCHES {
        let partition = PartitionData { records: Some(batch(records, value_bytes).into()), ..Default::default() };
        let topic = FetchableTopicResponse { topic_id: TOPIC_ID, partitions: vec![partition], ..Default::default() };
        let response = FetchResponse { responses: vec![topic], ..Default::default() };
        group.bench_function(BenchmarkId::new("encode the response", name), |bencher| {
            bencher.iter(|| encode_response(FetchRequest::KEY, FETCH_VERSION, 1, black_box(&response)));
        });
    }
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("records");
    let bytes = batch(64, 1000);
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    let parse = || Batch::parse(black_box(&bytes)).expect("it was built above");
    group.bench_function("CRC-32C of 64 KB", |bencher| bencher.iter(|| parse().is_crc_valid()));
    group.bench_function("walk 64 records of 1 KB", |bencher| bencher.iter(|| validate_records(&parse(), 1 << 20)));
}
