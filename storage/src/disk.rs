//! The one door to the file system.
//!
//! Everything the log does to a disk goes through [`Disk`], so that a simulated one can lose what was not fsynced,
//! tear writes and refuse service, and the log above it cannot tell.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use rustix::fs::{FallocateFlags, FlockOperation, fallocate, fcntl_lock, fdatasync, flock};
use rustix::io::Errno;

use crate::map;

/// A file system.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a directory and its parents.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Names in a directory, and whether each is a directory itself.
    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>>;
    /// Opens a file for reading and writing; `create` makes it if it is missing.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames a file or directory, replacing a file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with everything in it.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Takes a lock that ends with the returned value; `WouldBlock` when another process has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
}

/// An open file. Positions are absolute, so that readers and the writer do not disturb each other.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// When it was last written, in ms since 1970.
    fn modified_ms(&self) -> io::Result<i64>;
    /// Writes all of `bytes`. After an error any part of them may stand there.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Fills `buffer` as far as the file goes; answers how far.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Maps a range that lies within the file, for reading. The range must not be cut off while the map lives.
    fn map(&self, position: u64, length: usize) -> io::Result<Bytes>;
    /// The file itself, for whoever lets the kernel send parts of it. Some files cannot be sent.
    fn to_send(&self) -> Option<Arc<File>> {
        None
    }
    /// Makes its content durable.
    fn sync(&self) -> io::Result<()>;
    /// Reserves room behind the end without changing the length, so that appending needs no allocation.
    fn reserve(&self, position: u64, length: u64) -> io::Result<()>;
    /// Cuts it off; room reserved behind the end goes too.
    fn truncate(&self, length: u64) -> io::Result<()>;
}

/// The operating system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

#[derive(Debug)]
struct OsFile(Arc<File>);

impl Disk for OsDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // A name that is no text is nobody's of ours.
            if let Ok(name) = entry.file_name().into_string() {
                names.push((name, entry.file_type()?.is_dir()));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)?;
        Ok(Arc::new(OsFile(Arc::new(file))))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive)?;
        // The first lock keeps out every other opener, in this process too. Java takes the other kind, so the second
        // keeps out an Apache Kafka that was given the same directory. It ends when this process closes the file for the
        // first time, so nobody here opens it twice in earnest.
        match fcntl_lock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Box::new(file)),
            Err(Errno::AGAIN | Errno::ACCESS) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error.into()),
        }
    }
}

impl DiskFile for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn modified_ms(&self) -> io::Result<i64> {
        let since = self.0.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, position)
    }

    fn read_at(&self, mut buffer: &mut [u8], mut position: u64) -> io::Result<usize> {
        let mut filled = 0;
        while !buffer.is_empty() {
            match self.0.read_at(buffer, position) {
                Ok(0) => break,
                Ok(count) => {
                    filled += count;
                    position += count as u64;
                    buffer = &mut buffer[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn map(&self, position: u64, length: usize) -> io::Result<Bytes> {
        map::map_range(&self.0, position, length)
    }

    fn to_send(&self) -> Option<Arc<File>> {
        Some(Arc::clone(&self.0))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(fdatasync(self.0.as_fd())?)
    }

    fn reserve(&self, position: u64, length: u64) -> io::Result<()> {
        match fallocate(self.0.as_fd(), FallocateFlags::KEEP_SIZE, position, length) {
            // A file system that cannot reserve still can append.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}
