//! What only this broker has: budgets, the disk, flushing, compaction.

use super::text::Exposition;
use super::text::Kind::{Counter, Gauge, Histogram};
use super::text::Label::Text;
use super::view::View;
use super::{groups, text::Kind};
use crate::dispatch::ROUTES;
use crate::logging::LEFT_OUT;
use crate::partition::{CLEANING, FLUSHES};
use crate::server::TRAFFIC;

pub(super) fn write(view: &View<'_>, out: &mut Exposition<'_>) {
    out.family("ottla_build_info", Gauge, "The release.");
    out.sample("ottla_build_info", &[("version", Text(env!("CARGO_PKG_VERSION")))], 1);
    let uptime = view.broker.clock().now().monotonic_ms as f64 / 1e3;
    out.single("ottla_uptime_seconds", Gauge, "Since the broker started, seconds.", uptime);
    write_memory(view, out);
    write_connections(view, out);
    write_disk(view, out);
    write_flushes(out);
    write_cleaner(out);
    let name = "ottla_request_seconds";
    out.family(name, Histogram, "From the whole request to the whole answer, seconds.");
    for route in ROUTES.iter().filter(|route| route.stats.requests().any(|(_, count)| count > 0)) {
        out.histogram_seconds(name, &[("request", Text(route.name))], &route.stats.total);
    }
    out.family("ottla_topic_records", Gauge, "Offsets between the start and the end of the topic's logs.");
    for topic in &view.topics {
        out.sample("ottla_topic_records", &[("topic", Text(&topic.name))], topic.records);
    }
    out.family("ottla_topic_bytes", Gauge, "Bytes of the topic's segments.");
    for topic in &view.topics {
        out.sample("ottla_topic_bytes", &[("topic", Text(&topic.name))], topic.size_bytes);
    }
    let help = "1 when there are too many to tell of one by one; raise ottla.metrics.partitions.max or .groups.max.";
    out.family("ottla_metrics_cut", Gauge, help);
    out.sample("ottla_metrics_cut", &[("family", Text("partitions"))], u8::from(view.is_cut()));
    out.sample("ottla_metrics_cut", &[("family", Text("groups"))], u8::from(view.groups.left_out > 0));
    let help = "Log lines that were left out because the same line came too often.";
    out.single("ottla_log_lines_left_out_total", Counter, help, LEFT_OUT.get());
    let help = "Scrapes without some groups, because a coordinator did not answer.";
    out.single("ottla_metrics_groups_unanswered_total", Counter, help, groups::UNANSWERED.get());
}

fn write_memory(view: &View<'_>, out: &mut Exposition<'_>) {
    let config = view.broker.config();
    let limits = &config.limits;
    let help = "Memory that the budgets are cut from, bytes.";
    out.single("ottla_memory_limit_bytes", Gauge, help, limits.memory_bytes);
    out.family("ottla_memory_budget_bytes", Gauge, "A budget, bytes.");
    for (budget, bytes) in [
        ("requests", limits.request_bytes as u64),
        ("answers", limits.answer_bytes as u64),
        ("tail_cache", limits.tail_cache_bytes as u64),
        ("mapped_windows", limits.mapped_window_bytes),
        ("client_metrics", limits.client_series_bytes as u64),
    ] {
        out.sample("ottla_memory_budget_bytes", &[("budget", Text(budget))], bytes);
    }
    out.family("ottla_memory_used_bytes", Gauge, "What is used of a budget, bytes.");
    for (budget, used_bytes) in [
        ("requests", view.broker.request_budget().used_bytes()),
        ("answers", view.broker.answer_budget().used_bytes()),
        ("client_metrics", view.broker.telemetry().usage().series_bytes),
    ] {
        out.sample("ottla_memory_used_bytes", &[("budget", Text(budget))], used_bytes);
    }
}

