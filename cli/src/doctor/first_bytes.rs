//! Whether a port speaks Kafka, and if not, what.
//!
//! Kafka's frames begin with a length, so a client that is on a wrong port waits for, or refuses, a frame of gigabytes:
//! the bytes `HTTP` are 1.2 GB, a TLS record is 369 MB. Here the first bytes are read for what they are. A server that
//! says nothing is asked again, in TLS and in HTTP: some wait for the end of a line that never comes.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use protocol::api::{Message, Request};
use protocol::frame;
use protocol::messages::ApiVersionsRequest;
use protocol::messages::api_versions::ApiVersionsResponse;
use protocol::wire::Decoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::reach::connect;
use crate::CLIENT_ID;

/// The longest answer to ApiVersions that is believed; Kafka's has about a kilobyte.
const ANSWER_MAX_BYTES: usize = 1 << 20;
/// How much of a strange answer is shown.
const SHOWN_BYTES: usize = 24;
/// Every Kafka since 0.10 answers it, and in this layout.
const VERSION: i16 = 0;
/// Comes back in the answer, and is unlikely to by chance.
const CORRELATION_ID: i32 = 0x0771_a001;

/// What every HTTP server answers.
const HTTP_HELLO: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

/// What a port speaks.
pub(super) enum Language {
    Kafka {
        apis: usize,
    },
    Tls,
    Http,
    /// It closed the connection without a word.
    Closed,
    /// It said nothing for so long.
    Silent(Duration),
    /// The first bytes of something else.
    Other(Vec<u8>),
}

/// Finds out, within a few times `limit`.
pub(super) async fn language(stream: TcpStream, peer: SocketAddr, limit: Duration) -> Language {
    let hello: Vec<u8> =
        frame::encode_request(&ApiVersionsRequest::default(), VERSION, CORRELATION_ID, Some(CLIENT_ID))
            .iter()
            .flat_map(|chunk| chunk.iter().copied())
            .collect();
    let heard = match timeout(limit, ask(stream, &hello)).await {
        Ok(heard) => classify(&heard.unwrap_or_default()),
        Err(_) => Language::Silent(limit),
    };
    if !matches!(heard, Language::Closed | Language::Silent(_)) {
        return heard;
    }
    for question in [tls_hello(), HTTP_HELLO.to_vec()] {
        let Ok(stream) = connect(peer, limit).await else { return heard };
        let answer = timeout(limit, ask(stream, &question)).await;
        if let Ok(Ok(answer)) = answer
            && let language @ (Language::Tls | Language::Http) = classify(&answer)
        {
            return language;
        }
    }
    heard
}

/// Says `hello` and hears the answer: until its end if it is a frame, else what comes at once.
async fn ask(mut stream: TcpStream, hello: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(hello).await?;
    let mut heard = Vec::new();
    loop {
        let is_enough = match frame_size(&heard) {
            Some(size) => heard.len() >= size_of::<i32>() + size,
            None => heard.len() >= size_of::<i32>(),
        };
        if is_enough {
            return Ok(heard);
        }
        match stream.read_buf(&mut heard).await {
            Ok(0) => return Ok(heard),
            Ok(_) => {}
            Err(_) if !heard.is_empty() => return Ok(heard),
            Err(error) => return Err(error),
        }
    }
}

/// The size that a frame announces, if it is one that an answer to ApiVersions could have.
fn frame_size(heard: &[u8]) -> Option<usize> {
    let size = usize::try_from(i32::from_be_bytes(*heard.first_chunk()?)).ok()?;
    (size_of::<i32>()..=ANSWER_MAX_BYTES).contains(&size).then_some(size)
}

fn classify(heard: &[u8]) -> Language {
    if heard.is_empty() {
        return Language::Closed;
    }
    if is_tls(heard) {
        return Language::Tls;
    }
    if heard.starts_with(b"HTTP") {
        return Language::Http;
    }
    match versions(heard) {
        Some(answer) => Language::Kafka { apis: answer.api_keys.len() },
        None => Language::Other(heard.iter().take(SHOWN_BYTES).copied().collect()),
    }
}

