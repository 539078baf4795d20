//! What a coordinator's machine decides in somebody's transaction: with it, and only then, it counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use protocol::ErrorCode;
use state::machine::{Machine, Now, Output, Reply, ReplyTo, When};
use storage::{Applicant, TransactionCheck, TxnMarker, Verification};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::timeout;

use super::runtime::{Coordinator, InTransaction, RecordCodec, spawn};
use crate::clock::Clock;
use crate::partition::rig::{DEADLINE, Flushes, Rig};

const PRODUCER: i64 = 7;
const EPOCH: i16 = 3;

/// A sum, and what transactions would add to it.
#[derive(Default)]
struct Account {
    sum: u64,
    pending: BTreeMap<i64, u64>,
}

#[derive(Clone, Copy)]
enum Entry {
    Add(u64),
    Pend(i64, u64),
    End(i64, bool),
}

/// Zero asks only.
#[derive(Clone, Copy)]
struct Ask {
    number: u64,
    producer: Option<i64>,
}

/// The sum, and what is pending; or why not.
type Told = Result<(u64, u64), ErrorCode>;

impl Machine for Account {
    type Request = Ask;
    type Response = Told;
    type Record = Entry;
    type Effect = std::convert::Infallible;

    fn handle(&mut self, _now: Now, to: ReplyTo, ask: Ask) -> Output<Self> {
        let records = match ask {
            Ask { number: 0, .. } => Vec::new(),
            Ask { number, producer: Some(producer) } => vec![Entry::Pend(producer, number)],
            Ask { number, producer: None } => vec![Entry::Add(number)],
        };
        let response = Ok((self.sum, self.pending.values().sum()));
        Output { records, replies: vec![Reply { to, response, when: When::Committed }], effects: Vec::new() }
    }

    fn expire(&mut self, _now: Now) -> Output<Self> {
        Output::default()
    }

    fn next_deadline_ms(&self) -> Option<u64> {
        None
    }

    fn apply(&mut self, entry: &Entry) {
        match *entry {
            Entry::Add(number) => self.sum += number,
            Entry::Pend(producer, number) => *self.pending.entry(producer).or_default() += number,
            Entry::End(producer, committed) => {
                let pending = self.pending.remove(&producer).unwrap_or_default();
                self.sum += if committed { pending } else { 0 };
            }
        }
    }
}

struct Entries;

impl RecordCodec<Entry> for Entries {
    fn encode(&self, entry: &Entry) -> Option<(Bytes, Option<Bytes>)> {
        match entry {
            Entry::Add(number) | Entry::Pend(_, number) => Some((Bytes::copy_from_slice(&number.to_be_bytes()), None)),
            Entry::End(..) => None,
        }
    }

    fn decode(&self, key: &[u8], _value: Option<&[u8]>, producer: Option<(i64, i16)>) -> Option<Entry> {
        let number = u64::from_be_bytes(key.try_into().ok()?);
        Some(producer.map_or(Entry::Add(number), |(producer, _)| Entry::Pend(producer, number)))
    }

    fn transaction_end(&self, producer: i64, committed: bool) -> Option<Entry> {
        Some(Entry::End(producer, committed))
    }
}

fn start(rig: &Rig) -> Coordinator<Account> {
    let nothing = |effect: std::convert::Infallible, _: &_, _| match effect {};
    spawn(Arc::clone(&rig.partition), Clock::start(), Entries, Account::default, |_, _, _| {}, nothing)
}

async fn told<T>(receiver: oneshot::Receiver<T>) -> T {
    timeout(DEADLINE, receiver).await.unwrap().unwrap()
}

/// Sum and pending, of those that run and of one that finds only the log.
async fn everywhere(rig: &Rig, running: &Coordinator<Account>) -> [Told; 2] {
    let ask = Ask { number: 0, producer: None };
    [told(running.submit(ask).await).await, told(start(rig).submit(ask).await).await]
}

fn applicant() -> Applicant {
    Applicant { producer_id: PRODUCER, epoch: EPOCH, sequence: -1, supports_epoch_bump: false }
}

async fn verified(rig: &Rig) -> TransactionCheck {
    match rig.partition.begin_verification(applicant()).await.unwrap() {
        Verification::Needed(guard) => TransactionCheck::Verified(guard),
        Verification::Ongoing => TransactionCheck::Ongoing,
    }
}

fn pend(number: u64, check: TransactionCheck) -> InTransaction<Account> {
    let request = Ask { number, producer: Some(PRODUCER) };
    InTransaction { request, applicant: applicant(), check, refused: Box::new(Err) }
}

