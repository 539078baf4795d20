//! `partition.metadata`: which topic a directory belongs to, whatever its name says (KIP-516).

use std::path::Path;

use protocol::Uuid;

use crate::StorageError;
use crate::disk::Disk;
use crate::files::{read_file, write_file};

const FILE: &str = "partition.metadata";

/// Writes the file.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, topic_id: Uuid) -> Result<(), StorageError> {
    let path = dir.join(FILE);
    let text = format!("version: 0\ntopic_id: {topic_id}");
    write_file(disk, &path, text.as_bytes()).map_err(StorageError::io("write", &path))
}

/// The topic's id; `None` when the file is missing or says nothing.
pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<Uuid>, StorageError> {
    let path = dir.join(FILE);
    let content = read_file(disk, &path).map_err(StorageError::io("read", &path))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    Ok(text.lines().find_map(|line| line.strip_prefix("topic_id: ")).and_then(|id| id.trim().parse().ok()))
}
