//! What a scrape writes about, read once, so that the families of one scrape agree with each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use state::cluster::{Image, PartitionState, Topic};

use super::groups::GroupViews;
use crate::broker::Broker;
use crate::partition::{FLOWS, Flow, Partition};

const MIN_ISR: &str = "min.insync.replicas";

/// One partition that this broker leads.
pub(super) struct PartitionView {
    pub(super) topic: Arc<str>,
    pub(super) index: i32,
    pub(super) replicas: usize,
    pub(super) isr: usize,
    pub(super) min_isr: usize,
    pub(super) is_preferred: bool,
    pub(super) start_offset: i64,
    pub(super) end_offset: i64,
    pub(super) size_bytes: u64,
    pub(super) segments: usize,
}

/// One topic of which this broker leads a partition.
pub(super) struct TopicView {
    pub(super) name: Arc<str>,
    pub(super) led: usize,
    /// Of its partition with the most.
    pub(super) replicas: usize,
    pub(super) records: i64,
    pub(super) size_bytes: u64,
    traffic: [u64; FLOWS],
}

impl TopicView {
    pub(super) fn flow(&self, flow: Flow) -> u64 {
        self.traffic[flow as usize]
    }
}

/// The whole.
pub(super) struct View<'a> {
    pub(super) broker: &'a Broker,
    pub(super) image: Arc<Image>,
    pub(super) groups: &'a GroupViews,
    /// Whether this broker speaks for the cluster.
    pub(super) is_controller: bool,
    pub(super) led: usize,
    pub(super) under_replicated: usize,
    pub(super) under_min_isr: usize,
    pub(super) at_min_isr: usize,
    pub(super) logs_bytes: u64,
    /// All of them or, if they are more than `ottla.metrics.partitions.max`, none.
    pub(super) partitions: Vec<PartitionView>,
    /// The same limit, for topics.
    pub(super) topics: Vec<TopicView>,
}

impl<'a> View<'a> {
    pub(super) fn new(broker: &'a Broker, groups: &'a GroupViews) -> View<'a> {
        let image = broker.image();
        let mut view = View {
            broker,
            groups,
            is_controller: image.controller_id() == Some(broker.node_id()),
            led: 0,
            under_replicated: 0,
            under_min_isr: 0,
            at_min_isr: 0,
            logs_bytes: 0,
            partitions: Vec::new(),
            topics: Vec::new(),
            image: Arc::clone(&image),
        };
        let limit = broker.config().metrics_partitions_max;
        let open: BTreeMap<_, _> = broker.partitions().all().into_iter().map(|open| (open.key(), open)).collect();
        let mut too_many_topics = false;
        for topic in image.topics() {
            let Some(topic) = view.add(topic, &open, limit) else { continue };
            too_many_topics |= view.topics.len() == limit;
            if !too_many_topics {
                view.topics.push(topic);
            }
        }
        if too_many_topics {
            view.topics = Vec::new();
        }
        if view.led > limit {
            view.partitions = Vec::new();
        }
        view
    }

    /// Whether there are more partitions than are told of one by one.
    pub(super) fn is_cut(&self) -> bool {
        self.led > self.partitions.len()
    }

    /// Where the log of a partition begins and ends, if it is ours.
    pub(super) fn offsets(&self, topic: &Topic, index: i32) -> Option<(i64, i64)> {
        let state = topic.partition(index)?;
        if state.leader != self.broker.node_id() {
            return None;
        }
        let open = self.broker.partitions().open_by_id(topic.id, index);
        Some(open.map_or((0, 0), |open| (open.log_start_offset(), open.high_watermark())))
    }

    fn add(
        &mut self,
        topic: &Topic,
        open: &BTreeMap<(protocol::Uuid, i32), Arc<Partition>>,
        limit: usize,
    ) -> Option<TopicView> {
        let min_isr = self.min_isr(topic);
        let name = Arc::clone(&topic.name);
        let mut sums = TopicView { name, led: 0, replicas: 0, records: 0, size_bytes: 0, traffic: [0; FLOWS] };
        for (index, state) in (0..).zip(&topic.partitions) {
            if state.leader != self.broker.node_id() {
                continue;
            }
            let log = open.get(&(topic.id, index));
            let view = partition_view(topic, index, state, min_isr, log);
            sums.led += 1;
            sums.replicas = sums.replicas.max(view.replicas);
            sums.records += view.end_offset - view.start_offset;
            sums.size_bytes += view.size_bytes;
            if let Some(log) = log {
                sums.traffic.iter_mut().zip(log.traffic().read()).for_each(|(sum, count)| *sum += count);
            }
            self.count(&view);
            if self.led <= limit {
                self.partitions.push(view);
            }
        }
        (sums.led > 0).then_some(sums)
    }

    fn min_isr(&self, topic: &Topic) -> usize {
        let own = self.image.topic_configs(&topic.name).and_then(|configs| configs.get(MIN_ISR)?.parse().ok());
        own.unwrap_or_else(|| match self.broker.config().topic_values.get(MIN_ISR) {
            Some(value) => value.to_string().parse().unwrap_or(1),
            None => 1,
        })
    }

    fn count(&mut self, view: &PartitionView) {
        self.led += 1;
        self.logs_bytes += view.size_bytes;
        self.under_replicated += usize::from(view.isr < view.replicas);
        self.under_min_isr += usize::from(view.isr < view.min_isr);
        self.at_min_isr += usize::from(view.isr == view.min_isr);
    }
}

fn partition_view(
    topic: &Topic,
    index: i32,
    state: &PartitionState,
    min_isr: usize,
    log: Option<&Arc<Partition>>,
) -> PartitionView {
    PartitionView {
        topic: Arc::clone(&topic.name),
        index,
        replicas: state.replicas.len(),
        isr: state.isr.len(),
        // A topic with fewer replicas can never have more of them in sync.
        min_isr: min_isr.min(state.replicas.len()),
        is_preferred: state.replicas.first() == Some(&state.leader),
        start_offset: log.map_or(0, |log| log.log_start_offset()),
        end_offset: log.map_or(0, |log| log.high_watermark()),
        size_bytes: log.map_or(0, |log| log.log().size_bytes()),
        segments: log.map_or(0, |log| log.log().segment_count()),
    }
}
