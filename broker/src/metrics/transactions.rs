//! Transactions as their coordinators know them, asked once for a scrape.

use std::sync::Arc;
use std::time::Duration;

use state::transaction::{TransactionCounts, TransactionRequest, TransactionResponse, TransactionTotals};
use tokio::time::timeout;

use super::instruments;
use super::text::Exposition;
use super::text::Kind::{Counter, Gauge};
use crate::broker::Broker;
use crate::coordinator::{LoadTimes, TRANSACTION_LOADS, transaction_answer};

/// Coordinators that answer later than this, all together, are not waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Scrapes that had to do without transactions because a coordinator did not answer.
pub(super) static UNANSWERED: instruments::Counter = instruments::Counter::new();

/// All transactions that this broker coordinates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TransactionView {
    counts: TransactionCounts,
    totals: TransactionTotals,
}

/// Asks every coordinator. What some of them know is not told: it would look as if the rest had come to nothing.
pub(super) async fn collect(broker: &Arc<Broker>) -> Option<TransactionView> {
    in_time(PATIENCE, count(broker)).await
}

async fn in_time<T>(patience: Duration, counting: impl Future<Output = Option<T>>) -> Option<T> {
    let counted = timeout(patience, counting).await.ok().flatten();
    if counted.is_none() {
        UNANSWERED.add(1);
    }
    counted
}

/// `None` when one loads again, which has nothing to tell for the moment.
async fn count(broker: &Arc<Broker>) -> Option<TransactionView> {
    let mut view = TransactionView::default();
    for receiver in broker.transactions().submit_to_all(broker, || TransactionRequest::Count).await {
        let Ok(TransactionResponse::Counted(counts, totals)) = transaction_answer(receiver).await else { return None };
        view.counts.add(&counts);
        view.totals.add(&totals);
    }
    Some(view)
}

/// Kafka's names for what Kafka has, and ours for the rest. What is not known is left out: no alert takes that for a fall.
pub(super) fn write(view: Option<&TransactionView>, out: &mut Exposition<'_>) {
    write_loads("kafka_server_transaction_coordinator_metrics", &TRANSACTION_LOADS, out);
    // There is one broker: a marker's destination is known, and what its log refuses is ordered again.
    let prefix = "kafka_coordinator_transaction_transactionmarkerchannelmanager";
    let help = "Markers for partitions whose leader is not known.";
    out.single(&format!("{prefix}_unknowndestinationqueuesize"), Gauge, help, 0);
    let help = "Transactions whose completion could not be logged yet.";
    out.single(&format!("{prefix}_logappendretryqueuesize"), Gauge, help, 0);
    let help = "Scrapes without transactions, because a coordinator did not answer.";
    out.single("ottla_metrics_transactions_unanswered_total", Counter, help, UNANSWERED.get());
    if let Some(view) = view {
        write_known(view, out);
    }
}

fn write_known(TransactionView { counts, totals }: &TransactionView, out: &mut Exposition<'_>) {
    for (name, help, value) in [
        ("ottla_transactional_ids", "Transactional ids that are known.", counts.transactional_ids),
        ("ottla_transactions_ongoing", "Transactions that are open.", counts.ongoing),
        ("ottla_transactions_ending", "Transactions whose partitions are being told how they ended.", counts.prepared),
    ] {
        out.single(name, Gauge, help, value);
    }
    for (name, help, value) in [
        ("ottla_transactions_committed_total", "Transactions decided to commit.", totals.commits),
        ("ottla_transactions_aborted_total", "Transactions decided to abort, for whatever reason.", totals.aborts),
        ("ottla_transactions_timed_out_total", "Of the aborted ones, those that ran too long.", totals.timeouts),
        ("ottla_transaction_marker_orders_total", "Orders to write a transaction's markers.", totals.marker_orders),
        (
            "ottla_transaction_marker_retries_total",
            "Of these, those that were given because some partition did not take its marker before.",
            totals.marker_retries,
        ),
        (
            "ottla_transactional_ids_expired_total",
            "Transactional ids forgotten because nobody used them.",
            totals.expirations,
        ),
    ] {
        out.single(name, Counter, help, value);
    }
}

/// How long coordinators took to load.
pub(super) fn write_loads(prefix: &str, loads: &LoadTimes, out: &mut Exposition<'_>) {
    let help = "The longest that a coordinator took to load its partition, milliseconds.";
    out.single(&format!("{prefix}_partition_load_time_max"), Gauge, help, loads.max_ms());
    let help = "How long a coordinator took to load its partition, milliseconds, the mean since the start.";
    out.single(&format!("{prefix}_partition_load_time_avg"), Gauge, help, loads.mean_ms());
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn written(view: Option<&TransactionView>) -> String {
        let mut text = Vec::new();
        let mut out = Exposition::new(|chunk| {
            text.extend_from_slice(&chunk);
            true
        });
        write(view, &mut out);
        out.finish();
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn what_a_coordinator_does_not_say_is_left_out_and_counted() {
        assert_eq!(in_time(PATIENCE, ready(Some(1))).await, Some(1));
        assert_eq!(UNANSWERED.get(), 0);
        // One that loads again, and one that is busy.
        assert_eq!(in_time(PATIENCE, ready(None::<i32>)).await, None);
        assert_eq!(in_time(Duration::from_millis(1), pending::<Option<i32>>()).await, None);
        assert_eq!(UNANSWERED.get(), 2);

        let (known, unknown) = (written(Some(&TransactionView::default())), written(None));
        for name in ["ottla_transactions_ongoing", "ottla_transactions_committed_total"] {
            assert!(known.contains(&format!("\n{name} 0\n")), "{known}");
            assert!(!unknown.contains(name), "{unknown}");
        }
        assert!(unknown.contains("\nottla_metrics_transactions_unanswered_total 2\n"), "{unknown}");
    }
}
