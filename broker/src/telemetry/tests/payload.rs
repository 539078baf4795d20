//! Payloads as clients write them.

/// A field of bytes.
pub(super) fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend_from_slice(content);
    field
}

fn varint(number: u8, value: u8) -> Vec<u8> {
    assert!(value < 0x80);
    vec![number << 3, value]
}

pub(super) fn attribute(number: u8, key: &str, value: &str) -> Vec<u8> {
    bytes(number, &[bytes(1, key.as_bytes()), bytes(2, &bytes(1, value.as_bytes()))].concat())
}

fn double(number: u8, value: f64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
}

fn point(value: f64, attributes: &[(&str, &str)]) -> Vec<u8> {
    let attributes = attributes.iter().flat_map(|(key, value)| attribute(7, key, value));
    bytes(1, &attributes.chain(double(4, value)).collect::<Vec<_>>())
}

fn metric(name: &str, data: Vec<u8>) -> Vec<u8> {
    // The name last: fields may stand in any order.
    bytes(2, &[data, bytes(1, name.as_bytes())].concat())
}

pub(super) fn gauge(name: &str, value: f64, attributes: &[(&str, &str)]) -> Vec<u8> {
    metric(name, bytes(5, &point(value, attributes)))
}

/// So many points, all of the same series.
pub(super) fn gauge_of_many(name: &str, points: usize) -> Vec<u8> {
    metric(name, bytes(5, &point(1.0, &[]).repeat(points)))
}

pub(super) fn sum(name: &str, is_monotonic: bool, is_delta: bool, value: f64, attributes: &[(&str, &str)]) -> Vec<u8> {
    let temporality = if is_delta { 1 } else { 2 };
    let sum = [point(value, attributes), varint(2, temporality), varint(3, is_monotonic.into())].concat();
    metric(name, bytes(7, &sum))
}

pub(super) fn delta(name: &str, value: f64, attributes: &[(&str, &str)]) -> Vec<u8> {
    sum(name, true, true, value, attributes)
}

pub(super) fn histogram(name: &str) -> Vec<u8> {
    metric(name, bytes(9, &bytes(1, &double(5, 1.0))))
}

/// A gauge that says that it has no value, and one of a whole number.
pub(super) fn odd_gauges(name: &str, number: i64) -> Vec<u8> {
    let without = bytes(1, &[double(4, 1.0), varint(8, 1)].concat());
    let whole = bytes(1, &[&[6 << 3 | 1][..], &number.to_le_bytes()].concat());
    metric(name, bytes(5, &[without, whole].concat()))
}

/// Metrics of a client with these attributes.
pub(super) fn payload(resource: &[(&str, &str)], metrics: &[Vec<u8>]) -> Vec<u8> {
    let resource: Vec<u8> = resource.iter().flat_map(|(key, value)| attribute(1, key, value)).collect();
    let scope = [bytes(1, &bytes(1, b"scope")), metrics.concat()].concat();
    bytes(1, &[bytes(2, &scope), bytes(1, &resource)].concat())
}
