//! The names of kafka_exporter (danielqsj/kafka_exporter), and what its users ask it for in vain.

use std::sync::Arc;

use protocol::records::Batch;
use state::cluster::Topic;

use super::clients;
use super::groups::GroupView;
use super::text::Exposition;
use super::text::Kind::Gauge;
use super::text::Label::{Number, Text};
use super::view::{PartitionView, View};
use crate::clock::wall_ms;

/// Logs that are read for the age of what a group has not consumed, in one scrape.
const AGES_MAX: usize = 1000;

type Value = fn(&PartitionView) -> i64;

const PER_PARTITION: &[(&str, &str, Value)] = &[
    ("kafka_topic_partition_current_offset", "The offset the next record will get.", |p| p.end_offset),
    ("kafka_topic_partition_oldest_offset", "The first offset that can be read.", |p| p.start_offset),
    ("kafka_topic_partition_replicas", "Replicas of the partition.", |p| p.replicas as i64),
    ("kafka_topic_partition_in_sync_replica", "Replicas in sync.", |p| p.isr as i64),
    ("kafka_topic_partition_leader_is_preferred", "1 when the leader is the preferred one.", |p| {
        i64::from(p.is_preferred)
    }),
    ("kafka_topic_partition_under_replicated_partition", "1 when replicas are not in sync.", |p| {
        i64::from(p.isr < p.replicas)
    }),
];

/// Brokers, topics and partitions.
pub(super) fn write(view: &View<'_>, out: &mut Exposition<'_>) {
    if view.is_controller {
        write_cluster(view, out);
    }
    out.family("kafka_topic_partition_leader", Gauge, "The broker that leads the partition.");
    let leader = view.broker.node_id();
    for partition in &view.partitions {
        out.sample("kafka_topic_partition_leader", &labels(partition), leader);
    }
    for (name, help, value) in PER_PARTITION {
        out.family(name, Gauge, help);
        for partition in &view.partitions {
            out.sample(name, &labels(partition), value(partition));
        }
    }
    let name = "kafka_producer_request_latency_avg";
    out.family(name, Gauge, "Mean time of a client id's produce requests over the last half minute, milliseconds.");
    for (client_id, mean_ms) in clients::means_ms() {
        out.sample(name, &[("client_id", Text(&client_id))], mean_ms);
    }
}

pub(super) fn labels(partition: &PartitionView) -> [(&'static str, super::text::Label<'_>); 2] {
    [("topic", Text(&partition.topic)), ("partition", Number(partition.index.into()))]
}

fn write_cluster(view: &View<'_>, out: &mut Exposition<'_>) {
    out.single("kafka_brokers", Gauge, "Brokers of the cluster.", view.image.brokers().filter(|b| !b.fenced).count());
    out.family("kafka_broker_info", Gauge, "A broker and the address it advertises.");
    for broker in view.image.brokers() {
        let Some(listener) = broker.listeners.first() else { continue };
        let address = format!("{}:{}", listener.host, listener.port);
        let labels = [("id", Number(broker.broker_id.into())), ("address", Text(&address))];
        out.sample("kafka_broker_info", &labels, 1);
    }
    out.family("kafka_topic_partitions", Gauge, "Partitions of the topic.");
    if view.image.topic_count() <= view.broker.config().metrics_partitions_max {
        for topic in view.image.topics() {
            out.sample("kafka_topic_partitions", &[("topic", Text(&topic.name))], topic.partitions.len());
        }
    }
}

/// One partition as a group has consumed it.
pub(super) struct Consumed<'a> {
    pub(super) group: &'a str,
    pub(super) topic: &'a Arc<Topic>,
    pub(super) index: i32,
    /// −1 where there is no commit.
    pub(super) committed: i64,
    /// −1 where there is no commit, nothing where another broker knows the end of the log.
    pub(super) lag: Option<i64>,
}

impl Consumed<'_> {
    fn write(&self, name: &str, value: impl std::fmt::Display, out: &mut Exposition<'_>) {
        let labels = [
            ("consumergroup", Text(self.group)),
            ("topic", Text(&self.topic.name)),
            ("partition", Number(self.index.into())),
        ];
        out.sample(name, &labels, value);
    }
}

