//! Frames that Kafka's own classes wrote, against ours: every message in every version reads, and writes the same
//! bytes again.
//!
//! `golden/frames-*.txt` are the output of the Java program beside them, which says how to run it again.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its own file has nothing to say")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod golden;

use std::collections::BTreeSet;

use bytes::Bytes;
use golden::Golden;
use protocol::frame::{self, RequestHeader};
use protocol::messages;
use protocol::wire::{DecodeError, Decoder, Encoder};

type Recode = fn(&mut Decoder, i16) -> Result<Encoder, DecodeError>;

/// Reads and writes a body; the error says what went wrong.
fn recoded(recode: Recode, bytes: &Bytes, version: i16) -> Result<Bytes, String> {
    let mut decoder = Decoder::new(bytes.clone());
    let encoder = recode(&mut decoder, version).map_err(|error| error.to_string())?;
    match decoder.remaining() {
        0 => Ok(encoder.into_bytes()),
        left => Err(format!("{left} bytes are left")),
    }
}

fn recode_of(golden: &Golden) -> Option<Recode> {
    match golden.kind {
        "request" => Some(golden.api().recode_request),
        "response" => Some(golden.api().recode_response),
        _ => None,
    }
}

#[test]
fn bodies_come_out_byte_for_byte() {
    let mut differences = Vec::new();
    let mut bodies = 0;
    for golden in Golden::all() {
        let Some(recode) = recode_of(&golden) else { continue };
        for version in golden.versions.clone() {
            bodies += 1;
            let ours = recoded(recode, &golden.bytes, version);
            if ours.as_ref() != Ok(&golden.bytes) {
                differences.push(format!("{golden} v{version}: {ours:02x?}\n  Kafka's {:02x?}", golden.bytes));
            }
        }
    }
    assert!(differences.is_empty(), "{} of {bodies}:\n{}", differences.len(), differences.join("\n"));
    println!("{bodies} bodies");
}

#[test]
fn headers_are_those_of_kafka() {
    for golden in Golden::all() {
        let version = *golden.versions.start();
        if golden.kind == "request_header" {
            let expected = RequestHeader {
                api_key: golden.key,
                api_version: version,
                correlation_id: 0x0102_0304,
                client_id: Some("me".into()),
            };
            let frame = Bytes::from([&golden.bytes[..], b"body"].concat());
            let (header, body) = RequestHeader::decode(frame).unwrap();
            assert_eq!((header, &body[..]), (expected, &b"body"[..]), "{golden}");
        }
        if golden.kind == "response_header" {
            let mut decoder = Decoder::new([&golden.bytes[..], b"body"].concat().into());
            frame::skip_response_header(golden.key, version, &mut decoder).unwrap();
            assert_eq!(decoder.rest(), "body", "{golden}");
        }
    }
}

/// Whole frames as the broker and the client write them are the headers that Kafka writes, and a body.
#[test]
fn frames_are_a_header_of_kafka_and_a_body() {
    use protocol::api::{Message, Request};
    use protocol::messages::*;

    fn body<M: Message>(message: &M, version: i16) -> Bytes {
        let mut encoder = Encoder::new();
        message.encode(&mut encoder, version);
        encoder.into_bytes()
    }

    fn check<R: Request<Response: Default> + Default>(golden: &[Golden]) {
        for version in R::VERSIONS {
            let header = |kind| {
                let header = golden.iter().find(|g| g.key == R::KEY && g.kind == kind && g.versions.contains(&version));
                header.unwrap_or_else(|| panic!("{} v{version}", R::NAME)).bytes.clone()
            };
            let request = frame::encode_request(&R::default(), version, 0x0102_0304, Some("me")).concat();
            let expected = [&header("request_header")[..], &body(&R::default(), version)].concat();
            assert!(request[4..] == expected, "{} v{version}", R::NAME);
            let response = frame::encode_response(R::KEY, version, 0x0102_0304, &R::Response::default()).concat();
            let expected = [&header("response_header")[..], &body(&R::Response::default(), version)].concat();
            assert!(response[4..] == expected, "{} v{version}", R::NAME);
        }
    }
    let golden: Vec<Golden> = Golden::all().collect();
    check::<ProduceRequest>(&golden);
    check::<FetchRequest>(&golden);
    check::<MetadataRequest>(&golden);
    check::<ApiVersionsRequest>(&golden);
    check::<SaslHandshakeRequest>(&golden);
    check::<OffsetCommitRequest>(&golden);
    check::<JoinGroupRequest>(&golden);
    check::<ConsumerGroupHeartbeatRequest>(&golden);
    check::<CreateTopicsRequest>(&golden);
}

#[test]
fn nothing_is_missing() {
    let there: BTreeSet<(i16, i16, &str, &str)> = Golden::all()
        .flat_map(|golden| golden.versions.clone().map(move |version| (golden.key, version, golden.kind, golden.value)))
        .collect();
    for api in messages::ALL {
        for version in api.versions.clone() {
            for kind in ["request", "response"] {
                for value in ["full", "null", "default"] {
                    let frame = (api.key, version, kind, value);
                    assert!(there.contains(&frame), "{} v{version}: no {value} {kind}", api.name);
                }
            }
            for kind in ["request_header", "response_header"] {
                assert!(there.contains(&(api.key, version, kind, "full")), "{} v{version}: no {kind}", api.name);
            }
        }
    }
}

/// The corpus would notice a message that is read or written in another version's layout. A few pass rightly: those
/// that only gained tagged fields, and those whose equal versions are in the two files.
#[test]
fn other_layouts_rarely_pass() {
    let (mut passed, mut tried) = (0, 0);
    for golden in Golden::all().filter(|golden| golden.value == "full") {
        let Some(recode) = recode_of(&golden) else { continue };
        for version in golden.api().versions.clone().filter(|version| !golden.versions.contains(version)) {
            tried += 1;
            passed += usize::from(recoded(recode, &golden.bytes, version).as_ref() == Ok(&golden.bytes));
        }
    }
    assert!(tried > 1500 && passed * 25 < tried, "{passed} of {tried}");
}
