//! Committed offsets over power failures: the machine of `state::group` on a partition of `__consumer_offsets`, driven
//! as the coordinator's shell drives it (append what was decided, answer when it is flushed, replay at a start), with
//! compaction in between.
//!
//! Each seed is one life of the partition with several failures. `OTTLA_SEED=<seed>` runs one alone, and
//! `OTTLA_SEEDS=<count>` more of them.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fastrand::Rng;
use protocol::records::{BatchBuilder, batches};
use protocol::{ErrorCode, Uuid};
use simdisk::{SimDisk, over_seeds};
use state::group::{
    CommitPartition, CommitTopic, Committer, GroupConfig, GroupCoordinator, GroupRequest, GroupResponse,
    OffsetCommitRequest, OffsetFetchGroup, OffsetFetchRequest,
};
use state::machine::{Machine, Now, ReplyTo};
use storage::{AppendOrigin, LogConfig, LogDir, Pace, PartitionLog, SharedLimits, StorageError, TopicPartition};

const SEEDS: u64 = 600;
const LIVES: usize = 5;
const STEPS: usize = 50;
const GROUPS: u32 = 3;
const PARTITIONS: i32 = 4;
const CLEANER_MAP_BYTES: usize = 1 << 20;

/// What all groups have committed, by group and partition.
type Committed = BTreeMap<(String, i32), i64>;
type Stopped = Box<dyn std::error::Error>;

#[test]
fn offsets_that_were_acknowledged_are_there_and_none_goes_back() {
    over_seeds("group offsets", SEEDS, 3_000, |seed| Run::new(seed).go());
}

struct NoLimit;

impl Pace for NoLimit {
    fn spend(&self, _bytes: u64, is_cancelled: &dyn Fn() -> bool) -> bool {
        !is_cancelled()
    }
}

struct Run {
    rng: Rng,
    disk: SimDisk,
    config: LogConfig,
    /// What was committed after each batch since the last start; the first is what was found then.
    history: Vec<Committed>,
    /// Of these the last that was flushed.
    flushed: usize,
    clock_ms: i64,
}

