//! `kafka-dump-log`: what is in the files of a partition, ours or Apache Kafka's.

mod decoder;
mod indexes;
mod segment;
mod state_files;

use std::io::{self, BufWriter, Write};
use std::path::Path;

use self::decoder::Decoder;
use self::indexes::IndexCheck;
use self::segment::Show;
pub(crate) use self::segment::{BATCH_MAX_BYTES, Batches};
use super::flags::{Flag, Parsed, switch, value};
use crate::failure::{Failure, Outcome};

pub(crate) const FLAGS: &[Flag] = &[
    value("files", "a.log,b.index", "Files of partitions: .log, .index, .timeindex, .txnindex, .snapshot"),
    switch("print-data-log", "Show keys and values too"),
    switch("deep-iteration", "Show records, not only batches"),
    switch("skip-record-metadata", "Of records, only keys and values"),
    value("max-bytes", "n", "Stop after so many bytes of a segment"),
    value("max-message-size", "bytes", "The largest batch that an index may point to: 5242880, without it"),
    switch("verify-index-only", "Compare indexes with their segments, without showing them"),
    switch("index-sanity-check", "Only look whether indexes would be rebuilt at start"),
    switch("offsets-decoder", "Show records as those of __consumer_offsets"),
    switch("transaction-log-decoder", "Show records as those of __transaction_state"),
    switch("cluster-metadata-decoder", "Not possible: the metadata of a cluster is not in a log of Kafka's here"),
    switch("share-group-state-decoder", "Not possible: there are no share groups"),
    switch("remote-log-metadata-decoder", "Not possible: there is no remote storage"),
    value("key-decoder-class", "class", "StringDecoder, as without it, IntegerDecoder or LongDecoder").optional(),
    value("value-decoder-class", "class", "The same for values").optional(),
];

const DEFAULT_MESSAGE_BYTES: u64 = 5 << 20;
/// Kafka's tool counts in an int.
const NO_LIMIT: u64 = i32::MAX as u64;

/// What is found wrong on the way is said at the end, on standard error, as Kafka's tool does.
type Complaints = Vec<String>;

pub(crate) fn run(parsed: &Parsed) -> Outcome {
    let decoder = Decoder::new(parsed)?;
    let asked = ["print-data-log", "key-decoder-class", "value-decoder-class"].iter().any(|flag| parsed.has(flag));
    let data = asked || !decoder.is_plain();
    let show = Show {
        records: data || parsed.has("deep-iteration"),
        data,
        metadata: !parsed.has("skip-record-metadata"),
        max_bytes: parsed.number("max-bytes")?.unwrap_or(NO_LIMIT),
        decoder,
    };
    let check = IndexCheck {
        sanity_only: parsed.has("index-sanity-check"),
        verify_only: parsed.has("verify-index-only"),
        max_message_bytes: parsed.number("max-message-size")?.unwrap_or(DEFAULT_MESSAGE_BYTES),
    };
    let mut out = BufWriter::new(io::stdout());
    let mut complaints = Complaints::new();
    let outcome =
        parsed.required("files")?.split(',').try_for_each(|file| dump(&mut out, file, &show, &check, &mut complaints));
    out.flush()?;
    complaints.iter().for_each(|complaint| eprint!("{complaint}"));
    outcome
}

fn dump(out: &mut impl Write, file: &str, show: &Show, check: &IndexCheck, complaints: &mut Complaints) -> Outcome {
    writeln!(out, "Dumping {file}")?;
    let path = Path::new(file);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match name.rsplit_once('.').map(|(_, suffix)| suffix) {
        Some("log" | "checkpoint") => segment::dump(out, path, &name, show, complaints),
        Some("index") => indexes::dump_offsets(out, path, check, complaints),
        Some("timeindex") => indexes::dump_times(out, path, check, complaints),
        Some("txnindex") => state_files::dump_aborted_transactions(out, path),
        Some("snapshot") => state_files::dump_producers(out, path, complaints),
        // Kafka's tool ignores it.
        None if name == "leader-epoch-checkpoint" => state_files::dump_epochs(out, path),
        _ => {
            complaints.push(format!("Ignoring unknown file {file}\n"));
            Ok(())
        }
    }
}

/// The offset in a file's name.
fn first_offset(path: &Path) -> Result<i64, Failure> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.split('.').next().unwrap_or_default();
    let invalid = || Failure::Input(format!("{}: the name begins with no offset", path.display()));
    digits.parse().map_err(|_| invalid())
}

/// An error that names the file.
fn unreadable(path: &Path) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::Input(format!("{}: {error}", path.display()))
}