fn write_connections(view: &View<'_>, out: &mut Exposition<'_>) {
    out.single("ottla_connections", Gauge, "Connections of clients.", view.broker.connections().count());
    let help = "Connections that may be open.";
    out.single("ottla_connections_max", Gauge, help, view.broker.config().max_connections);
    let accepted = TRAFFIC.accepted.get();
    out.single("ottla_connections_accepted_total", Counter, "Connections that were accepted.", accepted);
    let help = "Connections refused by max.connections or max.connections.per.ip.";
    out.single("ottla_connections_refused_total", Counter, help, TRAFFIC.refused.get());
    let help = "Connections refused by the quota of their address.";
    out.single("ottla_connections_throttled_total", Counter, help, TRAFFIC.throttled.get());
    let name = "ottla_connections_foreign_total";
    out.family(name, Counter, "Connections that spoke another protocol to a Kafka port.");
    out.sample(name, &[("protocol", Text("tls"))], TRAFFIC.tls.get());
    out.sample(name, &[("protocol", Text("http"))], TRAFFIC.http.get());
    out.single("ottla_fetch_sessions", Gauge, "Fetch sessions.", view.broker.sessions().count());
    let help = "Fetch sessions there may be.";
    out.single("ottla_fetch_sessions_max", Gauge, help, view.broker.config().fetch_session_slots);
}

fn write_disk(view: &View<'_>, out: &mut Exposition<'_>) {
    let partitions = view.broker.partitions();
    let dir = partitions.log_dir().path().display().to_string();
    let mut gauge = |name: &str, help: &str, value: u64| {
        out.family(name, Kind::Gauge, help);
        out.sample(name, &[("dir", Text(&dir))], value);
    };
    if let Ok((free, total)) = partitions.volume() {
        gauge("ottla_log_dir_total_bytes", "Size of the volume, bytes.", total);
        gauge("ottla_log_dir_free_bytes", "Free for this broker on the volume, bytes.", free);
        gauge("ottla_log_dir_used_bytes", "Not free on the volume, bytes.", total.saturating_sub(free));
    }
    gauge("ottla_log_dir_logs_bytes", "All segments of this broker, bytes.", view.logs_bytes);
    let (reserve, is_low) = partitions.disk_reserve();
    gauge("ottla_log_dir_reserve_bytes", "Free bytes below which producers are refused.", reserve);
    gauge("ottla_log_dir_nearly_full", "1 while producers are refused for want of space.", u64::from(is_low));
    let failed = partitions.log_dir().state().offline().is_some();
    gauge("ottla_log_dir_offline", "1 when the disk failed and a restart is needed.", u64::from(failed));
    let offline = partitions.offline_count() as u64;
    gauge("ottla_partitions_offline", "Partitions whose log is damaged and could not be opened.", offline);
}

fn write_flushes(out: &mut Exposition<'_>) {
    let name = "ottla_flush_seconds";
    out.family(name, Histogram, "Flushes of one partition's files, seconds.");
    out.histogram_seconds(name, &[], &FLUSHES.latency);
    let name = "ottla_flush_batch_partitions";
    out.family(name, Histogram, "Partitions that were flushed in one round.");
    out.histogram_numbers(name, &[], &FLUSHES.batch);
    out.single("ottla_flush_failures_total", Counter, "Flushes that the disk refused.", FLUSHES.failures.get());
}

fn write_cleaner(out: &mut Exposition<'_>) {
    for (name, help, value) in [
        ("ottla_cleaner_passes_total", "Logs compacted.", CLEANING.passes.get()),
        ("ottla_cleaner_failures_total", "Compactions that failed.", CLEANING.failures.get()),
        ("ottla_cleaner_read_bytes_total", "Bytes before compaction.", CLEANING.before_bytes.get()),
        ("ottla_cleaner_written_bytes_total", "Bytes after compaction.", CLEANING.after_bytes.get()),
    ] {
        out.single(name, Counter, help, value);
    }
    let seconds = CLEANING.busy_ms.get() as f64 / 1e3;
    out.single("ottla_cleaner_seconds_total", Counter, "Time spent on compaction, pauses included.", seconds);
}
