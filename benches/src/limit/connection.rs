//! One connection: frames in, answers out, in order.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::frame::RequestHeader;

use super::{Limit, answers};

const PRODUCE: i16 = 0;
/// The most a frame may have, bytes; a client of ours never comes near.
const FRAME_MAX_BYTES: usize = 100 << 20;

/// Serves until the peer goes away.
pub(super) fn serve(mut stream: TcpStream, limit: &Limit) -> io::Result<()> {
    let mut frame = Vec::new();
    loop {
        let mut size = [0; 4];
        stream.read_exact(&mut size)?;
        let size = u32::from_be_bytes(size) as usize;
        if size > FRAME_MAX_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // The buffer stays as large as the largest frame: its pages are touched for the first time once.
        if frame.len() < size {
            frame.resize(size, 0);
        }
        let frame = &mut frame[..size];
        stream.read_exact(frame)?;
        if frame.starts_with(&PRODUCE.to_be_bytes()) {
            let answer = produce(frame, limit)?.ok_or(io::ErrorKind::InvalidData)?;
            stream.write_all(&answer)?;
            continue;
        }
        let (header, body) = RequestHeader::decode(Bytes::copy_from_slice(frame)).map_err(io::Error::other)?;
        for chunk in answers::answer(&header, body, limit)? {
            stream.write_all(&chunk)?;
        }
    }
}

/// Reads a Produce request of version 9 in place, without turning it into anything, and writes its answer, none with
/// acks=0. `None` when it is malformed.
fn produce(frame: &mut [u8], limit: &Limit) -> io::Result<Option<Vec<u8>>> {
    let mut appended = Vec::new();
    let walked = walk(frame, |topic, partition, batch| {
        let written = match limit.log(topic, partition) {
            None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            Some(log) => log.append(batch)?.ok_or(ErrorCode::CORRUPT_MESSAGE),
        };
        appended.push((topic.to_owned(), partition, written));
        Ok(())
    })?;
    let Some((correlation_id, acks)) = walked else { return Ok(None) };
    if acks == 0 {
        return Ok(Some(Vec::new()));
    }
    let mut answer = vec![0; 4];
    answer.extend(correlation_id.to_be_bytes());
    answer.push(0);
    // One entry a partition, in the order of the request, which is as good as grouping them by topic.
    put_uvarint(&mut answer, appended.len() + 1);
    for (topic, partition, written) in appended {
        put_uvarint(&mut answer, topic.len() + 1);
        answer.extend(topic.as_bytes());
        answer.push(2);
        answer.extend(partition.to_be_bytes());
        answer.extend(written.err().unwrap_or(ErrorCode::NONE).0.to_be_bytes());
        answer.extend(written.unwrap_or(-1).to_be_bytes());
        answer.extend((-1_i64).to_be_bytes()); // log append time
        answer.extend(0_i64.to_be_bytes()); // log start offset
        answer.extend([1, 0, 0, 0]); // no record errors, no message, no tags of partition and topic
    }
    answer.extend([0; 5]); // throttle time, no tags
    let size = answer.len() as u32 - 4;
    answer[..4].copy_from_slice(&size.to_be_bytes());
    Ok(Some(answer))
}

fn put_uvarint(answer: &mut Vec<u8>, mut value: usize) {
    while value > 0x7f {
        answer.push(value as u8 | 0x80);
        value >>= 7;
    }
    answer.push(value as u8);
}

/// Calls `each` with every partition's records; answers the correlation id and acks.
fn walk(
    frame: &mut [u8],
    mut each: impl FnMut(&str, i32, &mut [u8]) -> io::Result<()>,
) -> io::Result<Option<(i32, i16)>> {
    let mut cursor = Cursor { rest: frame };
    let mut parse = || -> Option<io::Result<(i32, i16)>> {
        cursor.take(4)?; // key and version
        let correlation_id = cursor.i32()?;
        let client_id = i16::from_be_bytes(cursor.take(2)?.try_into().ok()?);
        cursor.take(usize::try_from(client_id).unwrap_or(0))?;
        cursor.no_tags()?;
        let transactional_id = cursor.uvarint()?;
        cursor.take(transactional_id.saturating_sub(1))?;
        let acks = i16::from_be_bytes(cursor.take(2)?.try_into().ok()?);
        cursor.i32()?; // timeout
        for _ in 1..cursor.uvarint()? {
            let length = cursor.uvarint()?;
            let topic = cursor.take(length.saturating_sub(1))?;
            let topic = str::from_utf8(topic).ok()?;
            for _ in 1..cursor.uvarint()? {
                let partition = cursor.i32()?;
                let length = cursor.uvarint()?;
                let records = cursor.take(length.saturating_sub(1))?;
                if let Err(error) = each(topic, partition, records) {
                    return Some(Err(error));
                }
                cursor.no_tags()?;
            }
            cursor.no_tags()?;
        }
        Some(Ok((correlation_id, acks)))
    };
    parse().transpose()
}

struct Cursor<'a> {
    rest: &'a mut [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a mut [u8]> {
        let (taken, rest) = std::mem::take(&mut self.rest).split_at_mut_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn uvarint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Our clients send no tagged fields here.
    fn no_tags(&mut self) -> Option<()> {
        (self.uvarint()? == 0).then_some(())
    }
}
