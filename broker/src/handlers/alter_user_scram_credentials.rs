//! AlterUserScramCredentials: gives users credentials (KIP-554). Nobody would ask for them, so none are taken.

use std::collections::BTreeSet;

use protocol::ErrorCode;
use protocol::messages::alter_user_scram_credentials::AlterUserScramCredentialsResult;
use protocol::messages::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};

use crate::context::Context;

/// Refuses for each user that is named.
pub(crate) async fn handle(_: Context, request: AlterUserScramCredentialsRequest) -> AlterUserScramCredentialsResponse {
    let deleted = request.deletions.into_iter().map(|deletion| deletion.name);
    let users: BTreeSet<String> =
        deleted.chain(request.upsertions.into_iter().map(|upsertion| upsertion.name)).collect();
    let refused = |user| AlterUserScramCredentialsResult {
        user,
        error_code: ErrorCode::SECURITY_DISABLED,
        error_message: Some("There is no authentication that would ask for credentials.".to_owned()),
    };
    AlterUserScramCredentialsResponse { results: users.into_iter().map(refused).collect(), ..Default::default() }
}