fn versions(heard: &[u8]) -> Option<ApiVersionsResponse> {
    let size = frame_size(heard)?;
    let body = heard.get(size_of::<i32>()..size_of::<i32>() + size)?;
    if !body.starts_with(&CORRELATION_ID.to_be_bytes()) {
        return None;
    }
    let mut decoder = Decoder::new(Bytes::copy_from_slice(body));
    frame::skip_response_header(ApiVersionsRequest::KEY, VERSION, &mut decoder).ok()?;
    ApiVersionsResponse::decode(&mut decoder, VERSION).ok()
}

/// A handshake, or an alert that there will be none.
fn is_tls(heard: &[u8]) -> bool {
    matches!(heard, [0x15 | 0x16, 0x03, ..])
}

/// The least that a TLS server takes for a client's hello. Whether it likes what is offered does not matter: an alert is
/// an answer too.
fn tls_hello() -> Vec<u8> {
    const SUITES: [u8; 10] = [0x13, 0x01, 0xc0, 0x2f, 0xc0, 0x30, 0xc0, 0x2b, 0x00, 0x9c];
    let mut hello = vec![0x03, 0x03];
    // The random number; nothing is to be kept secret here.
    hello.extend([0x55; 32]);
    // No session.
    hello.push(0);
    hello.extend([0, SUITES.len() as u8]);
    hello.extend(SUITES);
    // One way to compress: not at all.
    hello.extend([1, 0]);
    let mut record = vec![0x16, 0x03, 0x01, 0, hello.len() as u8 + 4];
    record.extend([0x01, 0, 0, hello.len() as u8]);
    record.extend(hello);
    record
}

impl Language {
    pub(super) fn cure(&self) -> &'static str {
        match self {
            Language::Kafka { .. } => "nothing",
            Language::Tls => {
                "this tool speaks plaintext, and a client without TLS (Dapr with authType: none) fails here too, often \
                 as EOF: use the port of a PLAINTEXT listener, or switch TLS on in the client or off at the broker"
            }
            Language::Http => "this is a port for health and metrics or another program: Kafka's is 9092 as a rule",
            Language::Closed => {
                "a proxy or a port-forward without a broker behind it does this, and so does a broker that starts or \
                 has too many connections: look into the broker's log"
            }
            Language::Silent(_) => {
                "the process hangs, or is another service that waits for its client: look into the broker's log, and \
                 compare the port with its listeners"
            }
            Language::Other(_) => "another service listens there: compare the port with the broker's listeners",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Language::Kafka { apis } => write!(f, "speaks Kafka without TLS, {apis} APIs"),
            Language::Tls => f.write_str("speaks TLS, and this tool does not"),
            Language::Http => f.write_str("speaks HTTP, not Kafka"),
            Language::Closed => f.write_str("takes connections and closes them without a word"),
            Language::Silent(limit) => write!(f, "takes connections and says nothing for {} ms", limit.as_millis()),
            Language::Other(bytes) => write!(f, "speaks something else; it begins with \"{}\"", bytes.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_kafka_is_known_by_its_first_bytes() {
        assert!(matches!(classify(b""), Language::Closed));
        assert!(matches!(classify(&[0x15, 0x03, 0x03, 0, 2, 2, 80]), Language::Tls));
        assert!(matches!(classify(b"HTTP/1.1 400 Bad Request"), Language::Http));
        assert!(matches!(classify(b"SSH-2.0-OpenSSH_9.2\r\n"), Language::Other(bytes) if bytes.starts_with(b"SSH")));
        let other_id = [0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        assert!(matches!(classify(&other_id), Language::Other(_)), "an answer to somebody else");
        let mut ours = vec![0, 0, 0, 16];
        ours.extend(CORRELATION_ID.to_be_bytes());
        ours.extend([0, 0, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4]);
        assert!(matches!(classify(&ours), Language::Kafka { apis: 1 }));
    }
}
