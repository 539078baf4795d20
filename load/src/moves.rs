//! A partition changes its leader while it is written and read: nothing is lost, and nothing is an error.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use client::Acks;
use protocol::ErrorCode;
use protocol::api::Request;
use protocol::frame::{RequestHeader, encode_response};
use protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use protocol::messages::fetch::{FetchableTopicResponse, PartitionData};
use protocol::messages::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use protocol::messages::metadata::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use protocol::messages::produce::{PartitionProduceResponse, TopicProduceResponse};
use protocol::messages::{
    ApiVersionsRequest, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
    MetadataResponse, ProduceRequest, ProduceResponse,
};
use protocol::records::{BatchBuilder, Codec};
use protocol::wire::Decoder;

use crate::workload::{Consume, Fetching, Length, Produce, Start, Topics, Values, Workload};
use crate::{Progress, run};

const PARTITIONS: i32 = 3;
/// The partition that moves, and after how many requests at its first leader.
const MOVING: i32 = 1;
const REQUESTS_BEFORE: usize = 40;
const RECORDS: u64 = 600;
/// Of each partition, when it is read.
const BACKLOG: i64 = 200;

/// Two brokers of one topic. The first leads everything until it has served so many requests; then the second leads one
/// partition.
struct Pair {
    addresses: [SocketAddr; 2],
    served: Mutex<[usize; 2]>,
}

impl Pair {
    fn start() -> Arc<Pair> {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = [0, 1].map(|broker: usize| listeners[broker].local_addr().unwrap());
        let pair = Arc::new(Pair { addresses, served: Mutex::default() });
        for (broker, listener) in listeners.into_iter().enumerate() {
            let pair = Arc::clone(&pair);
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let pair = Arc::clone(&pair);
                    std::thread::spawn(move || while pair.serve(broker, stream.as_ref().unwrap()).is_some() {});
                }
            });
        }
        pair
    }

    /// Who leads a partition, by the requests for records that were served.
    fn leader(&self, partition: i32) -> usize {
        let has_moved = self.served.lock().unwrap()[0] >= REQUESTS_BEFORE;
        usize::from(partition == MOVING && has_moved)
    }

    fn code(&self, broker: usize, partition: i32) -> ErrorCode {
        if self.leader(partition) == broker { ErrorCode::NONE } else { ErrorCode::NOT_LEADER_OR_FOLLOWER }
    }

    /// One request; `None` when there is none any more.
    fn serve(&self, broker: usize, mut stream: &TcpStream) -> Option<()> {
        let mut size = [0; 4];
        stream.read_exact(&mut size).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(size) as usize];
        stream.read_exact(&mut frame).ok()?;
        let (header, body) = RequestHeader::decode(Bytes::from(frame)).unwrap();
        let answer = match header.api_key {
            ApiVersionsRequest::KEY => encode::<ApiVersionsRequest>(&header, &versions()),
            MetadataRequest::KEY => encode::<MetadataRequest>(&header, &self.metadata()),
            ListOffsetsRequest::KEY => encode::<ListOffsetsRequest>(&header, &list_offsets(&decode(&header, body))),
            ProduceRequest::KEY => encode::<ProduceRequest>(&header, &self.produce(broker, &decode(&header, body))),
            FetchRequest::KEY => encode::<FetchRequest>(&header, &self.fetch(broker, &decode(&header, body))),
            other => panic!("nobody asks for {other}"),
        };
        stream.write_all(&answer).ok()
    }

    fn metadata(&self) -> MetadataResponse {
        let broker = |(number, address): (usize, &SocketAddr)| MetadataResponseBroker {
            node_id: number as i32,
            host: address.ip().to_string(),
            port: i32::from(address.port()),
            rack: None,
        };
        let partition = |index| MetadataResponsePartition {
            partition_index: index,
            leader_id: self.leader(index) as i32,
            ..Default::default()
        };
        let topic = MetadataResponseTopic {
            name: Some("t".to_owned()),
            partitions: (0..PARTITIONS).map(partition).collect(),
            ..Default::default()
        };
        let brokers = self.addresses.iter().enumerate().map(broker).collect();
        MetadataResponse { brokers, controller_id: 0, topics: vec![topic], ..Default::default() }
    }

    fn produce(&self, broker: usize, request: &ProduceRequest) -> ProduceResponse {
        let index = request.topic_data[0].partition_data[0].index;
        let error_code = self.code(broker, index);
        self.served.lock().unwrap()[broker] += 1;
        let partition = PartitionProduceResponse { index, error_code, ..Default::default() };
        let topic = TopicProduceResponse { partition_responses: vec![partition], ..Default::default() };
        ProduceResponse { responses: vec![topic], ..Default::default() }
    }

    /// One record of each partition that is asked for and led here; without sessions.
    fn fetch(&self, broker: usize, request: &FetchRequest) -> FetchResponse {
        let mut partitions = Vec::new();
        for wanted in request.topics.iter().flat_map(|topic| &topic.partitions) {
            let mut data = PartitionData { partition_index: wanted.partition, ..Default::default() };
            data.error_code = self.code(broker, wanted.partition);
            if data.error_code.is_none() && wanted.fetch_offset < BACKLOG {
                let mut builder = BatchBuilder::new(wanted.fetch_offset);
                builder.append(7, None, Some(b"value"), &[]);
                data.records = Some(builder.build().freeze().into());
            }
            partitions.push(data);
        }
        self.served.lock().unwrap()[broker] += 1;
        let topic = FetchableTopicResponse { topic: "t".into(), partitions, ..Default::default() };
        FetchResponse { responses: vec![topic], ..Default::default() }
    }
}

