//! Quotas of clients: who has which, and what may be asked of them (KIP-546).

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::ErrorCode;
use serde::{Deserialize, Serialize};

use super::command::Refusal;
use super::image::Image;
use super::serde_form;

/// How many entities may have quotas. Each broker has all of them at hand, so there is an end.
pub const QUOTA_ENTITIES_MAX: usize = 10_000;

/// The types of entities, as the wire names them.
pub const USER: &str = "user";
/// A client id.
pub const CLIENT_ID: &str = "client-id";
/// An address.
pub const IP: &str = "ip";

/// Whom quotas concern: a user, a client id, both together, or an address.
///
/// For each type a name, or none for all that have no quota of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QuotaEntity(pub BTreeMap<String, Option<String>>);

/// A limit: bytes or mutations or connections per second, or percent of a processor.
///
/// Compared bit by bit, as two images are.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct QuotaValue(#[serde(with = "serde_form::float")] pub f64);

impl PartialEq for QuotaValue {
    fn eq(&self, other: &QuotaValue) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for QuotaValue {}

/// The quotas of one entity: key to limit.
pub type Quotas = Arc<BTreeMap<String, QuotaValue>>;

/// A change of one entity's quotas: limits to set, and none for those to take away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaAlteration {
    /// Whose.
    pub entity: QuotaEntity,
    /// Key by key.
    pub changes: BTreeMap<String, Option<QuotaValue>>,
}

/// What a limit may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Long,
    Int,
    Double,
}

const OF_CLIENTS: [(&str, Kind); 4] = [
    ("producer_byte_rate", Kind::Long),
    ("consumer_byte_rate", Kind::Long),
    ("request_percentage", Kind::Double),
    ("controller_mutation_rate", Kind::Double),
];
const OF_ADDRESSES: [(&str, Kind); 1] = [("connection_creation_rate", Kind::Int)];

impl Image {
    /// Every entity that has quotas.
    pub fn all_quotas(&self) -> impl Iterator<Item = (&QuotaEntity, &Quotas)> {
        self.quotas.iter()
    }

    /// Whether both have the same quotas. Costs little when one image came of the other.
    pub fn has_quotas_of(&self, other: &Image) -> bool {
        self.quotas.differences(&other.quotas, Arc::ptr_eq).is_empty()
    }

    /// Whether quotas may be changed so.
    ///
    /// # Errors
    /// `INVALID_REQUEST` for entities and limits that cannot be, in the order in which Kafka looks at them.
    pub fn check_quotas(&self, alteration: &QuotaAlteration) -> Result<(), Refusal> {
        let keys = keys_of(&alteration.entity)?;
        for (key, value) in &alteration.changes {
            if let Some(value) = value {
                check_limit(keys, key, value.0)?;
            }
        }
        if self.quotas.len() >= QUOTA_ENTITIES_MAX && self.quotas.get(&alteration.entity).is_none() {
            let message = format!("{QUOTA_ENTITIES_MAX} entities have quotas already; take away those of others.");
            return Err(Refusal::new(ErrorCode::POLICY_VIOLATION, message));
        }
        Ok(())
    }

    pub(super) fn alter_quotas(&mut self, alteration: &QuotaAlteration) -> Result<(), Refusal> {
        self.check_quotas(alteration)?;
        let old = self.quotas.get(&alteration.entity);
        let mut quotas = old.map_or_else(BTreeMap::new, |old| (**old).clone());
        for (key, value) in &alteration.changes {
            match value {
                Some(value) => quotas.insert(key.clone(), *value),
                None => quotas.remove(key),
            };
        }
        if quotas.is_empty() {
            self.quotas.remove(&alteration.entity);
        } else if old.is_none_or(|old| **old != quotas) {
            self.quotas.insert(alteration.entity.clone(), Arc::new(quotas));
        }
        Ok(())
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(ErrorCode::INVALID_REQUEST, message))
}

/// The keys that an entity may have.
fn keys_of(entity: &QuotaEntity) -> Result<&'static [(&'static str, Kind)], Refusal> {
    if entity.0.is_empty() {
        return invalid("Invalid empty client quota entity");
    }
    for (kind, name) in &entity.0 {
        if ![USER, CLIENT_ID, IP].contains(&kind.as_str()) {
            return invalid(format!("Unhandled client quota entity type: {kind}"));
        }
        if name.as_deref() == Some("") {
            return invalid(format!("Empty {kind} not supported"));
        }
    }
    match entity.0.get(IP) {
        None => Ok(&OF_CLIENTS),
        Some(_) if entity.0.len() > 1 => {
            invalid("Invalid quota entity combination, IP entity should not be combined with User or ClientId")
        }
        Some(Some(name)) if name.parse::<IpAddr>().is_err() => invalid(format!("{name} is not a valid IP.")),
        Some(_) => Ok(&OF_ADDRESSES),
    }
}

fn check_limit(keys: &[(&str, Kind)], key: &str, value: f64) -> Result<(), Refusal> {
    let Some((_, kind)) = keys.iter().find(|(known, _)| *known == key) else {
        return invalid(format!("Invalid configuration key {key}"));
    };
    // What is not a number is not above 0 either.
    if value.is_nan() || value <= 0.0 {
        return invalid(format!("Quota {key} must be greater than 0"));
    }
    let (largest, name) = match kind {
        Kind::Double => return Ok(()),
        Kind::Long => (i64::MAX as f64, "a LONG"),
        Kind::Int => (f64::from(i32::MAX), "an INT"),
    };
    if value > largest {
        return invalid(format!("Proposed value for {key} is too large for {name}."));
    }
    if value.fract() > 1e-6 {
        return invalid(format!("{key} cannot be a fractional value."));
    }
    Ok(())
}
