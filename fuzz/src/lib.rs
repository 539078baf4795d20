//! What must hold of any bytes. The targets of the fuzzer call it, and so does an ordinary test of the protocol crate,
//! which changes known frames a bounded number of times.

use bytes::Bytes;
use protocol::api::ApiInfo;
use protocol::frame::{self, RequestHeader};
use protocol::messages;
use protocol::records::legacy::{DownConversion, Message, MessageFormat, UpLimits, down_convert, messages, up_convert};
use protocol::records::{Batch, BatchBuilder, batches, patch, validate_records};
use protocol::wire::{DecodeError, Decoder, Encoder};

/// Small, so that the engine's own limit on memory finds a decoder that passes it.
const MAX_UNCOMPRESSED_BYTES: usize = 1 << 20;

/// A frame without its length as a request: header and body. Says whether it is one.
pub fn check_request(frame: &[u8]) -> bool {
    let Ok((header, body)) = RequestHeader::decode(Bytes::copy_from_slice(frame)) else { return false };
    let Some(api) = known(header.api_key, header.api_version) else { return false };
    is_stable(api.recode_request, body, header.api_version)
}

/// An API key, a version, and a frame without its length as the answer to such a request. Says whether it is one.
pub fn check_response(bytes: &[u8]) -> bool {
    let mut decoder = Decoder::new(Bytes::copy_from_slice(bytes));
    let (Ok(key), Ok(version)) = (decoder.i16(), decoder.i16()) else { return false };
    let Some(api) = known(key, version) else { return false };
    if frame::skip_response_header(key, version, &mut decoder).is_err() {
        return false;
    }
    is_stable(api.recode_response, decoder.rest(), version)
}

fn known(key: i16, version: i16) -> Option<&'static ApiInfo> {
    messages::ALL.iter().find(|api| api.key == key && api.versions.contains(&version))
}

/// Whether the body can be read. What is written of it then reads as the same message, to its end.
fn is_stable(recode: fn(&mut Decoder, i16) -> Result<Encoder, DecodeError>, body: Bytes, version: i16) -> bool {
    let Ok(written) = recode(&mut Decoder::new(body.clone()), version) else { return false };
    let written = written.into_bytes();
    // The original stays behind it, because the size of a frame decides how many items it may have, and unknown tags
    // are not written again.
    let mut decoder = Decoder::new([&written[..], &body[..]].concat().into());
    let again = recode(&mut decoder, version).expect("what was written can be read");
    assert_eq!(decoder.remaining(), body.len(), "what was written is read to its end");
    assert_eq!(again.into_bytes(), written, "the same message is written in the same bytes");
    true
}

/// Any bytes as a run of record batches: walked, checked, decompressed within a limit, rebuilt and patched. Says how
/// many batches there are before the first that is none.
pub fn check_batches(bytes: &[u8]) -> usize {
    batches(bytes).map_while(Result::ok).map(|batch| check_batch(&batch)).count()
}

/// Any bytes as a message set of the formats before record batches. Says whether it is one; it then becomes a batch,
/// within the limits. The same holds once its checksums are right, behind which changes are seen.
pub fn check_messages(bytes: &[u8]) -> bool {
    is_message_set(&with_checksums(bytes)) | is_message_set(bytes)
}

fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut mended = bytes.to_vec();
    let mut start = 0;
    while let Some(size) = mended.get(start + 8..start + 12).and_then(|size| size.first_chunk()) {
        let end = usize::try_from(i32::from_be_bytes(*size)).map_or(start, |size| start + 12 + size);
        if end < start + 16 || end > mended.len() {
            break;
        }
        let crc = crc32fast::hash(&mended[start + 16..end]);
        mended[start + 12..start + 16].copy_from_slice(&crc.to_be_bytes());
        start = end;
    }
    mended
}

fn is_message_set(bytes: &[u8]) -> bool {
    let limits = UpLimits { max_message_bytes: bytes.len(), max_uncompressed_bytes: MAX_UNCOMPRESSED_BYTES };
    let Ok(Some(converted)) = up_convert(bytes, None, limits) else { return false };
    let batch = Batch::parse(&converted.batch).expect("a built batch is whole");
    assert!(batch.is_crc_valid());
    let summary = validate_records(&batch, MAX_UNCOMPRESSED_BYTES).expect("a producer could have written it");
    assert_eq!(summary.record_count as usize, converted.record_count);
    check_down(&batch);
    true
}

/// For an old consumer there are whole messages of the format it asked for, or an error.
fn check_down(batch: &Batch<'_>) {
    for format in [MessageFormat::V0, MessageFormat::V1] {
        let conversion = DownConversion {
            format,
            first_offset: 0,
            max_bytes: MAX_UNCOMPRESSED_BYTES,
            at_least_one: false,
            max_uncompressed_bytes: MAX_UNCOMPRESSED_BYTES,
        };
        let mut set = Vec::new();
        if down_convert(batch.as_bytes(), &conversion, &mut set).is_err() {
            continue;
        }
        assert!(set.len() <= MAX_UNCOMPRESSED_BYTES);
        let is_sound = |message: Message<'_>| message.is_crc_valid() && message.format == format;
        assert!(messages(&set).all(|message| message.is_ok_and(is_sound)));
    }
}

fn check_batch(batch: &Batch<'_>) {
    check_down(batch);
    let validated = validate_records(batch, MAX_UNCOMPRESSED_BYTES);
    batch.control_type();
    batch.end_txn_marker();
    let mut patched = batch.as_bytes().to_vec();
    patch::set_max_timestamp(&mut patched, 1);
    assert!(Batch::parse(&patched).is_ok_and(|patched| patched.is_crc_valid()));

    let Ok(records) = batch.records(MAX_UNCOMPRESSED_BYTES) else {
        assert!(validated.is_err());
        return;
    };
    assert!(records.uncompressed_bytes() <= MAX_UNCOMPRESSED_BYTES);
    let mut copy = BatchBuilder::like(batch);
    let mut copied = Vec::new();
    for record in records.iter().flatten() {
        assert_eq!(record.headers.iter().count(), record.headers.len());
        if copy.append_record(&record).is_ok() {
            copied.push(record);
        }
    }
    // What was taken over reads the same again.
    let copy = copy.build();
    let copy = Batch::parse(&copy).expect("a built batch is whole");
    let again = copy.records(usize::MAX).expect("a built batch decompresses");
    assert_eq!(again.len(), copied.len());
    for (again, record) in again.iter().zip(copied) {
        let again = again.expect("a built record is well-formed");
        assert_eq!((again.offset, again.timestamp), (record.offset, record.timestamp));
        assert_eq!((again.key, again.value, again.headers), (record.key, record.value, record.headers));
    }
}
