//! The brokers of a cluster, what they speak, and what they keep where.

use client::{ClientError, Cluster};
use protocol::messages::api_versions::ApiVersionsResponse;
use protocol::messages::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use protocol::messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest, DescribeLogDirsResult};
use protocol::messages::{ApiVersionsRequest, UnregisterBrokerRequest};

use super::endpoint::Endpoint;

/// The cluster and its brokers, by id.
///
/// # Errors
/// [`ClientError`].
pub(crate) async fn describe(cluster: &Cluster) -> Result<DescribeClusterResponse, ClientError> {
    let mut answer = cluster.any().await?.send(&DescribeClusterRequest::default()).await?;
    ClientError::check("the cluster", answer.error_code, answer.error_message.take())?;
    answer.brokers.sort_by_key(|broker| broker.broker_id);
    Ok(answer)
}

/// What one broker speaks.
///
/// # Errors
/// [`ClientError`].
pub(crate) async fn versions(cluster: &Cluster, broker: i32) -> Result<ApiVersionsResponse, ClientError> {
    let request = ApiVersionsRequest {
        client_software_name: "ottla".into(),
        client_software_version: env!("CARGO_PKG_VERSION").into(),
    };
    let answer = cluster.broker(broker).await?.send(&request).await?;
    ClientError::check("ApiVersions", answer.error_code, None)?;
    Ok(answer)
}

/// Makes the cluster forget a broker that is not coming back.
///
/// # Errors
/// The cluster's, with its words; [`ClientError::Unsupported`] when it cannot forget brokers.
pub(crate) async fn unregister(endpoint: &Endpoint, broker_id: i32) -> Result<(), ClientError> {
    let answer = endpoint.send(&UnregisterBrokerRequest { broker_id }).await?;
    ClientError::check(format!("broker {broker_id}"), answer.error_code, answer.error_message)
}

/// What one broker keeps in its log directories: of these topics, or of all.
///
/// # Errors
/// [`ClientError`].
pub(crate) async fn log_dirs(
    cluster: &Cluster,
    broker: i32,
    topics: Option<&[String]>,
) -> Result<Vec<DescribeLogDirsResult>, ClientError> {
    let wanted = match topics {
        None => None,
        Some(names) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let topic = |topic: &client::TopicMetadata| DescribableLogDirTopic {
                topic: topic.name.to_string(),
                partitions: topic.partitions.iter().map(|partition| partition.index).collect(),
            };
            Some(cluster.topics(Some(&names)).await?.iter().flatten().map(|found| topic(found)).collect())
        }
    };
    let answer = cluster.broker(broker).await?.send(&DescribeLogDirsRequest { topics: wanted }).await?;
    ClientError::check("the log directories", answer.error_code, None)?;
    Ok(answer.results)
}
