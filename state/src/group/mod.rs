//! Consumer groups: who is in, who owns what, and which offsets are committed.
//!
//! [`GroupCoordinator`] is the machine of one partition of `__consumer_offsets` and holds every group whose id hashes
//! to it. It knows neither topics nor brokers, and looks into what clients say to each other (subscriptions,
//! assignments) only to keep offsets from expiring under a reader.
//!
//! What the log holds is the truth: committed offsets, and each group's latest generation that got an assignment.
//! Everything else, such as who is parked in JoinGroup or when a session ends, lives in memory. It may be lost, since
//! clients come back and join again.
//!
//! # The contract with the shell
//! * The records of a call are applied directly after it, in order, before any other call. So decisions always see
//!   the state that they lead to, and no request slips in between.
//! * If an append fails, the machine is dropped and a new one loaded from the log: what was applied but not
//!   committed is thus forgotten, and no reply that depends on it has left.
//! * The records of a call are one batch, or part of one: the log takes all of them or none. Most lists would survive
//!   being torn, and are if no batch is large enough for them; the one that turns a group of one protocol into one of
//!   the other would not, and a call that has it is never that long.
//! * Requests still parked in a machine that is dropped are the shell's to answer.
//!
//! Start with `Machine::handle` below: each request goes to one function of `classic/` (membership), `commit`,
//! `fetch` or `describe`; time goes through `expire` to the groups that are due and to `expiry`.

mod classic;
mod commit;
mod config;
mod consumer;
mod describe;
mod expiry;
mod fetch;
mod offsets;
mod record;
mod record_format;
mod registry;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::ErrorCode;

pub use classic::ClassicGroupState;
pub use config::{GroupConfig, MigrationPolicy};
pub use consumer::{
    Assignment, Assignor, ClassicMember, ConsumerGroupEpoch, ConsumerGroupState, ConsumerMemberMetadata,
    ConsumerRecord, CurrentAssignment, MemberState, OwnedPartitions, PatternCompiler, ResolvedPattern, TopicMatcher,
    Topics,
};
pub use record::*;
pub use record_format::UnknownRecord;
pub use request::*;
pub use response::*;

use crate::machine::{Machine, Now, Output, ReplyTo};
use classic::{join_failed, sync_failed};
use expiry::Sweep;
use registry::{GroupEntry, Registry};
use turn::Turn;

/// Once groups whose moment came have logged so much, in bytes, the others' come in another call. With what one more group
/// logs, which is `max_record_bytes` or little more, it fits into a batch of the smallest log.
const EXPIRY_BYTES_MAX: usize = 32 * 1024;

/// All groups of one partition of `__consumer_offsets`.
#[derive(Default)]
pub struct GroupCoordinator {
    config: GroupConfig,
    /// `None` knows no patterns.
    compile_pattern: Option<PatternCompiler>,
    groups: Registry,
    /// Groups with pending offsets, by the producer of the transaction.
    open_transactions: BTreeMap<i64, BTreeSet<Arc<str>>>,
    /// Records applied so far: orders commits of one partition as the log does.
    sequence: u64,
    skipped_records: u64,
    sweep: Sweep,
    totals: GroupTotals,
}

impl GroupCoordinator {
    /// A coordinator that knows nothing yet. Load the log into it, then call [`GroupCoordinator::on_loaded`].
    pub fn new(config: GroupConfig) -> GroupCoordinator {
        GroupCoordinator { config, ..GroupCoordinator::default() }
    }

    /// Gives the coordinator what understands regular expressions in subscriptions. Without it they are refused.
    pub fn with_patterns(mut self, compile: PatternCompiler) -> GroupCoordinator {
        self.compile_pattern = Some(compile);
        self
    }

    /// Takes a record from the log while loading. What cannot be read (a newer Kafka's records, say) is counted and
    /// otherwise passed over: it must not keep all other groups from working.
    ///
    /// `producer` is the producer id and epoch of the batch, if it is transactional.
    pub fn load_record(&mut self, key: &[u8], value: Option<&[u8]>, producer: Option<(i64, i16)>) {
        match GroupRecord::decode(key, value, producer) {
            Ok(record) => self.apply(&record),
            Err(UnknownRecord) => self.skipped_records += 1,
        }
    }

