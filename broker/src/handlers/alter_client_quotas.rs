//! AlterClientQuotas: sets and removes quotas (KIP-546). What is answered with success is in force.

use std::collections::BTreeMap;

use protocol::ErrorCode;
use protocol::messages::AlterClientQuotasRequest;
use protocol::messages::alter_client_quotas::*;
use state::cluster::{Command, QuotaAlteration, QuotaEntity, QuotaValue, Refusal};
use tracing::info;

use crate::context::Context;
use crate::controller;

type Outcomes = BTreeMap<QuotaEntity, Result<(), Refusal>>;

/// Changes the quotas of each entity, or only says whether it would.
///
/// Of an entity that stands twice the first change is made, and the answer is that the second was not, as in Kafka.
pub(crate) async fn handle(context: Context, request: AlterClientQuotasRequest) -> AlterClientQuotasResponse {
    let (mut outcomes, mut alterations) = (Outcomes::new(), Vec::new());
    for RequestedEntryData { entity, ops } in request.entries {
        let entity = QuotaEntity(entity.into_iter().map(|part| (part.entity_type, part.entity_name)).collect());
        let outcome = match outcomes.contains_key(&entity) {
            true => invalid(format!("Ignoring duplicate entity {entity:?}")),
            false => alteration(&context, &entity, ops).map(|alteration| alterations.push(alteration)),
        };
        outcomes.insert(entity, outcome);
    }
    if !request.validate_only && !alterations.is_empty() {
        alter(&context, alterations, &mut outcomes).await;
    }
    let entries = outcomes.into_iter().map(|(entity, outcome)| entry(entity, outcome)).collect();
    AlterClientQuotasResponse { entries, ..Default::default() }
}

fn alteration(context: &Context, entity: &QuotaEntity, ops: Vec<OpData>) -> Result<QuotaAlteration, Refusal> {
    let mut changes = BTreeMap::new();
    for OpData { key, value, remove } in ops {
        let message = format!("Duplicate quota key {key} not updating quota for this entity {entity:?}");
        if changes.insert(key, (!remove).then_some(QuotaValue(value))).is_some() {
            return invalid(message);
        }
    }
    let alteration = QuotaAlteration { entity: entity.clone(), changes };
    context.broker.image().check_quotas(&alteration)?;
    Ok(alteration)
}

fn invalid<T>(message: String) -> Result<T, Refusal> {
    Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
}

async fn alter(context: &Context, alterations: Vec<QuotaAlteration>, outcomes: &mut Outcomes) {
    let results = match controller::propose(&context.broker, Command::AlterClientQuotas(alterations.clone())).await {
        Ok(applied) => applied.into_items(),
        Err(code) => {
            let refusal = Refusal::new(code, "the metadata log did not take the change");
            vec![Err(refusal); alterations.len()]
        }
    };
    for (alteration, result) in alterations.into_iter().zip(results) {
        match result {
            Ok(()) => {
                let (entity, changes) = (&alteration.entity.0, &alteration.changes);
                info!(?entity, ?changes, client_id = &*context.client_id, "quotas changed");
            }
            Err(refusal) => {
                outcomes.insert(alteration.entity, Err(refusal));
            }
        }
    }
}

fn entry(entity: QuotaEntity, outcome: Result<(), Refusal>) -> EntryData {
    let part = |(entity_type, entity_name)| EntityData { entity_type, entity_name };
    let entity = entity.0.into_iter().map(part).collect();
    match outcome {
        Ok(()) => EntryData { error_code: ErrorCode::NONE, error_message: None, entity },
        Err(refusal) => EntryData { error_code: refusal.error, error_message: Some(refusal.message), entity },
    }
}
