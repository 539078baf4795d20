//! The broker, the controller, the quorum and the groups, as Kafka's MBeans name them.

use super::groups::GroupCounts;
use super::text::Exposition;
use super::text::Kind::{Counter, Gauge, Summary, Untyped};
use super::text::Label::Text;
use super::transactions::write_loads;
use super::view::View;
use super::windows;
use crate::coordinator::GROUP_LOADS;
use crate::http::Phase;
use crate::partition::FLUSHES;

const GROUP_METRICS: &str = "kafka_server_group_coordinator_metrics";

/// What can be told before there is a broker.
pub(super) fn write_state(phase: Phase, out: &mut Exposition<'_>) {
    let help = "1 starting, 2 recovering, 3 running, 6 shutting down.";
    out.single("kafka_server_kafkaserver_brokerstate", Gauge, help, phase as u8);
}

pub(super) fn write(view: &View<'_>, out: &mut Exposition<'_>) {
    write_replicas(view, out);
    write_controller(view, out);
    write_quorum(view, out);
    write_groups(view, out);
    write_idle(out);
    let name = "kafka_log_logflushstats_logflushrateandtimems";
    out.family(name, Summary, "Flushes of a partition's files, milliseconds.");
    out.summary_ms(name, &[], &FLUSHES.latency);
    let failed = view.broker.partitions().log_dir().state().offline().is_some();
    let help = "1 when the disk failed and logs take no more writes.";
    out.single("kafka_log_logmanager_offlinelogdirectorycount", Gauge, help, u8::from(failed));
    let sessions = view.broker.sessions().count();
    out.single("kafka_server_fetchsessioncache_numincrementalfetchsessions", Gauge, "Fetch sessions.", sessions);
    let name = "kafka_server_socket_server_metrics_connection_count";
    let count = view.broker.connections().count();
    out.single(name, Gauge, "Connections of clients.", count);
    out.single("kafka_server_socketservermetrics_connection_count", Gauge, "Connections of clients.", count);
}

fn write_replicas(view: &View<'_>, out: &mut Exposition<'_>) {
    let node_id = view.broker.node_id();
    let ours = view.image.topics().flat_map(|topic| &topic.partitions).filter(|p| p.replicas.contains(&node_id));
    for (what, help, value) in [
        ("leadercount", "Partitions that this broker leads.", view.led),
        ("partitioncount", "Partitions of which this broker has a replica.", ours.count()),
        ("underreplicatedpartitions", "Led partitions with replicas out of sync.", view.under_replicated),
        ("underminisrpartitioncount", "Led partitions below min.insync.replicas.", view.under_min_isr),
        ("atminisrpartitioncount", "Led partitions at min.insync.replicas.", view.at_min_isr),
        ("offlinereplicacount", "Replicas whose log cannot be opened.", view.broker.partitions().offline_count()),
        ("reassigningpartitions", "Led partitions on the move.", 0),
    ] {
        out.single(&format!("kafka_server_replicamanager_{what}"), Gauge, help, value);
    }
    // The sets of replicas never change while there is one broker.
    for (what, help) in [
        ("isrshrinks", "Replicas that fell out of sync."),
        ("isrexpands", "Replicas that came back in sync."),
        ("failedisrupdates", "Changes of in-sync replicas that the controller refused."),
    ] {
        out.single(&format!("kafka_server_replicamanager_{what}_total"), Counter, help, 0);
        out.single(&format!("kafka_server_replicamanager_{what}persec"), Untyped, help, 0);
    }
}

fn write_controller(view: &View<'_>, out: &mut Exposition<'_>) {
    let image = &view.image;
    let of_cluster = |count: usize| if view.is_controller { count } else { 0 };
    let partitions = || image.topics().flat_map(|topic| &topic.partitions);
    let unpreferred = || partitions().filter(|p| p.replicas.first() != Some(&p.leader)).count();
    for (what, help, value) in [
        ("activecontrollercount", "1 on the broker that is the controller.", of_cluster(1)),
        (
            "offlinepartitionscount",
            "Partitions without a leader, or whose leader cannot open the log.",
            of_cluster(partitions().filter(|p| p.leader < 0).count() + view.broker.partitions().offline_count()),
        ),
        ("preferredreplicaimbalancecount", "Partitions not led by the preferred broker.", of_cluster(unpreferred())),
        ("globaltopiccount", "Topics of the cluster.", of_cluster(image.topic_count())),
        ("globalpartitioncount", "Partitions of the cluster.", of_cluster(image.partition_count())),
        ("activebrokercount", "Brokers that serve.", of_cluster(image.brokers().filter(|b| !b.fenced).count())),
        ("fencedbrokercount", "Brokers that do not serve.", of_cluster(image.brokers().filter(|b| b.fenced).count())),
    ] {
        out.single(&format!("kafka_controller_kafkacontroller_{what}"), Gauge, help, value);
    }
    // Leaders are elected when brokers come and go, and there is one broker.
    let name = "kafka_controller_controllerstats_leaderelectionrateandtimems";
    out.family(name, Summary, "Elections of partition leaders, milliseconds.");
    out.sample(&format!("{name}_sum"), &[], 0);
    out.sample(&format!("{name}_count"), &[], 0);
    let help = "Elections of leaders that were not in sync.";
    out.single("kafka_controller_controllerstats_uncleanleaderelections_total", Counter, help, 0);
    out.single("kafka_controller_controllerstats_uncleanleaderelectionspersec", Untyped, help, 0);
}

