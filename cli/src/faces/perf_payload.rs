//! What the producer's perf test writes: random letters, rising numbers, or values from a file.

use bytes::Bytes;

use super::flags::Parsed;
use crate::failure::{Failure, Outcome};
use crate::output::say;

/// A record may have this many bytes.
const RECORD_MAX_BYTES: usize = 64 << 20;
/// A file of values may have this many bytes, since it is held in memory.
const FILE_MAX_BYTES: u64 = 1 << 30;

/// Where values come from.
pub(super) enum Payload {
    /// Letters, so many for each.
    Random(usize),
    Monotonic,
    /// One of these, by chance.
    File(Vec<Bytes>),
}

impl Payload {
    /// What the flags say; exactly one has to.
    ///
    /// # Errors
    /// When they do not, or the file has nothing.
    pub(super) fn new(parsed: &Parsed) -> Result<Payload, Failure> {
        let given: Vec<&str> =
            ["record-size", "payload-file", "payload-monotonic"].into_iter().filter(|flag| parsed.has(flag)).collect();
        match given[..] {
            ["record-size"] => match parsed.number("record-size")?.unwrap_or(0) {
                size if (1..=RECORD_MAX_BYTES).contains(&size) => Ok(Payload::Random(size)),
                _ => Err(usage(&format!("--record-size is 1 to {RECORD_MAX_BYTES}"))),
            },
            ["payload-monotonic"] => Ok(Payload::Monotonic),
            ["payload-file"] => Payload::read(parsed),
            [one, other, ..] => Err(usage(&format!("argument --{other}: not allowed with argument --{one}"))),
            _ => Err(usage("one of the arguments --record-size --payload-file --payload-monotonic is required")),
        }
    }

    fn read(parsed: &Parsed) -> Result<Payload, Failure> {
        let path = parsed.required("payload-file")?;
        let delimiter = match parsed.value("payload-delimiter")?.unwrap_or("\\n") {
            "\\n" => "\n",
            "" => return Err(usage("--payload-delimiter is not empty")),
            other => other,
        };
        let absolute = std::path::absolute(path)?;
        let unreadable = |error| Failure::Input(format!("{}: {error}", absolute.display()));
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length == 0 || length > FILE_MAX_BYTES {
            let text = format!("{}: has {length} bytes, and not 1 to {FILE_MAX_BYTES}", absolute.display());
            return Err(Failure::Input(text));
        }
        say(&format!("Reading payloads from: {}\n", absolute.display()))?;
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        // As Java splits: nothing at the end counts for nothing.
        let values = text.trim_end_matches(delimiter).split(delimiter);
        let values: Vec<Bytes> = values.map(|value| Bytes::copy_from_slice(value.as_bytes())).collect();
        say(&format!("Number of records read: {}\n", values.len()))?;
        Ok(Payload::File(values))
    }

    /// The value of a record.
    pub(super) fn value(&self, number: u64) -> Bytes {
        match self {
            Payload::Random(length) => letters(number, *length),
            Payload::Monotonic => number.to_string().into(),
            Payload::File(values) => {
                let place = mixed(number) % values.len().max(1) as u64;
                values.get(place as usize).cloned().unwrap_or_default()
            }
        }
    }

    /// About how many bytes a record has, from which follows how many fit into a batch.
    pub(super) fn usual_bytes(&self) -> usize {
        match self {
            Payload::Random(length) => *length,
            Payload::Monotonic => 8,
            Payload::File(values) => values.iter().map(Bytes::len).max().unwrap_or(0),
        }
    }
}

fn usage(text: &str) -> Failure {
    Failure::Usage(format!("kafka-producer-perf-test: error: {text}"))
}

/// How many records warm up, before the steady state that is reported by itself.
///
/// # Errors
/// When there would be no steady state.
pub(super) fn warmup(parsed: &Parsed, records: u64) -> Result<u64, Failure> {
    let warmup: u64 = parsed.number("warmup-records")?.unwrap_or(0);
    if warmup > 0 && warmup >= records {
        return Err(usage(
            "The value for --warmup-records must be strictly fewer than the number of records in the test, --num-records.",
        ));
    }
    Ok(warmup)
}

/// What Kafka's tool says before it begins.
pub(super) fn say_warmup(records: u64) -> Outcome {
    match records {
        0 => Ok(()),
        _ => say(&format!(
            "Warmup first {records} records. Steady state results will print after the complete test summary.\n"
        )),
    }
}

fn mixed(seed: u64) -> u64 {
    seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 17
}

/// Capital letters, as Kafka's tool writes them: a different order for each record.
fn letters(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let letter = |_| {
        // Xorshift: quick, and good enough that nothing compresses it away.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b'A' + (state % 26) as u8
    };
    (0..length).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_letters_and_differ_or_come_from_the_file() {
        let (one, other) = (letters(1, 100), letters(2, 100));
        assert!(one.iter().all(u8::is_ascii_uppercase) && one.len() == 100 && one != other);
        let values = Payload::File(vec!["a".into(), "b".into(), "c".into()]);
        let found: std::collections::BTreeSet<Bytes> = (0..100).map(|number| values.value(number)).collect();
        assert_eq!(found.len(), 3);
    }
}
