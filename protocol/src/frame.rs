//! Frames: a length, a header, a message.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use crate::api::{Message, Request};
use crate::messages::HEADERS;
pub use crate::messages::api_name;
use crate::wire::{DecodeError, Decoder, Encoder, SIZE_BYTES};

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
    pub client_id: Option<Arc<str>>,
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
        RequestHeader::decode_known(frame, None)
    }

    /// The same of a client that called itself `known` before, which is shared if it still does.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode_known(frame: Bytes, known: Option<&Arc<str>>) -> Result<(RequestHeader, Bytes), DecodeError> {
        let mut decoder = Decoder::new(frame);
        let (api_key, api_version, correlation_id) = (decoder.i16()?, decoder.i16()?, decoder.i32()?);
        let mut client_id = None;
        // The one request whose header ended before the client id was invented.
        if (api_key, api_version) != (CONTROLLED_SHUTDOWN_KEY, 0) {
            client_id = decoder.length(false, false)?.map(|length| decoder.known_text(length, known)).transpose()?;
            if is_flexible(api_key, api_version) {
                decoder.skip_tags()?;
            }
        }
        Ok((RequestHeader { api_key, api_version, correlation_id, client_id }, decoder.rest()))
    }
}

fn is_flexible(api_key: i16, api_version: i16) -> bool {
    let api = HEADERS.binary_search_by_key(&api_key, |api| api.key).ok().map(|place| &HEADERS[place]);
    api.is_some_and(|api| api.versions.contains(&api_version) && api.flexible_from.is_some_and(|v| api_version >= v))
}

/// An answer as it goes over the wire, with its length and header, in chunks.
///
/// The header never carries tagged fields, because some clients read it as a fixed number of bytes; the answer to
/// ApiVersions has the old header in every version, because the client does not know yet what we speak (KIP-511).
pub fn encode_response<M: Message>(api_key: i16, version: i16, correlation_id: i32, response: &M) -> Vec<Bytes> {
    let mut frame = Encoder::frame();
    frame.i32(correlation_id);
    if api_key != API_VERSIONS_KEY && M::FLEXIBLE_FROM.is_some_and(|first| version >= first) {
        frame.uvarint(0);
    }
    response.encode(&mut frame, version);
    frame.finish_frame()
}

/// A request as it goes over the wire, with its length and header, in chunks.
///
/// `client_id` is cut at 32767 bytes, the most a header can say.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Vec<Bytes> {
    let client_id = client_id.map(|id| &id[..id.floor_char_boundary(i16::MAX as usize)]);
    let mut frame = Encoder::frame();
    frame.i16(R::KEY);
    frame.i16(version);
    frame.i32(correlation_id);
    frame.length(client_id.map(str::len), false, false);
    frame.slice(client_id.unwrap_or_default().as_bytes());
    if R::FLEXIBLE_FROM.is_some_and(|first| version >= first) {
        frame.uvarint(0);
    }
    request.encode(&mut frame, version);
    frame.finish_frame()
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

