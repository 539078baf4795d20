//! What a crash leaves in files: tails that were never written whole, indexes that are behind, files that are missing.
//!
//! Only what a broker must live with: nothing here touches records that were acknowledged.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use protocol::records::{BatchBuilder, Codec};

/// What was done, for the one who looks for the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    Garbage,
    Zeros,
    HalfBatch,
    TornBatch,
    IndexCut,
    IndexRemoved,
    IndexGarbage,
    TimeIndexCut,
    TimeIndexRemoved,
    TimeIndexGarbage,
    ProducerSnapshotsRemoved,
    EpochsRemoved,
    RecoveryPointsRemoved,
    LogStartsRemoved,
}

const ALL: [Damage; 14] = [
    Damage::Garbage,
    Damage::Zeros,
    Damage::HalfBatch,
    Damage::TornBatch,
    Damage::IndexCut,
    Damage::IndexRemoved,
    Damage::IndexGarbage,
    Damage::TimeIndexCut,
    Damage::TimeIndexRemoved,
    Damage::TimeIndexGarbage,
    Damage::ProducerSnapshotsRemoved,
    Damage::EpochsRemoved,
    Damage::RecoveryPointsRemoved,
    Damage::LogStartsRemoved,
];
const TAILS: [Damage; 4] = [Damage::Garbage, Damage::Zeros, Damage::HalfBatch, Damage::TornBatch];

/// Bytes appended to a log, at most.
const TAIL_MAX: usize = 20_000;
/// Of a batch, in front of its records but for base offset and length.
const HEADER_BYTES: usize = 49;
/// Where a batch says how far its last offset is from its first.
const LAST_DELTA_AT: usize = 23;

impl Damage {
    pub(crate) fn any(random: &mut fastrand::Rng) -> Damage {
        ALL[random.usize(..ALL.len())]
    }

    /// One that any file may suffer to which is only appended.
    pub(crate) fn any_tail(random: &mut fastrand::Rng) -> Damage {
        TAILS[random.usize(..TAILS.len())]
    }

    /// Does it to a partition of the data directory; nothing if the partition has no files yet.
    pub(crate) fn apply(self, data: &Path, partition: &str, random: &mut fastrand::Rng) {
        let dir = data.join(partition);
        let length = random.usize(1..TAIL_MAX);
        let garbage: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        match self {
            Damage::Garbage => append_to_last(&dir, &garbage),
            Damage::Zeros => append_to_last(&dir, &vec![0; length]),
            Damage::HalfBatch => {
                let whole = batch(next_offset(&dir), &garbage);
                append_to_last(&dir, &whole[..random.usize(1..whole.len())]);
            }
            Damage::TornBatch => {
                let mut whole = batch(next_offset(&dir), &garbage);
                let torn = random.usize(LAST_DELTA_AT..whole.len());
                whole[torn..].fill(0);
                append_to_last(&dir, &whole);
            }
            Damage::IndexCut => each(&dir, ".index", random, cut),
            Damage::TimeIndexCut => each(&dir, ".timeindex", random, cut),
            Damage::IndexRemoved => each(&dir, ".index", random, remove),
            Damage::TimeIndexRemoved => each(&dir, ".timeindex", random, remove),
            Damage::ProducerSnapshotsRemoved => each(&dir, ".snapshot", random, remove),
            // Below the recovery point nobody reads whole indexes at start; what is looked up with them is checked.
            Damage::IndexGarbage => append_to_last_of(&dir, ".index", &garbage),
            Damage::TimeIndexGarbage => append_to_last_of(&dir, ".timeindex", &garbage),
            Damage::EpochsRemoved => remove_if_there(&dir.join("leader-epoch-checkpoint")),
            Damage::RecoveryPointsRemoved => remove_if_there(&data.join("recovery-point-offset-checkpoint")),
            Damage::LogStartsRemoved => remove_if_there(&data.join("log-start-offset-checkpoint")),
        }
    }
}

/// A batch that is fine, and would be the log's next.
fn batch(base_offset: i64, payload: &[u8]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(base_offset).codec(Codec::None, None);
    builder.append(0, None, Some(payload), &[]);
    builder.build().to_vec()
}

/// Behind the last batch of a partition's last segment, as far as that can be told.
fn next_offset(dir: &Path) -> i64 {
    let bytes = files(dir, ".log").last().map(|path| fs::read(path).unwrap()).unwrap_or_default();
    let (mut rest, mut next) = (bytes.as_slice(), 0);
    while rest.len() > HEADER_BYTES {
        let number = |at: usize| i32::from_be_bytes(rest[at..at + 4].try_into().unwrap());
        let Ok(size) = usize::try_from(number(8)) else { break };
        let Some(after) = rest.get(12 + size..).filter(|_| size >= HEADER_BYTES) else { break };
        next = i64::from_be_bytes(rest[..8].try_into().unwrap())
            .saturating_add(number(LAST_DELTA_AT).into())
            .saturating_add(1);
        rest = after;
    }
    next
}

/// Files with this suffix, ascending.
fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.to_string_lossy().ends_with(suffix)).collect();
    files.sort();
    files
}

fn append_to_last(dir: &Path, bytes: &[u8]) {
    append_to_last_of(dir, ".log", bytes);
}

fn append_to_last_of(dir: &Path, suffix: &str, bytes: &[u8]) {
    if let Some(path) = files(dir, suffix).last() {
        OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
    }
}

fn each(dir: &Path, suffix: &str, random: &mut fastrand::Rng, act: impl Fn(&Path, &mut fastrand::Rng)) {
    for path in files(dir, suffix) {
        if random.bool() {
            act(&path, random);
        }
    }
}

fn cut(path: &Path, random: &mut fastrand::Rng) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(random.u64(..=length)).unwrap();
}

fn remove(path: &Path, _: &mut fastrand::Rng) {
    remove_if_there(path);
}

fn remove_if_there(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}", path.display());
    }
}
