//! Access rules where nobody enforces any.

use protocol::messages::create_acls::AclCreation;
use protocol::messages::delete_acls::DeleteAclsFilter;
use protocol::messages::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};

use crate::pair::Pair;

const TOPIC: i8 = 2;
const ANY: i8 = 1;
const LITERAL: i8 = 3;
const READ: i8 = 3;
const ALLOW: i8 = 3;

pub(crate) fn run(pair: &mut Pair) {
    let describe = DescribeAclsRequest {
        resource_type_filter: ANY,
        pattern_type_filter: LITERAL,
        operation: ANY,
        permission_type: ANY,
        ..Default::default()
    };
    pair.every_version("describe all", |_| describe.clone());
    let creation = |name: &str| AclCreation {
        resource_type: TOPIC,
        resource_name: name.into(),
        resource_pattern_type: LITERAL,
        principal: "User:somebody".into(),
        host: "*".into(),
        operation: READ,
        permission_type: ALLOW,
    };
    for creations in [vec![], vec![creation("a"), creation("b")]] {
        let label = format!("create {}", creations.len());
        pair.every_version(&label, |_| CreateAclsRequest { creations: creations.clone() });
    }
    let filter = DeleteAclsFilter {
        resource_type_filter: ANY,
        pattern_type_filter: LITERAL,
        operation: ANY,
        permission_type: ANY,
        ..Default::default()
    };
    for filters in [vec![], vec![filter.clone(), filter]] {
        let label = format!("delete {}", filters.len());
        pair.every_version(&label, |_| DeleteAclsRequest { filters: filters.clone() });
    }
}
