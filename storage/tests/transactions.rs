//! Transactions in a log that loses power at any moment, against a list of what was appended.
//!
//! Which transactions are open, which were aborted, and what a reader of committed records sees is a function of the
//! batches in the log, whatever became of the files beside them. Each seed is one life of a log with several failures;
//! `OTTLA_SEED=<seed>` runs one alone, and `OTTLA_SEEDS=<count>` more of them.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

mod compacted;
mod rig;
mod txn_model;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use compacted::NoLimit;
use fastrand::Rng;
use rig::{partition, topic_id};
use simdisk::{SimDisk, over_seeds};
use storage::{
    AppendError, AppendOrigin, Appended, Applicant, Disk, LogConfig, LogDir, PartitionLog, SharedLimits, StorageError,
    TransactionCheck, TxnMarker, Verification,
};
use txn_model::{Event, Known, Pair, Replayed, Said, batch, events, read_committed};

const SEEDS: u64 = 600;
const LIVES: usize = 5;
const STEPS: usize = 60;
const DATA: &str = "/data";

type Outcome<T> = Result<T, Box<dyn Error>>;

#[test]
fn what_is_open_and_what_was_aborted_follows_from_the_log() {
    over_seeds("transactions", SEEDS, 3_000, |seed| Run::new(seed).go());
}

struct Run {
    rng: Rng,
    disk: SimDisk,
    config: LogConfig,
    limits: SharedLimits,
    events: Vec<Event>,
    /// Transactions that were decided before the log was opened last.
    decided_before: usize,
    high_watermark: i64,
    flushed: i64,
    /// Records are deleted from the front; else producers' snapshots and indexes are damaged.
    deletes: bool,
    now_ms: i64,
    value: u64,
}

