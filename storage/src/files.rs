//! What is done with files as a whole, by everybody who keeps something on a [`Disk`].
//!
//! A file that must not be half written is written beside its place, flushed, and renamed into it; a name is durable
//! once its directory is flushed.

use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};

/// The ending of a file that is not finished. Left over after a crash, it is worth nothing.
pub const UNFINISHED_SUFFIX: &str = ".tmp";

/// What is gathered before it is written to a file, bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// Makes a directory and those above it, durably.
///
/// # Errors
/// The disk's. Of directories that were there already, only what the disk says when it fails: if somebody else made them,
/// they need not let us in.
pub fn create_dir(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let is_missing = |dir: &Path| matches!(disk.list(dir), Err(error) if error.kind() == io::ErrorKind::NotFound);
    let named: Vec<&Path> = dir.ancestors().filter(|dir| dir.file_name().is_some()).collect();
    let missing = named.iter().take_while(|dir| is_missing(dir)).count();
    if missing > 0 {
        disk.create_dir(dir)?;
    }
    for (i, dir) in named.into_iter().enumerate().rev() {
        // A run that was killed may have made those that are there, and not have come to this. A disk that fails says so
        // once: the next flush of the same directory may go well, and its names be lost all the same.
        match disk.sync_dir(parent(dir)) {
            Err(error) if i < missing || !is_not_ours_to_flush(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a directory was not flushed because of what it is, and not because the disk failed: it is closed to us, is
/// never written to, or stands on a file system that flushes no directories.
fn is_not_ours_to_flush(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | ReadOnlyFilesystem | Unsupported)
}

/// Creates an empty file where none is, and makes its name durable.
///
/// # Errors
/// `AlreadyExists` when it has bytes already; the disk's.
pub fn create_file(disk: &dyn Disk, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.open(path, true)?;
    if !file.is_empty()? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    disk.sync_dir(parent(path))?;
    Ok(file)
}

/// Reads a whole file, or `None` if there is none.
///
/// # Errors
/// The disk's.
pub fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
    let count = file.read_at(&mut content, 0)?;
    content.truncate(count);
    Ok(Some(content))
}

/// Fills `buffer`, or fails: the caller knows that the file goes that far.
///
/// # Errors
/// `UnexpectedEof` when it does not; the disk's.
pub fn read_exact(file: &dyn DiskFile, buffer: &mut [u8], position: u64) -> io::Result<()> {
    if file.read_at(buffer, position)? == buffer.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Replaces a file as a whole: after a crash it is the old one or the new one, never a part of either.
///
/// # Errors
/// The disk's. The file is then the old one, or the new one but not durably.
pub fn write_file(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    replace_file(disk, path, |out| out.write_all(content))
}

/// The same, for what should not be in memory as a whole.
///
/// # Errors
/// The disk's and those of `write`.
pub fn replace_file(
    disk: &dyn Disk,
    path: &Path,
    write: impl FnOnce(&mut BufWriter<FileWriter>) -> io::Result<()>,
) -> io::Result<()> {
    place_file(disk, path, write)?;
    disk.sync_dir(parent(path))
}

/// The same, but that the new file has the name is not durable yet: the caller flushes the directory.
pub(crate) fn place_file(
    disk: &dyn Disk,
    path: &Path,
    write: impl FnOnce(&mut BufWriter<FileWriter>) -> io::Result<()>,
) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED_SUFFIX);
    let unfinished = PathBuf::from(unfinished);
    let file = disk.open(&unfinished, true)?;
    file.truncate(0)?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, FileWriter { file: Arc::clone(&file), position: 0 });
    write(&mut out)?;
    out.flush()?;
    file.sync()?;
    disk.rename(&unfinished, path)
}

/// The same without waiting for the disk: after a crash of the machine it may hold anything, so it must have a checksum,
/// and an older file must do as well.
pub(crate) fn write_unflushed(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".unflushed.tmp");
    let temporary = Path::new(&temporary);
    let file = disk.open(temporary, true)?;
    file.truncate(0)?;
    file.write_at(content, 0)?;
    disk.rename(temporary, path)
}

/// Removes a file that may be missing already.
///
/// # Errors
/// The disk's.
pub fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Where the name of a file stands.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file from its start to its end.
#[derive(Debug)]
pub struct FileWriter {
    file: Arc<dyn DiskFile>,
    position: u64,
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.position)?;
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a file from its start to its end.
#[derive(Debug)]
pub struct FileReader {
    file: Arc<dyn DiskFile>,
    position: u64,
}

impl FileReader {
    /// Begins at the start.
    pub fn new(file: Arc<dyn DiskFile>) -> FileReader {
        FileReader { file, position: 0 }
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}
