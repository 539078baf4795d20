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

/// Coordinators that answer later than this, all together, are not waited for.
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
    /// Nothing when a coordinator did not answer: what some of them know would look as if the rest had come to nothing.
    pub(super) counts: Option<GroupCounts>,
    /// By id, as many as are told of. A group whose coordinator did not answer is not among them.
    pub(super) groups: BTreeMap<String, GroupView>,
    /// Groups beyond the limit.
    pub(super) left_out: usize,
}

/// What is told of all groups together.
#[derive(Default)]
pub(super) struct GroupCounts {
    /// How many there are in each state.
    pub(super) states: BTreeMap<&'static str, usize>,
    /// How many groups of the consumer protocol there are in each state.
    pub(super) consumer_states: BTreeMap<&'static str, usize>,
    /// Rebalances of classic groups that ended with an assignment, and of groups of the consumer protocol, since their
    /// coordinators were loaded.
    pub(super) completed_rebalances: u64,
    pub(super) consumer_rebalances: u64,
}

impl GroupCounts {
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
async fn in_time(patience: Duration, collecting: impl Future<Output = AllAnswered>) {
    if !timeout(patience, collecting).await.unwrap_or(false) {
        UNANSWERED.add(1);
    }
}

/// Whether every coordinator answered.
type AllAnswered = bool;

async fn collect_into(broker: &Arc<Broker>, views: &mut GroupViews) -> AllAnswered {
    let Some((counts, mut ids)) = count(broker).await else { return false };
    views.counts = Some(counts);
    let limit = broker.config().metrics_groups_max;
    ids.sort_unstable();
    views.left_out = ids.len().saturating_sub(limit);
    ids.truncate(limit);
    describe_into(broker, ids, views).await
}

/// Groups as they are listed: their ids and types.
type Listed = Vec<(String, &'static str)>;

/// What is told of all groups together, and which those are. `None` when a coordinator loads again, which has nothing to
/// tell for the moment.
async fn count(broker: &Arc<Broker>) -> Option<(GroupCounts, Listed)> {
    let (mut counts, mut ids) = (GroupCounts::default(), Vec::new());
    for receiver in broker.groups().submit_to_all(broker, || GroupRequest::List(ListRequest::default())).await {
        let Some(GroupResponse::List(groups)) = answer(Some(receiver)).await else { return None };
        for group in groups {
            let is_consumer = group.group_type == CONSUMER;
            let states = if is_consumer { &mut counts.consumer_states } else { &mut counts.states };
            *states.entry(group.state).or_default() += 1;
            ids.push((group.group_id, group.group_type));
        }
    }
    for receiver in broker.groups().submit_to_all(broker, || GroupRequest::Totals).await {
        let Some(GroupResponse::Totals(totals)) = answer(Some(receiver)).await else { return None };
        counts.completed_rebalances += totals.completed_rebalances;
        counts.consumer_rebalances += totals.consumer_rebalances;
    }
    Some((counts, ids))
}

/// Asks for the members and offsets of each.
async fn describe_into(broker: &Arc<Broker>, ids: Listed, views: &mut GroupViews) -> AllAnswered {
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
    let mut all_answered = true;
    for (describe, fetch, group_id) in asked {
        match view(answer(describe).await, answer(fetch).await) {
            Some(view) => drop(views.groups.insert(group_id, view)),
            None => all_answered = false,
        }
    }
    all_answered
}

/// A group without members and offsets is another thing than one of which neither is known.
fn view(described: Option<GroupResponse>, fetched: Option<GroupResponse>) -> Option<GroupView> {
    let members = match described? {
        GroupResponse::Describe(groups) => groups.iter().map(|group| group.members.len()).sum(),
        GroupResponse::ConsumerDescribe(groups) => groups.iter().flatten().map(|group| group.members.len()).sum(),
        _ => return None,
    };
    let GroupResponse::OffsetFetch(groups) = fetched? else { return None };
    let mut view = GroupView { members, ..GroupView::default() };
    for topic in groups.into_iter().flat_map(|group| group.topics) {
        let known = topic.partitions.iter().filter(|partition| partition.committed_offset >= 0);
        let offsets = known.map(|partition| (partition.partition_index, partition.committed_offset));
        view.committed.entry(topic.name).or_default().extend(offsets);
    }
    Some(view)
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
        in_time(PATIENCE, std::future::ready(true)).await;
        assert_eq!(UNANSWERED.get(), 0);
        in_time(PATIENCE, std::future::ready(false)).await;
        in_time(Duration::from_millis(1), std::future::pending()).await;
        assert_eq!(UNANSWERED.get(), 2);
    }

    #[test]
    fn a_group_of_which_too_little_is_known_is_left_out() {
        let (described, fetched) = (GroupResponse::Describe(Vec::new()), GroupResponse::OffsetFetch(Vec::new()));
        assert!(view(None, Some(fetched.clone())).is_none());
        assert!(view(Some(described.clone()), None).is_none());
        assert!(view(Some(described), Some(fetched)).is_some_and(|view| view.members == 0));
    }
}
