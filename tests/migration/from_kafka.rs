//! Logs of Apache Kafka, read by ours.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use protocol::Uuid;
use protocol::records::{Batch, BatchBuilder, ControlType, Header, Record, batches};
use storage::{AppendOrigin, LogConfig, LogDir, OsDisk, PartitionLog, SharedLimits};

use crate::KAFKAS;
use crate::broker_process::OTTLA;
use crate::kafka::Printed;
use crate::places::tree;

/// The broker does not begin on a directory that is Kafka's, and touches nothing in it.
pub(crate) fn refuses_to_serve(data: &Path) {
    let before = tree(data);
    let output = Command::new(OTTLA)
        .args(["--set", "listeners=PLAINTEXT://127.0.0.1:0", "--set", "node.id=1"])
        .args(["--set", &format!("log.dirs={}", data.display())])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("docs/migration.md") && log.contains("log.dirs"), "{log}");
    assert_eq!(tree(data), before);
}

/// Every log in a directory of Kafka's gives what Kafka's consumer found in it.
pub(crate) fn assert_read(data: &Path, was_clean: bool, expected: &Printed) {
    let dir = LogDir::open(Arc::new(OsDisk), data, SharedLimits::default()).unwrap();
    assert_eq!(dir.was_clean(), was_clean);
    let found = dir.partitions().unwrap();
    // Which transactions were aborted is in the log, whatever became of the files beside it.
    let theirs = if was_clean { Vec::new() } else { take_indexes(data) };
    for topic in KAFKAS {
        let place = found.iter().find(|found| *found.partition.topic == *topic).unwrap();
        let config = LogConfig {
            retention_ms: None,
            timestamp_after_max_ms: None,
            producer_id_expiration_ms: i64::MAX as u64,
            ..LogConfig::default()
        };
        let log = dir.open_log(&place.partition, place.topic_id.unwrap(), config).unwrap();
        assert_log(topic, &log, expected);
        log.close().unwrap();
    }
    for (index, content) in &theirs {
        assert!(fs::read(index).unwrap() == *content, "{} is not as Kafka wrote it", index.display());
    }
    // All others too: Kafka's own.
    for place in found.iter().filter(|found| !KAFKAS.contains(&&*found.partition.topic)) {
        let id = place.topic_id.unwrap_or(Uuid::ZERO);
        if place.topic_id.is_some() {
            let log = dir.open_log(&place.partition, id, LogConfig::default()).unwrap();
            read(&log);
        }
    }
}

/// Removes the indexes of segments with aborted transactions; answers those of logs that are not compacted, where all of
/// it can be known again.
fn take_indexes(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut taken = Vec::new();
    for topic in KAFKAS {
        for entry in fs::read_dir(data.join(format!("{topic}-0"))).unwrap() {
            let index = entry.unwrap().path();
            if index.extension().is_some_and(|suffix| suffix == "txnindex") {
                taken.push((index.clone(), fs::read(&index).unwrap()));
                fs::remove_file(&index).unwrap();
                fs::remove_file(index.with_extension("index")).unwrap();
            }
        }
    }
    taken.retain(|(index, content)| !content.is_empty() && !index.to_string_lossy().contains("k-compacted"));
    assert!(!taken.is_empty(), "Kafka wrote no index of aborted transactions");
    taken
}

fn assert_log(topic: &str, log: &PartitionLog, expected: &Printed) {
    let of_isolation = |isolation, kind| -> Vec<&str> {
        let lines = expected.of(kind, topic).into_iter();
        lines.filter_map(|line| line.strip_prefix(isolation)).collect()
    };
    let uncommitted = |kind| of_isolation("read_uncommitted ", kind);
    assert_eq!(committed(log), of_isolation("read_committed ", "record"), "{topic}");
    assert_eq!(log.last_stable_offset(log.log_end_offset()), log.log_end_offset());
    assert_eq!(uncommitted("range"), [format!("{} {}", log.log_start_offset(), log.log_end_offset())]);
    let bytes = read(log);
    let all: Vec<Batch<'_>> = batches(&bytes).map(Result::unwrap).collect();
    let lines: Vec<String> = all.iter().filter(|batch| !batch.is_control()).flat_map(shown).collect();
    assert_eq!(lines, uncommitted("record"), "{topic}");
    for line in uncommitted("time") {
        let (asked, place) = line.split_once(' ').unwrap();
        let found = log.offset_for_timestamp(asked.parse().unwrap()).unwrap();
        let found = found.map_or("none".to_owned(), |(offset, timestamp)| format!("{offset}@{timestamp}"));
        assert_eq!(found, place, "{topic} at {asked}");
    }
    let ends: Vec<ControlType> = all.iter().filter_map(Batch::control_type).collect();
    if topic == "k-transactions" {
        assert_eq!(ends, [ControlType::Commit, ControlType::Abort].repeat(4));
        let committed = expected.of("record", topic).len() - lines.len();
        assert_eq!(committed * 2, lines.len(), "half of it was committed");
    }
    if topic == "k-compacted" {
        assert!(all.windows(2).any(|pair| pair[0].next_offset() < pair[1].base_offset()), "Kafka compacted it");
        assert!(all.iter().any(Batch::has_delete_horizon) && !ends.is_empty());
    }
    assert_producers_are_known(log, &all);
}

