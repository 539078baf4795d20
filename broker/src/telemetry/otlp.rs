//! What clients push: `MetricsData` of OpenTelemetry's protocol, version 1 (KIP-714).
//!
//! Clients send gauges and sums. Fields may stand in any order, so a message is gone over once for what its points have
//! in common, and once more for the points. What is not asked for is passed over, as protobuf has it. Nothing here
//! recurses, and nothing is kept besides one point's attributes.

use super::protobuf::Content::{Bytes, Fixed64, Varint};
use super::protobuf::{Content, Fields, Malformed};

/// Attributes of a point, its resource's included; a point with more is malformed.
const ATTRIBUTES_MAX: usize = 64;
const DELTA: u64 = 1;
/// The flag of a point that says that there was nothing to measure.
const NO_VALUE: u64 = 1;

/// A number that was measured.
#[derive(Debug, PartialEq)]
pub(super) struct Point<'a> {
    /// The name of the metric, such as `org.apache.kafka.producer.record.send.total`.
    pub(super) metric: &'a str,
    pub(super) measure: Measure,
    pub(super) value: f64,
    /// Those of the resource, which is the client, then those of the point.
    pub(super) attributes: &'a [(&'a str, Attribute<'a>)],
}

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    /// It only ever grows.
    pub(super) is_monotonic: bool,
    /// It is the difference to what was pushed before.
    pub(super) is_delta: bool,
}

/// The value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Attribute<'a> {
    Text(&'a str),
    Boolean(bool),
    Integer(i64),
    Double(f64),
}

/// What there is in a payload.
pub(super) trait Sink {
    fn point(&mut self, point: &Point<'_>);
    /// A metric of a kind that is not read: a histogram or a summary.
    fn unread(&mut self);
}

/// Reads a payload.
///
/// # Errors
/// When it is none. What was read until then was given to the sink.
pub(super) fn read(payload: &[u8], sink: &mut impl Sink) -> Result<(), Malformed> {
    messages(payload, 1).try_for_each(|resource_metrics| {
        let resource_metrics = resource_metrics?;
        let mut attributes = Vec::new();
        for resource in messages(resource_metrics, 1) {
            read_attributes(resource?, 1, &mut attributes)?;
        }
        for scope_metrics in messages(resource_metrics, 2) {
            for metric in messages(scope_metrics?, 2) {
                read_metric(metric?, &mut attributes, sink)?;
            }
        }
        Ok(())
    })
}

/// The messages of one field.
fn messages(message: &[u8], number: u64) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    Fields::of(message).filter_map(move |field| match field {
        Ok((found, Bytes(bytes))) if found == number => Some(Ok(bytes)),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}

fn read_metric<'a>(
    metric: &'a [u8],
    attributes: &mut Vec<(&'a str, Attribute<'a>)>,
    sink: &mut impl Sink,
) -> Result<(), Malformed> {
    let (mut name, mut data) = ("", None);
    for field in Fields::of(metric) {
        match field? {
            (1, Bytes(bytes)) => name = text(bytes)?,
            (number @ (5 | 7 | 9 | 10 | 11), Bytes(bytes)) => data = Some((number, bytes)),
            _ => {}
        }
    }
    let (data, measure) = match data {
        Some((5, gauge)) => (gauge, Measure { is_monotonic: false, is_delta: false }),
        Some((7, sum)) => (sum, measure_of_sum(sum)?),
        Some(_) => {
            sink.unread();
            return Ok(());
        }
        None => return Ok(()),
    };
    let of_resource = attributes.len();
    for point in messages(data, 1) {
        let point = point?;
        read_attributes(point, 7, attributes)?;
        if let Some(value) = value(point)? {
            sink.point(&Point { metric: name, measure, value, attributes });
        }
        attributes.truncate(of_resource);
    }
    Ok(())
}

fn measure_of_sum(sum: &[u8]) -> Result<Measure, Malformed> {
    let mut measure = Measure { is_monotonic: false, is_delta: false };
    for field in Fields::of(sum) {
        match field? {
            (2, Varint(temporality)) => measure.is_delta = temporality == DELTA,
            (3, Varint(flag)) => measure.is_monotonic = flag != 0,
            _ => {}
        }
    }
    Ok(measure)
}

/// The number of a point, if it has one.
fn value(point: &[u8]) -> Result<Option<f64>, Malformed> {
    let mut value = None;
    for field in Fields::of(point) {
        match field? {
            (4, Fixed64(bits)) => value = Some(f64::from_bits(bits)),
            (6, Fixed64(bits)) => value = Some(bits.cast_signed() as f64),
            (8, Varint(flags)) if flags & NO_VALUE != 0 => return Ok(None),
            _ => {}
        }
    }
    Ok(value)
}

/// Adds the key-value pairs of one field.
fn read_attributes<'a>(
    message: &'a [u8],
    number: u64,
    attributes: &mut Vec<(&'a str, Attribute<'a>)>,
) -> Result<(), Malformed> {
    for pair in messages(message, number) {
        let (mut key, mut value) = ("", None);
        for field in Fields::of(pair?) {
            match field? {
                (1, Bytes(bytes)) => key = text(bytes)?,
                (2, Bytes(bytes)) => value = attribute(bytes)?,
                _ => {}
            }
        }
        if attributes.len() == ATTRIBUTES_MAX {
            return Err(Malformed);
        }
        attributes.extend(value.map(|value| (key, value)));
    }
    Ok(())
}

/// A value that can be told in a word; lists, maps and bytes cannot.
fn attribute(value: &[u8]) -> Result<Option<Attribute<'_>>, Malformed> {
    let mut found = None;
    for field in Fields::of(value) {
        let (number, content): (u64, Content<'_>) = field?;
        found = match (number, content) {
            (1, Bytes(bytes)) => Some(Attribute::Text(text(bytes)?)),
            (2, Varint(flag)) => Some(Attribute::Boolean(flag != 0)),
            (3, Varint(number)) => Some(Attribute::Integer(number.cast_signed())),
            (4, Fixed64(bits)) => Some(Attribute::Double(f64::from_bits(bits))),
            _ => found,
        };
    }
    Ok(found)
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}
