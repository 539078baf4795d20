//! What a request costs the allocator, in steady state: a broker in this process, and a client that allocates nothing
//! while it measures. Every allocation of the process counts, so what runs in the background can only add.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker::config::{ConfigInput, ConfigSource};
use bytes::Bytes;
use protocol::Uuid;
use protocol::api::Request;
use protocol::frame::{encode_request, skip_response_header};
use protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::records::BatchBuilder;
use protocol::wire::{Decoder, Records};

/// Heap allocations that one request may cost.
const ALLOCATIONS_MAX: f64 = 8.0;
/// What grows by doubling, and what the flusher and the network's cuts do meanwhile, add to a number.
const NOISE: f64 = 0.5;
/// A frame that does not fit a thread's block may come in pieces, and each is waited for: more of them on a busy machine.
const CUTS: f64 = 1.5;
/// How far the numbers of a batch with one record and of one with 1,000 may differ. What is allocated for each record
/// would make it 999 at least.
const SAME: f64 = 2.0;
const WARM_UP: usize = 100;
const REQUESTS: usize = 500;
const ROUNDS: usize = 3;
/// Records of a batch, and bytes of each: the last two are as many bytes on the wire.
const BATCHES: [(usize, usize); 3] = [(1, 20), (1, 28_000), (1_000, 20)];
const TOPIC: &str = "measured";
const CREATE_TOPICS_VERSION: i16 = 7;

#[global_allocator]
static ALLOCATOR: Counting = Counting(AtomicU64::new(0));

/// The system's allocator, with a count of what was asked of it. A buffer that grows asks again.
struct Counting(AtomicU64);

// Every call goes to the system's allocator as it came.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.0.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
}

/// One test, so that nothing else in the process allocates beside it.
#[test]
fn a_request_costs_few_allocations_however_many_records_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let set = vec![
        "listeners=PLAINTEXT://127.0.0.1:0".to_owned(),
        "ottla.http.listener=none".to_owned(),
        format!("log.dirs={}", directory.path().display()),
    ];
    let (source, _) = ConfigSource::load(&ConfigInput { set, ..Default::default() }).unwrap();
    let running = runtime.block_on(broker::start(source)).unwrap();
    let mut client = Client::connect(running.addresses()[0]);
    let id = client.create_topic();

    let mut over = Vec::new();
    let mut check = |what: &str, counts: [f64; 3]| {
        let [one, large, many] = counts;
        let line = format!("{what}: {one:.2} with a small record, {large:.2} with a large one, {many:.2} with 1,000");
        println!("{line}");
        let is_over = one > ALLOCATIONS_MAX + NOISE || large.max(many) > ALLOCATIONS_MAX + NOISE + CUTS;
        if is_over || (large - many).abs() > SAME {
            over.push(line);
        }
    };
    for (version, names) in [(12, "by name"), (13, "by id")] {
        let counts = BATCHES.map(|batch| client.cost(&produce(version, id, batch)));
        check(&format!("Produce {names}"), counts);
    }
    for (version, names) in [(12, "by name"), (17, "by id")] {
        let counts = BATCHES.map(|batch| client.fetch_cost(version, id, batch));
        check(&format!("Fetch {names}"), counts);
    }
    runtime.block_on(running.stop()).unwrap();
    let over = over.join("\n");
    assert!(over.is_empty(), "at most {ALLOCATIONS_MAX} each, however many records are in as many bytes:\n{over}");
}

/// Appends one batch, acks=1, as often as there are requests.
fn produce(version: i16, topic_id: Uuid, (records, value_bytes): (usize, usize)) -> Vec<Bytes> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let mut builder = BatchBuilder::new(0);
    for _ in 0..records {
        builder.append(now, None, Some(&vec![b'x'; value_bytes]), &[]);
    }
    let partition = PartitionProduceData { index: 0, records: Some(Records::from(builder.build().freeze())) };
    let topic = TopicProduceData { name: TOPIC.to_owned(), topic_id, partition_data: vec![partition] };
    let request = ProduceRequest { acks: 1, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() };
    vec![encode(&request, version); WARM_UP + ROUNDS * REQUESTS]
}

/// Reads from `offset` on, at most `max_bytes`, in a session: the request of each of its epochs.
fn fetch(version: i16, topic_id: Uuid, session_id: i32, offset: i64, epochs: std::ops::Range<i32>) -> Vec<Bytes> {
    let one = |session_epoch| {
        let partition = FetchPartition { fetch_offset: offset, partition_max_bytes: 1 << 20, ..Default::default() };
        let topic = FetchTopic { topic: TOPIC.into(), topic_id, partitions: vec![partition] };
        let request = FetchRequest {
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: 50 << 20,
            session_id,
            session_epoch,
            topics: vec![topic],
            ..Default::default()
        };
        encode(&request, version)
    };
    epochs.map(one).collect()
}

fn encode<R: Request>(request: &R, version: i16) -> Bytes {
    encode_request(request, version, 7, Some("allocations")).concat().into()
}

struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Client { stream, answer: vec![0; 1 << 20] }
    }

    /// Sends one request and waits for its answer, of which it gives the number of bytes.
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
        self.read::<R>(size, version)
    }

    fn read<R: Request>(&self, size: usize, version: i16) -> R::Response {
        let mut decoder = Decoder::new(Bytes::copy_from_slice(&self.answer[..size]));
        skip_response_header(R::KEY, version, &mut decoder).unwrap();
        protocol::api::Message::decode(&mut decoder, version).unwrap()
    }

    fn create_topic(&mut self) -> Uuid {
        let topic =
            CreatableTopic { name: TOPIC.to_owned(), num_partitions: 1, replication_factor: 1, ..Default::default() };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
        let answer = self.call(&request, CREATE_TOPICS_VERSION);
        assert!(!answer.topics[0].error_code.is_error(), "{answer:?}");
        answer.topics[0].topic_id
    }

    /// Allocations for each of the requests: of the least disturbed of a few rounds.
    fn cost(&mut self, requests: &[Bytes]) -> f64 {
        let (warm_up, measured) = requests.split_at(WARM_UP);
        let size = self.ask(&warm_up[0]);
        warm_up[1..].iter().for_each(|request| assert_eq!(self.ask(request), size, "all go the same way"));
        let mut counts = [0.0; ROUNDS];
        for (count, round) in counts.iter_mut().zip(measured.chunks_exact(REQUESTS)) {
            let before = ALLOCATOR.0.load(Ordering::Relaxed);
            for request in round {
                assert_eq!(self.ask(request), size, "all go the same way");
            }
            *count = (ALLOCATOR.0.load(Ordering::Relaxed) - before) as f64 / REQUESTS as f64;
        }
        counts.into_iter().fold(f64::INFINITY, f64::min)
    }

    /// The same of fetches that find one batch at the end of the log.
    fn fetch_cost(&mut self, version: i16, id: Uuid, batch: (usize, usize)) -> f64 {
        let size = self.ask(&produce(13, id, batch)[0]);
        let appended = self.read::<ProduceRequest>(size, 13);
        let offset = appended.responses[0].partition_responses[0].base_offset;
        let size = self.ask(&fetch(version, id, 0, offset, 0..1)[0]);
        assert!(size > batch.0 * batch.1, "the answer carries the batch");
        let opened = self.read::<FetchRequest>(size, version);
        assert!(opened.session_id > 0);
        let epochs = 1..(1 + WARM_UP + ROUNDS * REQUESTS) as i32;
        self.cost(&fetch(version, id, opened.session_id, offset, epochs))
    }
}
