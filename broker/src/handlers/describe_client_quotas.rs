//! DescribeClientQuotas: which quotas there are (KIP-546).

use std::collections::BTreeMap;

use protocol::ErrorCode;
use protocol::messages::DescribeClientQuotasRequest;
use protocol::messages::describe_client_quotas::*;
use state::cluster::{CLIENT_ID, IP, QuotaEntity, Quotas, Refusal, USER};

use crate::context::Context;

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const SPECIFIED: i8 = 2;

/// What is asked of one type of an entity.
enum Match {
    /// A name, or none for the default.
    Name(Option<String>),
    /// Any name, or the default.
    Any,
}

/// Lists the entities that match every component, with all their quotas.
pub(crate) async fn handle(context: Context, request: DescribeClientQuotasRequest) -> DescribeClientQuotasResponse {
    let filter = match filter(request.components) {
        Ok(filter) => filter,
        Err(Refusal { error, message }) => {
            let (error_message, entries) = (Some(message), None);
            return DescribeClientQuotasResponse { error_code: error, error_message, entries, ..Default::default() };
        }
    };
    let image = context.broker.image();
    let fits = |entity: &QuotaEntity| {
        let has = |(kind, wanted): (&String, &Match)| match (entity.0.get(kind), wanted) {
            (None, _) => false,
            (Some(_), Match::Any) => true,
            (Some(name), Match::Name(wanted)) => name == wanted,
        };
        filter.iter().all(has) && (!request.strict || entity.0.len() == filter.len())
    };
    let entries = image.all_quotas().filter(|(entity, _)| fits(entity)).map(|(entity, quotas)| entry(entity, quotas));
    DescribeClientQuotasResponse { entries: Some(entries.collect()), ..Default::default() }
}

fn filter(components: Vec<ComponentData>) -> Result<BTreeMap<String, Match>, Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
    let mut filter = BTreeMap::new();
    for ComponentData { entity_type, match_type, r#match } in components {
        if entity_type.is_empty() {
            return invalid("Invalid empty entity type.".into());
        }
        if filter.contains_key(&entity_type) {
            return invalid(format!("Entity type {entity_type} cannot appear more than once in the filter."));
        }
        if ![USER, CLIENT_ID, IP].contains(&entity_type.as_str()) {
            let message = format!("Unsupported entity type {entity_type}");
            return Err(Refusal::new(ErrorCode::UNSUPPORTED_VERSION, message));
        }
        let wanted = match (match_type, r#match) {
            (EXACT, Some(name)) => Match::Name(Some(name)),
            (EXACT, None) => return invalid("Exact match asked for, but no name given to match.".into()),
            (DEFAULT, None) => Match::Name(None),
            (SPECIFIED, None) => Match::Any,
            (DEFAULT | SPECIFIED, Some(name)) => {
                return invalid(format!("The name {name} was given, but the match type asks for none."));
            }
            (other, _) => return invalid(format!("Unknown match type {other}")),
        };
        filter.insert(entity_type, wanted);
    }
    if filter.contains_key(IP) && filter.len() > 1 {
        return invalid("Addresses cannot be matched together with users or client ids.".into());
    }
    Ok(filter)
}

fn entry(entity: &QuotaEntity, quotas: &Quotas) -> EntryData {
    let part =
        |(kind, name): (&String, &Option<String>)| EntityData { entity_type: kind.clone(), entity_name: name.clone() };
    let values = quotas.iter().map(|(key, limit)| ValueData { key: key.clone(), value: limit.0 });
    EntryData { entity: entity.0.iter().map(part).collect(), values: values.collect() }
}
