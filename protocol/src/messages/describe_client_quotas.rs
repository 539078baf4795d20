//! DescribeClientQuotas: quota list.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Quota list.
    DescribeClientQuotas = 48, versions 0..=1, flexible 1..;

    request DescribeClientQuotasRequest {
        components: Vec<ComponentData>,
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
        match_type: i8,
        r#match: Option<String> [nullable 0],
    }

    struct EntryData {
        entity: Vec<EntityData>,
        values: Vec<ValueData>,
    }

    struct EntityData {
        entity_type: String,
        entity_name: Option<String> [nullable 0],
    }

    struct ValueData {
        key: String,
        value: f64,
    }
}
