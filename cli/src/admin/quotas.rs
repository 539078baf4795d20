//! Quotas of users, client ids and addresses: read and changed (KIP-546).

use std::collections::BTreeMap;

use client::{ClientError, Cluster};
use protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, OpData, RequestedEntityData, RequestedEntryData,
};
use protocol::messages::describe_client_quotas::{ComponentData, DescribeClientQuotasRequest};

/// Whose quotas: the type of an entity as the wire names it, and its name; empty for the default.
pub(crate) type Part<'a> = (&'static str, &'a str);

/// Quotas of one entity.
pub(crate) struct Described {
    /// Type and name; no name for the default.
    pub(crate) entity: BTreeMap<String, Option<String>>,
    pub(crate) values: BTreeMap<String, f64>,
}

/// The quotas of entities of exactly these types, each of that name, or of any when it has none.
///
/// # Errors
/// The broker's, with its words.
pub(crate) async fn describe(
    cluster: &Cluster,
    wanted: &[(&'static str, Option<&str>)],
) -> Result<Vec<Described>, ClientError> {
    let component = |(kind, name): &(&'static str, Option<&str>)| {
        let (match_type, name) = match name {
            Some("") => (1, None),
            Some(name) => (0, Some((*name).to_owned())),
            None => (2, None),
        };
        ComponentData { entity_type: (*kind).into(), match_type, r#match: name }
    };
    let request = DescribeClientQuotasRequest { components: wanted.iter().map(component).collect(), strict: true };
    let answer = cluster.any().await?.send(&request).await?;
    ClientError::check("the quotas", answer.error_code, answer.error_message)?;
    let described = answer.entries.unwrap_or_default().into_iter().map(|entry| Described {
        entity: entry.entity.into_iter().map(|part| (part.entity_type, part.entity_name)).collect(),
        values: entry.values.into_iter().map(|value| (value.key, value.value)).collect(),
    });
    Ok(described.collect())
}

/// Sets quotas of one entity, and takes away those without a value; all or none.
///
/// # Errors
/// The broker's, with its words.
pub(crate) async fn alter(
    cluster: &Cluster,
    entity: &[Part<'_>],
    changes: Vec<(String, Option<f64>)>,
) -> Result<(), ClientError> {
    let part = |(kind, name): &Part<'_>| RequestedEntityData {
        entity_type: (*kind).into(),
        entity_name: (!name.is_empty()).then(|| (*name).to_owned()),
    };
    let op =
        |(key, value): (String, Option<f64>)| OpData { key, value: value.unwrap_or_default(), remove: value.is_none() };
    let ops = changes.into_iter().map(op).collect();
    let entries = vec![RequestedEntryData { entity: entity.iter().map(part).collect(), ops }];
    let request = AlterClientQuotasRequest { entries, validate_only: false };
    let answer = cluster.any().await?.send(&request).await?;
    answer
        .entries
        .into_iter()
        .try_for_each(|entry| ClientError::check("the quotas", entry.error_code, entry.error_message))
}
