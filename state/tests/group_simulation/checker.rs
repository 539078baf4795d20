//! What must be true of a group coordinator, whatever happens around it.
//!
//! 1. A request is answered once. (KIP-62: clients block on JoinGroup and SyncGroup.)
//! 2. In one generation of a group, a partition has one owner.
//! 3. A commit that was acknowledged is seen by every later fetch, unless something later replaced or deleted it.
//! 4. An offset is deleted only on request, or after its retention, and never under a reader.
//! 5. Generations only grow, and only the members of the newest commit.
//! 6. No two members share an id, or an instance id.
//! 7. A leader learns of everybody who is told that it leads.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ErrorCode;
use state::group::{
    ClassicGroupState, FetchedGroup, GroupCoordinator, GroupRecord, GroupRequest, GroupResponse, JoinResponse,
    OffsetKey, OffsetValue,
};
use state::machine::Now;

use crate::client::{owned_partitions, topics_of};

/// What made the machine decide: a request, or that time passed.
pub(crate) type Cause = Option<GroupRequest>;

/// A record that committed an offset, where it stands in the log.
struct Commit {
    position: usize,
    key: OffsetKey,
    value: OffsetValue,
    producer: Option<i64>,
}

/// Keeps its own book of the log and of what was acknowledged.
#[derive(Default)]
pub(crate) struct Checker {
    commits: Vec<Commit>,
    /// Position, key, and whether it ended everything before.
    tombstones: Vec<(usize, OffsetKey)>,
    /// Position, producer, committed.
    markers: Vec<(usize, i64, bool)>,
    /// Position and group.
    group_tombstones: Vec<(usize, String)>,
    /// Position, group and generation of what the log says of groups.
    generations: Vec<(usize, String, i32)>,
    /// Offsets that were acknowledged. Every commit of a run has an offset of its own, which its repetitions share.
    acknowledged: BTreeSet<i64>,
    /// Group, its incarnation, generation, partition, to owner.
    owners: BTreeMap<(String, usize, i32, String), String>,
    /// Of the machine that runs now: group and incarnation to generation.
    joined: BTreeMap<(String, usize), i32>,
    /// Of the log: group and incarnation to generation.
    synced: BTreeMap<(String, usize), i32>,
    pub(crate) offsets_seen: u64,
    pub(crate) assignments: u64,
}

impl Checker {
    /// A record was appended at `position`.
    pub(crate) fn appended(
        &mut self,
        position: usize,
        record: &GroupRecord,
        now: Now,
        cause: &Cause,
        machine: &GroupCoordinator,
    ) {
        match record {
            GroupRecord::OffsetCommit { key, value: Some(value) } => {
                self.commits.push(Commit { position, key: key.clone(), value: value.clone(), producer: None });
                if let Some(GroupRequest::OffsetCommit(request)) = cause
                    && request.committer.generation_id >= 0
                {
                    // While members join, the last generation may still commit; while the next one has no assignment
                    // yet, nobody may. So it is always the one in the log.
                    let newest = self.newest_generation(&key.group_id);
                    assert_eq!(request.committer.generation_id, newest, "{key:?}: a zombie commits");
                }
            }
            GroupRecord::TxnOffsetCommit { key, value: Some(value), producer_id, .. } => {
                let producer = Some(*producer_id);
                self.commits.push(Commit { position, key: key.clone(), value: value.clone(), producer });
            }
            GroupRecord::OffsetCommit { key, value: None } | GroupRecord::TxnOffsetCommit { key, value: None, .. } => {
                self.check_tombstone(key, now, cause, machine);
                self.tombstones.push((position, key.clone()));
            }
            GroupRecord::Consumer { .. } => panic!("nobody here speaks the consumer protocol: {record:?}"),
            GroupRecord::TxnEnd { producer_id, committed } => self.markers.push((position, *producer_id, *committed)),
            GroupRecord::GroupMetadata { group_id, value: None } => {
                let by_request = matches!(cause, Some(GroupRequest::DeleteGroups(ids)) if ids.contains(group_id));
                let state = machine.describe(std::slice::from_ref(group_id))[0].state;
                assert!(by_request || cause.is_none(), "{group_id} was deleted by a bystander");
                // A second deletion in one request finds nothing any more.
                assert!(matches!(state, ClassicGroupState::Empty | ClassicGroupState::Dead), "{group_id} is in use");
                self.group_tombstones.push((position, group_id.clone()));
            }
            GroupRecord::GroupMetadata { group_id, value: Some(value) } => {
                let newest = self.newest_generation(group_id);
                let next = value.generation_id;
                assert!(next >= newest, "{group_id} went from generation {newest} to {next}");
                self.generations.push((position, group_id.clone(), next));
            }
        }
    }

