//! A disk in memory that loses power, for tests of whatever keeps data on a [`storage::Disk`].
//!
//! What was fsynced is there afterwards. Of everything else any part may be there. Every change is recorded until it is
//! synced, and a power failure keeps some of them:
//!
//! - names (`names.rs`): each directory keeps the first so many of its changes, as journals do it, each directory on
//!   its own. A rename may be kept while what the renamed file holds is not.
//! - content (`content.rs`): each sector of a file is what it was after any of the writes to it; each file is as long
//!   as it was at any of these moments or between two, so it may be cut short, longer than what was written, with zeros
//!   or what other files left there in between.
//!
//! `seeds.rs` runs a test over many of them.

mod content;
mod names;
mod seeds;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fastrand::Rng;
use storage::{Disk, DiskFile};

use content::{Content, Leftovers, Weather};
use names::{Inode, Names};
pub use seeds::{number, over_seeds};

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    names: Names,
    /// By inode; those of directories are empty.
    contents: Vec<Content>,
    /// What stands where no file is.
    leftovers: Leftovers,
    /// Changes until the power fails; `None` is never.
    left: Option<u64>,
    /// Counts power failures: files that were opened before one are gone.
    generation: u64,
    locked: BTreeSet<Inode>,
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: Inode,
    generation: u64,
}

struct Lock(SimFile);

impl State {
    /// Counts a change towards the power failure.
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => Err(io::Error::other("no power")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn content(&mut self, inode: Inode) -> &mut Content {
        if self.contents.len() <= inode {
            self.contents.resize_with(inode + 1, Content::default);
        }
        &mut self.contents[inode]
    }
}

impl SimDisk {
    /// The state holds no invariant that a panic could break half way: a test that failed is over.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power fails after so many more changes, syncs included: everything fails then that changes anything.
    pub fn fail_after(&self, changes: u64) {
        self.state().left = Some(changes);
    }

    /// The power is back, and the machine starts again with one of the states that the failure may have left.
    pub fn restart(&self, rng: &mut Rng) {
        let state = &mut *self.state();
        (state.left, state.generation) = (None, state.generation + 1);
        state.locked.clear();
        let gone = state.names.lose_power(rng);
        let weather = Weather::draw(rng);
        for content in &mut state.contents {
            content.lose_power(rng, &weather, &state.leftovers);
        }
        for inode in gone {
            if let Some(content) = state.contents.get_mut(inode) {
                state.leftovers.add(&std::mem::take(content).into_bytes());
            }
        }
    }

    /// The process ends, and the next one begins on the same machine: nothing is lost, and nothing more is durable.
    pub fn end_process(&self) {
        let state = &mut *self.state();
        (state.left, state.generation) = (None, state.generation + 1);
        state.locked.clear();
    }

    fn file(&self, inode: Inode, generation: u64) -> SimFile {
        SimFile { disk: self.clone(), inode, generation }
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        while let Some((parent, name)) = state.names.first_missing(path)? {
            state.spend()?;
            state.names.create(parent, name, true);
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        self.state().names.list(path)
    }

    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        let (parent, name) = state.names.place(path)?;
        let inode = match state.names.child(parent, &name) {
            Some(inode) if state.names.is_dir(inode) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(inode) => inode,
            None if create => {
                state.spend()?;
                state.names.create(parent, name, false)
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        state.content(inode);
        Ok(Arc::new(self.file(inode, state.generation)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.spend()?;
        state.names.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.spend()?;
        state.names.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.spend()?;
        state.names.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.spend()?;
        state.names.sync(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.open(path, true)?;
        let mut state = self.state();
        let (parent, name) = state.names.place(path)?;
        let inode = state.names.child(parent, &name).ok_or(io::ErrorKind::NotFound)?;
        if !state.locked.insert(inode) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Lock(self.file(inode, state.generation))))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = self.0.disk.state();
        if state.generation == self.0.generation {
            state.locked.remove(&self.0.inode);
        }
    }
}

impl SimFile {
    fn read<T>(&self, act: impl FnOnce(&Content) -> T) -> T {
        let mut state = self.disk.state();
        assert_eq!(state.generation, self.generation, "a file was used beyond the end of its machine");
        act(state.content(self.inode))
    }

    fn change(&self, act: impl FnOnce(&mut Content, &mut Leftovers)) -> io::Result<()> {
        let state = &mut *self.disk.state();
        assert_eq!(state.generation, self.generation, "a file was used beyond the end of its machine");
        state.spend()?;
        act(&mut state.contents[self.inode], &mut state.leftovers);
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.read(|content| content.bytes().len() as u64))
    }

    fn modified_ms(&self) -> io::Result<i64> {
        Ok(0)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.change(|content, _| content.write(position as usize, bytes))
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        Ok(self.read(|content| {
            let rest = content.bytes().get(position as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            count
        }))
    }

    fn map(&self, position: u64, length: usize) -> io::Result<Bytes> {
        let start = position as usize;
        self.read(|content| content.bytes().get(start..start + length).map(Bytes::copy_from_slice))
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn sync(&self) -> io::Result<()> {
        self.change(|content, _| content.sync())
    }

    fn reserve(&self, position: u64, length: u64) -> io::Result<()> {
        self.change(|content, _| content.reserve((position + length) as usize))
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.change(|content, leftovers| {
            leftovers.add(content.bytes().get(length as usize..).unwrap_or_default());
            content.truncate(length as usize);
        })
    }
}
