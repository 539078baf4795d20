//! The shell around a machine that adds: what is told when, and what is found again.

use super::*;
use crate::partition::rig::{DEADLINE, Flushes, Rig};
use state::machine::Now;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::timeout;

/// So many are that many records.
const MANY: u64 = 1_000;

/// Adds up what it is given and answers with the sum; a zero changes nothing and is answered at once.
#[derive(Default)]
struct Sum(u64);

impl Machine for Sum {
    type Request = u64;
    type Response = u64;
    type Record = u64;
    type Effect = u64;

    fn handle(&mut self, _now: Now, to: ReplyTo, request: u64) -> Output<Self> {
        let when = if request == 0 { When::Now } else { When::Committed };
        let records = match request {
            0 => Vec::new(),
            MANY => vec![1; MANY as usize],
            request => vec![request],
        };
        Output { records, replies: vec![Reply { to, response: self.0 + request, when }], effects: vec![request] }
    }

    fn expire(&mut self, _now: Now) -> Output<Self> {
        Output::default()
    }

    fn next_deadline_ms(&self) -> Option<u64> {
        None
    }

    fn apply(&mut self, record: &u64) {
        self.0 += record;
    }
}

struct Numbers;

impl RecordCodec<u64> for Numbers {
    fn encode(&self, record: &u64) -> Option<(Bytes, Option<Bytes>)> {
        Some((Bytes::copy_from_slice(&record.to_be_bytes()), None))
    }

    fn decode(&self, key: &[u8], _value: Option<&[u8]>, _producer: Option<(i64, i16)>) -> Option<u64> {
        Some(u64::from_be_bytes(key.try_into().ok()?))
    }
}

fn start(rig: &Rig) -> Coordinator<Sum> {
    start_with(rig, |_| {})
}

fn start_with(rig: &Rig, perform: impl Fn(u64) + Send + Sync + 'static) -> Coordinator<Sum> {
    let perform = move |effect, _: &WeakCoordinator<Sum>, _| perform(effect);
    spawn(Arc::clone(&rig.partition), Clock::start(), Numbers, Sum::default, |_, _, _| {}, perform)
}

async fn ask(coordinator: &Coordinator<Sum>, number: u64) -> Result<u64, oneshot::error::RecvError> {
    timeout(DEADLINE, coordinator.submit(number).await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_is_told_when_the_disk_has_it_and_a_sign_of_life_at_once() {
    let rig = Rig::new(0);
    let coordinator = start(&rig);
    rig.disk.flushes(Flushes::Wait);
    let mut decided = coordinator.submit(3).await;
    assert_eq!(ask(&coordinator, 0).await, Ok(3));
    tokio::task::block_in_place(|| rig.disk.until_one_waits());
    assert_eq!(decided.try_recv(), Err(TryRecvError::Empty), "told before the disk had it");
    rig.disk.flushes(Flushes::Succeed);
    assert_eq!(timeout(DEADLINE, decided).await.unwrap(), Ok(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_begins_when_the_disk_has_what_led_to_it() {
    let rig = Rig::new(0);
    let (begun, mut effects) = mpsc::unbounded_channel();
    let coordinator = start_with(&rig, move |effect| begun.send(effect).unwrap());
    rig.disk.flushes(Flushes::Wait);
    let decided = coordinator.submit(3).await;
    // Handled after it, and its own effect, though nothing is logged for it, comes after it too.
    assert_eq!(ask(&coordinator, 0).await, Ok(3));
    tokio::task::block_in_place(|| rig.disk.until_one_waits());
    assert!(effects.try_recv().is_err(), "begun before the disk had it");
    rig.disk.flushes(Flushes::Succeed);
    assert_eq!(timeout(DEADLINE, decided).await.unwrap(), Ok(3));
    assert_eq!(timeout(DEADLINE, effects.recv()).await.unwrap(), Some(3));
    assert_eq!(timeout(DEADLINE, effects.recv()).await.unwrap(), Some(0));
}

#[tokio::test]
async fn what_was_logged_is_loaded_before_the_first_answer() {
    let rig = Rig::new(0);
    let first = start(&rig);
    for number in 1..=50 {
        ask(&first, number).await.unwrap();
    }
    // Its records are the log's, whoever asks first.
    assert_eq!(ask(&start(&rig), 0).await, Ok(50 * 51 / 2));
}

#[tokio::test]
async fn damage_is_not_believed() {
    let rig = Rig::new(0);
    ask(&start(&rig), 3).await.unwrap();
    let file = rig.log_file();
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    // The last byte of the key, behind which a record without a value has two more.
    damaged[whole.len() - 3] ^= 4;
    std::fs::write(&file, damaged).unwrap();
    let coordinator = start(&rig);
    assert!(ask(&coordinator, 0).await.is_err());
    // It goes on by itself when the file is repaired.
    std::fs::write(&file, whole).unwrap();
    let deadline = std::time::Instant::now() + DEADLINE;
    while ask(&coordinator, 0).await != Ok(3) {
        assert!(std::time::Instant::now() < deadline, "it does not load a log that is whole again");
    }
}

#[tokio::test]
async fn more_than_the_log_takes_at_once_is_logged_in_pieces() {
    let rig = Rig::new(0);
    let config = rig.partition.log().config();
    rig.partition.log().set_config(storage::LogConfig { segment_bytes: 1_000, ..(*config).clone() });
    let coordinator = start(&rig);
    assert_eq!(ask(&coordinator, 1).await, Ok(1));
    assert_eq!(ask(&coordinator, MANY).await, Ok(1 + MANY));
    assert_eq!(ask(&coordinator, 2).await, Ok(3 + MANY));
    assert_eq!(ask(&start(&rig), 0).await, Ok(3 + MANY), "the log has all of it");
    assert!(rig.partition.log().segment_count() > 10);
}

#[tokio::test]
async fn it_ends_with_its_log() {
    let rig = Rig::new(0);
    let coordinator = start(&rig);
    ask(&coordinator, 3).await.unwrap();
    rig.partition.log().close().unwrap();
    assert!(ask(&coordinator, 3).await.is_err());
    timeout(DEADLINE, coordinator.requests.closed()).await.expect("it tries to load a log that nobody opens again");
}

#[tokio::test]
async fn a_decision_that_the_disk_refused_is_not_told() {
    let rig = Rig::new(0);
    let coordinator = start(&rig);
    rig.disk.flushes(Flushes::Fail);
    assert!(ask(&coordinator, 3).await.is_err(), "told, and the disk does not have it");
}
