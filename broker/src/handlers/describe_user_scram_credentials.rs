//! DescribeUserScramCredentials: which users have credentials (KIP-554). Nobody has: there is no authentication. Kafka's
//! tool asks it whenever it shows the quotas of users.

use std::collections::BTreeSet;

use protocol::ErrorCode;
use protocol::messages::DescribeUserScramCredentialsRequest;
use protocol::messages::describe_user_scram_credentials::*;

use crate::context::Context;

/// Lists nobody, and says of each user who was named that he has none.
pub(crate) async fn handle(
    _: Context,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let users = request.users.unwrap_or_default();
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&str> =
        users.iter().map(|user| user.name.as_str()).filter(|name| !seen.insert(*name)).collect();
    let result = |user: &str| {
        let (error_code, words) = match twice.contains(user) {
            true => (ErrorCode::DUPLICATE_RESOURCE, "is named twice"),
            false => (ErrorCode::RESOURCE_NOT_FOUND, "has no credentials"),
        };
        let (user, error_message) = (user.to_owned(), Some(format!("The user {user} {words}.")));
        DescribeUserScramCredentialsResult { user, error_code, error_message, ..Default::default() }
    };
    DescribeUserScramCredentialsResponse {
        results: seen.iter().map(|user| result(user)).collect(),
        ..Default::default()
    }
}
