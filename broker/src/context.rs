//! What a handler knows besides its request.

use std::sync::Arc;

use protocol::frame::RequestHeader;

use crate::broker::Broker;
use crate::metrics::ClientLatency;
use crate::server::ConnectionInfo;
use crate::telemetry;

/// The broker, the connection, and the header of the request. Never a socket.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) broker: Arc<Broker>,
    pub(crate) connection: Arc<ConnectionInfo>,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    /// What keeping any part of the request keeps.
    pub(crate) buffer_bytes: usize,
    /// Empty when the client sent none.
    pub(crate) client_id: Arc<str>,
    /// Of the whole request, header included.
    pub(crate) request_bytes: usize,
}

impl Context {
    pub(crate) fn new(
        broker: &Arc<Broker>,
        connection: &Arc<ConnectionInfo>,
        header: RequestHeader,
        buffer_bytes: usize,
        request_bytes: usize,
    ) -> Context {
        let client_id = header.client_id.unwrap_or_default();
        connection.client_id.get_or_init(|| Arc::clone(&client_id));
        Context {
            broker: Arc::clone(broker),
            connection: Arc::clone(connection),
            version: header.api_version,
            correlation_id: header.correlation_id,
            buffer_bytes,
            client_id,
            request_bytes,
        }
    }

    /// Where the produce requests of this client id are timed.
    pub(crate) fn producer(&self) -> Arc<ClientLatency> {
        // Found once: clients do not change their id on the way.
        Arc::clone(self.connection.producer.get_or_init(|| ClientLatency::of(&self.client_id)))
    }

    /// The client as subscriptions to its metrics see it.
    pub(crate) fn telemetry_client(&self) -> telemetry::Client<'_> {
        let software = self.connection.software.get();
        telemetry::Client {
            client_id: &self.client_id,
            software: software.map(|(name, version)| (name.as_str(), version.as_str())),
            peer: self.connection.peer,
        }
    }

    /// Where the client connects from, as Kafka prints it: `/192.0.2.1`.
    pub(crate) fn client_host(&self) -> String {
        format!("/{}", self.connection.peer.ip())
    }
}
