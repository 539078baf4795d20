//! A cluster as a client sees it: who leads what, and a connection to each.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::api::Request;
use protocol::messages::find_coordinator::FindCoordinatorRequest;
use protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use protocol::{ErrorCode, Uuid};
use tokio::sync::Mutex;

use crate::{ClientError, Connection};

/// A topic and the leaders of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: String,
    /// Its id, zero when the broker is too old to say.
    pub id: Uuid,
    /// Partition index to the id of its leader.
    pub leaders: BTreeMap<i32, i32>,
}

/// The door to a cluster.
pub struct Cluster {
    bootstrap: String,
    client_id: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    addresses: BTreeMap<i32, String>,
    controller: Option<i32>,
    connections: BTreeMap<String, Arc<Connection>>,
}

impl Cluster {
    /// Connects to the first broker of a comma-separated list that answers.
    ///
    /// # Errors
    /// When none does.
    pub async fn connect(bootstrap: &str, client_id: &str) -> Result<Cluster, ClientError> {
        let cluster =
            Cluster { bootstrap: bootstrap.into(), client_id: client_id.into(), state: Mutex::new(State::default()) };
        cluster.refresh(Some(Vec::new())).await?;
        Ok(cluster)
    }

    /// A connection to any broker.
    ///
    /// # Errors
    /// When none answers.
    pub async fn any(&self) -> Result<Arc<Connection>, ClientError> {
        let known: Vec<String> = self.state.lock().await.addresses.values().cloned().collect();
        let mut reason = "the list is empty".to_string();
        let bootstrap = self.bootstrap.split(',').map(|address| address.trim().to_string());
        for address in known.into_iter().chain(bootstrap).filter(|address| !address.is_empty()) {
            match self.connection(&address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => reason = error.to_string(),
            }
        }
        Err(ClientError::NoBroker { addresses: self.bootstrap.clone(), reason })
    }

    /// A connection to the broker with this id.
    ///
    /// # Errors
    /// When it is not known or does not answer.
    pub async fn broker(&self, id: i32) -> Result<Arc<Connection>, ClientError> {
        let address = self.state.lock().await.addresses.get(&id).cloned();
        match address {
            Some(address) => self.connection(&address).await,
            None => Err(ClientError::Kafka {
                what: format!("broker {id}"),
                code: ErrorCode::BROKER_NOT_AVAILABLE,
                message: None,
            }),
        }
    }

    /// Sends an administrator's request to the controller.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn admin<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        let controller = self.state.lock().await.controller;
        let connection = match controller {
            Some(id) => self.broker(id).await?,
            None => self.any().await?,
        };
        connection.send(request).await
    }

    /// The broker that coordinates a group.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn coordinator(&self, group_id: &str) -> Result<Arc<Connection>, ClientError> {
        let request = FindCoordinatorRequest {
            key: group_id.into(),
            coordinator_keys: vec![group_id.into()],
            ..Default::default()
        };
        let answer = self.any().await?.send(&request).await?;
        let (code, message, host, port) = match answer.coordinators.into_iter().next() {
            Some(found) => (found.error_code, found.error_message, found.host, found.port),
            None => (answer.error_code, answer.error_message, answer.host, answer.port),
        };
        ClientError::check(format!("the coordinator of group {group_id}"), code, message)?;
        self.connection(&join_address(&host, port)).await
    }

    /// The topics of `names`, or all. With `create`, the broker may create those that do not exist.
    ///
    /// # Errors
    /// The first topic's error.
    pub async fn topics(&self, names: Option<&[String]>, create: bool) -> Result<Vec<TopicMetadata>, ClientError> {
        let names = names.map(|names| names.to_vec());
        let answer = self.refresh_with(names, create).await?;
        let mut topics = Vec::with_capacity(answer.topics.len());
        for topic in answer.topics {
            let name = topic.name.unwrap_or_default();
            ClientError::check(format!("topic {name}"), topic.error_code, None)?;
            let leaders = topic.partitions.iter().map(|p| (p.partition_index, p.leader_id)).collect();
            topics.push(TopicMetadata { name, id: topic.topic_id, leaders });
        }
        Ok(topics)
    }

    /// One topic.
    ///
    /// # Errors
    /// Its error.
    pub async fn topic(&self, name: &str, create: bool) -> Result<TopicMetadata, ClientError> {
        let mut topics = self.topics(Some(&[name.to_string()]), create).await?;
        topics.pop().ok_or_else(|| ClientError::Kafka {
            what: format!("topic {name}"),
            code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            message: None,
        })
    }

    async fn refresh(&self, names: Option<Vec<String>>) -> Result<MetadataResponse, ClientError> {
        self.refresh_with(names, false).await
    }

    async fn refresh_with(&self, names: Option<Vec<String>>, create: bool) -> Result<MetadataResponse, ClientError> {
        let topic = |name| MetadataRequestTopic { name: Some(name), ..Default::default() };
        let request = MetadataRequest {
            topics: names.map(|names| names.into_iter().map(topic).collect()),
            allow_auto_topic_creation: create,
            ..Default::default()
        };
        let answer = self.any().await?.send(&request).await?;
        let mut state = self.state.lock().await;
        let addresses = answer.brokers.iter().map(|b| (b.node_id, join_address(&b.host, b.port)));
        state.addresses = addresses.collect();
        state.controller = Some(answer.controller_id).filter(|id| state.addresses.contains_key(id));
        Ok(answer)
    }

    async fn connection(&self, address: &str) -> Result<Arc<Connection>, ClientError> {
        if let Some(connection) = self.state.lock().await.connections.get(address) {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(Connection::connect(address, &self.client_id).await?);
        self.state.lock().await.connections.insert(address.into(), Arc::clone(&connection));
        Ok(connection)
    }

    /// Forgets the connection to an address, so that the next use opens a new one.
    pub async fn forget(&self, connection: &Connection) {
        self.state.lock().await.connections.remove(connection.address());
    }
}

fn join_address(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