/// A storage error ends a life; any other error must have been expected.
fn refused(result: Result<Appended, AppendError>) -> Outcome<AppendError> {
    match result {
        Err(AppendError::Storage(error)) => Err(error.into()),
        Err(error) => Ok(error),
        Ok(appended) => panic!("appended: {appended:?}"),
    }
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut rng = Rng::with_seed(seed);
        let config = LogConfig {
            segment_bytes: [400, 1_500, 1 << 20][rng.usize(..3)],
            index_interval_bytes: [0, 300][rng.usize(..2)],
            compact: seed.is_multiple_of(2),
            delete: false,
            min_cleanable_dirty_ppm: 0,
            delete_retention_ms: 300,
            ..rig::config()
        };
        let limits = SharedLimits {
            tail_cache_bytes: [0, 1 << 20][rng.usize(..2)],
            restart_interval_bytes: [0, 1 << 20][rng.usize(..2)],
            ..SharedLimits::default()
        };
        Run {
            deletes: rng.u32(..3) == 0,
            rng,
            disk: SimDisk::default(),
            config,
            limits,
            events: Vec::new(),
            decided_before: 0,
            high_watermark: 0,
            flushed: 0,
            now_ms: 1_000_000,
            value: 0,
        }
    }

    /// The number of crash states that were looked at.
    fn go(mut self) -> u64 {
        for _ in 0..LIVES {
            self.disk.fail_after(self.rng.u64(..400));
            // Whatever fails now fails for want of power.
            let ended = self.live();
            self.fail();
            while self.rng.u32(..4) == 0 {
                // Again, while it recovers.
                self.disk.fail_after(self.rng.u64(..20));
                let _ = self.open();
                self.fail();
            }
            // After a clean stop no snapshot says that there were no producers.
            if !self.deletes && ended.is_err() {
                self.damage();
            }
            self.inspect();
        }
        LIVES as u64
    }

    /// The machine loses its power, or only the process is killed.
    fn fail(&mut self) {
        match self.rng.u32(..4) {
            0 => self.disk.end_process(),
            _ => self.disk.restart(&mut self.rng),
        }
    }

    fn open(&self) -> Result<(LogDir, PartitionLog), StorageError> {
        let dir = LogDir::open(Arc::new(self.disk.clone()), Path::new(DATA), self.limits)?;
        let log = dir.open_log(&partition(0), topic_id(1), self.config.clone())?;
        Ok((dir, log))
    }

    fn end(&self) -> i64 {
        self.events.last().map_or(0, Event::next)
    }

    fn live(&mut self) -> Outcome<()> {
        let (dir, log) = self.open()?;
        self.decided_before = Replayed::of(&self.events).decided.len();
        self.high_watermark = 0;
        for _ in 0..STEPS {
            self.now_ms += self.rng.i64(0..100);
            match self.rng.u32(..30) {
                0..10 => self.append_in_transaction(&log)?,
                10..12 => self.append_plainly(&log)?,
                12..17 => self.end_transaction(&log)?,
                17..19 => self.append_what_is_refused(&log)?,
                19 => self.end_what_is_refused(&log)?,
                20 => self.use_an_old_guard(&log)?,
                21..24 => self.look(&log),
                24 => self.flushed = log.flush()?,
                25 => dir.checkpoint(std::iter::once(&log))?,
                26 if self.deletes => self.delete_records(&log)?,
                26..28 => drop(log.compact(self.now_ms, 1 << 20, &NoLimit)?),
                _ if self.rng.bool() => {
                    log.close()?;
                    self.flushed = self.end();
                    dir.close_clean(std::iter::once(&log))?;
                    return Ok(());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn pairs(&mut self) -> Vec<Pair> {
        let count = self.rng.usize(1..4);
        let mut pair = || {
            self.value += 1;
            (format!("key {}", self.rng.u32(..6)), format!("value {}", self.value))
        };
        (0..count).map(|_| pair()).collect()
    }

    /// A producer, and what the log must know of it. Of those with odd ids each transaction has an epoch of its own.
    fn producer(&mut self) -> (i64, Known) {
        let id = self.rng.i64(1..5);
        let unknown = Known { epoch: 0, next_sequence: 0, coordinator_epoch: -1, open: None };
        (id, Replayed::of(&self.events).producers.get(&id).copied().unwrap_or(unknown))
    }

    fn applicant(id: i64, epoch: i16, sequence: i32) -> Applicant {
        Applicant { producer_id: id, epoch, sequence, supports_epoch_bump: id % 2 == 1 }
    }

    fn append(
        &mut self,
        log: &PartitionLog,
        (id, epoch, sequence): (i64, i16, i32),
        check: Option<TransactionCheck>,
    ) -> Outcome<()> {
        let (pairs, base) = (self.pairs(), self.end());
        let bytes = batch((id, epoch), sequence, check.is_some(), &pairs, self.now_ms);
        let appended = match check {
            Some(check) => log.append_in_transaction(bytes, 0, AppendOrigin::Client, check, self.now_ms)?,
            None => log.append_as_leader(bytes, 0, AppendOrigin::Client, self.now_ms)?,
        };
        assert_eq!((appended.base_offset, appended.duplicate), (base, false));
        let said = Said::Records { sequence, transactional: check.is_some(), pairs };
        self.events.push(Event { base, producer: (id, epoch), said });
        Ok(())
    }

    fn append_in_transaction(&mut self, log: &PartitionLog) -> Outcome<()> {
        let (id, known) = self.producer();
        let is_new_epoch = known.open.is_none() && self.rng.u32(..6) == 0;
        let (epoch, sequence) = if is_new_epoch { (known.epoch + 1, 0) } else { (known.epoch, known.next_sequence) };
        let check = match log.begin_verification(Run::applicant(id, epoch, sequence), self.now_ms)? {
            Verification::Ongoing => {
                assert!(known.open.is_some(), "nothing is open of {id}");
                TransactionCheck::Ongoing
            }
            Verification::Needed(guard) => {
                assert!(known.open.is_none(), "{id} is open");
                TransactionCheck::Verified(guard)
            }
        };
        self.append(log, (id, epoch, sequence), Some(check))
    }

    fn append_plainly(&mut self, log: &PartitionLog) -> Outcome<()> {
        let (id, known) = self.producer();
        if known.open.is_none() && self.rng.bool() {
            return self.append(log, (id, known.epoch, known.next_sequence), None);
        }
        self.append(log, (-1, -1, -1), None)
    }

    /// A marker as the coordinator sends it, now and then again.
    fn end_transaction(&mut self, log: &PartitionLog) -> Outcome<()> {
        let (id, known) = self.producer();
        let bumps = id % 2 == 1;
        let is_again = bumps && known.open.is_none() && self.rng.bool();
        let producer_epoch = if bumps && !is_again { known.epoch + 1 } else { known.epoch };
        let coordinator_epoch = known.coordinator_epoch.max(0) + i32::from(self.rng.u32(..4) == 0);
        let committed = self.rng.bool();
        let transaction_version = if bumps { 2 } else { self.rng.i8(0..2) };
        let marker = TxnMarker { producer_id: id, producer_epoch, coordinator_epoch, committed, transaction_version };
        let base = self.end();
        assert_eq!(log.append_marker(marker, 0, self.now_ms)?.base_offset, base);
        let said = Said::Marker { committed, coordinator_epoch };
        self.events.push(Event { base, producer: (id, producer_epoch), said });
        Ok(())
    }

    fn append_what_is_refused(&mut self, log: &PartitionLog) -> Outcome<()> {
        let (id, known) = self.producer();
        let (pairs, is_open) = (self.pairs(), known.open.is_some());
        let sent = |epoch, sequence, transactional| batch((id, epoch), sequence, transactional, &pairs, self.now_ms);
        let append = |bytes| refused(log.append_as_leader(bytes, 0, AppendOrigin::Client, self.now_ms));
        let wrong = append(sent(known.epoch, known.next_sequence, !is_open))?;
        assert!(matches!(wrong, AppendError::InvalidTxnState { .. }), "open: {is_open}; {wrong}");
        if known.epoch > 0 {
            let late = append(sent(known.epoch - 1, known.next_sequence, is_open))?;
            let expected = matches!(late, AppendError::InvalidProducerEpoch { .. });
            assert!(expected || (is_open && matches!(late, AppendError::InvalidTxnState { .. })), "{late}");
            let asked = log.begin_verification(Run::applicant(id, known.epoch - 1, 0), self.now_ms);
            match asked {
                Err(AppendError::InvalidProducerEpoch { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(verification) => panic!("{verification:?}"),
            }
        }
        if is_open {
            let gap = append(sent(known.epoch, known.next_sequence + 7, true))?;
            assert!(matches!(gap, AppendError::OutOfOrderSequence { .. }), "{gap}");
        }
        Ok(())
    }

    fn end_what_is_refused(&mut self, log: &PartitionLog) -> Outcome<()> {
        let (id, known) = self.producer();
        if known.epoch == 0 {
            return Ok(());
        }
        let marker = TxnMarker {
            producer_id: id,
            producer_epoch: known.epoch - 1,
            coordinator_epoch: 100,
            committed: true,
            transaction_version: self.rng.i8(0..3),
        };
        let late = refused(log.append_marker(marker, 0, self.now_ms))?;
        assert!(matches!(late, AppendError::InvalidProducerEpoch { .. }), "{late}");
        let same_epoch = TxnMarker { producer_epoch: known.epoch, transaction_version: 2, ..marker };
        if known.open.is_some() {
            let late = refused(log.append_marker(same_epoch, 0, self.now_ms))?;
            assert!(matches!(late, AppendError::InvalidProducerEpoch { .. }), "{late}");
        }
        // Compaction takes markers, and with them who wrote them.
        let knows_coordinator =
            log.producers().iter().any(|state| state.producer_id == id && state.coordinator_epoch > 0);
        if knows_coordinator {
            let zombie = TxnMarker { producer_epoch: known.epoch + 1, coordinator_epoch: 0, ..marker };
            let fenced = refused(log.append_marker(zombie, 0, self.now_ms))?;
            assert!(matches!(fenced, AppendError::TransactionCoordinatorFenced { .. }), "{fenced}");
        }
        Ok(())
    }

    /// Between the coordinator's answer and the batch a marker ends the transaction that was asked about.
    fn use_an_old_guard(&mut self, log: &PartitionLog) -> Outcome<()> {
        let (id, known) = self.producer();
        let asked = log.begin_verification(Run::applicant(id, known.epoch, known.next_sequence), self.now_ms)?;
        let Verification::Needed(guard) = asked else { return Ok(()) };
        let marker = TxnMarker {
            producer_id: id,
            producer_epoch: known.epoch,
            coordinator_epoch: known.coordinator_epoch.max(0),
            committed: false,
            transaction_version: 1,
        };
        let base = log.append_marker(marker, 0, self.now_ms)?.base_offset;
        let said = Said::Marker { committed: false, coordinator_epoch: marker.coordinator_epoch };
        self.events.push(Event { base, producer: (id, known.epoch), said });
        let (pairs, check) = (self.pairs(), TransactionCheck::Verified(guard));
        let bytes = batch((id, known.epoch), known.next_sequence, true, &pairs, self.now_ms);
        let late = refused(log.append_in_transaction(bytes, 0, AppendOrigin::Client, check, self.now_ms))?;
        assert!(matches!(late, AppendError::InvalidTxnState { .. }), "{late}");
        Ok(())
    }

    /// What is not decided is not deleted here, so that its beginning is always in the log.
    fn delete_records(&mut self, log: &PartitionLog) -> Outcome<()> {
        let upper = Replayed::of(&self.events).undecided().unwrap_or(self.end());
        let start = log.log_start_offset();
        if start < upper {
            log.advance_log_start_offset(self.rng.i64(start..=upper), self.now_ms)?;
        }
        Ok(())
    }

    fn look(&mut self, log: &PartitionLog) {
        let replayed = Replayed::of(&self.events);
        self.check_stable(log, &replayed);
        self.check_view(log, &replayed);
        self.check_producers(log, &replayed, false);
    }

    fn check_stable(&mut self, log: &PartitionLog, replayed: &Replayed) {
        assert_eq!(log.first_undecided_offset(), replayed.undecided());
        let (start, end) = (log.log_start_offset(), self.end());
        self.high_watermark = self.rng.i64(self.high_watermark..=end);
        for high_watermark in [self.high_watermark, end] {
            let recent = &replayed.decided[self.decided_before..];
            let waiting = recent.iter().filter(|txn| txn.2 >= high_watermark).map(|txn| txn.1);
            let first = waiting.chain(replayed.undecided()).min();
            let expected = first.map_or(high_watermark, |first| first.max(start).min(high_watermark));
            assert_eq!(log.last_stable_offset(high_watermark), expected, "under {high_watermark}");
        }
        self.high_watermark = end;
    }

    /// What a reader of committed records sees, and the list of aborted transactions that it is told.
    fn check_view(&mut self, log: &PartitionLog, replayed: &Replayed) {
        let (start, end) = (log.log_start_offset(), self.end());
        let stable = log.last_stable_offset(end);
        let from = self.rng.i64(start..=stable.max(start));
        let seen = read_committed(log, from);
        let committed: BTreeMap<i64, Pair> =
            replayed.committed.iter().filter(|(offset, _)| (from..stable).contains(*offset)).map(own).collect();
        if self.config.compact {
            assert!(seen.iter().all(|(offset, pair)| committed.get(offset) == Some(pair)), "{seen:?} of {committed:?}");
            let last: BTreeMap<&str, i64> =
                committed.iter().map(|(offset, (key, _))| (key.as_str(), *offset)).collect();
            // What comes behind the last stable offset replaces nothing yet.
            assert!(last.values().all(|offset| seen.contains_key(offset)), "{seen:?} of {committed:?}");
            return;
        }
        assert_eq!(seen, committed, "from {from} to {stable}");
        if start == 0 {
            let upper = self.rng.i64(from..=stable);
            let listed = log.aborted_transactions(from, upper).unwrap();
            let listed: Vec<_> = listed.iter().map(|txn| (txn.producer_id, txn.first_offset)).collect();
            assert_eq!(listed, replayed.aborted(from, upper), "from {from} to {upper}");
        }
    }

    /// `is_rebuilt` after what stands beside the log was lost: who ended a transaction may have been compacted away.
    fn check_producers(&self, log: &PartitionLog, replayed: &Replayed, is_rebuilt: bool) {
        let found: BTreeMap<i64, Known> =
            log.producers().iter().map(|state| (state.producer_id, Known::of(state))).collect();
        for (id, known) in &replayed.producers {
            let found = found[id];
            let coordinator_epoch = match found.coordinator_epoch {
                -1 if self.config.compact => -1,
                _ => known.coordinator_epoch,
            };
            assert_eq!(found, Known { coordinator_epoch, ..*known }, "producer {id}; rebuilt: {is_rebuilt}");
        }
        assert_eq!(found.len(), replayed.producers.len());
    }

    /// Files beside the log go, or get other bytes; what a segment's markers say is still in it.
    fn damage(&mut self) {
        let dir = Path::new("/data/orders-0");
        let names = self.disk.list(dir).unwrap_or_default();
        let active = names.iter().rev().find_map(|(name, _)| name.strip_suffix(".log")).map(str::to_owned);
        for (name, _) in names {
            let path = dir.join(&name);
            let is_active = active.as_ref().is_some_and(|active| name.starts_with(active.as_str()));
            match (name.rsplit_once('.').unwrap_or_default().1, self.rng.u32(..6)) {
                // Without the other indexes nobody believes this one either; missing alone it says that there was none.
                ("txnindex", 0) if !is_active => {
                    self.disk.remove_file(&path).unwrap();
                    let _ = self.disk.remove_file(&path.with_extension("index"));
                }
                ("txnindex", 1) => {
                    let file = self.disk.open(&path, false).unwrap();
                    let length = file.len().unwrap();
                    match self.rng.u64(..=length / 34) {
                        0 if length > 0 => file.truncate(length - 1).unwrap(),
                        // What a file has whose content was lost.
                        entry => file.write_at(&[0; 34], entry * 34).unwrap(),
                    }
                }
                ("index" | "timeindex" | "snapshot", 0) => self.disk.remove_file(&path).unwrap(),
                _ => continue,
            }
        }
    }

    fn inspect(&mut self) {
        let (dir, log) = self.open().unwrap_or_else(|error| panic!("the log does not open: {error}"));
        let (start, end) = (log.log_start_offset(), log.log_end_offset());
        assert!(end >= self.flushed, "{} was flushed, and the log ends at {end}", self.flushed);
        self.events.retain(|event| event.next() <= end);
        assert_eq!(self.end(), end);
        if !self.config.compact {
            let expected: Vec<Event> = self.events.iter().filter(|event| event.next() > start).cloned().collect();
            assert_eq!(events(&log), expected);
        }
        self.flushed = end;
        let replayed = Replayed::of(&self.events);
        self.decided_before = replayed.decided.len();
        self.high_watermark = 0;
        self.check_stable(&log, &replayed);
        (0..3).for_each(|_| self.check_view(&log, &replayed));
        self.check_producers(&log, &replayed, true);
        drop((dir, log));
    }
}

fn own((offset, pair): (&i64, &Pair)) -> (i64, Pair) {
    (*offset, pair.clone())
}
