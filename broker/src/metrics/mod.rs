//! What /metrics tells.
//!
//! Counters are plain atomics that live where things happen (`partition/traffic.rs`, `partition/flusher.rs`,
//! `metrics/api.rs`, ...): one relaxed addition on the hot path, no lock, no allocation. A scrape reads them into a
//! [`View`] and writes it as text, a file per family of names, in chunks that leave while the next is written. So a
//! scrape costs the size of the view and a few chunks, whatever its length.
//!
//! Nothing is counted twice over a cluster: partitions are told by their leader, groups by their coordinator, the
//! cluster by its controller.

mod api;
mod client_telemetry;
mod clients;
mod exporter;
mod groups;
mod instruments;
mod jmx_cluster;
mod jmx_requests;
mod jmx_topics;
mod ottla;
mod process;
mod quotas;
mod redpanda;
mod text;
mod transactions;
mod view;
mod windows;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use crate::http::Health;
use groups::GroupViews;
use text::Exposition;
use transactions::TransactionView;
use view::View;

pub(crate) use api::ApiStats;
pub(crate) use clients::ClientLatency;
pub(crate) use instruments::{Counter, Histogram};
pub(crate) use windows::keep_windows;

/// The version is part of the type: OpenMetrics forbids names that one of the conventions needs.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Chunks between the writer of a scrape and its reader.
const CHUNKS: usize = 4;
/// Scrapes at a time; more wait.
static SCRAPES: Semaphore = Semaphore::const_new(2);

/// Which names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// Kafka's, the exporter's and our own.
    Kafka,
    /// Redpanda's, where they mean the same thing.
    Redpanda,
}

/// Starts a scrape; its text comes in chunks. A reader that goes away ends it.
pub(crate) async fn scrape(health: &Arc<Health>, set: Set) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let scraping = SCRAPES.acquire().await.expect("it is never closed");
    let (groups, transactions) = match health.broker() {
        Some(broker) => tokio::join!(groups::collect(&broker), transactions::collect(&broker)),
        None => (GroupViews::default(), None),
    };
    let health = Arc::clone(health);
    tokio::task::spawn_blocking(move || {
        let _scraping = scraping;
        let mut out = Exposition::new(|chunk| sender.blocking_send(chunk).is_ok());
        write(&health, set, (&groups, transactions.as_ref()), &mut out);
        out.finish();
    });
    receiver
}

/// What the coordinators answered.
type Coordinated<'a> = (&'a GroupViews, Option<&'a TransactionView>);

fn write(health: &Health, set: Set, (groups, transactions): Coordinated<'_>, out: &mut Exposition<'_>) {
    let broker = health.broker();
    let view = broker.as_deref().map(|broker| View::new(broker, groups));
    match set {
        Set::Kafka => {
            process::write(out);
            jmx_cluster::write_state(health.phase(), out);
            let Some(view) = view else { return };
            jmx_cluster::write(&view, out);
            jmx_topics::write(&view, out);
            jmx_requests::write(&view, out);
            quotas::write(&view, out);
            exporter::write(&view, out);
            exporter::write_groups(&view, out);
            transactions::write(transactions, out);
            ottla::write(&view, out);
            client_telemetry::write(&view, out);
        }
        Set::Redpanda => {
            let Some(view) = view else { return };
            redpanda::write(&view, out);
        }
    }
}
