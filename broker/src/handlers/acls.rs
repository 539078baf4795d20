//! DescribeAcls, CreateAcls, DeleteAcls: what principals may do (KIP-11, KIP-290). There is nobody to enforce it, and
//! that is the answer, as Kafka's without an authorizer: tools know it, and go on.

use protocol::ErrorCode;
use protocol::messages::create_acls::AclCreationResult;
use protocol::messages::delete_acls::DeleteAclsFilterResult;
use protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};

use crate::context::Context;

/// What Kafka says, and what people look for.
const MESSAGE: &str = "No Authorizer is configured.";

/// Refuses to list.
pub(crate) async fn describe(_: Context, _: DescribeAclsRequest) -> DescribeAclsResponse {
    let (error_code, error_message) = (ErrorCode::SECURITY_DISABLED, Some(MESSAGE.to_owned()));
    DescribeAclsResponse { error_code, error_message, ..Default::default() }
}

/// Refuses each.
pub(crate) async fn create(_: Context, request: CreateAclsRequest) -> CreateAclsResponse {
    let refused =
        |_| AclCreationResult { error_code: ErrorCode::SECURITY_DISABLED, error_message: Some(MESSAGE.to_owned()) };
    CreateAclsResponse { results: request.creations.iter().map(refused).collect(), ..Default::default() }
}

/// Refuses each.
pub(crate) async fn delete(_: Context, request: DeleteAclsRequest) -> DeleteAclsResponse {
    let refused = |_| DeleteAclsFilterResult {
        error_code: ErrorCode::SECURITY_DISABLED,
        error_message: Some(MESSAGE.to_owned()),
        ..Default::default()
    };
    DeleteAclsResponse { filter_results: request.filters.iter().map(refused).collect(), ..Default::default() }
}
