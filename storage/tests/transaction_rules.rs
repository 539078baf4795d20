//! Transactions in a log, one rule at a time.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod compacted;
mod rig;
mod txn_model;

use std::fs;

use compacted::NoLimit;
use protocol::records::{Batch, BatchBuilder, batches};
use rig::{RigDisk, append, config, files, open_one, partition, plain, tempdir, topic_id};
use storage::{
    AppendError, AppendOrigin, Appended, Applicant, LogConfig, PartitionLog, TransactionCheck, TxnMarker, Verification,
};
use txn_model::{batch, read_committed};

const NOW_MS: i64 = 1_000;

fn pair(key: &str) -> (String, String) {
    (key.to_owned(), "value".to_owned())
}

/// A record of a transaction, verified if it has to be.
fn in_transaction(log: &PartitionLog, id: i64, epoch: i16, sequence: i32, key: &str) -> Result<Appended, AppendError> {
    let applicant = Applicant { producer_id: id, epoch, sequence, supports_epoch_bump: false };
    let check = match log.begin_verification(applicant, NOW_MS)? {
        Verification::Ongoing => TransactionCheck::Ongoing,
        Verification::Needed(guard) => TransactionCheck::Verified(guard),
    };
    let bytes = batch((id, epoch), sequence, true, &[pair(key)], NOW_MS);
    log.append_in_transaction(bytes, 0, AppendOrigin::Client, check, NOW_MS)
}

fn end(log: &PartitionLog, id: i64, epoch: i16, committed: bool) -> i64 {
    let marker =
        TxnMarker { producer_id: id, producer_epoch: epoch, coordinator_epoch: 0, committed, transaction_version: 0 };
    log.append_marker(marker, 0, NOW_MS).unwrap().base_offset
}

/// Closes the active segment.
fn roll(log: &PartitionLog) {
    let config = log.config();
    log.set_config(LogConfig { segment_bytes: 100, ..(*config).clone() });
    append(log, batch((-1, -1), -1, false, &[pair("roll")], NOW_MS)).unwrap();
    log.set_config((*config).clone());
}

fn listed(log: &PartitionLog, from: i64, upper: i64) -> Vec<(i64, i64)> {
    let found = log.aborted_transactions(from, upper).unwrap();
    found.iter().map(|txn| (txn.producer_id, txn.first_offset)).collect()
}

/// What stands in the log: base offset, whether it is a marker, and its delete horizon.
fn shown(log: &PartitionLog) -> Vec<(i64, bool, Option<i64>)> {
    let bytes = compacted::chunks(log).concat();
    let show = |batch: Batch<'_>| (batch.base_offset(), batch.is_control(), batch.delete_horizon_ms());
    batches(&bytes).map(|batch| show(batch.unwrap())).collect()
}

#[test]
fn readers_of_committed_records_wait_for_the_first_open_transaction_and_the_high_watermark() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), config());
    append(&log, plain(2, NOW_MS, b"v")).unwrap();
    in_transaction(&log, 1, 0, 0, "a").unwrap();
    in_transaction(&log, 2, 0, 0, "b").unwrap();
    append(&log, plain(1, NOW_MS, b"v")).unwrap();
    assert_eq!((log.last_stable_offset(5), log.last_stable_offset(1)), (2, 1));
    assert_eq!(end(&log, 1, 0, true), 5);
    assert_eq!(log.last_stable_offset(6), 3, "the second is still open");
    assert_eq!(end(&log, 2, 0, false), 6);
    assert_eq!(log.last_stable_offset(6), 3, "its marker is not replicated");
    assert_eq!(log.last_stable_offset(7), 7);
    assert_eq!(read_committed(&log, 2).keys().copied().collect::<Vec<_>>(), [2, 4]);
    assert_eq!(listed(&log, 0, 7), [(2, 3)]);
    assert_eq!(listed(&log, 6, 7), [(2, 3)], "from the middle of it on");
    assert_eq!(listed(&log, 0, 3), [], "before it");
}

