//! `partition.metadata`: which topic a directory belongs to, whatever its name says (KIP-516).

use std::path::Path;

use protocol::Uuid;

use crate::StorageError;
use crate::disk::Disk;
use crate::files::read_file;

const FILE: &str = "partition.metadata";

/// Writes the file into a directory that has no log yet. Until [`sync`] a power cut may leave none, or a part that says
/// nothing.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, topic_id: Uuid) -> Result<(), StorageError> {
    let path = dir.join(FILE);
    let text = format!("version: 0\ntopic_id: {topic_id}");
    let file = disk.open(&path, true).map_err(StorageError::io("create", &path))?;
    // What stood there was found to be no id, or an attempt failed.
    file.truncate(0).map_err(StorageError::io("truncate", &path))?;
    file.write_at(text.as_bytes(), 0).map_err(StorageError::io("write", &path))
}

/// Makes durable what the file says; its name is the caller's to flush.
pub(crate) fn sync(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    let path = dir.join(FILE);
    let file = disk.open(&path, false).map_err(StorageError::io("open", &path))?;
    file.sync().map_err(StorageError::io("flush", &path))
}

/// The topic's id; `None` when the file is missing or says nothing.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Uuid>, StorageError> {
    let path = dir.join(FILE);
    let content = read_file(disk, &path).map_err(StorageError::io("read", &path))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    Ok(text.lines().find_map(|line| line.strip_prefix("topic_id: ")).and_then(|id| id.trim().parse().ok()))
}
