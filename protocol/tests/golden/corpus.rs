//! The corpus as inputs: what a fuzzer or a mutating test starts from.

use super::{Golden, from_hex};

const BATCHES: &str = include_str!("../golden_batches/batches.txt");
const MESSAGES: &str = include_str!("../golden_messages/messages.txt");

/// Frames without their length, of every request in every version.
pub(crate) fn requests() -> Vec<Vec<u8>> {
    framed("request", "request_header", |_, _| Vec::new())
}

/// The same of every answer, behind the API key and the version.
pub(crate) fn responses() -> Vec<Vec<u8>> {
    framed("response", "response_header", |key, version| [key.to_be_bytes(), version.to_be_bytes()].concat())
}

fn framed(kind: &str, header_kind: &str, prefix: fn(i16, i16) -> Vec<u8>) -> Vec<Vec<u8>> {
    let (headers, bodies): (Vec<_>, Vec<_>) = Golden::all()
        .filter(|golden| golden.kind == kind || golden.kind == header_kind)
        .partition(|golden| golden.kind == header_kind);
    let mut inputs = Vec::new();
    for body in bodies {
        for version in body.versions.clone() {
            let header = headers.iter().find(|header| header.key == body.key && header.versions.contains(&version));
            let header = header.expect("every version has a header");
            inputs.push([&prefix(body.key, version)[..], &header.bytes, &body.bytes].concat());
        }
    }
    inputs
}

/// Every batch, and all of them as one run.
pub(crate) fn batches() -> Vec<Vec<u8>> {
    let mut inputs: Vec<Vec<u8>> = Vec::new();
    for line in BATCHES.lines() {
        match line.split_once(' ') {
            Some(("batch", _)) => inputs.push(Vec::new()),
            Some(("bytes", hex)) => inputs.last_mut().expect("batches have a name").extend(&from_hex(hex)),
            _ => {}
        }
    }
    inputs.push(inputs.concat());
    inputs
}

/// Every set of messages of the formats before record batches that a producer may send.
pub(crate) fn message_sets() -> Vec<Vec<u8>> {
    let may_send = |golden: &&str| !golden.contains("log_append_time") && !golden.contains("stamped");
    let golden = MESSAGES.split("\n\n").filter(may_send);
    golden.filter_map(|golden| golden.trim().rsplit_once("bytes ")).map(|(_, hex)| from_hex(hex).to_vec()).collect()
}
