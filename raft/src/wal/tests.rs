//! The log against openraft's own suite, torn ends, and long lives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::testing::{StoreBuilder, Suite};
use openraft::{CommittedLeaderId, EntryPayload, RaftLogReader, StorageHelper, TokioInstant};
use state::cluster::Command;
use storage::OsDisk;
use tempfile::TempDir;

use super::WalStore;
use crate::error::RaftError;
use crate::listing::list;
use crate::state_machine::StateMachine;
use crate::types::{Entry, Failure, LogId, Member, Proposal, TypeConfig, Vote};

struct Builder;

impl StoreBuilder<TypeConfig, WalStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, WalStore, StateMachine), Failure> {
        let dir = tempfile::tempdir().unwrap();
        let wal = WalStore::open(Arc::new(OsDisk), dir.path().to_owned()).unwrap();
        let machine = StateMachine::open(Arc::new(OsDisk), dir.path().to_owned()).unwrap();
        Ok((dir, wal, machine))
    }
}

type StoreSuite = Suite<TypeConfig, WalStore, StateMachine, Builder, TempDir>;

/// All of openraft's own cases but `get_initial_state_membership_from_log_and_sm`, which appends entries with a hole
/// between them: this log refuses that. What it asks is asked without the hole below.
#[tokio::test]
async fn openrafts_own_suite_passes() {
    // Side by side, because some of them sleep.
    let mut running = tokio::task::JoinSet::new();
    macro_rules! cases {
        ($($case:ident),* $(,)?) => {
            $(
                running.spawn(async {
                    let (_dir, wal, machine) = Builder.build().await.unwrap();
                    (stringify!($case), StoreSuite::$case(wal, machine).await)
                });
            )*
        };
    }
    cases!(
        last_membership_in_log_initial,
        last_membership_in_log,
        last_membership_in_log_multi_step,
        get_membership_initial,
        get_membership_from_log_and_empty_sm,
        get_membership_from_empty_log_and_sm,
        get_membership_from_log_le_sm_last_applied,
        get_membership_from_log_gt_sm_last_applied_1,
        get_membership_from_log_gt_sm_last_applied_2,
        get_initial_state_without_init,
        get_initial_state_with_state,
        get_initial_state_last_log_gt_sm,
        get_initial_state_last_log_lt_sm,
        get_initial_state_log_ids,
        get_initial_state_re_apply_committed,
        save_vote,
        get_log_entries,
        limited_get_log_entries,
        try_get_log_entry,
        initial_logs,
        get_log_state,
        get_log_id,
        last_id_in_log,
        last_applied_state,
        purge_logs_upto_0,
        purge_logs_upto_5,
        purge_logs_upto_20,
        delete_logs_since_11,
        delete_logs_since_0,
        append_to_log,
        snapshot_meta,
        apply_single,
        apply_multiple,
    );
    let expected = running.len();
    let mut passed = 0;
    while let Some(finished) = running.join_next().await {
        let (case, result) = finished.unwrap();
        result.unwrap_or_else(|error| panic!("{case}: {error}"));
        passed += 1;
    }
    assert_eq!(passed, expected);
    StoreSuite::transfer_snapshot(&Builder).await.unwrap();
}

#[tokio::test]
async fn the_membership_comes_from_the_log_where_it_is_newer_than_the_image() {
    let (_dir, mut wal, mut machine) = Builder.build().await.unwrap();
    let membership = |index, member: u64| Entry {
        log_id: id(1, index),
        payload: EntryPayload::Membership(openraft::Membership::new(vec![BTreeSet::from([member])], None)),
    };
    let voters = |state: openraft::RaftState<u64, Member, TokioInstant>| {
        state.membership_state.effective().membership().voter_ids().collect::<Vec<_>>()
    };
    wal.blocking_append([membership(0, 1), membership(1, 2)]).await.unwrap();
    machine.apply([membership(0, 5), membership(1, 6)]).await.unwrap();
    let state = StorageHelper::new(&mut wal, &mut machine).get_initial_state().await.unwrap();
    assert_eq!(voters(state), [6], "the image has it already");
    wal.blocking_append([membership(2, 3)]).await.unwrap();
    let state = StorageHelper::new(&mut wal, &mut machine).get_initial_state().await.unwrap();
    assert_eq!(voters(state), [3], "the log is ahead of the image");
}

fn id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, 1), index)
}

/// An entry whose contents tell its index.
fn entry(index: u64, padding: usize) -> Entry {
    let configs = BTreeMap::new();
    let cluster_id = format!("{index}-{}", "x".repeat(padding));
    let command = Command::ClusterCreated { cluster_id, features: configs };
    Entry { log_id: id(1, index), payload: EntryPayload::Normal(Proposal(Arc::from([command]))) }
}

async fn append(wal: &mut WalStore, indexes: std::ops::Range<u64>, padding: usize) {
    wal.blocking_append(indexes.map(|index| entry(index, padding))).await.unwrap();
}

async fn entries(wal: &mut WalStore) -> Vec<Entry> {
    wal.try_get_log_entries(..).await.unwrap()
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.path().join(file.file_name())).unwrap();
    }
    to
}

