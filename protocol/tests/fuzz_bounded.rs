//! What the fuzzer checks, a bounded number of times: frames and batches of Kafka's own classes, changed at random.
//!
//! Each change has a seed of its own; a failure says it, and `OTTLA_SEED` runs that one alone.

use std::env;
use std::ops::Range;

#[allow(unreachable_pub, reason = "it is a library elsewhere")]
#[path = "../../fuzz/src/lib.rs"]
mod checks;
#[allow(dead_code, reason = "other tests use the rest of it")]
mod golden;

use golden::corpus;

/// Inputs of a run; together they take some seconds.
const FRAMES: Range<u64> = 0..300_000;
const BATCHES: Range<u64> = 0..60_000;
const MESSAGES: Range<u64> = 0..60_000;

/// The longest input, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// Says which input it was when a check panics.
struct Case {
    seed: u64,
    input: Vec<u8>,
}

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("OTTLA_SEED={} made {:02x?}", self.seed, self.input);
        }
    }
}

fn seeds(all: Range<u64>) -> Range<u64> {
    match env::var("OTTLA_SEED").ok().map(|seed| seed.parse().expect("OTTLA_SEED is a number")) {
        Some(seed) => seed..seed + 1,
        None => all,
    }
}

/// Runs `check` over changed inputs, and says of how many it found something.
fn run(corpus: &[Vec<u8>], all: Range<u64>, mut check: impl FnMut(&[u8]) -> bool) -> u64 {
    let mut found = 0;
    for seed in seeds(all) {
        let mut random = fastrand::Rng::with_seed(seed);
        let case = Case { seed, input: changed(corpus, &mut random) };
        found += u64::from(check(&case.input));
    }
    found
}

/// An input of the corpus with a few changes: mostly small ones, sometimes a piece of another input.
fn changed(corpus: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    const EDGES: [u8; 10] = [0, 1, 2, 0x0f, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff];
    let any = |random: &mut fastrand::Rng| &corpus[random.usize(..corpus.len())];
    let mut bytes = any(random).clone();
    for _ in 0..random.usize(1..6) {
        if bytes.is_empty() {
            break;
        }
        let at = random.usize(..bytes.len());
        let end = (at + random.usize(1..64)).min(bytes.len());
        match random.u8(0..12) {
            0..4 => bytes[at] = EDGES[random.usize(..EDGES.len())],
            4..6 => bytes[at] ^= 1 << random.u8(0..8),
            6 => bytes[at] = bytes[at].wrapping_add(random.u8(..3)).wrapping_sub(1),
            7 => bytes.insert(at, random.u8(..)),
            8 => drop(bytes.drain(at..end)),
            9 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            10 => bytes.truncate(at),
            _ => {
                let other = any(random);
                bytes.truncate(at);
                bytes.extend(&other[at.min(other.len())..]);
            }
        }
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

#[test]
fn changed_requests_do_no_harm() {
    let corpus = corpus::requests();
    assert!(corpus.iter().all(|frame| checks::check_request(frame)), "all of the corpus are requests");
    let read = run(&corpus, FRAMES, checks::check_request);
    assert!(env::var_os("OTTLA_SEED").is_some() || read > FRAMES.end / 10, "only {read} could be read");
}

#[test]
fn changed_responses_do_no_harm() {
    let corpus = corpus::responses();
    assert!(corpus.iter().all(|frame| checks::check_response(frame)), "all of the corpus are answers");
    let read = run(&corpus, FRAMES, checks::check_response);
    assert!(env::var_os("OTTLA_SEED").is_some() || read > FRAMES.end / 10, "only {read} could be read");
}

#[test]
fn changed_batches_do_no_harm() {
    let corpus = corpus::batches();
    assert!(corpus.iter().all(|run| checks::check_batches(run) > 0), "all of the corpus are batches");
    let read = run(&corpus, BATCHES, |bytes| checks::check_batches(bytes) > 0);
    assert!(env::var_os("OTTLA_SEED").is_some() || read > BATCHES.end / 10, "only {read} could be read");
}

#[test]
fn changed_message_sets_do_no_harm() {
    let corpus = corpus::message_sets();
    assert!(corpus.len() > 16 && corpus.iter().all(|set| checks::check_messages(set)), "all of the corpus are sets");
    let read = run(&corpus, MESSAGES, checks::check_messages);
    assert!(env::var_os("OTTLA_SEED").is_some() || read > MESSAGES.end / 20, "only {read} could be read");
}