    /// The log has been read to its end: gives every member a full session to be heard of.
    pub fn on_loaded(&mut self, now: Now) {
        let group_ids: Vec<Arc<str>> = self.groups.iter().map(|(id, _)| Arc::clone(id)).collect();
        for group_id in group_ids {
            self.in_entry(now, &group_id, |entry, turn| {
                entry.classic.on_loaded(turn);
                if let Some(group) = &mut entry.consumer {
                    group.on_loaded(turn);
                }
            });
        }
        self.sweep.start(now.monotonic_ms, self.config.offsets_retention_check_interval_ms);
    }

    /// Takes new settings. Those of members that are in already stay as they were agreed.
    pub fn set_config(&mut self, config: GroupConfig) {
        self.config = config;
    }

    /// Describes groups, in the order asked for. One that does not exist is Dead.
    pub fn describe(&self, group_ids: &[String]) -> Vec<DescribedGroup> {
        group_ids.iter().map(|group_id| describe::describe(&self.groups, group_id)).collect()
    }

    /// Lists the groups that pass the filters, by id.
    pub fn list(&self, request: &ListRequest) -> Vec<ListedGroup> {
        describe::list(&self.groups, request)
    }

    /// What is held now. Looks at every group and member.
    pub fn counts(&self) -> GroupCounts {
        describe::count(&self.groups)
    }

    /// What was done since loading.
    pub fn totals(&self) -> GroupTotals {
        self.totals
    }

    /// Records that could not be read while loading.
    pub fn skipped_records(&self) -> u64 {
        self.skipped_records
    }

