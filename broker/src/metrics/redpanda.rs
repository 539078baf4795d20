//! The names of Redpanda's public metrics, where they mean the same thing.

use super::text::Exposition;
use super::text::Kind::{Counter, Gauge, Histogram};
use super::text::Label::{Number, Text};
use super::view::{PartitionView, View};
use crate::dispatch::ROUTES;
use crate::partition::{ALL_TRAFFIC, Flow};

const NAMESPACE: (&str, super::text::Label<'static>) = ("redpanda_namespace", Text("kafka"));

type Value = fn(&PartitionView) -> i64;

pub(super) fn write(view: &View<'_>, out: &mut Exposition<'_>) {
    let uptime = view.broker.clock().now().monotonic_ms as f64 / 1e3;
    out.single("redpanda_application_uptime_seconds_total", Gauge, "Since the broker started, seconds.", uptime);
    if view.is_controller {
        let unavailable = view.image.topics().flat_map(|topic| &topic.partitions).filter(|p| p.leader < 0).count();
        for (name, help, value) in [
            ("redpanda_cluster_brokers", "Brokers of the cluster.", view.image.brokers().count()),
            ("redpanda_cluster_topics", "Topics of the cluster.", view.image.topic_count()),
            ("redpanda_cluster_partitions", "Partitions of the cluster.", view.image.partition_count()),
            ("redpanda_cluster_unavailable_partitions", "Partitions without a leader.", unavailable),
        ] {
            out.single(name, Gauge, help, value);
        }
    }
    write_partitions(view, out);
    write_requests(view, out);
    write_groups(view, out);
    let connections = view.broker.connections().count();
    out.family("redpanda_rpc_active_connections", Gauge, "Connections of clients.");
    out.sample("redpanda_rpc_active_connections", &[("redpanda_server", Text("kafka"))], connections);
    if let Ok((free, total)) = view.broker.partitions().volume() {
        out.single("redpanda_storage_disk_total_bytes", Gauge, "Size of the volume, bytes.", total);
        out.single("redpanda_storage_disk_free_bytes", Gauge, "Free on the volume, bytes.", free);
        let (_, is_low) = view.broker.partitions().disk_reserve();
        let help = "0 enough, 2 so little that producers are refused.";
        out.single("redpanda_storage_disk_free_space_alert", Gauge, help, if is_low { 2 } else { 0 });
    }
}

fn write_partitions(view: &View<'_>, out: &mut Exposition<'_>) {
    let values: [(&str, &str, Value); 2] = [
        ("redpanda_kafka_max_offset", "The offset the next record will get.", |p| p.end_offset),
        ("redpanda_kafka_under_replicated_replicas", "Replicas that are not in sync.", |p| {
            p.replicas.saturating_sub(p.isr) as i64
        }),
    ];
    for (name, help, value) in values {
        out.family(name, Gauge, help);
        for partition in &view.partitions {
            let (topic, index) = (Text(&partition.topic), Number(partition.index.into()));
            let labels = [NAMESPACE, ("redpanda_topic", topic), ("redpanda_partition", index)];
            out.sample(name, &labels, value(partition));
        }
    }
    out.family("redpanda_kafka_partitions", Gauge, "Partitions of the topic that this broker leads.");
    for topic in &view.topics {
        out.sample("redpanda_kafka_partitions", &[NAMESPACE, ("redpanda_topic", Text(&topic.name))], topic.led);
    }
}

fn write_requests(view: &View<'_>, out: &mut Exposition<'_>) {
    let name = "redpanda_kafka_request_bytes_total";
    out.family(name, Counter, "Bytes of batches that were produced and consumed.");
    for (request, flow) in [("produce", Flow::BytesIn), ("consume", Flow::BytesOut)] {
        if view.topics.is_empty() {
            out.sample(name, &[NAMESPACE, ("redpanda_request", Text(request))], ALL_TRAFFIC.get(flow));
        }
        for topic in &view.topics {
            let labels = [NAMESPACE, ("redpanda_topic", Text(&topic.name)), ("redpanda_request", Text(request))];
            out.sample(name, &labels, topic.flow(flow));
        }
    }
    let name = "redpanda_kafka_records_produced_total";
    out.family(name, Counter, "Records that were produced.");
    for topic in &view.topics {
        let labels = [NAMESPACE, ("redpanda_topic", Text(&topic.name))];
        out.sample(name, &labels, topic.flow(Flow::MessagesIn));
    }
    let name = "redpanda_kafka_request_latency_seconds";
    out.family(name, Histogram, "From the whole request to the whole answer, seconds.");
    for (api, request) in [("Produce", "produce"), ("Fetch", "consume")] {
        for route in ROUTES.iter().filter(|route| route.name == api) {
            out.histogram_seconds(name, &[("redpanda_request", Text(request))], &route.stats.total);
        }
    }
    let name = "redpanda_kafka_handler_latency_seconds";
    out.family(name, Histogram, "From the whole request to the whole answer by API, seconds.");
    for route in ROUTES.iter().filter(|route| route.stats.requests().any(|(_, count)| count > 0)) {
        let handler = route.name.to_lowercase();
        out.histogram_seconds(name, &[("handler", Text(&handler))], &route.stats.total);
    }
}

fn write_groups(view: &View<'_>, out: &mut Exposition<'_>) {
    let name = "redpanda_kafka_consumer_group_committed_offset";
    out.family(name, Gauge, "The committed offset.");
    let offsets = view.groups.groups.iter().flat_map(|(id, group)| {
        let of_topic = group.committed.iter().map(move |(topic, offsets)| (id, topic, offsets));
        of_topic.flat_map(|(id, topic, offsets)| offsets.iter().map(move |(index, offset)| (id, topic, index, offset)))
    });
    for (id, topic, index, offset) in offsets.take(view.broker.config().metrics_partitions_max) {
        let labels = [
            ("redpanda_group", Text(id)),
            ("redpanda_topic", Text(topic)),
            ("redpanda_partition", Number((*index).into())),
        ];
        out.sample(name, &labels, offset);
    }
    out.family("redpanda_kafka_consumer_group_consumers", Gauge, "Members of the group.");
    for (id, group) in &view.groups.groups {
        out.sample("redpanda_kafka_consumer_group_consumers", &[("redpanda_group", Text(id))], group.members);
    }
    out.family("redpanda_kafka_consumer_group_topics", Gauge, "Topics with a committed offset.");
    for (id, group) in &view.groups.groups {
        out.sample("redpanda_kafka_consumer_group_topics", &[("redpanda_group", Text(id))], group.committed.len());
    }
}