#[test]
fn records_may_be_deleted_from_under_an_open_transaction() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), config());
    in_transaction(&log, 1, 0, 0, "a").unwrap();
    in_transaction(&log, 1, 0, 1, "b").unwrap();
    log.advance_log_start_offset(1, NOW_MS).unwrap();
    assert_eq!(log.last_stable_offset(2), 1, "never below the log's start");
    log.advance_log_start_offset(2, NOW_MS).unwrap();
    in_transaction(&log, 1, 0, 2, "c").unwrap();
    assert_eq!(log.last_stable_offset(3), 2);
    assert_eq!(log.producers()[0].current_txn_start_offset, Some(0));
    end(&log, 1, 0, false);
    assert_eq!(listed(&log, 2, 4), [(1, 0)]);
    assert_eq!(read_committed(&log, 2).len(), 0);
}

#[test]
fn a_transaction_begins_with_a_guard_that_no_marker_has_ended() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), config());
    let sent = || batch((1, 0), 0, true, &[pair("a")], NOW_MS);
    let applicant = Applicant { producer_id: 1, epoch: 0, sequence: 0, supports_epoch_bump: false };
    let ask = |log: &PartitionLog| match log.begin_verification(applicant, NOW_MS).unwrap() {
        Verification::Needed(guard) => TransactionCheck::Verified(guard),
        Verification::Ongoing => panic!("nothing is open"),
    };
    let send = |log: &PartitionLog, check| log.append_in_transaction(sent(), 0, AppendOrigin::Client, check, NOW_MS);
    let is_refused = |result| matches!(result, Err(AppendError::InvalidTxnState { producer_id: 1, .. }));
    assert!(is_refused(append(&log, sent())), "nobody was asked");
    let first = ask(&log);
    assert_eq!(ask(&log), first, "two who ask are one verification");
    end(&log, 1, 0, false);
    assert!(is_refused(send(&log, first)), "a marker has ended it");
    let second = ask(&log);
    assert!(is_refused(send(&log, first)));
    log.close().unwrap();
    let log = dir.open_log(&partition(0), topic_id(1), config()).unwrap();
    let third = ask(&log);
    assert!(is_refused(send(&log, second)), "of a life before");
    assert!(!send(&log, third).unwrap().duplicate);
    assert!(send(&log, TransactionCheck::Ongoing).unwrap().duplicate, "a retry is a retry");
    assert!(is_refused(append(&log, batch((1, 0), 1, false, &[pair("a")], NOW_MS))), "it is open");
    end(&log, 1, 0, true);
    let next = batch((1, 0), 1, true, &[pair("a")], NOW_MS);
    assert!(is_refused(log.append_in_transaction(next.clone(), 0, AppendOrigin::Client, third, NOW_MS)));
    log.append_in_transaction(next, 0, AppendOrigin::Client, TransactionCheck::Off, NOW_MS).unwrap();
}

#[test]
fn while_a_batch_is_verified_no_later_one_overtakes_it() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), config());
    let ask = |id, sequence, supports_epoch_bump| {
        let applicant = Applicant { producer_id: id, epoch: 0, sequence, supports_epoch_bump };
        match log.begin_verification(applicant, NOW_MS).unwrap() {
            Verification::Needed(guard) => TransactionCheck::Verified(guard),
            Verification::Ongoing => panic!("nothing is open"),
        }
    };
    let send = |id, sequence, check| {
        let bytes = batch((id, 0), sequence, true, &[pair("a")], NOW_MS);
        log.append_in_transaction(bytes, 0, AppendOrigin::Client, check, NOW_MS)
    };
    // Of a producer that is not known any sequence may come, but not before the lowest that waits.
    let check = ask(1, 7, false);
    assert_eq!(ask(1, 5, false), check);
    assert!(matches!(send(1, 7, check), Err(AppendError::OutOfOrderSequence { expected: 5, .. })));
    send(1, 5, check).unwrap();
    // And with an epoch for each transaction it begins at 0.
    let check = ask(2, 3, true);
    assert!(matches!(send(2, 3, check), Err(AppendError::OutOfOrderSequence { expected: 0, .. })));
    send(2, 0, check).unwrap();
}

