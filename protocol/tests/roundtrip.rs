//! Every message in every version: filled, written, read and written again.
//!
//! `OTTLA_SEED` runs one seed instead of the fixed ones; a failure says which it was.

use std::env;
use std::ops::RangeInclusive;

use bytes::Bytes;
use protocol::api::Message;
use protocol::fill::{FillMessage, Source, Visitor, visit_all};
use protocol::messages;
use protocol::wire::{Decoder, Encoder};

/// Values of each message.
const SEEDS: RangeInclusive<u64> = 1..=60;

fn seeds() -> RangeInclusive<u64> {
    match env::var("OTTLA_SEED").ok().map(|seed| seed.parse().expect("OTTLA_SEED is a number")) {
        Some(seed) => seed..=seed,
        None => SEEDS,
    }
}

fn written<M: Message>(message: &M, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    message.encode(&mut encoder, version);
    let length = encoder.len();
    let bytes = encoder.into_bytes();
    assert_eq!(bytes.len(), length);
    bytes
}

#[derive(Default)]
struct RoundTrips {
    messages: usize,
    layouts: usize,
    /// Of everything written, to see that the generator generates.
    bytes: usize,
}

impl Visitor for RoundTrips {
    fn visit<M: FillMessage>(&mut self, versions: RangeInclusive<i16>) {
        self.messages += 1;
        for version in versions {
            self.layouts += 1;
            for seed in seeds() {
                self.bytes += round_trip::<M>(version, seed);
            }
        }
    }
}

fn round_trip<M: FillMessage>(version: i16, seed: u64) -> usize {
    let place = format!("{} v{version}, OTTLA_SEED={seed}", M::INFO.name);
    let full = M::filled(&mut Source::new(seed));
    let fitted = full.fitted(version);
    let bytes = written(&full, version);
    assert_eq!(bytes, written(&fitted, version), "{place}: what the version lacks was written");

    let mut decoder = Decoder::new(bytes.clone());
    let read = M::decode(&mut decoder, version).unwrap_or_else(|error| panic!("{place}: {error}: {fitted:?}"));
    assert_eq!(decoder.remaining(), 0, "{place}: bytes are left of {fitted:?}");
    assert_eq!(read, fitted, "{place}");
    assert_eq!(written(&read, version), bytes, "{place}: written again");

    // What follows a message is not its business.
    let mut decoder = Decoder::new([&bytes[..], b"next"].concat().into());
    assert_eq!(M::decode(&mut decoder, version).as_ref(), Ok(&fitted), "{place}: with something behind it");
    assert_eq!(decoder.rest(), "next", "{place}");
    bytes.len()
}

#[test]
fn every_message_in_every_version_comes_back_equal() {
    let mut found = RoundTrips::default();
    visit_all(&mut found);
    assert_eq!(found.messages, 2 * messages::ALL.len() + protocol::internal::ALL.len());
    let declared: usize = messages::ALL.iter().map(|api| 2 * api.versions.clone().count()).sum();
    assert!(found.layouts > declared, "{} layouts of {declared}", found.layouts);
    let average = found.bytes / found.layouts / seeds().count();
    assert!((50..5_000).contains(&average), "a filled message has {average} bytes");
    println!("{} messages, {} layouts, {average} bytes on average", found.messages, found.layouts);
}

/// Defaults are values too, and the ones that most tests of a broker send.
#[test]
fn defaults_come_back_equal() {
    struct Defaults;
    impl Visitor for Defaults {
        fn visit<M: FillMessage>(&mut self, versions: RangeInclusive<i16>) {
            for version in versions {
                // Nothing but what the version lacks: a version that does not exist lacks every field.
                let default = M::filled(&mut Source::new(0)).fitted(NO_VERSION);
                let bytes = written(&default, version);
                let read = M::decode(&mut Decoder::new(bytes.clone()), version);
                assert_eq!(read.as_ref(), Ok(&default.fitted(version)), "{} v{version}", M::INFO.name);
                assert_eq!(written(&default.fitted(version), version), bytes);
            }
        }
    }
    visit_all(&mut Defaults);
}

/// Before every field.
const NO_VERSION: i16 = -1;

/// A generator that forgot a field, or never says null, would make the tests above weaker than they look.
#[test]
fn filled_messages_differ_from_their_defaults_in_every_field() {
    struct Fields;
    impl Visitor for Fields {
        fn visit<M: FillMessage>(&mut self, _: RangeInclusive<i16>) {
            let filled: Vec<M> = (1..=40).map(|seed| M::filled(&mut Source::new(seed))).collect();
            for field in protocol::api::fields(M::INFO) {
                let name = field.name.trim_start_matches("r#");
                let shown: Vec<String> = filled.iter().map(|message| format!("{message:?}")).collect();
                assert!(
                    shown.iter().any(|text| !text.contains(&format!("{name}: {}", field.default))),
                    "{}.{name} is always {}",
                    M::INFO.name,
                    field.default
                );
                let nulls = shown.iter().filter(|text| text.contains(&format!("{name}: None"))).count();
                assert!(!field.optional || nulls > 0, "{}.{name} is never null", M::INFO.name);
            }
        }
    }
    visit_all(&mut Fields);
}