    /// One turn about one group that exists, of either protocol. `None` if it does not.
    fn in_entry<F>(&mut self, now: Now, group_id: &str, decide: F) -> Option<Output<Self>>
    where
        F: FnOnce(&mut GroupEntry, &mut Turn<'_>),
    {
        let mut out = Output::default();
        let entry = self.groups.get_mut(group_id)?;
        let mut turn = Turn { now, config: &self.config, totals: &mut self.totals, out: &mut out };
        if entry.consumer.is_none() {
            entry.classic.begin_due_rebalance(&mut turn);
        }
        decide(entry, &mut turn);
        self.groups.settle(group_id);
        Some(out)
    }

    /// One turn about all groups, for requests that do not touch membership.
    fn in_all<F>(&mut self, now: Now, from: ReplyTo, decide: F) -> Output<Self>
    where
        F: FnOnce(&mut Registry, &mut Turn<'_>) -> GroupResponse,
    {
        let mut out = Output::default();
        let mut turn = Turn { now, config: &self.config, totals: &mut self.totals, out: &mut out };
        let response = decide(&mut self.groups, &mut turn);
        turn.reply(from, response);
        out
    }

    fn join(&mut self, now: Now, from: ReplyTo, request: &JoinRequest) -> Output<Self> {
        if let Err(error) = self.validate_join(request) {
            let refused = join_failed(error, &request.member_id);
            return self.in_all(now, from, |_, _| GroupResponse::Join(refused));
        }
        if request.member_id.is_empty() {
            self.groups.get_or_create(&request.group_id);
        }
        if self.groups.consumer(&request.group_id).is_some_and(|group| !group.is_empty()) {
            return self.join_consumers(now, from, request);
        }
        self.in_entry(now, &request.group_id, |entry, turn| {
            if let Some(group) = &entry.consumer {
                // Its last consumer has left: it is whoever's comes first.
                group.log_end(turn);
            }
            entry.classic.join(from, request, turn);
        })
        .unwrap_or_else(|| {
            let refused = join_failed(ErrorCode::UNKNOWN_MEMBER_ID, &request.member_id);
            self.in_all(now, from, |_, _| GroupResponse::Join(refused))
        })
    }

    /// A member of the classic protocol comes into a group of the consumer protocol, or is in it.
    fn join_consumers(&mut self, now: Now, from: ReplyTo, request: &JoinRequest) -> Output<Self> {
        let compile = self.compile_pattern.unwrap_or(no_patterns);
        let has_room = self.groups.member_count() < self.config.max_members;
        self.in_entry(now, &request.group_id, |entry, turn| {
            let Some(group) = entry.consumer.as_deref_mut() else { return };
            let joined = if has_room || group.member(&request.member_id).is_some() {
                group.join(request, compile, turn)
            } else {
                Err(ErrorCode::GROUP_MAX_SIZE_REACHED)
            };
            match joined {
                Ok((response, downgraded)) => {
                    if let Some(classic) = downgraded {
                        entry.classic = classic;
                    }
                    turn.reply(from, GroupResponse::Join(response));
                }
                Err(error) => turn.refuse_join(from, error, ""),
            }
        })
        .unwrap_or_default()
    }

    /// What can be said about a JoinGroup without looking at the group.
    fn validate_join(&self, request: &JoinRequest) -> Result<(), ErrorCode> {
        let session_timeouts_ms = self.config.min_session_timeout_ms..=self.config.max_session_timeout_ms;
        let is_new = request.member_id.is_empty();
        if request.group_id.is_empty() {
            Err(ErrorCode::INVALID_GROUP_ID)
        } else if !session_timeouts_ms.contains(&request.session_timeout_ms) {
            Err(ErrorCode::INVALID_SESSION_TIMEOUT)
        } else if request.protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum::<usize>()
            > self.config.max_record_bytes
        {
            Err(ErrorCode::INVALID_REQUEST)
        } else if is_new && !self.groups.has_room_for(&request.group_id, &self.config) {
            Err(ErrorCode::POLICY_VIOLATION)
        } else if is_new && self.groups.member_count() >= self.config.max_members {
            Err(ErrorCode::GROUP_MAX_SIZE_REACHED)
        } else {
            Ok(())
        }
    }

    fn sync(&mut self, now: Now, from: ReplyTo, request: SyncRequest) -> Output<Self> {
        let group_id = request.group_id.clone();
        // Offsets may be kept under the empty name, but a group with members has another.
        if group_id.is_empty() {
            let refused = sync_failed(ErrorCode::INVALID_GROUP_ID);
            return self.in_all(now, from, |_, _| GroupResponse::Sync(refused));
        }
        self.in_entry(now, &group_id, |entry, turn| match &mut entry.consumer {
            Some(group) => {
                let answer = group.sync(&request, turn).unwrap_or_else(sync_failed);
                turn.reply(from, GroupResponse::Sync(answer));
            }
            None => entry.classic.sync(from, request, turn),
        })
        .unwrap_or_else(|| {
            self.in_all(now, from, |_, _| GroupResponse::Sync(sync_failed(ErrorCode::UNKNOWN_MEMBER_ID)))
        })
    }

    /// Answered without waiting for the log: it changes nothing there, and slow replication must not kill a group.
    fn heartbeat(&mut self, now: Now, from: ReplyTo, request: &HeartbeatRequest) -> Output<Self> {
        let no_group = request.group_id.is_empty();
        let mut error = if no_group { ErrorCode::INVALID_GROUP_ID } else { ErrorCode::UNKNOWN_MEMBER_ID };
        if !no_group {
            self.in_entry(now, &request.group_id, |entry, turn| {
                error = match &mut entry.consumer {
                    Some(group) => group.classic_heartbeat(request, turn).err().unwrap_or(ErrorCode::NONE),
                    None => entry.classic.heartbeat(request, turn),
                };
            });
        }
        let mut out = Output::default();
        Turn { now, config: &self.config, totals: &mut self.totals, out: &mut out }
            .reply_now(from, GroupResponse::Heartbeat(error));
        out
    }

    fn leave(&mut self, now: Now, from: ReplyTo, request: LeaveRequest) -> Output<Self> {
        if request.group_id.is_empty() {
            let refused = LeaveResponse { error: ErrorCode::INVALID_GROUP_ID, members: Vec::new() };
            return self.in_all(now, from, |_, _| GroupResponse::Leave(refused));
        }
        let unknown = request.members.iter().map(|member| LeftMember {
            member_id: member.member_id.clone(),
            group_instance_id: member.group_instance_id.clone(),
            error: ErrorCode::UNKNOWN_MEMBER_ID,
        });
        let unknown = LeaveResponse { error: ErrorCode::NONE, members: unknown.collect() };
        self.in_entry(now, &request.group_id, |entry, turn| {
            let members = match &mut entry.consumer {
                Some(group) => {
                    let (members, downgraded) = group.leave_classic(request.members, turn);
                    if let Some(classic) = downgraded {
                        entry.classic = classic;
                    }
                    members
                }
                None => entry.classic.leave(request.members, turn),
            };
            turn.reply(from, GroupResponse::Leave(LeaveResponse { error: ErrorCode::NONE, members }));
        })
        .unwrap_or_else(|| self.in_all(now, from, |_, _| GroupResponse::Leave(unknown)))
    }

    fn commit(&mut self, now: Now, from: ReplyTo, request: OffsetCommitRequest) -> Output<Self> {
        let group_id = request.group_id.clone();
        let out =
            self.in_all(now, from, |groups, turn| GroupResponse::OffsetCommit(commit::commit(groups, request, turn)));
        self.groups.settle(&group_id);
        out
    }

    fn consumer_heartbeat(&mut self, now: Now, from: ReplyTo, request: &ConsumerHeartbeatRequest) -> Output<Self> {
        let mut out = Output::default();
        let mut turn = Turn { now, config: &self.config, totals: &mut self.totals, out: &mut out };
        let compile = self.compile_pattern.unwrap_or(no_patterns);
        let response = consumer::consumer_heartbeat(&mut self.groups, request, compile, &mut turn)
            .unwrap_or_else(consumer::heartbeat_refused);
        // What the member knows already was committed when it was told.
        let says_nothing_new = turn.out.records.is_empty()
            && !response.error.is_error()
            && response.assignment.is_none()
            && response.member_epoch == request.member_epoch;
        let response = GroupResponse::ConsumerHeartbeat(response);
        if says_nothing_new {
            turn.reply_now(from, response)
        } else {
            turn.reply(from, response)
        }
        self.groups.settle(&request.group_id);
        out
    }

    fn apply_consumer(&mut self, group_id: &str, record: &ConsumerRecord) {
        if record.is_tombstone() {
            let Some(entry) = self.groups.get_mut(group_id) else { return };
            match (record, &mut entry.consumer) {
                (ConsumerRecord::Epoch(None), consumer) => *consumer = None,
                (_, Some(group)) => group.apply(record),
                (_, None) => {}
            }
        } else {
            self.groups.make_consumer(group_id).apply(record);
        }
        self.groups.settle(group_id);
    }

    fn apply_metadata(&mut self, group_id: &str, value: Option<&GroupMetadata>) {
        match value {
            Some(value) => {
                let entry = self.groups.get_or_create(group_id);
                entry.consumer = None;
                entry.classic.apply(value);
                self.groups.settle(group_id);
            }
            None => self.groups.forget_members(group_id),
        }
    }

    fn apply_tombstone(&mut self, key: &OffsetKey) {
        if let Some(entry) = self.groups.get_mut(&key.group_id) {
            entry.offsets.delete(&key.topic, key.partition);
            self.groups.settle(&key.group_id);
        }
    }

    fn apply_pending(&mut self, producer_id: i64, key: &OffsetKey, value: OffsetValue) {
        let entry = self.groups.get_or_create(&key.group_id);
        entry.offsets.commit_pending(producer_id, key, value, self.sequence);
        let groups = self.open_transactions.entry(producer_id).or_default();
        if !groups.contains(key.group_id.as_str()) {
            groups.insert(Arc::from(key.group_id.as_str()));
        }
    }

    fn apply_end(&mut self, producer_id: i64, committed: bool) {
        for group_id in self.open_transactions.remove(&producer_id).unwrap_or_default() {
            if let Some(entry) = self.groups.get_mut(&group_id) {
                entry.offsets.end_transaction(producer_id, committed);
                self.groups.settle(&group_id);
            }
        }
    }
}

/// What a coordinator without patterns makes of one.
fn no_patterns(_: &str) -> Result<TopicMatcher, String> {
    Err("there are none here".to_owned())
}

impl Machine for GroupCoordinator {
    type Request = GroupRequest;
    type Response = GroupResponse;
    type Record = GroupRecord;
    type Effect = std::convert::Infallible;

    fn handle(&mut self, now: Now, from: ReplyTo, request: GroupRequest) -> Output<Self> {
        self.sweep.start(now.monotonic_ms, self.config.offsets_retention_check_interval_ms);
        match request {
            GroupRequest::Join(request) => self.join(now, from, &request),
            GroupRequest::Sync(request) => self.sync(now, from, request),
            GroupRequest::Heartbeat(request) => self.heartbeat(now, from, &request),
            GroupRequest::Leave(request) => self.leave(now, from, request),
            GroupRequest::OffsetCommit(request) => self.commit(now, from, request),
            GroupRequest::TxnOffsetCommit(request) => self.in_all(now, from, |groups, turn| {
                GroupResponse::TxnOffsetCommit(commit::commit_in_transaction(groups, request, turn))
            }),
            GroupRequest::OffsetFetch(request) => self.in_all(now, from, |groups, _| {
                let fetch = |group| fetch::fetch(groups, group, request.require_stable);
                GroupResponse::OffsetFetch(request.groups.into_iter().map(fetch).collect())
            }),
            GroupRequest::OffsetDelete(request) => self
                .in_all(now, from, |groups, turn| GroupResponse::OffsetDelete(commit::delete(groups, request, turn))),
            GroupRequest::ConsumerHeartbeat(request) => self.consumer_heartbeat(now, from, &request),
            GroupRequest::ConsumerDescribe(group_ids) => self.in_all(now, from, |groups, turn| {
                let describe = |group_id: &String| consumer::describe(groups, group_id, turn.config);
                GroupResponse::ConsumerDescribe(group_ids.iter().map(describe).collect())
            }),
            GroupRequest::Describe(group_ids) => {
                let described = self.describe(&group_ids);
                self.in_all(now, from, |_, _| GroupResponse::Describe(described))
            }
            GroupRequest::List(request) => {
                self.in_all(now, from, |groups, _| GroupResponse::List(describe::list(groups, &request)))
            }
            GroupRequest::Totals => self.in_all(now, from, |_, turn| GroupResponse::Totals(*turn.totals)),
            GroupRequest::DeleteGroups(group_ids) => self.in_all(now, from, |groups, turn| {
                let mut delete = |group_id: String| {
                    let error = commit::delete_group(groups, &group_id, turn);
                    (group_id, error)
                };
                GroupResponse::DeleteGroups(group_ids.into_iter().map(&mut delete).collect())
            }),
            GroupRequest::TopicsDeleted(names) => self.in_all(now, from, |groups, turn| {
                commit::delete_topics(groups, &names, turn);
                GroupResponse::TopicsDeleted
            }),
        }
    }

    fn expire(&mut self, now: Now) -> Output<Self> {
        let mut all = Output::default();
        for group_id in self.groups.due(now.monotonic_ms) {
            let expired = self.in_entry(now, &group_id, |entry, turn| match &mut entry.consumer {
                Some(group) => {
                    if let Some(classic) = group.expire(turn) {
                        entry.classic = classic;
                    }
                }
                None => entry.classic.expire(turn),
            });
            if let Some(out) = expired {
                all.records.extend(out.records);
                all.replies.extend(out.replies);
            }
            // The groups that are left are due as before. See the contract: what one group logs is not to be torn.
            if all.records.iter().map(GroupRecord::size_bytes).sum::<usize>() > EXPIRY_BYTES_MAX {
                break;
            }
        }
        let mut turn = Turn { now, config: &self.config, totals: &mut self.totals, out: &mut all };
        self.sweep.step(&self.groups, &mut turn);
        all
    }

    fn next_deadline_ms(&self) -> Option<u64> {
        self.groups.next_wake_ms().into_iter().chain(self.sweep.next_ms()).min()
    }

    fn apply(&mut self, record: &GroupRecord) {
        self.sequence += 1;
        match record {
            GroupRecord::OffsetCommit { key, value: Some(value) } => {
                let entry = self.groups.get_or_create(&key.group_id);
                entry.offsets.commit(key, value.clone(), self.sequence);
            }
            GroupRecord::TxnOffsetCommit { producer_id, key, value: Some(value), .. } => {
                self.apply_pending(*producer_id, key, value.clone());
            }
            GroupRecord::OffsetCommit { key, value: None } | GroupRecord::TxnOffsetCommit { key, value: None, .. } => {
                self.apply_tombstone(key);
            }
            GroupRecord::TxnEnd { producer_id, committed } => self.apply_end(*producer_id, *committed),
            GroupRecord::GroupMetadata { group_id, value } => self.apply_metadata(group_id, value.as_ref()),
            GroupRecord::Consumer { group_id, record } => self.apply_consumer(group_id, record),
        }
    }
}