#[test]
fn a_coordinators_records_take_part_in_a_transaction_without_sequences() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), config());
    let applicant = Applicant { producer_id: 9, epoch: 3, sequence: -1, supports_epoch_bump: true };
    let Verification::Needed(guard) = log.begin_verification(applicant, NOW_MS).unwrap() else { panic!("it is open") };
    let sent = |epoch| batch((9, epoch), -1, true, &[pair("group")], NOW_MS);
    let append = |epoch, check| log.append_in_transaction(sent(epoch), 0, AppendOrigin::Coordinator, check, NOW_MS);
    assert_eq!(append(3, TransactionCheck::Verified(guard)).unwrap().base_offset, 0);
    assert_eq!(append(3, TransactionCheck::Ongoing).unwrap().base_offset, 1, "the same bytes are not the same commit");
    assert!(matches!(append(2, TransactionCheck::Off), Err(AppendError::InvalidProducerEpoch { .. })));
    assert_eq!(log.first_undecided_offset(), Some(0));
    assert_eq!(end(&log, 9, 4, false), 2);
    assert_eq!(listed(&log, 0, 3), [(9, 0)]);
}

#[test]
fn a_marker_of_a_coordinator_that_was_followed_is_refused() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, mut log) = open_one(&disk, path.path(), config());
    let marker = |coordinator_epoch, producer_epoch, transaction_version| TxnMarker {
        producer_id: 1,
        producer_epoch,
        coordinator_epoch,
        committed: true,
        transaction_version,
    };
    in_transaction(&log, 1, 5, 0, "a").unwrap();
    let late = log.append_marker(marker(4, 5, 2), 0, NOW_MS);
    assert!(matches!(late, Err(AppendError::InvalidProducerEpoch { epoch: 5, current: 5, .. })), "{late:?}");
    log.append_marker(marker(4, 6, 2), 0, NOW_MS).unwrap();
    for _ in 0..2 {
        let again = log.append_marker(marker(4, 6, 2), 0, NOW_MS).unwrap();
        assert!(!again.duplicate, "it is written, and ends nothing");
        let zombie = log.append_marker(marker(3, 6, 2), 0, NOW_MS);
        let fenced =
            matches!(zombie, Err(AppendError::TransactionCoordinatorFenced { coordinator_epoch: 3, current: 4, .. }));
        assert!(fenced, "{zombie:?}");
        log.close().unwrap();
        log = dir.open_log(&partition(0), topic_id(1), config()).unwrap();
    }
    assert_eq!((log.first_undecided_offset(), log.log_end_offset()), (None, 4));
}

fn compacting() -> LogConfig {
    LogConfig { compact: true, delete: false, min_cleanable_dirty_ppm: 0, delete_retention_ms: 1_000, ..config() }
}

#[test]
fn a_marker_goes_when_its_records_are_gone_and_its_time_has_passed() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), compacting());
    in_transaction(&log, 1, 0, 0, "a").unwrap();
    end(&log, 1, 0, false);
    in_transaction(&log, 2, 0, 0, "a").unwrap();
    end(&log, 2, 0, true);
    // What they wrote last is not what they wrote in these transactions.
    append(&log, batch((1, 0), 1, false, &[pair("x")], NOW_MS)).unwrap();
    append(&log, batch((2, 0), 1, false, &[pair("y")], NOW_MS)).unwrap();
    let pass = |now_ms| {
        roll(&log);
        log.compact(now_ms, 1 << 20, &NoLimit).unwrap().unwrap();
        let mut shown = shown(&log);
        shown.retain(|(base, ..)| *base < 4);
        (shown, listed(&log, 0, log.log_end_offset()))
    };
    let void = vec![(1, 0)];
    // Records that are void go at once, but whoever has read them meets the marker.
    assert_eq!(pass(10_000), (vec![(1, true, None), (2, false, None), (3, true, None)], void));
    assert_eq!(pass(20_000), (vec![(1, true, Some(21_000)), (2, false, None), (3, true, None)], vec![]));
    assert_eq!(pass(20_999).0[0], (1, true, Some(21_000)));
    append(&log, batch((-1, -1), -1, false, &[pair("a")], NOW_MS)).unwrap();
    // The first marker goes; in this pass the committed record goes too.
    assert_eq!(pass(21_000).0, [(3, true, None)]);
    assert_eq!(pass(22_000).0, [(3, true, Some(23_000))]);
    assert_eq!(pass(23_000).0, []);
    assert_eq!(read_committed(&log, 0).values().filter(|(key, _)| key != "roll").count(), 3);
}

