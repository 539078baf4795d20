//! The names of Redpanda's public metrics, where they mean the same thing.

use super::exporter::{Consumed, consumed};
use super::text::Exposition;
use super::text::Kind::{Counter, Gauge, Histogram};
use super::text::Label::{Number, Text};
use super::view::{PartitionView, View};
use super::{process, windows};
use crate::dispatch::ROUTES;
use crate::partition::{ALL_TRAFFIC, Flow};

const NAMESPACE: (&str, super::text::Label<'static>) = ("redpanda_namespace", Text("kafka"));

const SERVER: (&str, super::text::Label<'static>) = ("redpanda_server", Text("kafka"));
/// There is one pool of memory.
const SHARD: (&str, super::text::Label<'static>) = ("shard", Number(0));

type Value = fn(&PartitionView) -> i64;

pub(super) fn write(view: &View<'_>, out: &mut Exposition<'_>) {
    let uptime = view.broker.clock().now().monotonic_ms as f64 / 1e3;
    out.single("redpanda_application_uptime_seconds_total", Gauge, "Since the broker started, seconds.", uptime);
    if view.is_controller {
        let leaderless = view.image.topics().flat_map(|topic| &topic.partitions).filter(|p| p.leader < 0).count();
        let unavailable = leaderless + view.broker.partitions().offline_count();
        for (name, help, value) in [
            ("redpanda_cluster_brokers", "Brokers of the cluster.", view.image.brokers().count()),
            ("redpanda_cluster_topics", "Topics of the cluster.", view.image.topic_count()),
            ("redpanda_cluster_partitions", "Partitions of the cluster.", view.image.partition_count()),
            ("redpanda_cluster_unavailable_partitions", "Partitions that nobody can write.", unavailable),
        ] {
            out.single(name, Gauge, help, value);
        }
    }
    write_partitions(view, out);
    write_requests(view, out);
    write_groups(view, out);
    let connections = view.broker.connections().count();
    out.family("redpanda_rpc_active_connections", Gauge, "Connections of clients.");
    out.sample("redpanda_rpc_active_connections", &[SERVER], connections);
    write_machine(view, out);
    if let Ok((free, total)) = view.broker.partitions().volume() {
        out.single("redpanda_storage_disk_total_bytes", Gauge, "Size of the volume, bytes.", total);
        out.single("redpanda_storage_disk_free_bytes", Gauge, "Free on the volume, bytes.", free);
        let (_, is_low) = view.broker.partitions().disk_reserve();
        let help = "0 enough, 2 so little that producers are refused.";
        out.single("redpanda_storage_disk_free_space_alert", Gauge, help, if is_low { 2 } else { 0 });
    }
}

/// Memory and processor, as Linux and the runtime tell them.
fn write_machine(view: &View<'_>, out: &mut Exposition<'_>) {
    if let Some(resident) = process::resident_bytes() {
        let free = view.broker.config().limits.memory_bytes.saturating_sub(resident);
        for (name, help, value) in [
            ("redpanda_memory_allocated_memory", "Resident memory, bytes.", resident),
            ("redpanda_memory_free_memory", "What is left of the limit, bytes.", free),
            ("redpanda_memory_available_memory", "The same: nothing that is held can be taken back.", free),
        ] {
            out.family(name, Gauge, help);
            out.sample(name, &[SHARD], value);
        }
    }
    let name = "redpanda_cpu_busy_seconds_total";
    out.family(name, Counter, "For which each worker was busy, seconds.");
    for (worker, busy) in (0..).zip(windows::busy_times()) {
        out.sample(name, &[("shard", Number(worker))], busy.as_secs_f64());
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
    out.family("redpanda_kafka_replicas", Gauge, "Replicas of each partition of the topic.");
    for topic in &view.topics {
        out.sample("redpanda_kafka_replicas", &[NAMESPACE, ("redpanda_topic", Text(&topic.name))], topic.replicas);
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
    let name = "redpanda_rpc_request_latency_seconds";
    out.family(name, Histogram, "From the whole request to the whole answer, all APIs together, seconds.");
    out.histogram_seconds_of_all(name, &[SERVER], ROUTES.iter().map(|route| &route.stats.total));
    let name = "redpanda_kafka_handler_latency_seconds";
    out.family(name, Histogram, "From the whole request to the whole answer by API, seconds.");
    for route in ROUTES.iter().filter(|route| route.stats.requests().any(|(_, count)| count > 0)) {
        let handler = route.name.to_lowercase();
        out.histogram_seconds(name, &[("handler", Text(&handler))], &route.stats.total);
    }
}

fn write_groups(view: &View<'_>, out: &mut Exposition<'_>) {
    let groups = &view.groups.groups;
    let limit = view.broker.config().metrics_partitions_max;
    let name = "redpanda_kafka_consumer_group_committed_offset";
    out.family(name, Gauge, "The committed offset.");
    let of_all = groups.iter().flat_map(|(id, group)| consumed(view, id, group));
    for one in of_all.filter(|one| one.committed >= 0).take(limit) {
        let labels = [
            ("redpanda_group", Text(one.group)),
            ("redpanda_topic", Text(&one.topic.name)),
            ("redpanda_partition", Number(one.index.into())),
        ];
        out.sample(name, &labels, one.committed);
    }
    // Two numbers of each group are kept, not one for each partition that it reads.
    let behind: Vec<(i64, i64)> = groups.iter().map(|(id, group)| most_and_sum(consumed(view, id, group))).collect();
    let mut family = |what: &str, help: &str, values: &mut dyn Iterator<Item = i64>| {
        let name = format!("redpanda_kafka_consumer_group_{what}");
        out.family(&name, Gauge, help);
        for (id, value) in groups.keys().zip(values) {
            out.sample(&name, &[("redpanda_group", Text(id))], value);
        }
    };
    let (members, topics) = (groups.values().map(|g| g.members), groups.values().map(|g| g.committed.len()));
    family("consumers", "Members of the group.", &mut members.map(|count| count as i64));
    family("topics", "Topics with a committed offset.", &mut topics.map(|count| count as i64));
    family(
        "lag_max",
        "Records by which the group is behind where it is furthest.",
        &mut behind.iter().map(|(most, _)| *most),
    );
    family("lag_sum", "Records by which the group is behind.", &mut behind.iter().map(|(_, sum)| *sum));
}

/// How far a group is behind: where it is furthest, and in all. A partition without a commit counts for nothing.
fn most_and_sum<'a>(consumed: impl Iterator<Item = Consumed<'a>>) -> (i64, i64) {
    let lags = consumed.filter_map(|one| one.lag).map(|lag| lag.max(0));
    lags.fold((0, 0), |(most, sum), lag| (most.max(lag), sum + lag))
}
