//! Who uses how much of the quota there is, as Kafka's MBeans name it.

use super::text::Exposition;
use super::text::Kind::Gauge;
use super::text::Label::{self, Text};
use super::view::View;
use crate::quota::{RESOURCES, Resource, Usage};

/// Of all resources: what is written, and what about it.
type Family = (&'static str, &'static str, fn(&Usage) -> Option<f64>);

const THROTTLE_TIME: Family =
    ("throttle_time", "Mean of the delays that clients were told, milliseconds.", |usage| Some(usage.mean_delay_ms));

pub(super) fn write(view: &View<'_>, out: &mut Exposition<'_>) {
    let now_ms = view.broker.clock().now().monotonic_ms;
    for resource in RESOURCES {
        let mut usage = view.broker.quotas().usage(resource, now_ms);
        usage.sort_by(|a, b| a.sharers.cmp(&b.sharers));
        // As many as groups: each is a client that an operator gave a name.
        usage.truncate(view.broker.config().metrics_groups_max);
        let (kind, families) = families(resource);
        for (what, help, value) in families.iter().chain([&THROTTLE_TIME]) {
            let name = format!("kafka_server_{kind}_{what}");
            out.family(&name, Gauge, help);
            for usage in &usage {
                let labels: [(&str, Label<'_>); 2] = [
                    ("user", Text(usage.sharers.user.as_deref().unwrap_or_default())),
                    ("client_id", Text(usage.sharers.client_id.as_deref().unwrap_or_default())),
                ];
                if let Some(value) = value(usage) {
                    out.sample(&name, &labels, value);
                }
            }
        }
    }
}

fn families(resource: Resource) -> (&'static str, &'static [Family]) {
    const BYTE_RATE: &[Family] =
        &[("byte_rate", "Bytes per second of clients that have a quota.", |usage| Some(usage.rate))];
    match resource {
        Resource::Produce => ("produce", BYTE_RATE),
        Resource::Fetch => ("fetch", BYTE_RATE),
        Resource::Request => (
            "request",
            &[("request_time", "Percent of a processor used by clients that have a quota.", |usage| Some(usage.rate))],
        ),
        Resource::ControllerMutation => (
            "controllermutation",
            &[
                ("mutation_rate", "Partitions created and deleted per second.", |usage| Some(usage.rate)),
                ("tokens", "Partitions that may be created or deleted at once.", |usage| usage.tokens),
            ],
        ),
    }
}