fn last_file(dir: &Path) -> std::path::PathBuf {
    list(&OsDisk, dir, ".log").unwrap().pop().unwrap()
}

/// Cuts the file, and fills its end with zeros or garbage, at every byte: what was flushed before that byte is there,
/// nothing else is, and the log goes on from there.
#[tokio::test]
async fn a_torn_end_is_cut_at_the_last_whole_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = WalStore::open(Arc::new(OsDisk), dir.path().to_owned()).unwrap();
    // How long the file is after each step, and what must be there then.
    let mut ends = Vec::new();
    let mut note = |vote: Option<Vote>, last: Option<u64>| {
        ends.push((fs::metadata(last_file(dir.path())).unwrap().len(), vote, last));
    };
    note(None, None);
    wal.save_vote(&Vote::new(1, 1)).await.unwrap();
    note(Some(Vote::new(1, 1)), None);
    for index in 0..3 {
        append(&mut wal, index..index + 1, 5).await;
        note(Some(Vote::new(1, 1)), Some(index));
    }
    wal.truncate(id(1, 2)).await.unwrap();
    note(Some(Vote::new(1, 1)), Some(1));
    wal.save_vote(&Vote::new_committed(2, 1)).await.unwrap();
    note(Some(Vote::new_committed(2, 1)), Some(1));

    let whole = fs::read(last_file(dir.path())).unwrap();
    for cut in 0..whole.len() {
        for tail in [&b""[..], &[0; 100], &[0xff; 100], b"\x05\0\0\0garbage"] {
            let torn = copy(dir.path());
            let contents = [&whole[..cut], tail].concat();
            // What looks like garbage may be the very bytes that were cut off.
            let intact = contents.iter().zip(&whole).take_while(|(a, b)| a == b).count();
            let (_, vote, last) = *ends.iter().rev().find(|(end, ..)| *end as usize <= intact).unwrap_or(&ends[0]);
            fs::write(last_file(torn.path()), contents).unwrap();
            let mut wal = WalStore::open(Arc::new(OsDisk), torn.path().to_owned()).unwrap();
            assert_eq!(wal.read_vote().await.unwrap(), vote, "cut at {cut}");
            let found: Vec<u64> = entries(&mut wal).await.iter().map(|entry| entry.log_id.index).collect();
            let next = last.map_or(0, |last| last + 1);
            assert_eq!(found, (0..next).collect::<Vec<_>>(), "cut at {cut}");

            append(&mut wal, next..next + 2, 3).await;
            drop(wal);
            let mut wal = WalStore::open(Arc::new(OsDisk), torn.path().to_owned()).unwrap();
            assert_eq!(entries(&mut wal).await.len() as u64, next + 2, "cut at {cut}, then written to");
            assert_eq!(wal.get_log_state().await.unwrap().last_log_id, Some(id(1, next + 1)));
        }
    }
}

#[tokio::test]
async fn a_bad_record_before_the_last_file_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = WalStore::open(Arc::new(OsDisk), dir.path().to_owned()).unwrap();
    for index in 0..6 {
        append(&mut wal, index..index + 1, 2 << 20).await;
    }
    drop(wal);
    let paths = list(&OsDisk, dir.path(), ".log").unwrap();
    assert!(paths.len() > 2, "{paths:?}");
    let mut bytes = fs::read(&paths[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&paths[1], bytes).unwrap();
    match WalStore::open(Arc::new(OsDisk), dir.path().to_owned()).err() {
        Some(RaftError::Corrupt { path, .. }) => assert_eq!(path, paths[1]),
        other => panic!("{other:?}"),
    }
    fs::remove_file(&paths[1]).unwrap();
    assert!(matches!(WalStore::open(Arc::new(OsDisk), dir.path().to_owned()).err(), Some(RaftError::Corrupt { .. })));
}

#[tokio::test]
async fn a_crash_between_creating_a_file_and_writing_to_it_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = WalStore::open(Arc::new(OsDisk), dir.path().to_owned()).unwrap();
    wal.save_vote(&Vote::new_committed(3, 1)).await.unwrap();
    append(&mut wal, 0..3, 10).await;
    drop(wal);
    for contents in [&b""[..], b"\x0b\0", &[0; 50]] {
        let crashed = copy(dir.path());
        fs::write(crashed.path().join("wal-00000000000000000001.log"), contents).unwrap();
        for _ in 0..2 {
            let mut wal = WalStore::open(Arc::new(OsDisk), crashed.path().to_owned()).unwrap();
            assert_eq!(wal.read_vote().await.unwrap(), Some(Vote::new_committed(3, 1)));
            let next = entries(&mut wal).await.len() as u64;
            append(&mut wal, next..next + 1, 10).await;
        }
        let mut wal = WalStore::open(Arc::new(OsDisk), crashed.path().to_owned()).unwrap();
        assert_eq!(entries(&mut wal).await.len(), 5);
    }
}

