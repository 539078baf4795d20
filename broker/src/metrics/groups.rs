//! Groups as their coordinators know them, asked once for a scrape.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use state::group::{GroupRequest, GroupResponse, ListRequest, OffsetFetchGroup, OffsetFetchRequest};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::instruments::Counter;
use crate::broker::Broker;
use crate::coordinator;

/// Coordinators that answer later than this, all together, are told as if they had no groups.
const PATIENCE: Duration = Duration::from_secs(2);

/// Scrapes that had to do without some groups because a coordinator did not answer.
pub(super) static UNANSWERED: Counter = Counter::new();

/// One group.
#[derive(Default)]
pub(super) struct GroupView {
    pub(super) members: usize,
    /// By topic and partition.
    pub(super) committed: BTreeMap<String, BTreeMap<i32, i64>>,
}

/// All groups that this broker coordinates.
#[derive(Default)]
pub(super) struct GroupViews {
    /// How many there are in each state.
    pub(super) states: BTreeMap<&'static str, usize>,
    /// How many groups of the consumer protocol there are in each state.
    pub(super) consumer_states: BTreeMap<&'static str, usize>,
    /// By id, as many as are told of.
    pub(super) groups: BTreeMap<String, GroupView>,
    /// Groups beyond the limit.
    pub(super) left_out: usize,
}

impl GroupViews {
    pub(super) fn count(&self) -> usize {
        self.states.values().chain(self.consumer_states.values()).sum()
    }
}

/// Asks every coordinator.
pub(super) async fn collect(broker: &Arc<Broker>) -> GroupViews {
    let mut views = GroupViews::default();
    in_time(PATIENCE, collect_into(broker, &mut views)).await;
    views
}

/// What was collected by then is told.
async fn in_time(patience: Duration, collecting: impl Future<Output = ()>) {
    if timeout(patience, collecting).await.is_err() {
        UNANSWERED.add(1);
    }
}

async fn collect_into(broker: &Arc<Broker>, views: &mut GroupViews) {
    let limit = broker.config().metrics_groups_max;
    let mut listed = Vec::new();
    for receiver in broker.groups().submit_to_all(broker, || GroupRequest::List(ListRequest::default())).await {
        if let Some(GroupResponse::List(groups)) = answer(Some(receiver)).await {
            listed.extend(groups);
        }
    }
    let mut ids = Vec::new();
    for group in listed {
        let states = if group.group_type == CONSUMER { &mut views.consumer_states } else { &mut views.states };
        *states.entry(group.state).or_default() += 1;
        ids.push((group.group_id, group.group_type));
    }
    ids.sort_unstable();
    views.left_out = ids.len().saturating_sub(limit);
    ids.truncate(limit);
    if ids.is_empty() {
        return;
    }
    let mut asked = Vec::with_capacity(ids.len());
    for (group_id, group_type) in ids {
        let named = vec![group_id.clone()];
        let describe =
            if group_type == CONSUMER { GroupRequest::ConsumerDescribe(named) } else { GroupRequest::Describe(named) };
        let describe = submit(broker, &group_id, describe).await;
        let groups =
            vec![OffsetFetchGroup { group_id: group_id.clone(), member_id: None, member_epoch: -1, topics: None }];
        let fetch = GroupRequest::OffsetFetch(OffsetFetchRequest { groups, require_stable: false });
        asked.push((describe, submit(broker, &group_id, fetch).await, group_id));
    }
    for (describe, fetch, group_id) in asked {
        let members = match answer(describe).await {
            Some(GroupResponse::Describe(groups)) => groups.iter().map(|group| group.members.len()).sum(),
            Some(GroupResponse::ConsumerDescribe(groups)) => {
                groups.iter().flatten().map(|group| group.members.len()).sum()
            }
            _ => 0,
        };
        let mut view = GroupView { members, ..GroupView::default() };
        if let Some(GroupResponse::OffsetFetch(groups)) = answer(fetch).await {
            for topic in groups.into_iter().flat_map(|group| group.topics) {
                let known = topic.partitions.iter().filter(|partition| partition.committed_offset >= 0);
                let offsets = known.map(|partition| (partition.partition_index, partition.committed_offset));
                view.committed.entry(topic.name).or_default().extend(offsets);
            }
        }
        views.groups.insert(group_id, view);
    }
}

/// The type of groups of the consumer protocol.
const CONSUMER: &str = "consumer";

type Asked = Option<oneshot::Receiver<GroupResponse>>;

async fn submit(broker: &Arc<Broker>, group_id: &str, request: GroupRequest) -> Asked {
    broker.groups().submit(broker, group_id, request).await.ok()
}

/// A coordinator that loads again has nothing to tell for the moment.
async fn answer(asked: Asked) -> Option<GroupResponse> {
    coordinator::answer(asked?).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_coordinator_that_does_not_answer_is_counted() {
        in_time(PATIENCE, std::future::ready(())).await;
        assert_eq!(UNANSWERED.get(), 0);
        in_time(Duration::from_millis(1), std::future::pending()).await;
        assert_eq!(UNANSWERED.get(), 1);
    }
}