    /// The group's last generation in the log. A deleted group starts anew.
    fn newest_generation(&self, group_id: &str) -> i32 {
        let deleted = self.group_tombstones.iter().rfind(|(_, group)| group == group_id).map(|(position, _)| *position);
        let newest = self.generations.iter().rfind(|(_, group, _)| group == group_id);
        newest.filter(|(position, _, _)| deleted.is_none_or(|deleted| *position > deleted)).map_or(0, |newest| newest.2)
    }

    /// The machine deletes an offset: was it asked to, or has the offset had its time?
    fn check_tombstone(&self, key: &OffsetKey, now: Now, cause: &Cause, machine: &GroupCoordinator) {
        let is_read = || {
            let group = machine.describe(std::slice::from_ref(&key.group_id)).remove(0);
            let is_stable = group.state == ClassicGroupState::Stable;
            is_stable && group.members.iter().any(|member| topics_of(&member.metadata).contains(&key.topic))
        };
        match cause {
            Some(GroupRequest::DeleteGroups(ids)) => assert!(ids.contains(&key.group_id)),
            Some(GroupRequest::TopicsDeleted(names)) => assert!(names.contains(&key.topic)),
            Some(GroupRequest::OffsetDelete(request)) => {
                assert!(request.group_id == key.group_id && !is_read(), "{key:?} is read");
            }
            Some(request) => panic!("{key:?} was deleted by {request:?}"),
            None => {
                let visible = |commit: &&Commit| commit.key == *key && self.is_final(commit, usize::MAX);
                let value = &self.commits.iter().rfind(visible).expect("only what exists is deleted").value;
                let due_ms =
                    value.expire_timestamp_ms.unwrap_or(value.commit_timestamp_ms + crate::world::RETENTION_MS);
                assert!(now.wall_ms >= due_ms, "{key:?} expired {} ms early", due_ms - now.wall_ms);
                assert!(!is_read(), "{key:?} expired under a reader");
            }
        }
    }

    /// How often the group has been deleted before that position: each time, its generations start anew.
    fn incarnation(&self, group_id: &str, position: usize) -> usize {
        self.group_tombstones.iter().filter(|(at, group)| *at < position && group == group_id).count()
    }

    /// The log lost its end, and a new machine took over.
    pub(crate) fn truncated(&mut self, length: usize) {
        self.commits.retain(|commit| commit.position < length);
        self.tombstones.retain(|(position, _)| *position < length);
        self.markers.retain(|(position, _, _)| *position < length);
        self.group_tombstones.retain(|(position, _)| *position < length);
        self.generations.retain(|(position, _, _)| *position < length);
        self.joined.clear();
    }

    /// The machine answered a JoinGroup. The log has this length, and everything in it is applied.
    pub(crate) fn joined(&mut self, group_id: &str, response: &JoinResponse, length: usize) {
        if response.error.is_error() {
            return;
        }
        let key = (group_id.to_owned(), self.incarnation(group_id, length));
        let last = self.joined.insert(key, response.generation_id).unwrap_or(0);
        let next = response.generation_id;
        assert!(next >= last && next > 0, "{group_id}: generation {next} joined after {last}");
    }

    /// One call answered these JoinGroup requests of one group.
    pub(crate) fn joined_together(&self, responses: &[&JoinResponse]) {
        let Some(leader) = responses.iter().find(|response| response.leader == response.member_id) else { return };
        for response in responses.iter().filter(|response| response.generation_id == leader.generation_id) {
            let knows = leader.members.iter().any(|member| member.member_id == response.member_id);
            assert!(knows, "the leader of generation {} does not know {}", leader.generation_id, response.member_id);
        }
    }

