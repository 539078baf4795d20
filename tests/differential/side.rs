//! One of the two brokers: its connections, and what it gave names to.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use protocol::Uuid;
use protocol::api::{Message, Request};
use protocol::frame;
use protocol::messages::ApiVersionsRequest;
use protocol::wire::Decoder;

/// The client id of every request, and so the beginning of every generated member id.
pub(crate) const CLIENT_ID: &str = "differential";
/// Longer than anything that is waited for here.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What came back.
#[derive(Debug)]
pub(crate) enum Answer<R> {
    Response(R),
    Closed,
    /// No answer at all, and an open connection.
    Late,
    /// No answer to this request, but one to the next.
    Silent,
    Unreadable(String),
}

/// A broker, as clients see it.
pub(crate) struct Side {
    address: SocketAddr,
    connections: BTreeMap<u8, TcpStream>,
    correlation_id: i32,
    topic_ids: BTreeMap<String, Uuid>,
    /// Generated names, and what to call them here.
    names: BTreeMap<String, String>,
    numbers: BTreeMap<String, i64>,
}

impl Side {
    pub(crate) fn new(address: SocketAddr) -> Side {
        Side {
            address,
            connections: BTreeMap::new(),
            correlation_id: 0,
            topic_ids: BTreeMap::new(),
            names: BTreeMap::new(),
            numbers: BTreeMap::new(),
        }
    }

    /// The id of a topic that was created; of any other name an id that no topic has.
    pub(crate) fn topic_id(&self, name: &str) -> Uuid {
        self.topic_ids.get(name).copied().unwrap_or(Uuid(*b"no topic has it!"))
    }

    pub(crate) fn topic_name(&self, id: &str) -> Option<&str> {
        self.topic_ids.iter().find(|(_, known)| known.to_string() == id).map(|(name, _)| name.as_str())
    }

    pub(crate) fn set_topic_id(&mut self, name: &str, id: Uuid) {
        self.topic_ids.insert(name.to_string(), id);
    }

    /// The generated name that is called `alias` here.
    pub(crate) fn name(&self, alias: &str) -> String {
        self.names.get(alias).cloned().unwrap_or_else(|| alias.to_string())
    }

    pub(crate) fn alias_of(&self, name: &str) -> Option<&str> {
        self.names.iter().find(|(_, known)| known.as_str() == name).map(|(alias, _)| alias.as_str())
    }

    pub(crate) fn set_name(&mut self, alias: &str, name: &str) {
        self.names.insert(alias.to_string(), name.to_string());
    }

    /// A number that this broker gave out: a producer id, a session.
    pub(crate) fn number(&self, name: &str) -> i64 {
        self.numbers.get(name).copied().unwrap_or(-1)
    }

    pub(crate) fn set_number(&mut self, name: &str, value: i64) {
        self.numbers.insert(name.to_string(), value);
    }

    /// Writes a request, on a new connection if there is none of that number.
    pub(crate) fn send<R: Request>(&mut self, connection: u8, version: i16, request: &R) {
        self.correlation_id += 1;
        let frame = frame::encode_request(request, version, self.correlation_id, Some(CLIENT_ID)).concat();
        self.write(connection, &frame);
    }

    pub(crate) fn write(&mut self, connection: u8, frame: &[u8]) {
        let address = self.address;
        let stream = self.connections.entry(connection).or_insert_with(|| {
            let stream = TcpStream::connect(address).expect("the broker accepts connections");
            stream.set_nodelay(true).expect("an option of an open socket");
            stream.set_read_timeout(Some(ANSWER_TIMEOUT)).expect("an option of an open socket");
            stream
        });
        if stream.write_all(frame).is_err() {
            // What the peer closed is found out by the read that follows.
        }
    }

    /// Reads the answer to the last request of a connection.
    pub(crate) fn receive<R: Request>(&mut self, connection: u8, version: i16) -> Answer<R::Response> {
        match self.read_frame(connection) {
            Ok(frame) => decode::<R>(version, frame),
            Err(Lost::Closed) => Answer::Closed,
            Err(Lost::Late) => Answer::Late,
        }
    }

    /// Whether anything answers a request that asks for no answer.
    pub(crate) fn receive_nothing<R: Request>(&mut self, connection: u8, version: i16) -> Answer<R::Response> {
        self.send(connection, 0, &ApiVersionsRequest::default());
        let next = self.correlation_id;
        match self.read_frame(connection) {
            Err(Lost::Closed) => Answer::Closed,
            Err(Lost::Late) => Answer::Late,
            Ok(frame) if frame[..4] == next.to_be_bytes() => Answer::Silent,
            Ok(frame) => {
                let _ = self.read_frame(connection);
                decode::<R>(version, frame)
            }
        }
    }

    /// The next frame. Without one, the next request opens another connection.
    pub(crate) fn read_frame(&mut self, connection: u8) -> Result<Bytes, Lost> {
        let stream = self.connections.get_mut(&connection).ok_or(Lost::Closed)?;
        let mut size = [0; 4];
        let read = stream.read_exact(&mut size).and_then(|()| {
            let mut frame = vec![0; u32::from_be_bytes(size) as usize];
            stream.read_exact(&mut frame).map(|()| frame)
        });
        read.map(Bytes::from).map_err(|error| {
            self.connections.remove(&connection);
            match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Lost::Late,
                _ => Lost::Closed,
            }
        })
    }
}

/// Why there is no frame.
#[derive(Debug)]
pub(crate) enum Lost {
    Closed,
    Late,
}

fn decode<R: Request>(version: i16, frame: Bytes) -> Answer<R::Response> {
    let mut decoder = Decoder::new(frame);
    let decoded = frame::skip_response_header(R::KEY, version, &mut decoder)
        .and_then(|()| R::Response::decode(&mut decoder, version));
    match decoded {
        Ok(response) if decoder.remaining() == 0 => Answer::Response(response),
        Ok(_) => Answer::Unreadable(format!("{} bytes too many", decoder.remaining())),
        Err(error) => Answer::Unreadable(error.to_string()),
    }
}
