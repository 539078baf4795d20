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
/// The version in which to ask for versions; what came later says nothing to us.
const NEWEST_API_VERSIONS: i16 = 3;

/// An open connection. Requests may be sent from several tasks at once; answers find their way.
pub struct Connection {
    address: String,
    client_id: String,
    writer: AsyncMutex<Writer>,
    waiting: Arc<Waiting>,
    versions: BTreeMap<i16, (i16, i16)>,
    reader: tokio::task::JoinHandle<()>,
}

struct Writer {
    stream: OwnedWriteHalf,
    next_id: i32,
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
        let (read, stream) = stream.into_split();
        let waiting = Arc::new(Waiting::new());
        let reader = tokio::spawn(read_answers(read, Arc::clone(&waiting)));
        let mut connection = Connection {
            address: address.into(),
            client_id: client_id.into(),
            writer: AsyncMutex::new(Writer { stream, next_id: 0 }),
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

    /// Whether requests can still be sent. A broken connection never mends.
    pub fn is_open(&self) -> bool {
        self.waiting.is_open()
    }

    /// The newest version of an API that both sides know.
    pub fn version_of<R: Request>(&self) -> Option<i16> {
        self.version_up_to::<R>(i16::MAX).ok()
    }

    /// The newest version of an API, no newer than `newest`, that both sides know.
    ///
    /// # Errors
    /// [`ClientError::Unsupported`] when there is none.
    pub fn version_up_to<R: Request>(&self, newest: i16) -> Result<i16, ClientError> {
        let unsupported = || ClientError::Unsupported { address: self.address.clone(), api: R::NAME };
        let (min, max) = self.versions.get(&R::KEY).ok_or_else(unsupported)?;
        let version = (*max).min(*R::VERSIONS.end()).min(newest);
        if version >= *min && version >= *R::VERSIONS.start() { Ok(version) } else { Err(unsupported()) }
    }

    /// Sends a request in the newest version that both sides know.
    ///
    /// # Errors
    /// [`ClientError`]; an error code inside the answer is the caller's to look at.
    pub async fn send<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        self.send_version(request, self.version_up_to::<R>(i16::MAX)?).await
    }

    /// Sends a request in the given version, whatever the broker says it serves.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_version<R: Request>(&self, request: &R, version: i16) -> Result<R::Response, ClientError> {
        self.send_parked(request, version, Duration::ZERO).await
    }

    /// Sends a request that the broker may keep for up to `parked` before it answers, as Fetch and JoinGroup.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_parked<R: Request>(
        &self,
        request: &R,
        version: i16,
        parked: Duration,
    ) -> Result<R::Response, ClientError> {
        let (sender, receiver) = oneshot::channel();
        self.write(request, version, Some(sender)).await?;
        let body = match timeout(ANSWER_TIMEOUT.saturating_add(parked), receiver).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return Err(self.no_answer("it closed the connection; its log may say why")),
            Err(_) => {
                // Answers come in order, so everything behind this one is stuck too.
                self.close();
                return Err(self.no_answer("it took too long"));
            }
        };
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

    async fn write<R: Request>(
        &self,
        request: &R,
        version: i16,
        sender: Option<oneshot::Sender<Bytes>>,
    ) -> Result<(), ClientError> {
        let mut writer = self.writer.lock().await;
        let id = writer.next_id;
        writer.next_id = id.wrapping_add(1);
        if !self.waiting.register(id, sender) {
            return Err(self.no_answer("the connection is closed"));
        }
        let mut whole = WholeOrClosed { connection: self, is_whole: false };
        for chunk in frame::encode_request(request, version, id, Some(&self.client_id)) {
            let io = |source| ClientError::Io { address: self.address.clone(), source };
            writer.stream.write_all(&chunk).await.map_err(io)?;
        }
        whole.is_whole = true;
        Ok(())
    }

    async fn negotiate(&self) -> Result<BTreeMap<i16, (i16, i16)>, ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: "ottla".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
        };
        let answer = match self.send_version(&request, NEWEST_API_VERSIONS).await {
            Ok(answer) if answer.error_code != ErrorCode::UNSUPPORTED_VERSION => answer,
            // A broker that does not know the version says so in version 0, whatever was asked (KIP-511).
            Ok(_) | Err(ClientError::Decode { .. }) => self.send_version(&request, 0).await?,
            Err(failure) => return Err(failure),
        };
        ClientError::check("ApiVersions", answer.error_code, None)?;
        Ok(answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect())
    }

    fn close(&self) {
        self.waiting.close();
        self.reader.abort();
    }

    fn no_answer(&self, reason: &'static str) -> ClientError {
        ClientError::NoAnswer { address: self.address.clone(), reason }
    }
}

/// Closes the connection when the request was not written to its end, by an error or because whoever sent it was
/// cancelled: what follows half a frame is noise.
struct WholeOrClosed<'a> {
    connection: &'a Connection,
    is_whole: bool,
}

impl Drop for WholeOrClosed<'_> {
    fn drop(&mut self) {
        if !self.is_whole {
            self.connection.close();
        }
    }
}

/// Who waits for which answer; `None` once the connection is closed.
struct Waiting(Mutex<Option<HashMap<i32, oneshot::Sender<Bytes>>>>);

impl Waiting {
    fn new() -> Waiting {
        Waiting(Mutex::new(Some(HashMap::new())))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Option<HashMap<i32, oneshot::Sender<Bytes>>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_open(&self) -> bool {
        self.with(|waiting| waiting.is_some())
    }

    /// Whether the connection is open, and so the sender will be used or dropped.
    fn register(&self, id: i32, sender: Option<oneshot::Sender<Bytes>>) -> bool {
        self.with(|waiting| {
            let Some(waiting) = waiting else { return false };
            waiting.extend(sender.map(|sender| (id, sender)));
            true
        })
    }

    fn answer(&self, id: i32, frame: Bytes) {
        let sender = self.with(|waiting| waiting.as_mut().and_then(|waiting| waiting.remove(&id)));
        if let Some(sender) = sender {
            // Whoever asked may have given up.
            let _ = sender.send(frame);
        }
    }

    /// Dropping the senders tells those who wait.
    fn close(&self) {
        self.with(|waiting| *waiting = None);
    }
}

/// Hands answers to whoever waits for them, until the connection ends.
async fn read_answers(mut stream: OwnedReadHalf, waiting: Arc<Waiting>) {
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
        waiting.answer(id, Bytes::from(buffer));
    }
    waiting.close();
}