    /// A member was told its assignment, and this answer is about to leave.
    pub(crate) fn synced(&mut self, group_id: &str, owner: &str, generation: i32, assignment: &[u8], length: usize) {
        let incarnation = self.incarnation(group_id, length);
        let last = self.synced.insert((group_id.to_owned(), incarnation), generation).unwrap_or(0);
        assert!(generation >= last, "{group_id}: generation {generation} synced after {last}");
        for partition in owned_partitions(assignment) {
            self.assignments += 1;
            let key = (group_id.to_owned(), incarnation, generation, partition);
            let first = self.owners.entry(key.clone()).or_insert_with(|| owner.to_owned());
            assert_eq!(first, owner, "{key:?} has two owners");
        }
    }

    /// The answer that this offset is committed is about to leave.
    pub(crate) fn acknowledged(&mut self, offset: i64) {
        assert!(self.commits.iter().any(|commit| commit.value.offset == offset), "{offset} is not in the log");
        self.acknowledged.insert(offset);
    }

    /// The machine answered a fetch. Of the log, `committed` records are safe.
    pub(crate) fn fetched(&mut self, group: &FetchedGroup, committed: usize) {
        for topic in &group.topics {
            for partition in &topic.partitions {
                let key = OffsetKey {
                    group_id: group.group_id.clone(),
                    topic: topic.name.clone(),
                    partition: partition.partition_index,
                };
                if partition.error.is_none() {
                    self.check_offset(&key, partition.committed_offset, committed);
                } else {
                    assert_eq!(partition.error, ErrorCode::UNSTABLE_OFFSET_COMMIT);
                    assert!(self.commits.iter().any(|commit| commit.key == key && commit.producer.is_some()));
                }
            }
        }
    }

    fn check_offset(&mut self, key: &OffsetKey, offset: i64, committed: usize) {
        let deleted = self.tombstones.iter().filter(|(_, at)| at == key).map(|(position, _)| *position).max();
        let floor = self.commits.iter().filter(|commit| {
            commit.key == *key
                && deleted.is_none_or(|deleted| commit.position > deleted)
                && self.acknowledged.contains(&commit.value.offset)
                && self.is_final(commit, committed)
        });
        let floor = floor.map(|commit| commit.position).max();
        if offset == -1 {
            assert_eq!(floor, None, "{key:?} lost its offset");
            return;
        }
        self.offsets_seen += 1;
        let seen = self.commits.iter().rfind(|commit| commit.key == *key && commit.value.offset == offset);
        let seen = seen.unwrap_or_else(|| panic!("{key:?} has an offset that nobody committed: {offset}"));
        assert!(floor.is_none_or(|floor| seen.position >= floor), "{key:?} went back to {offset}");
        assert!(deleted.is_none_or(|deleted| seen.position > deleted), "{key:?} came back from the dead");
    }

    /// Whether a commit counts: at once outside a transaction, else when the marker is safe.
    fn is_final(&self, commit: &Commit, committed: usize) -> bool {
        let Some(producer) = commit.producer else { return true };
        let end = self.markers.iter().find(|(at, id, _)| *id == producer && *at > commit.position);
        end.is_some_and(|(at, _, is_commit)| *is_commit && *at < committed)
    }

    /// Nobody is in a group twice.
    pub(crate) fn members(machine: &GroupCoordinator, group_ids: &[String]) {
        for group in machine.describe(group_ids) {
            let mut ids = BTreeSet::new();
            let mut instances = BTreeSet::new();
            for member in &group.members {
                assert!(ids.insert(&member.member_id), "{} is in {} twice", member.member_id, group.group_id);
                if let Some(instance) = &member.group_instance_id {
                    assert!(instances.insert(instance), "{instance} is in {} twice", group.group_id);
                }
            }
        }
    }
}

/// The join answers in a list of answers.
pub(crate) fn joins<'a>(responses: impl Iterator<Item = &'a GroupResponse>) -> Vec<&'a JoinResponse> {
    let joins = responses.filter_map(|response| match response {
        GroupResponse::Join(response) if response.error.is_none() => Some(response),
        _ => None,
    });
    joins.collect()
}
