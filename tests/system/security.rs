//! What is asked of a broker that lets everybody do everything.

use client::Cluster;
use protocol::ErrorCode;
use protocol::messages::AlterUserScramCredentialsRequest;
use protocol::messages::alter_user_scram_credentials::{ScramCredentialDeletion, ScramCredentialUpsertion};

use crate::broker_process::BrokerProcess;

#[tokio::test]
async fn nobody_is_made_to_believe_that_he_has_credentials() {
    let broker = BrokerProcess::start(&[]);
    let connection = Cluster::connect(&broker.address, "test").await.unwrap().any().await.unwrap();
    let deletion = |name: &str| ScramCredentialDeletion { name: name.into(), mechanism: 1 };
    let upsertion = |name: &str| ScramCredentialUpsertion {
        name: name.into(),
        mechanism: 2,
        iterations: 4096,
        ..Default::default()
    };
    let request = AlterUserScramCredentialsRequest {
        deletions: vec![deletion("b")],
        upsertions: vec![upsertion("a"), upsertion("b")],
    };
    let answer = connection.send_version(&request, 0).await.unwrap();
    let told: Vec<_> = answer.results.iter().map(|result| (result.user.as_str(), result.error_code)).collect();
    assert_eq!(told, [("a", ErrorCode::SECURITY_DISABLED), ("b", ErrorCode::SECURITY_DISABLED)]);
    assert!(answer.results.iter().all(|result| result.error_message.is_some()));
}