/// The last batch of each producer of this topic, sent again, is one that is there already.
fn assert_producers_are_known(log: &PartitionLog, all: &[Batch<'_>]) {
    let is_last = |(place, batch): &(usize, &Batch<'_>)| {
        let later = &all[place + 1..];
        batch.has_producer_id()
            && !batch.is_transactional()
            && batch.record_count() > 0
            && later.iter().all(|later| later.producer_id() != batch.producer_id())
    };
    let last: Vec<&Batch<'_>> = all.iter().enumerate().filter(is_last).map(|(_, batch)| batch).collect();
    for batch in &last {
        let count = batch.last_offset() - batch.base_offset() + 1;
        let sent = again(batch.producer_id(), batch.producer_epoch(), batch.base_sequence(), count);
        let answer = log.append_as_leader(sent, 1, AppendOrigin::Client, 0).unwrap();
        assert_eq!((answer.duplicate, answer.base_offset), (true, batch.base_offset()));
    }
    if let Some(batch) = last.last() {
        let next = again(batch.producer_id(), batch.producer_epoch(), batch.last_sequence() + 1, 1);
        let end = log.log_end_offset();
        let answer = log.append_as_leader(next, 1, AppendOrigin::Client, 0).unwrap();
        assert_eq!((answer.duplicate, answer.base_offset), (false, end));
    }
}

/// The records that a consumer shows its program when it reads committed ones only, read in pieces.
fn committed(log: &PartitionLog) -> Vec<String> {
    let (mut offset, mut lines) = (log.log_start_offset(), Vec::new());
    let stable = log.last_stable_offset(log.log_end_offset());
    while offset < stable {
        let read = log.read(offset, 2_000, stable, true).unwrap().records;
        let all: Vec<Batch<'_>> = read.chunks().iter().flat_map(|chunk| batches(chunk)).map(Result::unwrap).collect();
        let Some(last) = all.last() else { break };
        let mut ahead = log.aborted_transactions(offset, last.next_offset()).unwrap();
        ahead.sort_by_key(|txn| Reverse(txn.first_offset));
        let mut void = BTreeSet::new();
        for batch in &all {
            while let Some(txn) = ahead.pop_if(|txn| txn.first_offset <= batch.last_offset()) {
                void.insert(txn.producer_id);
            }
            if batch.control_type() == Some(ControlType::Abort) {
                void.remove(&batch.producer_id());
            }
            let is_void = batch.is_transactional() && void.contains(&batch.producer_id());
            if !batch.is_control() && !is_void {
                lines.extend(shown(batch));
            }
        }
        offset = last.next_offset();
    }
    lines
}

fn again(producer_id: i64, epoch: i16, sequence: i32, count: i64) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(0).producer(producer_id, epoch, sequence);
    (0..count).for_each(|_| builder.append(0, None, None, &[]));
    builder.build().freeze()
}

/// All batches; whatever was compacted at the end is passed over.
fn read(log: &PartitionLog) -> Vec<u8> {
    let (mut offset, mut all) = (log.log_start_offset(), Vec::new());
    while offset < log.log_end_offset() {
        let read = log.read(offset, 1 << 20, i64::MAX, true).unwrap();
        let before = offset;
        for chunk in read.records.chunks() {
            for batch in batches(chunk).map(Result::unwrap) {
                assert!(batch.is_crc_valid() && batch.last_offset() >= offset);
                offset = batch.next_offset();
            }
            all.extend_from_slice(chunk);
        }
        if offset == before {
            break;
        }
    }
    all
}

/// Records of a batch as `Clients.java` shows them.
fn shown(batch: &Batch<'_>) -> Vec<String> {
    let show = |record: Record<'_>| {
        let show = |header: Header<'_>| format!("{}={}", String::from_utf8_lossy(header.key), hex(header.value));
        let headers: Vec<String> = record.headers.iter().map(show).collect();
        let (key, value) = (hex(record.key), hex(record.value));
        let (offset, timestamp) = (record.offset, record.timestamp);
        format!("{offset} {timestamp} {} {key} {value} [{}]", batch.partition_leader_epoch(), headers.join(","))
    };
    batch.records(1 << 20).unwrap().iter().map(|record| show(record.unwrap())).collect()
}

fn hex(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "-".to_owned() };
    bytes.iter().fold("x".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
