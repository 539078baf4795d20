//! Who may write into which transaction, against a broker that runs: what is let in is ended with it, and nothing else is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::ErrorCode;
use protocol::records::BatchBuilder;
use state::transaction::{
    AddPartitionsRequest, EndTxnRequest, InitProducerIdRequest, Partitions, ProducerResponse, TransactionRequest,
    TransactionResponse, TransactionVersion,
};
use storage::TransactionCheck;
use tempfile::TempDir;

use super::admission::{Admission, Understanding, Writer, add_or_verify, admit};
use crate::broker::{Broker, RunningBroker, start};
use crate::config::{ConfigInput, ConfigSource};
use crate::controller;
use crate::disk_work::Writers;
use crate::partition::{AppendJob, Partition, append_batches};

const ID: &str = "transactional";
const TOPIC: &str = "written";
/// Longer than anything takes here that is waited for.
const LONG: Duration = Duration::from_secs(20);
const FIRST_SEQUENCE: i32 = 0;

struct World {
    running: RunningBroker,
    _dir: TempDir,
}

impl World {
    async fn start(settings: &[&str]) -> World {
        let dir = tempfile::tempdir().unwrap();
        let mut set: Vec<String> = settings.iter().map(ToString::to_string).collect();
        set.push(format!("log.dirs={}", dir.path().display()));
        for setting in [
            "listeners=PLAINTEXT://127.0.0.1:0",
            "ottla.http.listener=none",
            "num.partitions=3",
            "transaction.state.log.num.partitions=1",
        ] {
            set.push(setting.to_owned());
        }
        let (source, _) = ConfigSource::load(&ConfigInput { set, ..Default::default() }).unwrap();
        let world = World { running: start(source).await.unwrap(), _dir: dir };
        assert!(controller::auto_create(world.broker(), &BTreeSet::from([TOPIC.to_owned()])).await.is_empty());
        controller::transactions_topic(world.broker()).await.unwrap();
        world
    }

    fn broker(&self) -> &Arc<Broker> {
        self.running.inside()
    }

    fn partition(&self, index: i32) -> Arc<Partition> {
        self.broker().partitions().leader_by_name(TOPIC, index).unwrap()
    }

    async fn ask(&self, request: impl Fn(Option<i64>) -> TransactionRequest) -> ProducerResponse {
        match self.broker().transactions().ask_with_id(self.broker(), ID, request).await.unwrap() {
            TransactionResponse::InitProducerId(given) | TransactionResponse::EndTxn(given) => given,
            other => panic!("{other:?}"),
        }
    }

    async fn init(&self) -> ProducerResponse {
        let init = |fresh_producer_id| {
            TransactionRequest::InitProducerId(InitProducerIdRequest {
                transactional_id: ID.into(),
                timeout_ms: 60_000,
                producer_id: -1,
                producer_epoch: -1,
                fresh_producer_id,
                knows_producer_fenced: true,
            })
        };
        let deadline = Instant::now() + LONG;
        loop {
            let given = self.ask(init).await;
            // The transaction of the producer before is aborted first.
            if given.error != ErrorCode::CONCURRENT_TRANSACTIONS {
                assert_eq!(given.error, ErrorCode::NONE);
                return given;
            }
            assert!(Instant::now() < deadline, "the transaction before does not end");
            tokio::task::yield_now().await;
        }
    }

    async fn end(&self, producer: ProducerResponse, version: TransactionVersion) -> ProducerResponse {
        let end = |fresh_producer_id| {
            TransactionRequest::EndTxn(EndTxnRequest {
                transactional_id: ID.into(),
                producer_id: producer.producer_id,
                producer_epoch: producer.producer_epoch,
                committed: true,
                client_transaction_version: version,
                fresh_producer_id,
                knows_producer_fenced: true,
            })
        };
        let ended = self.ask(end).await;
        assert_eq!(ended.error, ErrorCode::NONE);
        ended
    }

    /// As AddPartitionsToTxn of an older client does.
    async fn add(&self, producer: ProducerResponse, indexes: &[i32]) {
        let request = AddPartitionsRequest {
            transactional_id: ID.into(),
            producer_id: producer.producer_id,
            producer_epoch: producer.producer_epoch,
            partitions: Partitions::from([(TOPIC.to_owned(), indexes.iter().copied().collect())]),
            client_transaction_version: TransactionVersion::V0,
            knows_producer_fenced: true,
        };
        let codes = add_or_verify(self.broker(), request, false).await;
        assert!(codes.values().all(|code| *code == ErrorCode::NONE), "{codes:?}");
    }

    async fn admit(&self, producer: ProducerResponse, who: Understanding, indexes: &[i32]) -> Vec<Admission> {
        let writer = Writer {
            transactional_id: ID.into(),
            producer_id: producer.producer_id,
            producer_epoch: producer.producer_epoch,
            understanding: who,
            writers: Writers::Producers,
        };
        let places: Vec<_> = indexes.iter().map(|index| (self.partition(*index), FIRST_SEQUENCE)).collect();
        admit(self.broker(), &writer, &places).await
    }