/// Random writes, with restarts and crash copies in between, against a list in memory.
#[tokio::test]
async fn behaves_like_a_list() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut dir = tempfile::tempdir().unwrap();
        let mut wal = WalStore::open(Arc::new(OsDisk), dir.path().to_owned()).unwrap();
        let (mut model, mut purged, mut vote, mut kept) = (BTreeMap::new(), None::<LogId>, None, 0);
        for step in 0..120 {
            let next = model.keys().last().map(|last| last + 1).or(purged.map(|id| id.index + 1)).unwrap_or(0);
            match random.u32(0..10) {
                0..=4 => {
                    let (count, padding) =
                        (random.u64(1..6), if random.u32(0..4) == 0 { random.usize(0..600_000) } else { 20 });
                    append(&mut wal, next..next + count, padding).await;
                    model.extend((next..next + count).map(|index| (index, entry(index, padding))));
                }
                5 => {
                    let new = Vote::new(step, 1);
                    wal.save_vote(&new).await.unwrap();
                    vote = Some(new);
                }
                // What is committed is never taken back.
                6 if !model.is_empty() && kept < next => {
                    let from = random.u64(kept.max(*model.keys().next().unwrap())..next);
                    wal.truncate(id(1, from)).await.unwrap();
                    model.split_off(&from);
                }
                7 if !model.is_empty() => {
                    let up_to = random.u64(*model.keys().next().unwrap()..next);
                    wal.purge(id(1, up_to)).await.unwrap();
                    model = model.split_off(&(up_to + 1));
                    purged = Some(id(1, up_to));
                }
                8 if !model.is_empty() => {
                    wal.save_committed(Some(id(1, next - 1))).await.unwrap();
                    kept = next;
                }
                _ => {
                    if random.bool() {
                        dir = copy(dir.path());
                    }
                    wal = WalStore::open(Arc::new(OsDisk), dir.path().to_owned()).unwrap();
                }
            }
            let expected: Vec<_> = model.values().cloned().collect();
            if step % 5 == 0 {
                let found = entries(&mut wal).await;
                let indexes = |entries: &[Entry]| entries.iter().map(|entry| entry.log_id.index).collect::<Vec<_>>();
                assert_eq!(indexes(&found), indexes(&expected), "seed {seed} step {step}");
                assert!(found == expected, "contents differ: seed {seed} step {step}");
            }
            let state = wal.get_log_state().await.unwrap();
            let last = expected.last().map(|entry| entry.log_id).or(purged);
            assert_eq!((state.last_purged_log_id, state.last_log_id), (purged, last), "seed {seed} step {step}");
            assert_eq!(wal.read_vote().await.unwrap(), vote, "seed {seed} step {step}");
            assert!(wal.read_committed().await.unwrap() <= last.max(purged), "seed {seed} step {step}");
        }
        let size: u64 = list(&OsDisk, dir.path(), ".log").unwrap().iter().map(|p| fs::metadata(p).unwrap().len()).sum();
        let kept: u64 = model.len() as u64 * 600_100;
        assert!(size < kept + (8 << 20), "seed {seed}: {size} bytes on disk for at most {kept}");
    }
}

#[tokio::test]
async fn committed_is_kept_but_never_ahead_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = WalStore::open(Arc::new(OsDisk), dir.path().to_owned()).unwrap();
    append(&mut wal, 0..3, 0).await;
    wal.save_committed(Some(id(1, 2))).await.unwrap();
    wal.flush().await.unwrap();
    let length_before = fs::metadata(last_file(dir.path())).unwrap().len();
    drop(wal);
    let mut wal = WalStore::open(Arc::new(OsDisk), dir.path().to_owned()).unwrap();
    assert_eq!(wal.read_committed().await.unwrap(), Some(id(1, 2)));
    wal.truncate(id(1, 1)).await.unwrap();
    assert!(fs::metadata(last_file(dir.path())).unwrap().len() > length_before);
    drop(wal);
    let mut wal = WalStore::open(Arc::new(OsDisk), dir.path().to_owned()).unwrap();
    assert_eq!(wal.read_committed().await.unwrap(), Some(id(1, 0)));
}

#[tokio::test]
async fn a_hole_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = WalStore::open(Arc::new(OsDisk), dir.path().to_owned()).unwrap();
    append(&mut wal, 0..3, 0).await;
    assert!(wal.blocking_append([entry(4, 0)]).await.is_err());
    assert!(wal.blocking_append([entry(3, 0), entry(5, 0)]).await.is_err());
    assert_eq!(entries(&mut wal).await.len(), 3);
    append(&mut wal, 3..4, 0).await;
}

#[tokio::test]
async fn ranges_that_are_empty_or_reversed_hold_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = WalStore::open(Arc::new(OsDisk), dir.path().to_owned()).unwrap();
    assert!(entries(&mut wal).await.is_empty());
    append(&mut wal, 0..5, 0).await;
    #[expect(clippy::reversed_empty_ranges, reason = "openraft may ask for one")]
    for range in [4..4, 4..2, 9..12] {
        assert!(wal.try_get_log_entries(range).await.unwrap().is_empty());
    }
    assert_eq!(wal.try_get_log_entries(3..=3).await.unwrap(), [entry(3, 0)]);
    assert_eq!(wal.limited_get_log_entries(2, 5).await.unwrap().len(), 3);
}
