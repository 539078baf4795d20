//! A cluster as a client sees it: who leads what, and connections to each broker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::ErrorCode;
use protocol::api::Request;
use protocol::messages::find_coordinator::FindCoordinatorRequest;
use protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};

use crate::retry::Retries;
use crate::{ClientError, Connection, TopicMetadata};

/// What a coordinator is asked for.
const GROUPS: i8 = 0;
const TRANSACTIONS: i8 = 1;

/// The door to a cluster. Clones share connections and knowledge.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    bootstrap: Vec<String>,
    client_id: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    addresses: BTreeMap<i32, String>,
    controller: Option<i32>,
    topics: BTreeMap<Arc<str>, Arc<TopicMetadata>>,
    connections: BTreeMap<(String, Lane), Arc<Connection>>,
}

/// A broker answers the requests of one connection in order, so requests that it parks have connections of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// What is answered at once.
    Main,
    /// Long polls.
    Fetch,
}

impl Cluster {
    /// Connects to the first broker of a comma-separated list that answers.
    ///
    /// # Errors
    /// When none does.
    pub async fn connect(bootstrap: &str, client_id: &str) -> Result<Cluster, ClientError> {
        // As in Kafka's clients, an address may come with the name of its listener: PLAINTEXT://host:port.
        let bootstrap = bootstrap.split(',').map(|address| match address.split_once("://") {
            Some((_, address)) => address.trim(),
            None => address.trim(),
        });
        let bootstrap = bootstrap.filter(|address| !address.is_empty());
        let cluster = Cluster {
            inner: Arc::new(Inner {
                bootstrap: bootstrap.map(str::to_owned).collect(),
                client_id: client_id.into(),
                state: Mutex::default(),
            }),
        };
        cluster.refresh(Some(&[]), false).await?;
        Ok(cluster)
    }

    /// A connection to any broker.
    ///
    /// # Errors
    /// When none answers.
    pub async fn any(&self) -> Result<Arc<Connection>, ClientError> {
        let known: Vec<String> = self.state().addresses.values().cloned().collect();
        let mut reason = "the list of brokers is empty".to_string();
        for address in known.iter().chain(&self.inner.bootstrap) {
            match self.connection(address, Lane::Main).await {
                Ok(connection) => return Ok(connection),
                Err(error) => reason = error.to_string(),
            }
        }
        Err(ClientError::NoBroker { reason })
    }

    /// A connection to the broker with this id.
    ///
    /// # Errors
    /// When it is not known or does not answer.
    pub async fn broker(&self, id: i32) -> Result<Arc<Connection>, ClientError> {
        self.broker_on(id, Lane::Main).await
    }

    pub(crate) async fn broker_on(&self, id: i32, lane: Lane) -> Result<Arc<Connection>, ClientError> {
        let address = self.state().addresses.get(&id).cloned();
        match address {
            Some(address) => self.connection(&address, lane).await,
            None => Err(ClientError::Kafka {
                what: format!("broker {id}"),
                code: ErrorCode::LEADER_NOT_AVAILABLE,
                message: None,
            }),
        }
    }

    /// Where the broker with this id listens, as the metadata last said.
    pub fn address(&self, id: i32) -> Option<String> {
        self.state().addresses.get(&id).cloned()
    }

