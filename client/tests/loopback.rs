//! The client against a broker that says what each test tells it to.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use client::{
    Acks, ClientError, Cluster, Connection, OutgoingRecord, Producer, StartOffset, TopicPartition, list_offsets,
};
use protocol::ErrorCode;
use protocol::api::{Message, Request};
use protocol::frame::{RequestHeader, encode_response};
use protocol::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use protocol::messages::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
use protocol::messages::metadata::{
    MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use protocol::messages::produce::{PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse};
use protocol::records::{Batch, Codec};
use protocol::wire::Decoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the broker does with a request.
enum Reply {
    Answer(Vec<Bytes>),
    /// Keeps the request, as one that is parked.
    Silence,
    Hangup,
}

/// A request as it came in.
struct Call {
    header: RequestHeader,
    body: Bytes,
    port: u16,
}

impl Call {
    fn decode<R: Request>(&self) -> R {
        assert_eq!(self.header.api_key, R::KEY);
        R::decode(&mut Decoder::new(self.body.clone()), self.header.api_version).unwrap()
    }

    fn answer<M: Message>(&self, message: &M) -> Reply {
        let RequestHeader { api_key, api_version, correlation_id, .. } = self.header;
        Reply::Answer(encode_response(api_key, api_version, correlation_id, message))
    }

    /// Answers ApiVersions and Metadata as a broker that has topic `t` with one partition, and leaves the rest to
    /// `others`.
    fn answer_or(&self, others: impl FnOnce(&Call) -> Reply) -> Reply {
        match self.header.api_key {
            ApiVersionsRequest::KEY => self.answer(&versions()),
            MetadataRequest::KEY => self.answer(&metadata(self.port)),
            _ => others(self),
        }
    }
}

/// Serves every connection with `script` until the test's runtime ends. Answers the address.
async fn broker(script: impl FnMut(&Call) -> Reply + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let script = Arc::new(Mutex::new(script));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let script = Arc::clone(&script);
            tokio::spawn(serve(stream, address.port(), move |call| (script.lock().unwrap())(call)));
        }
    });
    address.to_string()
}

async fn serve(mut stream: TcpStream, port: u16, script: impl Fn(&Call) -> Reply) {
    while let Ok(size) = stream.read_i32().await {
        let mut frame = vec![0; size as usize];
        stream.read_exact(&mut frame).await.unwrap();
        let (header, body) = RequestHeader::decode(frame.into()).unwrap();
        match script(&Call { header, body, port }) {
            Reply::Answer(chunks) => stream.write_all(&chunks.concat()).await.unwrap(),
            Reply::Silence => {}
            Reply::Hangup => return,
        }
    }
}

fn versions() -> ApiVersionsResponse {
    let of = |api_key, max_version| ApiVersion { api_key, min_version: 0, max_version };
    let api_keys = vec![
        of(ProduceRequest::KEY, 12),
        of(ListOffsetsRequest::KEY, 7),
        of(MetadataRequest::KEY, 9),
        of(ApiVersionsRequest::KEY, 3),
        of(InitProducerIdRequest::KEY, 4),
    ];
    ApiVersionsResponse { api_keys, ..Default::default() }
}

fn metadata(port: u16) -> MetadataResponse {
    let broker = MetadataResponseBroker { node_id: 1, host: "127.0.0.1".into(), port: port.into(), rack: None };
    let partition = MetadataResponsePartition { leader_id: 1, ..Default::default() };
    let topic = MetadataResponseTopic { name: Some("t".into()), partitions: vec![partition], ..Default::default() };
    MetadataResponse { brokers: vec![broker], controller_id: 1, topics: vec![topic], ..Default::default() }
}

fn produced(code: ErrorCode, base_offset: i64) -> ProduceResponse {
    let partition = PartitionProduceResponse { error_code: code, base_offset, ..Default::default() };
    let topic = TopicProduceResponse { name: "t".into(), partition_responses: vec![partition], ..Default::default() };
    ProduceResponse { responses: vec![topic], ..Default::default() }
}

fn record(value: &str) -> OutgoingRecord {
    OutgoingRecord { value: Some(value.to_string().into()), ..Default::default() }
}

/// How many records the batch of a produce request has, and the sequence number of the first.
fn batch_of(call: &Call) -> (i32, i32) {
    let request: ProduceRequest = call.decode();
    let bytes = request.topic_data[0].partition_data[0].records.clone().unwrap().into_bytes();
    let batch = Batch::parse(&bytes).unwrap();
    (batch.record_count(), batch.base_sequence())
}

#[tokio::test]
async fn an_old_broker_is_asked_for_its_versions_in_version_0() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let address = broker(move |call| {
        seen.lock().unwrap().push(call.header.api_version);
        let code = if call.header.api_version > 0 { ErrorCode::UNSUPPORTED_VERSION } else { ErrorCode::NONE };
        let answer = ApiVersionsResponse { error_code: code, ..versions() };
        // In version 0, whatever was asked.
        let id = call.header.correlation_id;
        Reply::Answer(encode_response(ApiVersionsRequest::KEY, 0, id, &answer))
    })
    .await;
    let connection = Connection::connect(&address, "test").await.unwrap();
    assert_eq!(*asked.lock().unwrap(), [3, 0]);
    assert_eq!(connection.version_of::<MetadataRequest>(), Some(9));
    assert_eq!(connection.version_of::<protocol::messages::FetchRequest>(), None);
    let refused = connection.send(&protocol::messages::FetchRequest::default()).await;
    assert!(matches!(refused, Err(ClientError::Unsupported { api: "Fetch", .. })), "{refused:?}");
}

