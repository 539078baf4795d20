//! AlterUserScramCredentials: SCRAM users set.

use bytes::Bytes;

use crate::ErrorCode;
use crate::api::*;

api! {
    /// SCRAM users set.
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
        mechanism: i8,
    }

    struct ScramCredentialUpsertion {
        name: String,
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
