//! `kafka-transactions describe-producers`.

use super::super::flags::Parsed;
use super::super::table::table;
use super::{NONE, connect, failed, number, place};
use crate::admin::transactions::{self, ProducerState};
use crate::failure::Outcome;
use crate::output::say;

pub(super) async fn run(parsed: &Parsed) -> Outcome {
    let place = place(parsed)?;
    let broker: Option<i32> = number(parsed, "broker-id")?;
    let cluster = connect(parsed).await?;
    let found = transactions::producers_of(&cluster, &place, broker).await.map_err(|error| {
        let whom = broker.map_or_else(|| "leader".to_owned(), |id| format!("broker {id}"));
        failed(&format!("Failed to describe producers for partition {place} on {whom}"), error)
    })?;
    say(&shown(&found))
}

fn shown(producers: &[ProducerState]) -> String {
    let columns = [
        "ProducerId",
        "ProducerEpoch",
        "LatestCoordinatorEpoch",
        "LastSequence",
        "LastTimestamp",
        "CurrentTransactionStartOffset",
    ];
    let row = |producer: &ProducerState| {
        let open = match producer.current_txn_start_offset {
            ..0 => NONE.to_owned(),
            offset => offset.to_string(),
        };
        [
            producer.producer_id.to_string(),
            producer.producer_epoch.to_string(),
            producer.coordinator_epoch.max(-1).to_string(),
            producer.last_sequence.to_string(),
            producer.last_timestamp.to_string(),
            open,
        ]
    };
    let rows: Vec<_> = std::iter::once(columns.map(str::to_owned)).chain(producers.iter().map(row)).collect();
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_open_begins_nowhere() {
        let idle = ProducerState { producer_id: 3, coordinator_epoch: -1, ..Default::default() };
        let open = ProducerState { last_sequence: 4, last_timestamp: 99, current_txn_start_offset: 0, ..idle };
        let shown = shown(&[idle, open]);
        let cells =
            |line: usize| -> Vec<&str> { shown.lines().nth(line).unwrap().split('\t').map(str::trim).collect() };
        assert_eq!(cells(1), ["3", "0", "-1", "-1", "-1", "None", ""]);
        assert_eq!(cells(2), ["3", "0", "-1", "4", "99", "0", ""]);
    }
}
