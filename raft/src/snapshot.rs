//! Snapshots: the image as a list of records in one file.
//!
//! `snapshot-<index>-<term>-<node>.snapshot` holds a header (what it covers), one record per fact, and a footer that
//! counts and checksums everything before it. It is written beside its place and renamed, so a snapshot under its
//! name is whole; if the disk spoils it later, the one before it is used, and the log still holds what came after.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use state::cluster::Image;
use storage::Disk;
use storage::files::{self, FileReader};

use crate::error::RaftError;
use crate::frame::{self, FrameReader, ReadError};
use crate::listing::list;
use crate::types::SnapshotMeta;

/// The newest snapshots that are kept: the second for the day the first cannot be read.
const SNAPSHOTS_KEPT: usize = 2;
const SUFFIX: &str = ".snapshot";
const FORMAT_VERSION: u16 = 1;

const HEADER: u8 = 16;
const RECORD: u8 = 17;
const FOOTER: u8 = 18;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u16,
    meta: SnapshotMeta,
}

/// What stands in every header.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct Footer {
    records: u64,
    crc32c: u32,
}

/// A snapshot that a peer gets or sends.
#[derive(Debug)]
pub(crate) struct SnapshotFile {
    /// Where it is, or where it is to be written.
    pub(crate) path: PathBuf,
}

/// A snapshot that was read.
pub(crate) struct Loaded {
    pub(crate) path: PathBuf,
    pub(crate) meta: SnapshotMeta,
    pub(crate) image: Image,
}

/// The id of the snapshot that covers the log up to there. What a snapshot holds is a function of where it ends.
pub(crate) fn snapshot_id(last: Option<&crate::types::LogId>) -> String {
    match last {
        Some(last) => format!("{:020}-{:020}-{}", last.index, last.leader_id.term, last.leader_id.node_id),
        // Sorts before all others: the newest snapshot is the one with the last name.
        None => "-empty".to_owned(),
    }
}

/// Where a peer's snapshot is received.
pub(crate) fn receiving(dir: &Path) -> SnapshotFile {
    SnapshotFile { path: dir.join(format!("received{}", files::UNFINISHED_SUFFIX)) }
}

/// Writes a snapshot, durably, and removes those that are no longer needed. Blocks.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, meta: &SnapshotMeta, image: &Image) -> io::Result<PathBuf> {
    let path = dir.join(format!("snapshot-{}{SUFFIX}", snapshot_id(meta.last_log_id.as_ref())));
    files::replace_file(disk, &path, |file| {
        let mut out = Checksummed { out: file, crc: 0, buffer: Vec::new() };
        out.put(HEADER, &Header { version: FORMAT_VERSION, meta: meta.clone() })?;
        let mut records = 0;
        for record in image.records() {
            out.put(RECORD, &record)?;
            records += 1;
        }
        let crc32c = out.crc;
        out.put(FOOTER, &Footer { records, crc32c })
    })?;
    remove_old(disk, dir);
    Ok(path)
}

struct Checksummed<'a, W> {
    out: &'a mut W,
    crc: u32,
    buffer: Vec<u8>,
}

impl<W: Write> Checksummed<'_, W> {
    fn put(&mut self, kind: u8, value: &impl Serialize) -> io::Result<()> {
        let json = serde_json::to_vec(value)?;
        if json.len() >= frame::MAX_RECORD_BYTES {
            return Err(io::Error::other("a record of the snapshot is too large"));
        }
        self.crc = crc32c::crc32c_append(self.crc, &json);
        self.buffer.clear();
        frame::encode(&mut self.buffer, kind, |out| out.extend_from_slice(&json));
        self.out.write_all(&self.buffer)
    }
}

fn remove_old(disk: &dyn Disk, dir: &Path) {
    let Ok(mut found) = list(disk, dir, SUFFIX) else { return };
    found.truncate(found.len().saturating_sub(SNAPSHOTS_KEPT));
    for path in found {
        if let Err(error) = disk.remove_file(&path) {
            tracing::warn!(%error, path = %path.display(), "an old snapshot stays");
        }
    }
}

