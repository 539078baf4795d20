//! DescribeClientQuotas: an admin client lists quotas of users, clients and addresses (KIP-546).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Lists quotas.
    DescribeClientQuotas = 48, versions 0..=1, flexible 1..;

    request DescribeClientQuotasRequest {
        components: Vec<ComponentData>,
        /// Whether entities of further types are left out.
        strict: bool,
    }

    response DescribeClientQuotasResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        entries: Option<Vec<EntryData>> [nullable 0] = Some(Vec::new()),
    }

    struct ComponentData {
        entity_type: String,
        /// 0 that name, 1 the default, 2 any that is named.
        match_type: i8,
        r#match: Option<String> [nullable 0],
    }

    struct EntryData {
        entity: Vec<EntityData>,
        values: Vec<ValueData>,
    }

    struct EntityData {
        entity_type: String,
        /// Null is the default.
        entity_name: Option<String> [nullable 0],
    }

    struct ValueData {
        key: String,
        value: f64,
    }
}
