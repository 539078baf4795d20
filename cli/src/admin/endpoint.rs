//! Where requests about the cluster as a whole go: to any of its brokers, or to its controller (KIP-919).

use std::sync::Arc;

use client::{ClientError, Cluster, Connection};
use protocol::ErrorCode;
use protocol::api::Request;
use protocol::messages::DescribeClusterRequest;
use protocol::messages::describe_cluster::DescribeClusterResponse;

/// As DescribeCluster numbers what it is to name.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// One node that takes requests about the cluster.
pub(crate) struct Endpoint {
    connection: Arc<Connection>,
    client_id: String,
    /// The nodes that there are, ids ascending: brokers, or controllers when it was one of these that was asked.
    pub(crate) cluster: DescribeClusterResponse,
}

impl Endpoint {
    /// The first broker of a comma-separated list that answers. Brokers pass on what only the controller decides.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn broker(
        bootstrap: &str,
        client_id: &str,
        include_fenced_brokers: bool,
    ) -> Result<Endpoint, ClientError> {
        let connection = Cluster::connect(bootstrap, client_id).await?.any().await?;
        let cluster = describe(&connection, BROKERS, include_fenced_brokers).await?;
        Ok(Endpoint { connection, client_id: client_id.into(), cluster })
    }

    /// The controller, found by way of the first node of a comma-separated list of controllers that answers.
    ///
    /// # Errors
    /// [`ClientError`]: `MISMATCHED_ENDPOINT_TYPE` when what answers there is a broker's listener.
    pub(crate) async fn controller(bootstrap: &str, client_id: &str) -> Result<Endpoint, ClientError> {
        let connection = first(bootstrap, client_id).await?;
        let cluster = describe(&connection, CONTROLLERS, false).await?;
        let active = cluster.brokers.iter().find(|controller| controller.broker_id == cluster.controller_id);
        let connection = match active.map(|controller| format!("{}:{}", controller.host, controller.port)) {
            Some(address) if address != connection.address() => Connection::connect(&address, client_id).await?,
            _ => connection,
        };
        Ok(Endpoint { connection: Arc::new(connection), client_id: client_id.into(), cluster })
    }

    /// Whether it is a controller that was asked for.
    pub(crate) fn is_controller(&self) -> bool {
        self.cluster.endpoint_type == CONTROLLERS
    }

    /// A connection to one of the nodes.
    ///
    /// # Errors
    /// [`ClientError`]: `BROKER_ID_NOT_REGISTERED` when there is none with this id.
    pub(crate) async fn node(&self, id: i32) -> Result<Connection, ClientError> {
        match self.cluster.brokers.iter().find(|node| node.broker_id == id) {
            Some(node) => Connection::connect(&format!("{}:{}", node.host, node.port), &self.client_id).await,
            None => Err(ClientError::Kafka {
                what: format!("node {id}"),
                code: ErrorCode::BROKER_ID_NOT_REGISTERED,
                message: Some(format!("There is no node {id}.")),
            }),
        }
    }

    /// Asks it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn send<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        self.connection.send(request).await
    }
}

async fn first(bootstrap: &str, client_id: &str) -> Result<Connection, ClientError> {
    let mut reason = "the list of controllers is empty".to_string();
    for address in bootstrap.split(',').map(str::trim).filter(|address| !address.is_empty()) {
        let address = address.split_once("://").map_or(address, |(_, address)| address);
        match Connection::connect(address, client_id).await {
            Ok(connection) => return Ok(connection),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(ClientError::NoBroker { reason })
}

async fn describe(
    connection: &Connection,
    endpoint_type: i8,
    include_fenced_brokers: bool,
) -> Result<DescribeClusterResponse, ClientError> {
    let request = DescribeClusterRequest { endpoint_type, include_fenced_brokers, ..Default::default() };
    let mut answer = connection.send(&request).await?;
    ClientError::check("the cluster", answer.error_code, answer.error_message.take())?;
    answer.brokers.sort_by_key(|node| node.broker_id);
    Ok(answer)
}