#[tokio::test]
async fn answers_find_whoever_asked() {
    let mut waiting = VecDeque::new();
    let address = broker(move |call| {
        call.answer_or(|call| {
            // Keeps the first and answers both at once when the second comes, the other way around.
            let asked: ListOffsetsRequest = call.decode();
            let answer = ListOffsetsResponse { throttle_time_ms: asked.replica_id, ..Default::default() };
            let Reply::Answer(chunks) = call.answer(&answer) else { unreachable!() };
            waiting.push_front(chunks);
            if waiting.len() < 2 { Reply::Silence } else { Reply::Answer(waiting.drain(..).flatten().collect()) }
        })
    })
    .await;
    let connection = Connection::connect(&address, "test").await.unwrap();
    let ask = |replica_id| ListOffsetsRequest { replica_id, ..Default::default() };
    let (seven, eight) = (ask(7), ask(8));
    let (first, second) = tokio::join!(connection.send(&seven), connection.send(&eight));
    assert_eq!((first.unwrap().throttle_time_ms, second.unwrap().throttle_time_ms), (7, 8));
}

#[tokio::test]
async fn a_lost_connection_ends_every_wait_and_never_mends() {
    let mut count = 0;
    let address = broker(move |call| {
        call.answer_or(|_| {
            count += 1;
            if count == 2 { Reply::Hangup } else { Reply::Silence }
        })
    })
    .await;
    let connection = Connection::connect(&address, "test").await.unwrap();
    let request = ListOffsetsRequest::default();
    let (first, second) = tokio::join!(connection.send(&request), connection.send(&request));
    for result in [first, second] {
        assert!(matches!(result, Err(ClientError::NoAnswer { .. })), "{result:?}");
    }
    assert!(!connection.is_open());
    assert!(connection.send(&request).await.is_err());
}

#[tokio::test]
async fn a_batch_is_sent_again_with_the_same_sequence_after_a_lost_connection() {
    let batches = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&batches);
    let address = broker(move |call| {
        call.answer_or(|call| match call.header.api_key {
            InitProducerIdRequest::KEY => {
                call.answer(&InitProducerIdResponse { producer_id: 5, producer_epoch: 0, ..Default::default() })
            }
            _ => {
                let mut seen = seen.lock().unwrap();
                seen.push(batch_of(call));
                match seen.len() {
                    1 => Reply::Hangup,
                    2 => call.answer(&produced(ErrorCode::NOT_LEADER_OR_FOLLOWER, -1)),
                    count => call.answer(&produced(ErrorCode::NONE, count as i64)),
                }
            }
        })
    })
    .await;
    let cluster = Cluster::connect(&address, "test").await.unwrap();
    let mut producer = Producer::idempotent(&cluster, Codec::None).await.unwrap();
    let written = producer.send("t", 0, &[record("a"), record("b")]).await.unwrap();
    assert_eq!(written.base_offset, 3);
    producer.send("t", 0, &[record("c")]).await.unwrap();
    assert_eq!(*batches.lock().unwrap(), [(2, 0), (2, 0), (2, 0), (1, 2)]);
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved_and_one_record_is_not() {
    let batches = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&batches);
    let address = broker(move |call| {
        call.answer_or(|call| {
            let (count, _) = batch_of(call);
            seen.lock().unwrap().push(count);
            let code = if count > 1 { ErrorCode::MESSAGE_TOO_LARGE } else { ErrorCode::NONE };
            call.answer(&produced(code, 0))
        })
    })
    .await;
    let cluster = Cluster::connect(&address, "test").await.unwrap();
    let mut producer = Producer::new(&cluster, Acks::Leader, Codec::None);
    producer.send("t", 0, &[record("a"), record("b"), record("c")]).await.unwrap();
    assert_eq!(*batches.lock().unwrap(), [3, 1, 2, 1, 1]);
}

#[tokio::test]
async fn silence_about_a_partition_is_an_error_and_no_endless_loop() {
    let address = broker(|call| {
        call.answer_or(|call| match call.header.api_key {
            ProduceRequest::KEY => call.answer(&ProduceResponse::default()),
            _ => call.answer(&ListOffsetsResponse::default()),
        })
    })
    .await;
    let cluster = Cluster::connect(&address, "test").await.unwrap();
    let failed = list_offsets(&cluster, &[TopicPartition::new("t", 0)], StartOffset::Latest).await;
    assert!(matches!(failed, Err(ClientError::Corrupt { .. })), "{failed:?}");
    let mut producer = Producer::new(&cluster, Acks::All, Codec::None);
    let failed = producer.send("t", 0, &[record("a")]).await;
    assert!(matches!(failed, Err(ClientError::Corrupt { .. })), "{failed:?}");
}

#[tokio::test]
async fn the_bootstrap_list_is_tried_to_its_end() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = broker(|call| call.answer_or(|_| Reply::Hangup)).await;
    let cluster = Cluster::connect(&format!("{gone}, {address}"), "test").await.unwrap();
    assert_eq!(cluster.topic("t").await.unwrap().partition_count(), 1);
    assert!(matches!(Cluster::connect(&gone.to_string(), "test").await, Err(ClientError::NoBroker { .. })));
    assert!(matches!(Cluster::connect(" , ", "test").await, Err(ClientError::NoBroker { .. })));
}