/// A size that no frame has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Below zero.
    NegativeSize(i32),
    /// Above the limit, in bytes.
    TooLarge {
        /// What the peer announced.
        announced: usize,
        /// What it may.
        limit: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::NegativeSize(size) => write!(f, "a frame cannot have {size} bytes"),
            FrameError::TooLarge { announced, limit } => write!(f, "a frame of {announced} bytes; {limit} are allowed"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Cuts a stream of bytes into frames.
///
/// It holds what has arrived and not been taken, never what was announced.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    limit: usize,
}

impl FrameDecoder {
    /// `limit` is the most bytes that a frame may have, without its length.
    pub fn new(limit: usize) -> FrameDecoder {
        FrameDecoder { buffer: BytesMut::new(), limit }
    }

    /// Where bytes that arrive are to be added.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole frame without its length, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// [`FrameError`] as soon as the length is there. What follows it cannot be read any more.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(size) = self.buffer.first_chunk::<SIZE_BYTES>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*size);
        let size = usize::try_from(announced).map_err(|_| FrameError::NegativeSize(announced))?;
        if size > self.limit {
            return Err(FrameError::TooLarge { announced: size, limit: self.limit });
        }
        if self.buffer.len() - SIZE_BYTES < size {
            return Ok(None);
        }
        self.buffer.advance(SIZE_BYTES);
        Ok(Some(self.buffer.split_to(size).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{ApiVersionsRequest, ApiVersionsResponse, HeartbeatRequest, HeartbeatResponse};
    use crate::wire::Records;

    fn whole(chunks: Vec<Bytes>) -> Bytes {
        chunks.concat().into()
    }

    #[test]
    fn requests_have_the_header_of_their_version() {
        let old = whole(encode_request(&HeartbeatRequest::default(), 0, 7, Some("me")));
        assert_eq!(old[..16], *b"\0\0\0\x14\0\x0c\0\0\0\0\0\x07\0\x02me");
        let new = whole(encode_request(&HeartbeatRequest::default(), 4, 7, None));
        assert_eq!(new[..15], *b"\0\0\0\x13\0\x0c\0\x04\0\0\0\x07\xff\xff\0");

        let (header, body) = RequestHeader::decode(new.slice(4..)).unwrap();
        assert_eq!((header.api_key, header.api_version, header.correlation_id), (12, 4, 7));
        assert_eq!(header.client_id, None);
        assert_eq!(HeartbeatRequest::decode(&mut Decoder::new(body), 4), Ok(HeartbeatRequest::default()));
    }

    #[test]
    fn tagged_fields_of_a_header_are_skipped() {
        let frame = Bytes::from_static(b"\0\x0c\0\x04\0\0\0\x07\0\x02me\x02\x00\x03abc\x05\x00body");
        let (header, body) = RequestHeader::decode(frame).unwrap();
        assert_eq!(header.client_id.as_deref(), Some("me"));
        assert_eq!(body, "body");
    }

    #[test]
    fn the_oldest_header_has_no_client_id() {
        let (header, body) = RequestHeader::decode(Bytes::from_static(b"\0\x07\0\0\0\0\0\x01\0\0\0\x02")).unwrap();
        assert_eq!((header.client_id, &body[..]), (None, &b"\0\0\0\x02"[..]));
    }

    #[test]
    fn a_header_that_ends_early_is_an_error() {
        let frame = whole(encode_request(&HeartbeatRequest::default(), 4, 7, Some("me"))).slice(4..);
        for end in 0..13 {
            assert!(RequestHeader::decode(frame.slice(..end)).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn the_answer_to_api_versions_keeps_the_old_header() {
        let heartbeat = whole(encode_response(HeartbeatRequest::KEY, 4, 7, &HeartbeatResponse::default()));
        assert_eq!(heartbeat[4..], *b"\0\0\0\x07\0\0\0\0\0\0\0\0");
        let versions = whole(encode_response(ApiVersionsRequest::KEY, 3, 7, &ApiVersionsResponse::default()));
        assert_eq!(versions[4..10], *b"\0\0\0\x07\0\0");
        for (key, version, frame) in [(HeartbeatRequest::KEY, 4, heartbeat), (ApiVersionsRequest::KEY, 3, versions)] {
            let mut decoder = Decoder::new(frame.slice(4..));
            skip_response_header(key, version, &mut decoder).unwrap();
            assert_eq!(decoder.remaining(), frame.len() - if key == 18 { 8 } else { 9 });
        }
    }

    #[test]
    fn large_records_are_not_copied_and_the_size_counts_them() {
        use crate::messages::fetch::*;
        let chunks = vec![Bytes::from(vec![1; 5000]), Bytes::from(vec![2; 3000]), Bytes::from(vec![3; 10])];
        let partition = PartitionData { records: Some(Records::from_chunks(chunks.clone())), ..Default::default() };
        let topic = FetchableTopicResponse { partitions: vec![partition], ..Default::default() };
        let response = FetchResponse { responses: vec![topic], ..Default::default() };
        for version in [4, 12, 18] {
            let frame = encode_response(FetchRequest::KEY, version, 1, &response);
            assert_eq!(frame.len(), 4);
            assert_eq!((frame[1].as_ptr(), frame[2].as_ptr()), (chunks[0].as_ptr(), chunks[1].as_ptr()));
            let frame = whole(frame);
            assert_eq!(frame[..4], (frame.len() as u32 - 4).to_be_bytes());
            let mut decoder = Decoder::new(frame.slice(4..));
            skip_response_header(FetchRequest::KEY, version, &mut decoder).unwrap();
            let read = FetchResponse::decode(&mut decoder, version).unwrap();
            assert_eq!(read.responses[0].partitions[0].records.as_ref().map(Records::len), Some(8010));
            assert_eq!(decoder.remaining(), 0);
        }
    }

    #[test]
    fn frames_are_cut_wherever_their_bytes_are() {
        let stream = b"\0\0\0\x03abc\0\0\0\0\0\0\0\x01d";
        for step in 1..=stream.len() {
            let mut decoder = FrameDecoder::new(3);
            let mut frames = Vec::new();
            for piece in stream.chunks(step) {
                decoder.buffer().extend_from_slice(piece);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, ["abc", "", "d"], "{step} bytes at a time");
        }
    }

    #[test]
    fn a_size_that_no_frame_has_is_refused_at_once() {
        let mut decoder = FrameDecoder::new(3);
        decoder.buffer().extend_from_slice(b"\0\0\0\x04");
        assert_eq!(decoder.next_frame(), Err(FrameError::TooLarge { announced: 4, limit: 3 }));
        let mut decoder = FrameDecoder::new(3);
        decoder.buffer().extend_from_slice(b"\xff\xff\xff\xff");
        assert_eq!(decoder.next_frame(), Err(FrameError::NegativeSize(-1)));
    }
}