fn marker(committed: bool) -> TxnMarker {
    TxnMarker { producer_id: PRODUCER, producer_epoch: EPOCH, coordinator_epoch: 0, committed, transaction_version: 0 }
}

#[tokio::test]
async fn what_a_transaction_holds_counts_with_its_commit_and_the_log_says_so_too() {
    let rig = Rig::new(0);
    let running = start(&rig);
    told(running.submit(Ask { number: 5, producer: None }).await).await.unwrap();
    for (committed, sum) in [(true, 12), (false, 12), (true, 19)] {
        let before = everywhere(&rig, &running).await[0].unwrap().0;
        for number in [3, 4] {
            let check = verified(&rig).await;
            told(running.submit_in_transaction(pend(number, check)).await).await.unwrap();
        }
        assert_eq!(everywhere(&rig, &running).await, [Ok((before, 7)); 2], "before it is decided");
        told(running.submit_marker(marker(committed)).await).await.unwrap();
        assert_eq!(everywhere(&rig, &running).await, [Ok((sum, 0)); 2]);
    }
}

#[tokio::test]
async fn a_marker_ends_what_was_admitted_before_it() {
    let rig = Rig::new(0);
    let running = start(&rig);
    // The producer's coordinator said yes, and then ended the transaction.
    let late = verified(&rig).await;
    told(running.submit_marker(marker(false)).await).await.unwrap();
    let refused = told(running.submit_in_transaction(pend(3, late)).await).await;
    assert_eq!(refused, Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(everywhere(&rig, &running).await, [Ok((0, 0)); 2]);
    // Nobody asked at all.
    let unasked = told(running.submit_in_transaction(pend(3, TransactionCheck::Ongoing)).await).await;
    assert_eq!(unasked, Err(ErrorCode::INVALID_TXN_STATE));
    let check = verified(&rig).await;
    assert_eq!(told(running.submit_in_transaction(pend(3, check)).await).await, Ok((0, 0)));
}

/// Where each transaction has an epoch of its own, the marker was that of the one before: it is worth another try.
#[tokio::test]
async fn who_begins_while_the_last_transaction_ends_is_asked_to_wait() {
    let rig = Rig::new(0);
    let running = start(&rig);
    let bumping = Applicant { epoch: EPOCH + 1, supports_epoch_bump: true, ..applicant() };
    let asked = async |number| {
        let Ok(Verification::Needed(guard)) = rig.partition.begin_verification(bumping).await else { panic!("open") };
        InTransaction { applicant: bumping, ..pend(number, TransactionCheck::Verified(guard)) }
    };
    let early = asked(3).await;
    let end = TxnMarker { producer_epoch: EPOCH + 1, transaction_version: 2, ..marker(true) };
    told(running.submit_marker(end).await).await.unwrap();
    let refused = told(running.submit_in_transaction(early).await).await;
    assert_eq!(refused, Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    let again = asked(3).await;
    assert_eq!(told(running.submit_in_transaction(again).await).await, Ok((0, 0)));
    assert_eq!(everywhere(&rig, &running).await, [Ok((0, 3)); 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_is_told_when_the_disk_has_it() {
    let rig = Rig::new(0);
    let running = start(&rig);
    let check = verified(&rig).await;
    told(running.submit_in_transaction(pend(3, check)).await).await.unwrap();
    rig.disk.flushes(Flushes::Wait);
    let mut marked = running.submit_marker(marker(true)).await;
    // It is answered after the marker was handled, and needs no disk.
    let refused = told(running.submit_in_transaction(pend(3, TransactionCheck::Ongoing)).await).await;
    assert_eq!(refused, Err(ErrorCode::INVALID_TXN_STATE));
    tokio::task::block_in_place(|| rig.disk.until_one_waits());
    assert_eq!(marked.try_recv(), Err(TryRecvError::Empty), "told before the disk had it");
    rig.disk.flushes(Flushes::Succeed);
    assert_eq!(told(marked).await, Ok(()));
}

#[tokio::test]
async fn a_marker_of_an_epoch_that_is_over_is_refused_and_nothing_is_reloaded() {
    let rig = Rig::new(0);
    let running = start(&rig);
    let check = verified(&rig).await;
    told(running.submit_in_transaction(pend(3, check)).await).await.unwrap();
    let old = TxnMarker { producer_epoch: EPOCH - 1, ..marker(true) };
    assert_eq!(told(running.submit_marker(old).await).await, Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(everywhere(&rig, &running).await, [Ok((0, 3)); 2]);
}