#[test]
fn compaction_keeps_what_a_producer_is_known_by() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (dir, log) = open_one(&disk, path.path(), compacting());
    in_transaction(&log, 1, 0, 0, "a").unwrap();
    end(&log, 1, 0, false);
    in_transaction(&log, 2, 0, 0, "b").unwrap();
    end(&log, 2, 1, false);
    for pass in 1..5 {
        roll(&log);
        log.compact(pass * 10_000, 1 << 20, &NoLimit).unwrap().unwrap();
    }
    // Of the first its last sequence, and so the marker behind it; of the second the marker, which has its epoch.
    let left: Vec<_> = shown(&log).into_iter().filter(|(base, ..)| *base < 4).collect();
    assert_eq!(left, [(0, false, None), (1, true, None), (3, true, None)]);
    assert!(!read_committed(&log, 0).values().any(|(key, _)| key != "roll"));
    let known = log.producers();
    drop((dir, log));
    files(path.path(), ".snapshot").iter().for_each(|file| fs::remove_file(file).unwrap());
    let (_dir, log) = open_one(&disk, path.path(), compacting());
    assert_eq!(log.producers(), known);
}

#[test]
fn nothing_is_compacted_from_the_first_open_transaction_on() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), compacting());
    for _ in 0..2 {
        append(&log, batch((-1, -1), -1, false, &[pair("a")], NOW_MS)).unwrap();
    }
    in_transaction(&log, 1, 0, 0, "a").unwrap();
    in_transaction(&log, 2, 0, 0, "b").unwrap();
    end(&log, 2, 0, false);
    append(&log, batch((-1, -1), -1, false, &[pair("a")], NOW_MS)).unwrap();
    roll(&log);
    let done = log.compact(10_000, 1 << 20, &NoLimit).unwrap().unwrap();
    assert_eq!((done.end_offset, log.cleanable(20_000)), (2, None));
    let bases: Vec<i64> = shown(&log).iter().map(|(base, ..)| *base).collect();
    assert_eq!(bases, [1, 2, 3, 4, 5, 6]);
    assert_eq!(listed(&log, 0, 2), []);
    end(&log, 1, 0, true);
    roll(&log);
    assert_eq!(listed(&log, 0, 9), [(2, 3)], "in the place of the segment it was in");
    assert!(log.compact(10_000, 1 << 20, &NoLimit).unwrap().unwrap().end_offset > 6);
    assert_eq!(read_committed(&log, 0).keys().copied().collect::<Vec<_>>(), [5, 6, 8]);
}

/// Several segments with aborted transactions in them, some of which go over more than one.
fn write_some(log: &PartitionLog) {
    for round in 0..12 {
        for id in 1..4 {
            in_transaction(log, id, 0, round * 2, "a").unwrap();
            in_transaction(log, id, 0, round * 2 + 1, "b").unwrap();
            if round % 3 == id as i32 % 3 {
                append(log, plain(1, NOW_MS, &[7; 100])).unwrap();
            } else {
                end(log, id, 0, round % 2 == 0);
            }
        }
    }
    for id in 1..4 {
        end(log, id, 0, false);
    }
}

