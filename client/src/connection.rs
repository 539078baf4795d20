//! One connection to one broker.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::api::{Message, Request};
use protocol::frame;
use protocol::messages::ApiVersionsRequest;
use protocol::wire::Decoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::time::timeout;

use crate::ClientError;

/// How long to wait for a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for an answer, beyond what the request itself may wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer taken, bytes, as in Kafka's clients.
const ANSWER_MAX_BYTES: usize = 100 << 20;

type Waiting = Arc<Mutex<HashMap<i32, oneshot::Sender<Bytes>>>>;

/// An open connection. Requests may be sent from several tasks at once; answers find their way.
pub struct Connection {
    address: String,
    client_id: String,
    writer: AsyncMutex<(OwnedWriteHalf, i32)>,
    waiting: Waiting,
    versions: BTreeMap<i16, (i16, i16)>,
    reader: tokio::task::JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Connection {
    /// Connects to `host:port` and learns which versions it serves.
    ///
    /// # Errors
    /// [`ClientError`]; also when it does not speak the protocol.
    pub async fn connect(address: &str, client_id: &str) -> Result<Connection, ClientError> {
        let io = |source| ClientError::Io { address: address.into(), source };
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(address))
            .await
            .map_err(|_| ClientError::NoAnswer { address: address.into(), reason: "connecting took too long" })?
            .map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        let (read, write) = stream.into_split();
        let waiting = Waiting::default();
        let reader = tokio::spawn(read_answers(read, Arc::clone(&waiting)));
        let mut connection = Connection {
            address: address.into(),
            client_id: client_id.into(),
            writer: AsyncMutex::new((write, 0)),
            waiting,
            versions: BTreeMap::new(),
            reader,
        };
        connection.versions = connection.negotiate().await?;
        Ok(connection)
    }

    /// Where it leads.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The newest version of an API that both sides know.
    pub fn version_of<R: Request>(&self) -> Option<i16> {
        let (min, max) = self.versions.get(&R::KEY)?;
        let version = (*max).min(*R::VERSIONS.end());
        (version >= *min && version >= *R::VERSIONS.start()).then_some(version)
    }

    /// Sends a request in the newest version that both sides know.
    ///
    /// # Errors
    /// [`ClientError`]; an error code inside the answer is the caller's to look at.
    pub async fn send<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        let unsupported = || ClientError::Unsupported { address: self.address.clone(), api: R::NAME };
        self.send_version(request, self.version_of::<R>().ok_or_else(unsupported)?).await
    }

    /// Sends a request in the given version, whatever the broker says it serves.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_version<R: Request>(&self, request: &R, version: i16) -> Result<R::Response, ClientError> {
        let body = self.exchange(request, version).await?;
        let mut decoder = Decoder::new(body);
        let decode = |source| ClientError::Decode { address: self.address.clone(), source };
        frame::skip_response_header(R::KEY, version, &mut decoder).map_err(decode)?;
        R::Response::decode(&mut decoder, version).map_err(decode)
    }

    /// Sends a request that gets no answer (produce with acks=0).
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn send_silent<R: Request>(&self, request: &R, version: i16) -> Result<(), ClientError> {
        self.write(request, version, None).await
    }

    async fn exchange<R: Request>(&self, request: &R, version: i16) -> Result<Bytes, ClientError> {
        let (sender, receiver) = oneshot::channel();
        self.write(request, version, Some(sender)).await?;
        let no_answer = |reason| ClientError::NoAnswer { address: self.address.clone(), reason };
        timeout(ANSWER_TIMEOUT, receiver)
            .await
            .map_err(|_| no_answer("it took too long"))?
            .map_err(|_| no_answer("it closed the connection; its log says why"))
    }

    async fn write<R: Request>(
        &self,
        request: &R,
        version: i16,
        sender: Option<oneshot::Sender<Bytes>>,
    ) -> Result<(), ClientError> {
        let mut writer = self.writer.lock().await;
        let (stream, next_id) = &mut *writer;
        let id = *next_id;
        *next_id = next_id.wrapping_add(1);
        if let Some(sender) = sender {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        }
        for chunk in frame::encode_request(request, version, id, Some(&self.client_id)) {
            stream
                .write_all(&chunk)
                .await
                .map_err(|source| ClientError::Io { address: self.address.clone(), source })?;
        }
        Ok(())
    }

    async fn negotiate(&self) -> Result<BTreeMap<i16, (i16, i16)>, ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: "ottla".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
            ..Default::default()
        };
        let mut answer = self.send_version(&request, 3).await?;
        if answer.error_code == ErrorCode::UNSUPPORTED_VERSION {
            answer = self.send_version(&request, 0).await?;
        }
        ClientError::check("ApiVersions", answer.error_code, None)?;
        Ok(answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect())
    }
}

/// Hands answers to whoever waits for them, until the connection ends; dropping the senders tells the rest.
async fn read_answers(mut stream: OwnedReadHalf, waiting: Waiting) {
    while let Ok(size) = stream.read_i32().await {
        let Ok(size) = usize::try_from(size) else { break };
        if !(4..=ANSWER_MAX_BYTES).contains(&size) {
            break;
        }
        let mut buffer = vec![0; size];
        if stream.read_exact(&mut buffer).await.is_err() {
            break;
        }
        let id = i32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
        let sender = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(sender) = sender {
            // Whoever asked may have given up.
            let _ = sender.send(Bytes::from(buffer));
        }
    }
    waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
}