fn versions() -> ApiVersionsResponse {
    fn row<R: Request>(version: i16) -> ApiVersion {
        ApiVersion { api_key: R::KEY, min_version: 1.min(version), max_version: version }
    }
    let api_keys = vec![
        row::<ApiVersionsRequest>(0),
        row::<MetadataRequest>(4),
        row::<ListOffsetsRequest>(2),
        row::<ProduceRequest>(8),
        row::<FetchRequest>(11),
    ];
    ApiVersionsResponse { api_keys, ..Default::default() }
}

fn list_offsets(request: &ListOffsetsRequest) -> ListOffsetsResponse {
    const EARLIEST: i64 = -2;
    let partition = |asked: &protocol::messages::list_offsets::ListOffsetsPartition| ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        offset: if asked.timestamp == EARLIEST { 0 } else { BACKLOG },
        ..Default::default()
    };
    let topics = request.topics.iter().map(|topic| ListOffsetsTopicResponse {
        name: topic.name.clone(),
        partitions: topic.partitions.iter().map(partition).collect(),
    });
    ListOffsetsResponse { topics: topics.collect(), ..Default::default() }
}

fn decode<R: Request>(header: &RequestHeader, body: Bytes) -> R {
    R::decode(&mut Decoder::new(body), header.api_version).unwrap()
}

fn encode<R: Request>(header: &RequestHeader, response: &R::Response) -> Vec<u8> {
    // A client asks for versions before it knows any, and is answered in the oldest.
    let version = if R::KEY == ApiVersionsRequest::KEY { 0 } else { header.api_version };
    encode_response(R::KEY, version, header.correlation_id, response).concat()
}

fn workload(produce: Option<Produce>, consume: Option<Consume>, length: Length) -> Workload {
    let topics = Topics { names: vec!["t".into()], create: None, keep: true };
    Workload { topics, produce, consume, warmup: Duration::ZERO, length }
}

#[tokio::test]
async fn what_the_old_leader_refuses_is_written_to_the_new_one() {
    let pair = Pair::start();
    let produce = Produce {
        connections: 1,
        values: Values::random(100, 1.0),
        keys: 0,
        batch_bytes: 1,
        linger: Duration::ZERO,
        acks: Acks::Leader,
        codec: Codec::None,
        idempotent: false,
        rate: Some(2000.0),
        in_flight: 5,
        pre_encoded: true,
    };
    let workload = workload(Some(produce), None, Length::Records(RECORDS));
    let mut report = |_: &Progress| ();
    let never = std::future::pending();
    let summary = run(&pair.addresses[0].to_string(), &workload, &mut report, never).await.unwrap();
    let side = summary.produced.unwrap();
    assert_eq!((side.records, side.error_count()), (RECORDS, 0), "{:?}", side.errors);
    let served = *pair.served.lock().unwrap();
    assert!(side.moved > 0 && served[1] > 100, "{} moved, {served:?} served", side.moved);
    // What was refused was due before it was refused, and waited for the new leader.
    assert!(side.latency.max > 50.0, "{:?}", side.latency);
}

#[tokio::test]
async fn what_the_old_leader_no_longer_has_is_read_from_the_new_one() {
    let pair = Pair::start();
    let consume = Consume {
        groups: 1,
        consumers: 1,
        start: Start::Earliest,
        joined: false,
        fetching: Fetching::default(),
        after_bytes: 0,
    };
    let workload = workload(None, Some(consume), Length::Everything);
    let mut report = |_: &Progress| ();
    let never = std::future::pending();
    let summary = run(&pair.addresses[0].to_string(), &workload, &mut report, never).await.unwrap();
    let side = summary.consumed.unwrap();
    assert_eq!((side.records, side.error_count()), (3 * BACKLOG as u64, 0), "{:?}", side.errors);
    assert!(pair.served.lock().unwrap()[1] > 100);
}
