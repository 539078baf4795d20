//! What clients measured of themselves and pushed (KIP-714), and how much of it there is.

use super::text::Exposition;
use super::text::Kind::{Counter, Gauge};
use super::text::Label::Text;
use super::view::View;

pub(super) fn write(view: &View<'_>, out: &mut Exposition<'_>) {
    let telemetry = view.broker.telemetry();
    telemetry.expire(view.broker.clock().now().monotonic_ms);
    write_usage(view, out);
    // A family at a time, so that nobody who pushes waits for somebody who reads slowly.
    let mut last = None;
    while let Some(family) = telemetry.family_after(last.as_deref()) {
        let kind = if family.is_counter { Counter } else { Gauge };
        out.family(&family.name, kind, "Measured and pushed by clients.");
        for (client, labels, value) in &family.samples {
            out.pushed_sample(&family.name, [client, labels], *value);
        }
        last = Some(family.name);
    }
}

fn write_usage(view: &View<'_>, out: &mut Exposition<'_>) {
    let telemetry = view.broker.telemetry();
    let usage = telemetry.usage();
    let name = "kafka_server_client_metrics_instance_count";
    out.single(name, Gauge, "Clients that ask what to measure of themselves, or push it.", usage.instances);
    let name = "kafka_server_client_metrics_unknown_subscription_request_count";
    let unknown = telemetry.unknown_subscriptions.get();
    out.single(name, Counter, "Pushes for a subscription that their client does not have, or no longer.", unknown);
    let name = "kafka_server_client_metrics_throttle_count";
    out.single(
        name,
        Counter,
        "Requests of clients that came before their interval was over.",
        telemetry.throttled.get(),
    );
    out.single("ottla_telemetry_clients", Gauge, "Clients whose pushed series are told.", usage.clients);
    out.single("ottla_telemetry_series", Gauge, "Pushed series that are told.", usage.series);
    let name = "ottla_telemetry_dropped_total";
    out.family(name, Counter, "Pushed series that had to leave, and points that were left out.");
    for (reason, count) in [
        ("evicted", usage.dropped.evicted),
        ("limit", usage.dropped.limit),
        ("name", usage.dropped.name),
        ("type", usage.dropped.kind),
    ] {
        out.sample(name, &[("reason", Text(reason))], count);
    }
}