/// Groups, their offsets and how far they are behind.
pub(super) fn write_groups(view: &View<'_>, out: &mut Exposition<'_>) {
    out.family("kafka_consumergroup_members", Gauge, "Members of the group.");
    for (group, of_group) in &view.groups.groups {
        out.sample("kafka_consumergroup_members", &[("consumergroup", Text(group))], of_group.members);
    }
    let limit = view.broker.config().metrics_partitions_max;
    let consumed: Vec<_> =
        view.groups.groups.iter().flat_map(|(id, group)| consumed(view, id, group)).take(limit).collect();
    out.family("kafka_consumergroup_current_offset", Gauge, "The committed offset; -1 without one.");
    for one in &consumed {
        one.write("kafka_consumergroup_current_offset", one.committed, out);
    }
    for name in ["kafka_consumergroup_lag", "kafka_consumergroup_uncommitted_offsets"] {
        out.family(name, Gauge, "Records between the committed offset and the end of the log; -1 without a commit.");
        for one in &consumed {
            if let Some(lag) = one.lag {
                one.write(name, lag, out);
            }
        }
    }
    write_sums(&consumed, out);
    write_ages(view, &consumed, out);
}

/// As the exporter does it: of a topic with any commit, every partition.
pub(super) fn consumed<'a>(
    view: &'a View<'_>,
    group: &'a str,
    of_group: &'a GroupView,
) -> impl Iterator<Item = Consumed<'a>> {
    of_group.committed.iter().filter(|(_, offsets)| !offsets.is_empty()).flat_map(move |(name, offsets)| {
        let topic = view.image.topic(name);
        topic.into_iter().flat_map(move |topic| {
            (0..topic.partition_count()).map(move |index| {
                let committed = offsets.get(&index).copied().unwrap_or(-1);
                let lag = match committed {
                    -1 => Some(-1),
                    // Behind a log that was cut and began again nobody can be less than not at all.
                    offset => view.offsets(topic, index).map(|(_, end)| (end - offset).max(0)),
                };
                Consumed { group, topic, index, committed, lag }
            })
        })
    })
}

fn write_sums(consumed: &[Consumed<'_>], out: &mut Exposition<'_>) {
    let of_a_topic = |a: &Consumed<'_>, b: &Consumed<'_>| a.group == b.group && a.topic.id == b.topic.id;
    for (name, help, value) in [
        (
            "kafka_consumergroup_current_offset_sum",
            "Committed offsets over the partitions of the topic.",
            (|one| one.committed) as fn(&Consumed<'_>) -> i64,
        ),
        // A partition without a commit is -1 by itself and nothing in the sum.
        ("kafka_consumergroup_lag_sum", "Lag over the partitions of the topic.", |one| one.lag.unwrap_or(0).max(0)),
    ] {
        out.family(name, Gauge, help);
        for partitions in consumed.chunk_by(of_a_topic) {
            let labels = [("consumergroup", Text(partitions[0].group)), ("topic", Text(&partitions[0].topic.name))];
            out.sample(name, &labels, partitions.iter().map(value).sum::<i64>());
        }
    }
}

/// How old the oldest record is that the group has not consumed, to the precision of its batch.
fn write_ages(view: &View<'_>, consumed: &[Consumed<'_>], out: &mut Exposition<'_>) {
    let now_ms = wall_ms();
    let mut looked_at = 0;
    let mut ages = Vec::with_capacity(consumed.len());
    for one in consumed {
        let age_ms = match one.lag {
            Some(0) => Some(0),
            Some(lag) if lag > 0 && looked_at < AGES_MAX => {
                looked_at += 1;
                written_ms(view, one).map(|written_ms| (now_ms - written_ms).max(0))
            }
            _ => None,
        };
        ages.push(age_ms);
    }
    for (name, help, unit) in [
        ("kafka_consumergroup_lag_seconds", "Age of the first record that is not consumed, seconds.", 1e3),
        ("kafka_consumer_lag_millis", "Age of the first record that is not consumed, milliseconds.", 1.0),
    ] {
        out.family(name, Gauge, help);
        for (one, age_ms) in consumed.iter().zip(&ages) {
            if let Some(age_ms) = age_ms {
                one.write(name, *age_ms as f64 / unit, out);
            }
        }
    }
}

/// When the batch with the first record that is not consumed was written.
fn written_ms(view: &View<'_>, one: &Consumed<'_>) -> Option<i64> {
    let open = view.broker.partitions().open_by_id(one.topic.id, one.index)?;
    let offset = one.committed.max(open.log_start_offset());
    let read = open.log().read(offset, 1, open.high_watermark(), true).ok()?;
    let batch = Batch::parse(read.records.chunks().first()?).ok()?;
    Some(if batch.base_offset() >= offset { batch.base_timestamp() } else { batch.max_timestamp() })
}
