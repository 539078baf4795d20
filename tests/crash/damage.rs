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

const ALL: [Damage; 13] = [
    Damage::Garbage,
    Damage::Zeros,
    Damage::HalfBatch,
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

/// Bytes appended to a log, at most.
const TAIL_MAX: usize = 20_000;

impl Damage {
    pub(crate) fn any(random: &mut fastrand::Rng) -> Damage {
        ALL[random.usize(..ALL.len())]
    }

    /// Does it to a partition of the data directory; nothing if the partition has no files yet.
    pub(crate) fn apply(self, data: &Path, partition: &str, random: &mut fastrand::Rng) {
        let dir = data.join(partition);
        let length = random.usize(1..TAIL_MAX);
        let garbage: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        match self {
            Damage::Garbage => append_to_last(&dir, &garbage),
            Damage::Zeros => append_to_last(&dir, &vec![0; length]),
            Damage::HalfBatch => append_to_last(&dir, &half_batch(&garbage, random)),
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

/// The beginning of a batch that is fine but for its end.
fn half_batch(payload: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut builder = BatchBuilder::new(random.i64(0..1_000_000)).codec(Codec::None, None);
    builder.append(0, None, Some(payload), &[]);
    let whole = builder.build();
    whole[..random.usize(1..whole.len())].to_vec()
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