    /// The partitions that the coordinator will tell how the transaction ended.
    async fn known(&self) -> Vec<i32> {
        let request = TransactionRequest::Describe(vec![ID.into()]);
        match self.broker().transactions().ask(self.broker(), ID, request).await.unwrap() {
            TransactionResponse::Describe(mut found) => {
                let partitions = found.remove(0).transaction.unwrap().partitions;
                partitions.get(TOPIC).into_iter().flatten().copied().collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Writes one record, and answers whether it was taken.
    async fn write(&self, producer: ProducerResponse, index: i32, check: TransactionCheck) -> bool {
        let mut builder = BatchBuilder::new(0)
            .producer(producer.producer_id, producer.producer_epoch, FIRST_SEQUENCE)
            .transactional();
        builder.append(crate::clock::wall_ms(), None, Some(b"value"), &[]);
        let job = AppendJob { check, ..AppendJob::new(self.partition(index), builder.build().into(), (0, 0)) };
        append_batches(vec![job], true).await.remove(0).result.is_ok()
    }
}

/// Which kind of yes, or why not.
fn said(admissions: &[Admission]) -> Vec<Result<&'static str, ErrorCode>> {
    let kind = |check: TransactionCheck| match check {
        TransactionCheck::Ongoing => "open already",
        TransactionCheck::Verified(_) => "asked",
        TransactionCheck::Off => "nobody asks",
    };
    admissions.iter().map(|admission| admission.map(kind)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_client_writes_only_where_it_has_added_the_partition() {
    let world = World::start(&[]).await;
    let producer = world.init().await;
    for (who, refusal) in [
        (Understanding::Oldest, ErrorCode::INVALID_TXN_STATE),
        (Understanding::Abortable, ErrorCode::TRANSACTION_ABORTABLE),
    ] {
        assert_eq!(said(&world.admit(producer, who, &[0, 1, 2]).await), [Err(refusal); 3], "{who:?}");
    }
    assert_eq!(world.known().await, Vec::<i32>::new(), "asking adds nothing");
    world.add(producer, &[0, 2]).await;
    let admitted = world.admit(producer, Understanding::Abortable, &[2, 1, 0]).await;
    assert_eq!(
        said(&admitted),
        [Ok("asked"), Err(ErrorCode::TRANSACTION_ABORTABLE), Ok("asked")],
        "each its own answer"
    );

    assert!(world.write(producer, 2, admitted[0].unwrap()).await);
    let again = world.admit(producer, Understanding::Abortable, &[2, 0]).await;
    assert_eq!(said(&again), [Ok("open already"), Ok("asked")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_client_adds_partitions_by_writing_to_them() {
    let world = World::start(&[]).await;
    let producer = world.init().await;
    let admitted = world.admit(producer, Understanding::AddsByWriting, &[1, 0]).await;
    assert_eq!(said(&admitted), [Ok("asked"); 2]);
    assert_eq!(world.known().await, [0, 1], "else they would never be told how it ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_verification_older_clients_are_not_asked_about_and_newer_ones_add_all_the_same() {
    let world = World::start(&["transaction.partition.verification.enable=false"]).await;
    let producer = world.init().await;
    assert_eq!(said(&world.admit(producer, Understanding::Oldest, &[0]).await), [Ok("nobody asks")]);
    assert_eq!(world.known().await, Vec::<i32>::new());
    assert_eq!(said(&world.admit(producer, Understanding::AddsByWriting, &[1]).await), [Ok("asked")]);
    assert_eq!(world.known().await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_was_replaced_or_never_known_writes_nothing() {
    let world = World::start(&[]).await;
    let old = world.init().await;
    world.add(old, &[0]).await;
    let new = world.init().await;
    for who in [Understanding::Oldest, Understanding::Abortable, Understanding::AddsByWriting] {
        let fenced = world.admit(old, who, &[0, 1]).await;
        assert_eq!(
            said(&fenced),
            [Err(ErrorCode::INVALID_PRODUCER_EPOCH); 2],
            "{who:?}: as a partition's leader says it"
        );
        let stranger = ProducerResponse { producer_id: new.producer_id + 1_000_000, ..new };
        let unknown = world.admit(stranger, who, &[0]).await;
        assert_eq!(said(&unknown), [Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING)], "{who:?}");
    }
    assert_eq!(world.known().await, Vec::<i32>::new());
}

/// The retries are so far apart that only the end of the transaction before can be what wakes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_just_ending_is_waited_for_and_no_longer() {
    let patience = ["add.partitions.to.txn.retry.backoff.ms=60000", "add.partitions.to.txn.retry.backoff.max.ms=60000"];
    let world = World::start(&patience).await;
    let mut producer = world.init().await;
    for round in 0..20 {
        let begun = Instant::now();
        let admitted = world.admit(producer, Understanding::AddsByWriting, &[0, 1, 2]).await;
        assert_eq!(said(&admitted), [Ok("asked"); 3], "round {round}");
        for (index, admission) in (0..).zip(admitted) {
            assert!(world.write(producer, index, admission.unwrap()).await, "round {round}");
        }
        producer = world.end(producer, TransactionVersion::V2).await;
        assert!(begun.elapsed() < LONG, "round {round}: {:?}", begun.elapsed());
    }
}

/// The marker of the end stands between the yes and the records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_is_good_for_the_transaction_that_it_was_given_for() {
    let world = World::start(&[]).await;
    let producer = world.init().await;
    world.add(producer, &[0]).await;
    let late = world.admit(producer, Understanding::Abortable, &[0]).await[0].unwrap();
    world.end(producer, TransactionVersion::V0).await;
    // Who may write again: the end has been told to all.
    let deadline = Instant::now() + LONG;
    while !world.known().await.is_empty() {
        assert!(Instant::now() < deadline, "the transaction does not end");
        tokio::task::yield_now().await;
    }
    assert!(!world.write(producer, 0, late).await);
    let refused = world.admit(producer, Understanding::Abortable, &[0]).await;
    assert_eq!(said(&refused), [Err(ErrorCode::TRANSACTION_ABORTABLE)]);
}
