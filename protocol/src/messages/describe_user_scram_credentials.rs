//! DescribeUserScramCredentials: SCRAM users list.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// SCRAM users list.
    DescribeUserScramCredentials = 50, versions 0..=0, flexible 0..;

    request DescribeUserScramCredentialsRequest {
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
        mechanism: i8,
        iterations: i32,
    }
}
