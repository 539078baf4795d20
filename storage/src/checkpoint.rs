//! Kafka's small text files: a version, a count, and a line each.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::StorageError;
use crate::disk::{Disk, read_file, write_file};
use crate::log_dir::TopicPartition;

const VERSION: &str = "0";

/// Offsets by partition: `recovery-point-offset-checkpoint` and `log-start-offset-checkpoint`.
pub(crate) type Offsets = BTreeMap<TopicPartition, i64>;

/// Reads offsets by partition; nothing if there is no file, or it is damaged: the logs know better then.
pub(crate) fn read_offsets(disk: &dyn Disk, path: &Path) -> Result<Offsets, StorageError> {
    let rows = read_rows(disk, path)?.unwrap_or_default();
    Ok(rows.iter().filter_map(|row| parse_offset(row)).collect())
}

fn parse_offset(row: &str) -> Option<(TopicPartition, i64)> {
    let mut words = row.split(' ');
    let (topic, index, offset) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((TopicPartition { topic: Arc::from(topic), index }, offset))
}

/// Writes offsets by partition.
pub(crate) fn write_offsets(disk: &dyn Disk, path: &Path, offsets: &Offsets) -> Result<(), StorageError> {
    let rows = offsets.iter().map(|(partition, offset)| format!("{} {} {offset}", partition.topic, partition.index));
    write_rows(disk, path, rows)
}

/// The lines of a file, or `None` when it is missing or not whole.
pub(crate) fn read_rows(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<String>>, StorageError> {
    let Some(content) = read_file(disk, path).map_err(StorageError::io("read", path))? else { return Ok(None) };
    let Ok(text) = String::from_utf8(content) else { return Ok(None) };
    let mut lines = text.lines();
    if lines.next() != Some(VERSION) {
        return Ok(None);
    }
    let Some(count) = lines.next().and_then(|count| count.parse::<usize>().ok()) else { return Ok(None) };
    let rows: Vec<String> = lines.map(str::to_owned).collect();
    Ok((rows.len() == count).then_some(rows))
}

/// Replaces a file.
pub(crate) fn write_rows(
    disk: &dyn Disk,
    path: &Path,
    rows: impl ExactSizeIterator<Item = String>,
) -> Result<(), StorageError> {
    let mut text = format!("{VERSION}\n{}\n", rows.len());
    for row in rows {
        text.push_str(&row);
        text.push('\n');
    }
    write_file(disk, path, text.as_bytes()).map_err(StorageError::io("write", path))
}
