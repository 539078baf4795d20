//! Transactional list-append: each transaction appends values that nobody else has to several lists.

use std::collections::BTreeMap;

use protocol::ErrorCode;

use super::history::Place;
use super::producer::{LONG_MS, Manner, Producer, Stopped, Understanding};
use super::stage::{Stage, pause};

pub(crate) const LISTS: &str = "lists";
pub(crate) const PARTITIONS: i32 = 3;
/// Records of a transaction in one partition and one request.
const RECORDS_MAX: u32 = 4;
const REQUESTS_MAX: u32 = 4;
/// Of transactions that nobody ends.
const ABANDONED_MS: i32 = 150;

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Commit,
    Abort,
    /// The instance stops in the middle, and another takes over.
    Leave,
    /// The same, and the old one does not know, and goes on writing.
    WriteLate,
    /// The same, and commits.
    CommitLate,
    /// The same, and commits while the other one takes over.
    CommitMeanwhile,
}

/// What a transaction does, whatever becomes of it.
struct Plan {
    writes: Vec<BTreeMap<Place, Vec<String>>>,
    ending: Ending,
    insists: bool,
}

impl Plan {
    fn draw(random: &mut fastrand::Rng) -> Plan {
        let requests = random.u32(1..=REQUESTS_MAX);
        let writes = (0..requests).map(|_| any_writes(random)).collect();
        let ending = match random.u32(..20) {
            0..11 => Ending::Commit,
            11..14 => Ending::Abort,
            14 | 15 => Ending::Leave,
            16 => Ending::WriteLate,
            17 => Ending::CommitLate,
            _ => Ending::CommitMeanwhile,
        };
        Plan { writes, ending, insists: random.u32(..4) > 0 }
    }
}

fn any_writes(random: &mut fastrand::Rng) -> BTreeMap<Place, Vec<String>> {
    let places = (0..PARTITIONS).filter(|_| random.bool());
    let mut places: Vec<Place> = places.map(|partition| (LISTS, partition)).collect();
    if places.is_empty() {
        places.push((LISTS, random.i32(0..PARTITIONS)));
    }
    let payloads = |random: &mut fastrand::Rng| vec![String::new(); random.u32(1..=RECORDS_MAX) as usize];
    places.into_iter().map(|place| (place, payloads(random))).collect()
}

/// Appends until it is over.
pub(crate) async fn append(stage: Stage, transactional_id: String, mut random: fastrand::Rng) {
    let understanding = if random.bool() { Understanding::New } else { Understanding::Old };
    let manner = Manner { transactional_id, understanding, timeout_ms: LONG_MS };
    'instances: while !stage.is_over() {
        let mut producer = Producer::init(stage.for_another().await, &manner).await;
        while !stage.is_over() {
            let plan = Plan::draw(&mut random);
            match transact(&mut producer, &plan).await {
                Ok(()) => {}
                Err(Stopped::GaveUp) => continue 'instances,
                Err(Stopped::Refused(api, code)) => {
                    panic!("{}: nobody fenced it, and {api} says {code}", manner.transactional_id)
                }
            }
            match plan.ending {
                Ending::Commit | Ending::Abort => {}
                Ending::Leave => continue 'instances,
                late => {
                    producer = replaced(&stage, &manner, producer, late).await;
                }
            }
        }
    }
}

async fn transact(producer: &mut Producer, plan: &Plan) -> Result<(), Stopped> {
    producer.insists = plan.insists;
    for writes in &plan.writes {
        producer.write(writes).await?;
    }
    match plan.ending {
        Ending::Commit => producer.end(true).await,
        Ending::Abort => producer.end(false).await,
        _ => Ok(()),
    }
}

/// Another instance, while the one before does not believe that it is over.
async fn replaced(stage: &Stage, manner: &Manner, mut zombie: Producer, late: Ending) -> Producer {
    zombie.insists = true;
    let taking_over = Producer::init(stage.for_another().await, manner);
    if late == Ending::CommitMeanwhile {
        let (producer, ended) = tokio::join!(taking_over, zombie.end(true));
        if let Err(stopped) = ended {
            assert!(is_fenced(stopped), "{}: {stopped:?}", manner.transactional_id);
        }
        return producer;
    }
    let producer = taking_over.await;
    let tried = match late {
        Ending::WriteLate => zombie.write(&BTreeMap::from([((LISTS, 0), vec![String::new()])])).await,
        _ => zombie.end(true).await,
    };
    let refused = tried.expect_err("another instance has taken over");
    assert!(is_fenced(refused), "{}: {refused:?}", manner.transactional_id);
    producer
}

fn is_fenced(stopped: Stopped) -> bool {
    matches!(
        stopped,
        Stopped::Refused(
            _,
            // The last one: to a newer client its old epoch is that of a repeated end, which was an abort.
            ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::INVALID_TXN_STATE
        )
    )
}

/// Begins transactions that nobody ends but their time-out.
pub(crate) async fn abandon(stage: Stage, name: String, mut random: fastrand::Rng) {
    let mut begun = 0;
    while !stage.is_over() {
        let understanding = if random.bool() { Understanding::New } else { Understanding::Old };
        let transactional_id = format!("{name}-{begun}");
        let manner = Manner { transactional_id, understanding, timeout_ms: ABANDONED_MS };
        let mut producer = Producer::init(stage.clone(), &manner).await;
        // It may be slow enough to be aborted while it writes.
        let _ = producer.write(&any_writes(&mut random)).await;
        begun += 1;
        for _ in 0..random.u32(20..60) {
            pause().await;
        }
    }
}
