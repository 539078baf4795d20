//! DescribeUserScramCredentials: an admin client asks which users have SCRAM credentials, never what they are
//! (KIP-554).

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Lists SCRAM credentials.
    DescribeUserScramCredentials = 50, versions 0..=0, flexible 0..;

    request DescribeUserScramCredentialsRequest {
        /// Null or empty is all of them.
        users: Option<Vec<UserName>> [nullable 0] = Some(Vec::new()),
    }

    response DescribeUserScramCredentialsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        results: Vec<DescribeUserScramCredentialsResult>,
    }

    struct UserName {
        name: String,
    }

    struct DescribeUserScramCredentialsResult {
        user: String,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        credential_infos: Vec<CredentialInfo>,
    }

    struct CredentialInfo {
        /// 1 is SCRAM-SHA-256, 2 SCRAM-SHA-512.
        mechanism: i8,
        iterations: i32,
    }
}