    /// Connections to all brokers that the metadata names.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn brokers(&self) -> Result<Vec<Arc<Connection>>, ClientError> {
        self.refresh(Some(&[]), false).await?;
        let addresses: Vec<String> = self.state().addresses.values().cloned().collect();
        let mut connections = Vec::with_capacity(addresses.len());
        for address in addresses {
            connections.push(self.connection(&address, Lane::Main).await?);
        }
        Ok(connections)
    }

    /// Sends an administrator's request to the controller. `code` finds the answer's error code: when another broker has
    /// become the controller, the request goes there.
    ///
    /// # Errors
    /// [`ClientError`]; after a lost connection it is unknown whether the request was carried out.
    pub async fn admin<R: Request>(
        &self,
        request: &R,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response, ClientError> {
        let mut retries = Retries::default();
        loop {
            let controller = self.state().controller;
            let connection = match controller {
                Some(id) => self.broker(id).await?,
                None => self.any().await?,
            };
            let answer = connection.send(request).await?;
            if code(&answer) != ErrorCode::NOT_CONTROLLER {
                return Ok(answer);
            }
            let failure = ClientError::check(R::NAME, ErrorCode::NOT_CONTROLLER, None);
            if let Err(failure) = failure {
                retries.after(failure).await?;
            }
            self.refresh(Some(&[]), false).await?;
        }
    }

    /// The broker that coordinates a group.
    ///
    /// # Errors
    /// [`ClientError`], after retries.
    pub async fn coordinator(&self, group_id: &str) -> Result<Arc<Connection>, ClientError> {
        self.coordinator_of(group_id, GROUPS).await
    }

    /// The broker that coordinates the transactions of a transactional id.
    ///
    /// # Errors
    /// [`ClientError`], after retries.
    pub async fn transaction_coordinator(&self, transactional_id: &str) -> Result<Arc<Connection>, ClientError> {
        self.coordinator_of(transactional_id, TRANSACTIONS).await
    }

    /// The id of that broker.
    ///
    /// # Errors
    /// [`ClientError`], after retries.
    pub async fn transaction_coordinator_id(&self, transactional_id: &str) -> Result<i32, ClientError> {
        let mut retries = Retries::default();
        loop {
            match self.find_coordinator(transactional_id, TRANSACTIONS).await {
                Ok((id, _)) => return Ok(id),
                Err(failure) => retries.after(failure).await?,
            }
        }
    }

    async fn coordinator_of(&self, key: &str, key_type: i8) -> Result<Arc<Connection>, ClientError> {
        let mut retries = Retries::default();
        loop {
            let connection = match self.find_coordinator(key, key_type).await {
                Ok((_, address)) => self.connection(&address, Lane::Main).await,
                Err(failure) => Err(failure),
            };
            match connection {
                Ok(connection) => return Ok(connection),
                Err(failure) => retries.after(failure).await?,
            }
        }
    }

    /// A connection of its own for a member of a group: while its JoinGroup waits for the other members, nobody else's
    /// answer can come, and the others must hear that they have to join.
    pub(crate) async fn member_connection(&self, group_id: &str) -> Result<Arc<Connection>, ClientError> {
        let mut retries = Retries::default();
        loop {
            let connection = match self.find_coordinator(group_id, GROUPS).await {
                Ok((_, address)) => Connection::connect(&address, &self.inner.client_id).await,
                Err(failure) => Err(failure),
            };
            match connection {
                Ok(connection) => return Ok(Arc::new(connection)),
                Err(failure) => retries.after(failure).await?,
            }
        }
    }

    /// The id and the address of the broker that coordinates it.
    async fn find_coordinator(&self, key: &str, key_type: i8) -> Result<(i32, String), ClientError> {
        let request = FindCoordinatorRequest { key: key.into(), key_type, coordinator_keys: vec![key.into()] };
        let answer = self.any().await?.send(&request).await?;
        let (code, message, id, host, port) = match answer.coordinators.into_iter().next() {
            Some(found) => (found.error_code, found.error_message, found.node_id, found.host, found.port),
            None => (answer.error_code, answer.error_message, answer.node_id, answer.host, answer.port),
        };
        ClientError::check(
            format!("the coordinator of {} {key}", if key_type == GROUPS { "group" } else { "transactional id" }),
            code,
            message,
        )?;
        Ok((id, join_address(&host, port)))
    }

    /// The topics of `names`, or all; each with its error if it has one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn topics(
        &self,
        names: Option<&[&str]>,
    ) -> Result<Vec<Result<Arc<TopicMetadata>, ClientError>>, ClientError> {
        self.refresh(names, false).await
    }

    /// One topic, freshly asked for.
    ///
    /// # Errors
    /// Its error, UNKNOWN_TOPIC_OR_PARTITION if it does not exist.
    pub async fn topic(&self, name: &str) -> Result<Arc<TopicMetadata>, ClientError> {
        self.one_topic(name, false).await
    }

    /// One topic. If it does not exist and the broker creates topics on first use, it does so now.
    ///
    /// # Errors
    /// Its error, after retries: a new topic is not known everywhere at once.
    pub async fn topic_or_create(&self, name: &str) -> Result<Arc<TopicMetadata>, ClientError> {
        let mut retries = Retries::default();
        loop {
            match self.one_topic(name, true).await {
                Ok(topic) => return Ok(topic),
                Err(failure) => retries.after(failure).await?,
            }
        }
    }

    async fn one_topic(&self, name: &str, create: bool) -> Result<Arc<TopicMetadata>, ClientError> {
        self.refresh(Some(&[name]), create).await?.pop().unwrap_or_else(|| {
            Err(ClientError::Kafka {
                what: format!("topic {name}"),
                code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                message: None,
            })
        })
    }

    /// What is known of a topic; asks only when nothing is.
    pub(crate) async fn known_topic(&self, name: &str) -> Result<Arc<TopicMetadata>, ClientError> {
        let known = self.state().topics.get(name).cloned();
        match known {
            Some(topic) => Ok(topic),
            None => self.topic(name).await,
        }
    }

    /// Forgets a topic about which a broker has said something else, so that the next use asks again.
    pub(crate) fn forget_topic(&self, name: &str) {
        self.state().topics.remove(name);
    }

    async fn refresh(
        &self,
        names: Option<&[&str]>,
        create: bool,
    ) -> Result<Vec<Result<Arc<TopicMetadata>, ClientError>>, ClientError> {
        let topic = |name: &&str| MetadataRequestTopic { name: Some(name.to_string()), ..Default::default() };
        let request = MetadataRequest {
            topics: names.map(|names| names.iter().map(topic).collect()),
            allow_auto_topic_creation: create,
            ..Default::default()
        };
        let answer = self.any().await?.send(&request).await?;
        let topics: Vec<_> = answer.topics.into_iter().map(|t| TopicMetadata::from_wire(t).map(Arc::new)).collect();
        let mut state = self.state();
        state.addresses = answer.brokers.iter().map(|b| (b.node_id, join_address(&b.host, b.port))).collect();
        state.controller = Some(answer.controller_id).filter(|id| state.addresses.contains_key(id));
        let known = topics.iter().flatten().map(|topic| (Arc::clone(&topic.name), Arc::clone(topic)));
        state.topics.extend(known);
        Ok(topics)
    }

    async fn connection(&self, address: &str, lane: Lane) -> Result<Arc<Connection>, ClientError> {
        let key = (address.to_string(), lane);
        if let Some(connection) = self.state().connections.get(&key)
            && connection.is_open()
        {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(Connection::connect(address, &self.inner.client_id).await?);
        self.state().connections.insert(key, Arc::clone(&connection));
        Ok(connection)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn join_address(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