fn write_quorum(view: &View<'_>, out: &mut Exposition<'_>) {
    let status = view.broker.quorum().status();
    let state = if status.leader_id == Some(status.node_id) { "leader" } else { "follower" };
    // An index says how many entries there are; Kafka's offsets say where the next one goes.
    let next = |index: Option<u64>| index.map_or(0, |index| index + 1);
    for prefix in ["kafka_server_raftmetrics", "kafka_server_raft_metrics"] {
        let name = format!("{prefix}_current_state");
        out.family(&name, Gauge, "1 for the state of this member of the metadata quorum.");
        out.sample(&name, &[("current_state", Text(state))], 1);
        let leader = status.leader_id.unwrap_or(-1);
        out.single(&format!("{prefix}_current_leader"), Gauge, "The leader of the metadata quorum, or -1.", leader);
        out.single(&format!("{prefix}_current_epoch"), Gauge, "The term of the metadata quorum.", status.term);
        let applied = next(status.last_applied_index);
        out.single(&format!("{prefix}_high_watermark"), Gauge, "End of the committed metadata log.", applied);
        let end = next(status.last_log_index);
        out.single(&format!("{prefix}_log_end_offset"), Gauge, "End of the metadata log.", end);
    }
}

fn write_groups(view: &View<'_>, out: &mut Exposition<'_>) {
    write_loads(GROUP_METRICS, &GROUP_LOADS, out);
    // What is not known is left out: no alert takes that for a fall.
    if let Some(counts) = &view.groups.counts {
        write_group_counts(counts, out);
    }
}

fn write_group_counts(counts: &GroupCounts, out: &mut Exposition<'_>) {
    let prefix = "kafka_coordinator_group_groupmetadatamanager_numgroups";
    out.single(prefix, Gauge, "Groups of this broker.", counts.count());
    for state in ["Empty", "Stable", "PreparingRebalance", "CompletingRebalance", "Dead"] {
        let count = counts.states.get(state).copied().unwrap_or(0);
        out.single(&format!("{prefix}{}", state.to_lowercase()), Gauge, "Groups in this state.", count);
    }
    for (what, help, count) in [
        ("group_completed_rebalance", "Rebalances that classic groups completed.", counts.completed_rebalances),
        ("consumer_group_rebalance", "Rebalances of groups of the consumer protocol.", counts.consumer_rebalances),
    ] {
        out.single(&format!("{GROUP_METRICS}_{what}_count"), Untyped, help, count);
    }
    let name = format!("{GROUP_METRICS}_group_count");
    out.family(&name, Gauge, "Groups of this protocol.");
    for (protocol, states) in [("classic", &counts.states), ("consumer", &counts.consumer_states)] {
        out.sample(&name, &[("protocol", Text(protocol))], states.values().sum::<usize>());
    }
    let name = format!("{GROUP_METRICS}_consumer_group_count");
    out.family(&name, Gauge, "Groups of the consumer protocol in this state.");
    for state in ["Empty", "Assigning", "Reconciling", "Stable"] {
        let count = counts.consumer_states.get(state).copied().unwrap_or(0);
        out.sample(&name, &[("state", Text(&state.to_lowercase()))], count);
    }
}

/// There is one pool of workers for sockets and requests.
fn write_idle(out: &mut Exposition<'_>) {
    let idle = windows::idle_share();
    for name in [
        "kafka_network_socketserver_networkprocessoravgidle_percent",
        "kafka_network_socketserver_networkprocessoravgidlepercent",
        "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
        "kafka_server_kafkarequesthandlerpool_requesthandleravgidlepercent",
    ] {
        out.single(name, Gauge, "Share of their time for which workers had nothing to do, 0 to 1.", idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_have_kafkas_numbers() {
        for (phase, number) in [(Phase::Starting, 1), (Phase::Recovering, 2), (Phase::Running, 3), (Phase::Stopping, 6)]
        {
            let mut text = String::new();
            let mut out = Exposition::new(|chunk| {
                text.push_str(std::str::from_utf8(&chunk).expect("it is text"));
                true
            });
            write_state(phase, &mut out);
            out.finish();
            assert!(text.ends_with(&format!("\nkafka_server_kafkaserver_brokerstate {number}\n")), "{text}");
        }
    }
}
