//! Which files are there.

use std::path::{Path, PathBuf};

use storage::Disk;

use crate::error::RaftError;

/// The files of a directory whose names end as given, sorted by name.
pub(crate) fn list(disk: &dyn Disk, dir: &Path, suffix: &str) -> Result<Vec<PathBuf>, RaftError> {
    let names = disk.list(dir).map_err(RaftError::io("list", dir))?;
    Ok(names.into_iter().filter(|(name, _)| name.ends_with(suffix)).map(|(name, _)| dir.join(name)).collect())
}
