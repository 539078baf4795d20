//! AlterUserScramCredentials: an admin client sets or removes the SCRAM credentials of users (KIP-554).

use bytes::Bytes;

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Sets or removes SCRAM credentials.
    AlterUserScramCredentials = 51, versions 0..=0, flexible 0..;

    request AlterUserScramCredentialsRequest {
        deletions: Vec<ScramCredentialDeletion>,
        upsertions: Vec<ScramCredentialUpsertion>,
    }

    response AlterUserScramCredentialsResponse {
        throttle_time_ms: i32,
        results: Vec<AlterUserScramCredentialsResult>,
    }

    struct ScramCredentialDeletion {
        name: String,
        /// 1 is SCRAM-SHA-256, 2 SCRAM-SHA-512.
        mechanism: i8,
    }

    struct ScramCredentialUpsertion {
        name: String,
        /// 1 is SCRAM-SHA-256, 2 SCRAM-SHA-512.
        mechanism: i8,
        iterations: i32,
        salt: Bytes,
        salted_password: Bytes,
    }

    struct AlterUserScramCredentialsResult {
        user: String,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }
}
