//! The pages by path.

use serde_json::json;

use super::health::Health;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const INDEX: &str = "/livez\n/readyz\n/metrics\n/public_metrics\n/version\n";

/// What is answered.
pub(super) struct Page {
    pub(super) status: &'static str,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

impl Page {
    fn text(status: &'static str, body: impl Into<String>) -> Page {
        Page { status, content_type: TEXT, body: body.into() }
    }

    /// The client broke a rule, and the connection ends with this.
    pub(super) fn refusal(status: &'static str, why: &str) -> Page {
        Page::text(status, format!("{why}\n"))
    }
}

/// The page at `path`.
pub(super) fn find(path: &str, health: &Health) -> Page {
    match path {
        // Whoever answers lives: what is wrong with the disk is not healed by killing the process again and again.
        "/livez" => Page::text("200 OK", "ok\n"),
        "/readyz" => match health.ready() {
            Ok(()) => Page::text("200 OK", "ready\n"),
            Err(reason) => Page::text("503 Service Unavailable", format!("{reason}\n")),
        },
        "/version" => version(health),
        "/" => Page::text("200 OK", INDEX),
        _ => Page::text("404 Not Found", format!("there is no such page; there are:\n{INDEX}")),
    }
}

fn version(health: &Health) -> Page {
    let broker = health.broker();
    let body = json!({
        "name": "ottla",
        "version": env!("CARGO_PKG_VERSION"),
        "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        "cluster_id": broker.as_ref().map(|broker| broker.quorum().cluster_id().to_owned()),
        "node_id": broker.as_ref().map(|broker| broker.node_id()),
    });
    Page { status: "200 OK", content_type: JSON, body: format!("{body}\n") }
}
