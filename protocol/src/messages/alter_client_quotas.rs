//! AlterClientQuotas: an admin client sets or removes quotas of users, clients and addresses (KIP-546).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Sets or removes quotas.
    AlterClientQuotas = 49, versions 0..=1, flexible 1..;

    request AlterClientQuotasRequest {
        entries: Vec<RequestedEntryData>,
        validate_only: bool,
    }

    response AlterClientQuotasResponse {
        throttle_time_ms: i32,
        entries: Vec<EntryData>,
    }

    struct RequestedEntryData {
        entity: Vec<RequestedEntityData>,
        ops: Vec<OpData>,
    }

    struct RequestedEntityData {
        entity_type: String,
        entity_name: Option<String> [nullable 0],
    }

    struct OpData {
        key: String,
        value: f64,
        remove: bool,
    }

    struct EntryData {
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        entity: Vec<EntityData>,
    }

    struct EntityData {
        entity_type: String,
        /// Null is the default.
        entity_name: Option<String> [nullable 0],
    }
}
