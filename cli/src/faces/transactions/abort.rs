//! `kafka-transactions abort`: ends in one partition what its coordinator no longer knows of.

use client::TopicPartition;

use super::super::flags::Parsed;
use super::{connect, failed, number, place};
use crate::admin::transactions::{self, Open, ProducerState};
use crate::failure::{Failure, Outcome};

/// How a transaction is named.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    /// By where it begins in the partition; whose it is, the partition says.
    Begins(i64),
    /// By whose it is, for brokers that cannot say.
    Is(Open),
}

pub(super) async fn run(parsed: &Parsed) -> Outcome {
    let place = place(parsed)?;
    let named = named(parsed)?;
    let cluster = connect(parsed).await?;
    let open = match named {
        Named::Is(open) => open,
        Named::Begins(offset) => {
            let found = transactions::producers_of(&cluster, &place, None).await;
            let what = format!("Failed to validate producer state for partition {place}");
            let found = found.map_err(|error| failed(&what, error))?;
            open_at(&found, offset).ok_or_else(|| {
                let text =
                    format!("Could not find any open transactions starting at offset {offset} on partition {place}");
                Failure::Input(text)
            })?
        }
    };
    let what = format!("Failed to abort transaction {}", shown(&place, open));
    transactions::abort(&cluster, &place, open).await.map_err(|error| failed(&what, error))
}

fn named(parsed: &Parsed) -> Result<Named, Failure> {
    let begins = number(parsed, "start-offset")?;
    let producer_id = number(parsed, "producer-id")?;
    let producer_epoch = number(parsed, "producer-epoch")?;
    let coordinator_epoch: Option<i32> = number(parsed, "coordinator-epoch")?;
    let lacks = |flag: &str| Failure::Input(format!("Missing required argument --{flag}"));
    match (begins, producer_id) {
        (Some(offset), _) => Ok(Named::Begins(offset)),
        (None, Some(producer_id)) => Ok(Named::Is(Open {
            producer_id,
            producer_epoch: producer_epoch.ok_or_else(|| lacks("producer-epoch"))?,
            coordinator_epoch: oldest(coordinator_epoch.ok_or_else(|| lacks("coordinator-epoch"))?),
        })),
        (None, None) => Err(Failure::Input(
            "The transaction to abort must be identified either with --start-offset (for brokers on 3.0 or above) or with \
             --producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)"
                .into(),
        )),
    }
}

/// Of a producer's first transaction a partition knows no coordinator. No marker can have come from an older one than this.
fn oldest(coordinator_epoch: i32) -> i32 {
    coordinator_epoch.max(0)
}

fn open_at(producers: &[ProducerState], offset: i64) -> Option<Open> {
    let open = |producer: &&ProducerState| offset >= 0 && producer.current_txn_start_offset == offset;
    let found = producers.iter().find(open)?;
    Some(Open {
        producer_id: found.producer_id,
        // It has the width of no other epoch, but counts no further.
        producer_epoch: i16::try_from(found.producer_epoch).ok()?,
        coordinator_epoch: oldest(found.coordinator_epoch),
    })
}

fn shown(place: &TopicPartition, open: Open) -> String {
    let Open { producer_id, producer_epoch, coordinator_epoch } = open;
    format!(
        "AbortTransactionSpec(topicPartition={place}, producerId={producer_id}, producerEpoch={producer_epoch}, \
         coordinatorEpoch={coordinator_epoch})"
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::parsed;
    use super::*;

    #[test]
    fn a_transaction_is_named_by_its_beginning_or_its_producer() {
        let named = |words: &str| named(&parsed(words)).map_err(|failure| failure.to_string());
        let open = Open { producer_id: 7, producer_epoch: 1, coordinator_epoch: 0 };
        assert_eq!(named("--start-offset 5"), Ok(Named::Begins(5)));
        assert_eq!(named("--start-offset 5 --producer-id 7"), Ok(Named::Begins(5)));
        assert_eq!(named("--producer-id 7 --producer-epoch 1 --coordinator-epoch -1"), Ok(Named::Is(open)));
        let lacks = named("--producer-id 7 --coordinator-epoch 0").unwrap_err();
        assert_eq!(lacks, "Missing required argument --producer-epoch");
        let lacks = named("--producer-id 7 --producer-epoch 0").unwrap_err();
        assert_eq!(lacks, "Missing required argument --coordinator-epoch");
        assert!(named("--producer-epoch 1").unwrap_err().starts_with("The transaction to abort must be identified"));
        assert!(named("--start-offset x").unwrap_err().starts_with("error: argument --start-offset"));
    }

    #[test]
    fn what_is_open_is_found_by_where_it_begins() {
        let idle = ProducerState { producer_id: 1, ..Default::default() };
        let open = ProducerState {
            producer_id: 2,
            producer_epoch: 3,
            coordinator_epoch: -1,
            current_txn_start_offset: 40,
            ..Default::default()
        };
        let found = open_at(&[idle.clone(), open], 40);
        assert_eq!(found, Some(Open { producer_id: 2, producer_epoch: 3, coordinator_epoch: 0 }));
        assert_eq!(open_at(std::slice::from_ref(&idle), 40), None);
        assert_eq!(open_at(&[idle], -1), None, "what is not open does not begin before the first offset");
    }
}
