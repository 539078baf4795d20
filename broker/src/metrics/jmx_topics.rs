//! Traffic and logs by topic and partition, as Kafka's MBeans name them.
//!
//! The same MBean attribute is published under two conventions: the one of jmx_exporter's example and of Strimzi
//! (`_total`), and the one of Confluent's monitoring stacks (`persec`). Dashboards exist for both, so both are here.

use super::exporter::labels;
use super::text::Exposition;
use super::text::Kind::{Counter, Gauge, Untyped};
use super::text::Label::Text;
use super::view::{PartitionView, View};
use crate::partition::{ALL_TRAFFIC, Flow};

const FLOW_NAMES: &[(&str, Flow, &str)] = &[
    ("messagesin", Flow::MessagesIn, "Records appended."),
    ("bytesin", Flow::BytesIn, "Bytes of batches appended."),
    ("bytesout", Flow::BytesOut, "Bytes of batches that fetches were answered with."),
    ("bytesrejected", Flow::BytesRejected, "Bytes of batches that were refused."),
    ("totalproducerequests", Flow::ProduceRequests, "Partitions in produce requests."),
    ("failedproducerequests", Flow::FailedProduceRequests, "Partitions in produce requests that were refused."),
    ("totalfetchrequests", Flow::FetchRequests, "Partitions in fetch answers."),
    ("failedfetchrequests", Flow::FailedFetchRequests, "Partitions in fetch answers with an error."),
    ("producemessageconversions", Flow::ProduceConversions, "Records converted from old producers."),
    ("fetchmessageconversions", Flow::FetchConversions, "Records converted for old consumers."),
];

/// What one broker has none of: it copies nothing from others.
const NO_FLOWS: &[(&str, &str)] = &[
    ("replicationbytesin", "Bytes copied from other brokers."),
    ("replicationbytesout", "Bytes copied by other brokers."),
];

type Value = fn(&PartitionView) -> u64;

const LOG: &[(&str, &str, Value)] = &[
    ("kafka_log_log_size", "Bytes of the partition's segments.", |p| p.size_bytes),
    ("kafka_log_log_logstartoffset", "The first offset that can be read.", |p| p.start_offset.max(0) as u64),
    ("kafka_log_log_logendoffset", "The offset the next record will get.", |p| p.end_offset.max(0) as u64),
    ("kafka_log_log_numlogsegments", "Segments of the partition.", |p| p.segments as u64),
    ("kafka_cluster_partition_replicascount", "Replicas of the partition.", |p| p.replicas as u64),
    ("kafka_cluster_partition_insyncreplicascount", "Replicas in sync.", |p| p.isr as u64),
    ("kafka_cluster_partition_underreplicated", "1 when replicas are not in sync.", |p| u64::from(p.isr < p.replicas)),
    ("kafka_cluster_partition_underminisr", "1 when fewer than min.insync.replicas are in sync.", |p| {
        u64::from(p.isr < p.min_isr)
    }),
    ("kafka_cluster_partition_atminisr", "1 when exactly min.insync.replicas are in sync.", |p| {
        u64::from(p.isr == p.min_isr)
    }),
];

pub(super) fn write(view: &View<'_>, out: &mut Exposition<'_>) {
    for (what, flow, help) in FLOW_NAMES {
        for (suffix, kind) in [("_total", Counter), ("persec", Untyped)] {
            let name = format!("kafka_server_brokertopicmetrics_{what}{suffix}");
            out.family(&name, kind, help);
            out.sample(&name, &[], ALL_TRAFFIC.get(*flow));
            for topic in &view.topics {
                out.sample(&name, &[("topic", Text(&topic.name))], topic.flow(*flow));
            }
        }
    }
    for (what, help) in NO_FLOWS {
        for (suffix, kind) in [("_total", Counter), ("persec", Untyped)] {
            out.single(&format!("kafka_server_brokertopicmetrics_{what}{suffix}"), kind, help, 0);
        }
    }
    for (name, help, value) in LOG {
        out.family(name, Gauge, help);
        for partition in &view.partitions {
            out.sample(name, &labels(partition), value(partition));
        }
    }
}