#[test]
fn an_index_of_aborted_transactions_that_is_gone_is_built_again_the_same() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let config = LogConfig { segment_bytes: 500, ..config() };
    let (dir, log) = open_one(&disk, path.path(), config.clone());
    write_some(&log);
    let (start, upper) = (log.log_start_offset(), log.log_end_offset());
    let (all, seen) = (listed(&log, start, upper), read_committed(&log, 0));
    assert!(all.len() > 10);
    log.close().unwrap();
    dir.close_clean(std::iter::once(&log)).unwrap();
    drop((dir, log));
    let content = || -> Vec<_> {
        files(path.path(), ".txnindex").into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect()
    };
    let sound = content();
    assert!(sound.len() > 3, "{sound:?}");

    // After a kill all that was not checkpointed is read again.
    drop(open_one(&disk, path.path(), config.clone()));
    for file in files(path.path(), "").iter().filter(|file| !file.to_string_lossy().ends_with(".log")) {
        if !file.ends_with("partition.metadata") {
            fs::remove_file(file).unwrap();
        }
    }
    let _ = fs::remove_file(path.path().join("recovery-point-offset-checkpoint"));
    let (dir, log) = open_one(&disk, path.path(), config.clone());
    assert_eq!((listed(&log, start, upper), read_committed(&log, 0)), (all.clone(), seen.clone()));
    log.close().unwrap();
    dir.close_clean(std::iter::once(&log)).unwrap();
    drop((dir, log));
    assert_eq!(content(), sound);

    // After a clean stop too, if what stands there cannot be right.
    for (file, bytes) in &sound {
        fs::write(file, &bytes[..bytes.len() - 1]).unwrap();
    }
    let (_dir, log) = open_one(&disk, path.path(), config);
    assert_eq!((listed(&log, start, upper), read_committed(&log, 0)), (all, seen));
}

#[test]
fn an_index_of_aborted_transactions_goes_with_its_segment() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let (_dir, log) = open_one(&disk, path.path(), LogConfig { segment_bytes: 500, ..config() });
    write_some(&log);
    let before = files(path.path(), ".txnindex").len();
    let middle = log.segment_base_offsets()[log.segment_count() / 2].0;
    log.advance_log_start_offset(middle, NOW_MS).unwrap();
    let after = files(path.path(), ".txnindex");
    assert!(after.len() < before && !after.is_empty());
    let logs = files(path.path(), ".log");
    assert!(after.iter().all(|file| logs.contains(&file.with_extension("log"))));
    log.advance_log_start_offset(log.log_end_offset(), NOW_MS).unwrap();
    assert_eq!(files(path.path(), ".txnindex"), [] as [std::path::PathBuf; 0]);
    assert_eq!(listed(&log, log.log_end_offset(), log.log_end_offset()), []);
}

#[test]
fn as_many_transactions_are_open_as_producers_are_remembered() {
    let (disk, path) = (RigDisk::default(), tempdir());
    let limits = storage::SharedLimits { producers_per_log: 3, ..storage::SharedLimits::default() };
    let dir = storage::LogDir::open(std::sync::Arc::new(disk), path.path(), limits).unwrap();
    let log = dir.open_log(&partition(0), topic_id(1), config()).unwrap();
    for id in 1..4 {
        in_transaction(&log, id, 0, 0, "a").unwrap();
    }
    let refused = in_transaction(&log, 4, 0, 0, "a");
    assert!(matches!(refused, Err(AppendError::TooManyTransactions { limit: 3 })), "{refused:?}");
    assert!(in_transaction(&log, 1, 0, 1, "a").is_ok(), "who is in one goes on");
    let mut builder = BatchBuilder::new(0).producer(5, 0, 0);
    builder.append(NOW_MS, None, Some(b"v"), &[]);
    append(&log, builder.build().freeze()).unwrap();
    assert_eq!(log.first_undecided_offset(), Some(0));
    end(&log, 2, 0, true);
    assert!(in_transaction(&log, 4, 0, 0, "a").is_ok());
}