/// Reads the newest snapshot that is whole, if there is any. Blocks.
///
/// A newer one that is not whole is set aside with a warning, not trusted and not removed. One that a newer release wrote
/// stays where it is, and is an error: what it holds may have been removed from the log.
pub(crate) fn read_newest(disk: &dyn Disk, dir: &Path) -> Result<Option<Loaded>, RaftError> {
    for path in list(disk, dir, SUFFIX)?.into_iter().rev() {
        match read(disk, &path) {
            Ok(loaded) => return Ok(Some(loaded)),
            Err(RaftError::Corrupt { path, position, reason }) => {
                tracing::error!(path = %path.display(), position, reason, "a snapshot of the metadata is corrupt");
                let aside = path.with_extension("corrupt");
                disk.rename(&path, &aside).map_err(RaftError::io("rename", &path))?;
            }
            Err(other) => return Err(other),
        }
    }
    Ok(None)
}

/// Reads a snapshot. Blocks.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Loaded, RaftError> {
    let file = disk.open(path, false).map_err(RaftError::io("open", path))?;
    let mut frames = FrameReader::new(FileReader::new(file));
    let mut meta = None;
    let mut image = Image::default();
    let (mut records, mut crc) = (0, 0);
    loop {
        let position = frames.position();
        let corrupt = |reason: String| RaftError::Corrupt { path: path.to_owned(), position, reason };
        let frame = match frames.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err(corrupt("the file ends without its footer".to_owned())),
            Err(ReadError::Bad(reason)) => return Err(corrupt(reason.to_owned())),
            Err(ReadError::Io(source)) => return Err(RaftError::io("read", path)(source)),
        };
        let json = |error: serde_json::Error| corrupt(error.to_string());
        match (frame.kind, &meta) {
            (HEADER, None) => {
                // Whatever else another release has put here.
                let Version { version } = serde_json::from_slice(frame.payload).map_err(json)?;
                check_version(path, version)?;
                let header: Header = serde_json::from_slice(frame.payload).map_err(json)?;
                meta = Some(header.meta);
            }
            (RECORD, Some(_)) => {
                let record = serde_json::from_slice(frame.payload).map_err(json)?;
                image.add(record).map_err(|invalid| corrupt(invalid.to_string()))?;
                records += 1;
            }
            (FOOTER, Some(meta)) => {
                let footer: Footer = serde_json::from_slice(frame.payload).map_err(json)?;
                if (footer.records, footer.crc32c) != (records, crc) {
                    return Err(corrupt("the footer does not match what comes before it".to_owned()));
                }
                return Ok(Loaded { path: path.to_owned(), meta: meta.clone(), image });
            }
            _ => return Err(corrupt("a record stands where it does not belong".to_owned())),
        }
        crc = crc32c::crc32c_append(crc, frame.payload);
    }
}

fn check_version(path: &Path, version: u64) -> Result<(), RaftError> {
    if version <= u64::from(FORMAT_VERSION) {
        return Ok(());
    }
    let reason = format!("it was written by a newer release (version {version}): use that release to read it");
    Err(RaftError::Mismatch { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use simdisk::SimDisk;

    use super::*;

    /// A snapshot whose header is `header` and of which nothing more is known.
    fn written(disk: &SimDisk, path: &Path, header: &str) {
        let mut bytes = Vec::new();
        frame::encode(&mut bytes, HEADER, |out| out.extend_from_slice(header.as_bytes()));
        files::write_file(disk, path, &bytes).unwrap();
    }

    #[test]
    fn what_a_newer_release_wrote_stays_and_says_so() {
        let (disk, dir) = (SimDisk::default(), Path::new("/data"));
        disk.create_dir(dir).unwrap();
        write(&disk, dir, &SnapshotMeta::default(), &Image::default()).unwrap();
        let newer = dir.join(format!("snapshot-7{SUFFIX}"));
        for header in [r#"{"version":2,"meta":{"of":"another shape"}}"#, r#"{"version":70000,"more":[]}"#] {
            written(&disk, &newer, header);
            let error = read_newest(&disk, dir).err().expect("it is not passed over").to_string();
            assert!(error.contains("written by a newer release") && error.contains("use that release"), "{error}");
            assert!(files::read_file(&disk, &newer).unwrap().is_some(), "it is not where it was");
        }
        written(&disk, &newer, r#"{"version":1,"meta":{"of":"no shape"}}"#);
        assert!(read_newest(&disk, dir).unwrap().is_some(), "one that is corrupt is passed over");
        assert!(files::read_file(&disk, &newer.with_extension("corrupt")).unwrap().is_some());
    }
}
