//! Frames: a length, a header, a message.

use bytes::{Buf, Bytes, BytesMut};

use crate::api::{Message, Request};
use crate::messages::ALL;
use crate::wire::{DecodeError, Decoder, Encoder};

const API_VERSIONS_KEY: i16 = 18;
const CONTROLLED_SHUTDOWN_KEY: i16 = 7;

/// What stands before every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Which API.
    pub api_key: i16,
    /// Which version of it.
    pub api_version: i16,
    /// Comes back with the answer.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
}

impl RequestHeader {
    /// Reads a header off the front of a frame (without its length) and leaves the body.
    ///
    /// The client id has a 16-bit length in every header version; flexible versions add tagged fields, which are
    /// skipped. Of an API or version that is not known here, the body starts somewhere that nobody can tell.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(frame: Bytes) -> Result<(RequestHeader, Bytes), DecodeError> {
        let mut decoder = Decoder::new(frame);
        let (api_key, api_version, correlation_id) = (decoder.i16()?, decoder.i16()?, decoder.i32()?);
        let mut client_id = None;
        if (api_key, api_version) != (CONTROLLED_SHUTDOWN_KEY, 0) {
            if let Some(length) = decoder.length(false, false)? {
                let bytes = decoder.take(length)?;
                let text = std::str::from_utf8(&bytes).map_err(|_| DecodeError::InvalidString)?;
                client_id = Some(text.to_owned());
            }
            if is_flexible(api_key, api_version) {
                decoder.skip_tags()?;
            }
        }
        Ok((RequestHeader { api_key, api_version, correlation_id, client_id }, decoder.rest()))
    }
}

fn is_flexible(api_key: i16, api_version: i16) -> bool {
    let api = ALL.binary_search_by_key(&api_key, |api| api.key).ok().map(|place| &ALL[place]);
    api.is_some_and(|api| api.versions.contains(&api_version) && api.flexible_from.is_some_and(|v| api_version >= v))
}

/// An answer as it goes over the wire, with its length and header, in chunks.
///
/// The header never carries tagged fields, because some clients read it as a fixed number of bytes; the answer to
/// ApiVersions has the old header in every version, because the client does not know yet what we speak.
pub fn encode_response<M: Message>(api_key: i16, version: i16, correlation_id: i32, response: &M) -> Vec<Bytes> {
    let mut body = Encoder::new();
    body.i32(correlation_id);
    if api_key != API_VERSIONS_KEY && M::FLEXIBLE_FROM.is_some_and(|first| version >= first) {
        body.uvarint(0);
    }
    response.encode(&mut body, version);
    with_length(body)
}

/// A request as it goes over the wire, with its length and header, in chunks.
pub fn encode_request<R: Request>(request: &R, version: i16, correlation_id: i32, client_id: Option<&str>) -> Vec<Bytes> {
    let mut body = Encoder::new();
    body.i16(R::KEY);
    body.i16(version);
    body.i32(correlation_id);
    body.length(client_id.map(str::len), false, false);
    body.slice(client_id.unwrap_or_default().as_bytes());
    if R::FLEXIBLE_FROM.is_some_and(|first| version >= first) {
        body.uvarint(0);
    }
    request.encode(&mut body, version);
    with_length(body)
}

/// Reads past the header of an answer.
///
/// # Errors
/// [`DecodeError`].
pub fn skip_response_header(api_key: i16, version: i16, decoder: &mut Decoder) -> Result<(), DecodeError> {
    decoder.i32()?;
    if api_key != API_VERSIONS_KEY && is_flexible(api_key, version) {
        decoder.skip_tags()?;
    }
    Ok(())
}

fn with_length(body: Encoder) -> Vec<Bytes> {
    let size = (body.len() as u32).to_be_bytes();
    let mut parts = body.finish();
    let mut first = BytesMut::with_capacity(4 + parts.first().map_or(0, Bytes::len));
    first.extend_from_slice(&size);
    if let Some(head) = parts.first_mut() {
        // Small enough to copy: the first chunk ends where the first large byte field begins.
        first.extend_from_slice(head);
        head.advance(head.len());
        parts[0] = first.freeze();
    }
    parts
}
