//! Requests by API, as Kafka's RequestMetrics names them.

use super::api::ApiStats;
use super::instruments::Histogram;
use super::text::Exposition;
use super::text::Kind::{Counter, Gauge, Summary, Untyped};
use super::text::Label::{Number, Text};
use super::view::View;
use crate::dispatch::ROUTES;

type Times = fn(&ApiStats) -> &Histogram;

const TIMES: &[(&str, &str, Times)] = &[
    ("totaltimems", "From the whole request to the whole answer, milliseconds.", |stats| &stats.total),
    ("localtimems", "Until the request's effects were ordered, milliseconds.", |stats| &stats.local),
    ("remotetimems", "For which requests waited for a flush, records or members, milliseconds.", |stats| &stats.remote),
];

/// Every API, and Fetch once more under the name that tells consumers from followers: there are no followers.
fn apis() -> impl Iterator<Item = (&'static str, &'static ApiStats)> {
    ROUTES.iter().flat_map(|route| {
        let again = (route.name == "Fetch").then_some("FetchConsumer");
        std::iter::once(route.name).chain(again).map(|name| (name, &*route.stats))
    })
}

pub(super) fn write(_: &View<'_>, out: &mut Exposition<'_>) {
    for (suffix, kind) in [("_total", Counter), ("persec", Untyped)] {
        let name = format!("kafka_network_requestmetrics_requests{suffix}");
        out.family(&name, kind, "Requests by API and version.");
        for (api, stats) in apis() {
            for (version, count) in stats.requests().filter(|(_, count)| *count > 0) {
                out.sample(&name, &[("request", Text(api)), ("version", Number(version.into()))], count);
            }
        }
    }
    for (suffix, kind) in [("_total", Counter), ("persec", Untyped)] {
        let name = format!("kafka_network_requestmetrics_errors{suffix}");
        out.family(&name, kind, "Error codes in answers by API, NONE too; an answer has one for each thing asked for.");
        for (api, stats) in apis() {
            for (code, count) in stats.errors().filter(|(_, count)| *count > 0) {
                let error = code.name().unwrap_or_default();
                out.sample(&name, &[("request", Text(api)), ("error", Text(error))], count);
            }
        }
    }
    for (what, help, times) in TIMES {
        let name = format!("kafka_network_requestmetrics_{what}");
        out.family(&name, Summary, help);
        // An API that nobody has used has no times.
        for (api, stats) in apis().filter(|(_, stats)| stats.requests().any(|(_, count)| count > 0)) {
            out.summary_ms(&name, &[("request", Text(api))], times(stats));
        }
    }
    let name = "kafka_server_delayedoperationpurgatory_purgatorysize";
    out.family(name, Gauge, "Requests that wait.");
    for (api, stats) in apis().filter(|(api, _)| ["Produce", "Fetch"].contains(api)) {
        out.sample(name, &[("delayedOperation", Text(api))], stats.waiting());
    }
    let waiting: i64 = ROUTES.iter().map(|route| route.stats.waiting()).sum();
    out.single("kafka_network_requestchannel_responsequeuesize", Gauge, "Answers that wait for something.", waiting);
    let help = "Requests that are read and not started: none, since they wait in their sockets.";
    out.single("kafka_network_requestchannel_requestqueuesize", Gauge, help, 0);
}
