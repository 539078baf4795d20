//! Consume, transform, produce: what was read of the input goes into the transaction that writes the output.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use client::{Consumer, Isolation, OutgoingRecord, TopicPartition};
use protocol::ErrorCode;
use protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::records::Codec;

use super::history::Place;
use super::producer::{LONG_MS, Manner, Producer, Stopped, Understanding};
use super::stage::{Stage, pause};
use super::watchers::latest;
use crate::actors::now_ms;

pub(crate) const INPUT: &str = "input";
pub(crate) const OUTPUT: &str = "output";
pub(crate) const OUTPUTS: i32 = 2;
pub(crate) const GROUP: &str = "pipeline";
/// Records of the input in one transaction.
const STEP_MAX: u32 = 6;
const FEED_MAX: u32 = 4;

/// Writes numbers to the input until it is over. Answers how many.
pub(crate) async fn feed(stage: Stage, mut random: fastrand::Rng) -> u64 {
    let mut producer = client::Producer::idempotent(&stage.cluster, Codec::None).await.unwrap();
    let mut next = 0;
    while !stage.is_over() {
        let count = random.u64(1..=FEED_MAX.into());
        let record = |number: u64| OutgoingRecord {
            value: Some(number.to_string().into()),
            timestamp_ms: now_ms(),
            ..Default::default()
        };
        let records: Vec<OutgoingRecord> = (next..next + count).map(record).collect();
        producer.send(INPUT, 0, &records).await.unwrap();
        next += count;
        for _ in 0..random.u32(1..6) {
            pause().await;
        }
    }
    next
}

/// Copies input to output until it is `dry` and all of it was read.
pub(crate) async fn copy(stage: Stage, dry: Arc<AtomicBool>, mut random: fastrand::Rng) {
    let understanding = if random.bool() { Understanding::New } else { Understanding::Old };
    let manner = Manner { transactional_id: "copier".into(), understanding, timeout_ms: LONG_MS };
    let mut committed = 0;
    loop {
        let mut producer = Producer::init(stage.for_another().await, &manner).await;
        let mut position = stable_offset(&stage).await;
        assert!(position >= committed, "{committed} was committed, and the group is at {position}");
        let mut consumer = Consumer::new(&stage.cluster).isolation(Isolation::ReadCommitted);
        consumer.assign_at(BTreeMap::from([(TopicPartition::new(INPUT, 0), position)]), None);
        loop {
            let was_dry = dry.load(Ordering::Acquire);
            let step = take(&mut consumer, random.u32(1..=STEP_MAX)).await;
            let Some(&(last, _)) = step.last() else {
                if was_dry && latest(&stage, (INPUT, 0), Isolation::ReadCommitted).await == Some(position) {
                    return;
                }
                continue;
            };
            producer.insists = random.u32(..4) > 0;
            match transact(&mut producer, &step, last + 1, &mut random).await {
                Ok(true) => (position, committed) = (last + 1, last + 1),
                // What was read counts for nothing; whoever comes next reads it again.
                Ok(false) | Err(Stopped::GaveUp) => break,
                Err(Stopped::Refused(api, code)) => panic!("nobody fenced the copier, and {api} says {code}"),
            }
        }
    }
}

async fn take(consumer: &mut Consumer, count_max: u32) -> Vec<(i64, u64)> {
    let mut taken = Vec::new();
    for _ in 0..count_max {
        let Some(record) = consumer.next(Duration::from_millis(15)).await.unwrap() else { break };
        taken.push((record.offset, number(record.value.as_deref())));
    }
    taken
}

fn number(value: Option<&[u8]>) -> u64 {
    let text = value.and_then(|value| std::str::from_utf8(value).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no number: {text:?}"))
}

/// One transaction: whether it was committed.
async fn transact(
    producer: &mut Producer,
    step: &[(i64, u64)],
    next_offset: i64,
    random: &mut fastrand::Rng,
) -> Result<bool, Stopped> {
    let mut outputs: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    for (_, number) in step {
        let partition = (*number % OUTPUTS as u64) as i32;
        outputs.entry((OUTPUT, partition)).or_default().push(number.to_string());
    }
    let (offsets_first, ending) = (random.bool(), random.u32(..8));
    if offsets_first {
        producer.send_offset(GROUP, (INPUT, 0), next_offset).await?;
    }
    producer.write(&outputs).await?;
    if !offsets_first {
        producer.send_offset(GROUP, (INPUT, 0), next_offset).await?;
    }
    match ending {
        // It leaves in the middle.
        0 => return Ok(false),
        ending => producer.end(ending > 1).await?,
    }
    Ok(ending > 1)
}

/// Where the group is, once it is decided.
async fn stable_offset(stage: &Stage) -> i64 {
    let topics =
        vec![OffsetFetchRequestTopics { name: INPUT.into(), partition_indexes: vec![0], ..Default::default() }];
    let groups = vec![OffsetFetchRequestGroup { group_id: GROUP.into(), topics: Some(topics), ..Default::default() }];
    let request = OffsetFetchRequest { groups, require_stable: true, ..Default::default() };
    loop {
        let answer = stage.ask_on(&request, 8).await;
        let group = &answer.groups[0];
        match (group.error_code, group.topics.first().and_then(|topic| topic.partitions.first())) {
            (ErrorCode::NONE, Some(found)) if !found.error_code.is_error() => return found.committed_offset.max(0),
            (ErrorCode::NONE, Some(found)) if found.error_code == ErrorCode::UNSTABLE_OFFSET_COMMIT => {}
            (ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, _) => {}
            _ => panic!("{answer:?}"),
        }
        pause().await;
    }
}

/// Every number of the input is in the output, once, and each partition has its own in order.
pub(crate) fn check(count: u64, outputs: &[Vec<u64>]) -> Result<(), String> {
    let expected =
        |partition: usize| (0..count).filter(move |number| number % outputs.len() as u64 == partition as u64);
    for (partition, found) in outputs.iter().enumerate() {
        let expected: Vec<u64> = expected(partition).collect();
        if *found != expected {
            let at = found.iter().zip(&expected).position(|(found, expected)| found != expected);
            let at = at.unwrap_or(found.len().min(expected.len()));
            let around = |numbers: &[u64]| numbers[at.saturating_sub(3)..numbers.len().min(at + 3)].to_vec();
            let (there, due) = (around(found), around(&expected));
            return Err(format!("output {partition}, at its record {at}: {there:?} instead of {due:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn exactly_once_and_in_order() {
        assert_eq!(check(5, &[vec![0, 2, 4], vec![1, 3]]), Ok(()));
        for bad in [
            [vec![0, 2], vec![1, 3]],
            [vec![0, 2, 2, 4], vec![1, 3]],
            [vec![0, 2, 4], vec![3, 1]],
            [vec![0, 2, 4, 6], vec![1, 3]],
            [vec![0, 2, 4], vec![]],
        ] {
            assert!(check(5, &bad).is_err(), "{bad:?}");
        }
    }
}
