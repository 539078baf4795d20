//! Every touch of the file system, so that what is durable when is decided in one place.
//!
//! A file that must not be half written is written beside its place, flushed, and renamed into it; a name is durable
//! once its directory is flushed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::RaftError;

/// The ending of a file that is not finished. Left over after a crash, it is removed.
pub(crate) const UNFINISHED: &str = "tmp";

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Creates a file that is not there yet, and makes its name durable.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    Ok(file)
}

/// Opens a file to read and write.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Writes a file as a whole: after a crash it is there with all its contents, or as it was before.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let unfinished = path.with_extension(UNFINISHED);
    let mut file = BufWriter::with_capacity(64 * 1024, File::create(&unfinished)?);
    write(&mut file)?;
    file.flush()?;
    file.get_ref().sync_all()?;
    drop(file);
    fs::rename(&unfinished, path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// The files of a directory whose names end as given, sorted by name.
pub(crate) fn list(dir: &Path, extension: &str) -> Result<Vec<PathBuf>, RaftError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(RaftError::io("list", dir))? {
        let path = entry.map_err(RaftError::io("list", dir))?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Creates a directory and those above it, durably.
pub(crate) fn create_dir(dir: &Path) -> Result<(), RaftError> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(RaftError::io("create", dir))?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_dir(parent).map_err(RaftError::io("flush", parent))
}