/// What is open in one life.
struct Open {
    dir: LogDir,
    log: PartitionLog,
    machine: GroupCoordinator,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut rng = Rng::with_seed(seed);
        let config = LogConfig {
            compact: true,
            delete: false,
            segment_bytes: [600, 2_000][rng.usize(..2)],
            min_cleanable_dirty_ppm: 0,
            // Tombstones go when compaction has met them twice.
            delete_retention_ms: 1,
            timestamp_after_max_ms: None,
            ..LogConfig::default()
        };
        let history = vec![Committed::new()];
        Run { rng, disk: SimDisk::default(), config, history, flushed: 0, clock_ms: 1_000_000 }
    }

    fn go(mut self) -> u64 {
        for _ in 0..LIVES {
            self.disk.fail_after(self.rng.u64(..250));
            // Whatever fails now fails for want of power.
            let _ = self.live();
            self.fail();
            while self.rng.u32(..4) == 0 {
                // Again, while it recovers.
                self.disk.fail_after(self.rng.u64(..25));
                let _ = self.open();
                self.fail();
            }
            self.inspect();
        }
        LIVES as u64
    }

    fn fail(&mut self) {
        match self.rng.u32(..4) {
            0 => self.disk.end_process(),
            _ => self.disk.restart(&mut self.rng),
        }
    }

    fn now(&mut self) -> Now {
        self.clock_ms += 10;
        Now { monotonic_ms: self.clock_ms as u64, wall_ms: self.clock_ms }
    }

    fn open(&mut self) -> Result<Open, StorageError> {
        let limits = SharedLimits { tail_cache_bytes: 0, ..SharedLimits::default() };
        let dir = LogDir::open(Arc::new(self.disk.clone()), Path::new("/data"), limits)?;
        let partition = TopicPartition { topic: Arc::from("__consumer_offsets"), index: 7 };
        let log = dir.open_log(&partition, Uuid::from_random([9; 16]).unwrap(), self.config.clone())?;
        let mut machine = GroupCoordinator::new(GroupConfig::default());
        load(&log, &mut machine);
        machine.on_loaded(self.now());
        Ok(Open { dir, log, machine })
    }

    fn live(&mut self) -> Result<(), Stopped> {
        let mut open = self.open()?;
        for _ in 0..STEPS {
            let now = self.now();
            match self.rng.u32(..20) {
                0..12 => self.submit(&mut open, now)?,
                12..16 => {
                    open.log.flush()?;
                    self.flushed = self.history.len() - 1;
                }
                16 => open.dir.checkpoint(std::iter::once(&open.log))?,
                17 | 18 => drop(open.log.compact(now.wall_ms, CLEANER_MAP_BYTES, &NoLimit)?),
                _ => {
                    open.log.close()?;
                    self.flushed = self.history.len() - 1;
                    open.dir.close_clean(std::iter::once(&open.log))?;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Commits, or the deletion of a group: decided, applied, appended as one batch.
    fn submit(&mut self, open: &mut Open, now: Now) -> Result<(), Stopped> {
        let mut after = self.history.last().unwrap().clone();
        let group_id = format!("group-{}", self.rng.u32(..GROUPS));
        let request = if self.rng.u32(..8) == 0 {
            after.retain(|(group, _), _| *group != group_id);
            GroupRequest::DeleteGroups(vec![group_id])
        } else {
            self.commit(group_id, &mut after)
        };
        let output = open.machine.handle(now, ReplyTo(1), request);
        assert_eq!(output.replies.len(), 1);
        let mut builder = BatchBuilder::new(0);
        for record in &output.records {
            open.machine.apply(record);
            let (key, value) = record.encode().unwrap();
            builder.append(now.wall_ms, Some(&key), value.as_deref(), &[]);
        }
        if !output.records.is_empty() {
            // From here on it may be there.
            self.history.push(after);
            open.log.append_as_leader(builder.build().freeze(), 0, AppendOrigin::Coordinator, now.wall_ms)?;
        }
        Ok(())
    }

    /// Each group goes on in some partitions.
    fn commit(&mut self, group_id: String, after: &mut Committed) -> GroupRequest {
        let mut partitions = Vec::new();
        for partition_index in 0..PARTITIONS {
            if self.rng.bool() {
                let offset = after.entry((group_id.clone(), partition_index)).or_default();
                *offset += self.rng.i64(1..1_000);
                partitions.push(CommitPartition {
                    partition_index,
                    committed_offset: *offset,
                    committed_leader_epoch: 0,
                    commit_timestamp_ms: None,
                    committed_metadata: None,
                });
            }
        }
        GroupRequest::OffsetCommit(OffsetCommitRequest {
            group_id,
            committer: Committer { generation_id: -1, member_id: String::new(), group_instance_id: None },
            retention_time_ms: None,
            knows_group_id_not_found: true,
            topics: vec![CommitTopic { name: "orders".to_owned(), topic_id: Uuid::ZERO, partitions }],
        })
    }

    /// Starts after a failure and asks every group; what was lost is forgotten here too.
    fn inspect(&mut self) {
        let mut open = self.open().unwrap_or_else(|error| panic!("the log does not open: {error}"));
        let now = self.now();
        let groups = (0..GROUPS)
            .map(|i| OffsetFetchGroup {
                group_id: format!("group-{i}"),
                member_id: None,
                member_epoch: -1,
                topics: None,
            })
            .collect();
        let request = GroupRequest::OffsetFetch(OffsetFetchRequest { groups, require_stable: true });
        let reply = open.machine.handle(now, ReplyTo(1), request).replies.pop().unwrap();
        let GroupResponse::OffsetFetch(fetched) = reply.response else { panic!("{reply:?}") };
        let mut found = Committed::new();
        for group in fetched {
            for partition in group.topics.iter().flat_map(|topic| &topic.partitions) {
                assert_eq!(partition.error, ErrorCode::NONE);
                found.insert((group.group_id.clone(), partition.partition_index), partition.committed_offset);
            }
        }
        let possible = &self.history[self.flushed..];
        assert!(possible.contains(&found), "{found:?} was never committed since the last flush: {possible:#?}");
        assert_eq!(open.log.flushed_offset(), open.log.log_end_offset());
        (self.history, self.flushed) = (vec![found], 0);
    }
}

/// Gives the machine every record, as at a start.
fn load(log: &PartitionLog, machine: &mut GroupCoordinator) {
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let before = offset;
        for chunk in log.read(offset, 1_000, i64::MAX, true).unwrap().records.chunks() {
            for batch in batches(chunk).map(Result::unwrap) {
                assert!(batch.is_crc_valid());
                offset = batch.next_offset();
                for record in &batch.records(1 << 20).unwrap() {
                    let record = record.unwrap();
                    machine.load_record(record.key.unwrap(), record.value, None);
                }
            }
        }
        if offset == before {
            // Whatever stood at the end was compacted away.
            break;
        }
    }
    assert_eq!(machine.skipped_records(), 0);
}
