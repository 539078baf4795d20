//! FindCoordinator: a client asks any broker which one coordinates its groups, transactions or share partitions; from
//! version 4 on for many at once (KIP-699).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Finds coordinators.
    FindCoordinator = 10, versions 0..=6, flexible 3..;

    request FindCoordinatorRequest {
        key: String [until 3],
        /// 0 group, 1 transaction, 2 share partition.
        key_type: i8 [since 1],
        coordinator_keys: Vec<String> [since 4],
    }

    response FindCoordinatorResponse {
        throttle_time_ms: i32 [since 1],
        error_code: ErrorCode [until 3],
        error_message: Option<String> [since 1, until 3, nullable 1],
        node_id: i32 [until 3],
        host: String [until 3],
        port: i32 [until 3],
        coordinators: Vec<Coordinator> [since 4],
    }

    struct Coordinator {
        key: String [since 4],
        node_id: i32 [since 4],
        host: String [since 4],
        port: i32 [since 4],
        error_code: ErrorCode [since 4],
        error_message: Option<String> [since 4, nullable 4],
    }
}
