//! A disk in memory that loses power.
//!
//! What was fsynced is there afterwards. Of everything else any part may be: names change in the order in which they
//! were changed, up to some point, as journals do it; content that was not flushed is there, missing, cut short, or
//! zeros where the length made it and the bytes did not.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use fastrand::Rng;
use storage::{Disk, DiskFile};

type Inode = usize;

#[derive(Clone, Debug, Default, PartialEq)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
}

/// A change of names that no fsync of its directory has covered.
#[derive(Clone, Debug)]
enum Change {
    Create(PathBuf, Inode),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Debug, Default)]
struct State {
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, Inode>,
    dirs: BTreeSet<PathBuf>,
    durable_names: BTreeMap<PathBuf, Inode>,
    changes: Vec<Change>,
    /// Operations until the power fails; `None` is never.
    left: Option<u64>,
    /// Counts power failures: files that were opened before one are gone.
    generation: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct PowerDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct PowerFile {
    disk: PowerDisk,
    inode: Inode,
    generation: u64,
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Inode>) {
        match self {
            Change::Create(path, inode) => drop(names.insert(path.clone(), *inode)),
            Change::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
            Change::Rename(from, to) => {
                let moved: Vec<PathBuf> = names.keys().filter(|name| name.starts_with(from)).cloned().collect();
                for name in moved {
                    let inode = names.remove(&name).unwrap();
                    let rest = name.strip_prefix(from).unwrap();
                    let target = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                    names.insert(target, inode);
                }
            }
        }
    }
}

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

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }
}

impl PowerDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The power fails after so many more changes.
    pub(crate) fn fail_after(&self, operations: u64) {
        self.state().left = Some(operations);
    }

    /// The machine starts again.
    pub(crate) fn restart(&self, rng: &mut Rng) {
        let state = &mut *self.state();
        (state.left, state.generation) = (None, state.generation + 1);
        let kept = rng.usize(..=state.changes.len());
        let mut names = state.durable_names.clone();
        state.changes.drain(..).take(kept).for_each(|change| change.apply(&mut names));
        state.dirs.extend(names.keys().filter_map(|name| name.parent()).map(Path::to_owned));
        (state.names, state.durable_names) = (names.clone(), names);
        for content in &mut state.contents {
            content.lose_power(rng);
        }
    }
}

impl Content {
    fn lose_power(&mut self, rng: &mut Rng) {
        let flushed = self.durable.len();
        match rng.u32(..5) {
            _ if self.now == self.durable => {}
            0 => self.now = self.durable.clone(),
            1 => self.now.truncate(flushed.max(rng.usize(..=self.now.len()))),
            2 if self.now.len() > flushed => {
                let lost = rng.usize(flushed..self.now.len());
                self.now[lost..].fill(0);
            }
            _ => {}
        }
        // Bytes that were flushed and not written since are what they were.
        self.durable = self.now.clone();
    }
}

impl Disk for PowerDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.state().dirs.insert(path.to_owned());
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        let state = self.state();
        let below = state.names.keys().filter_map(|name| name.strip_prefix(path).ok());
        let mut found: BTreeMap<String, bool> = BTreeMap::new();
        for rest in below {
            let mut parts = rest.components();
            let first = parts.next().unwrap().as_os_str().to_string_lossy().into_owned();
            found.insert(first, parts.next().is_some());
        }
        if found.is_empty() && !state.dirs.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(found.into_iter().collect())
    }

    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        let inode = match state.names.get(path) {
            Some(inode) => *inode,
            None if create => {
                state.spend()?;
                let inode = state.contents.len();
                state.contents.push(Content::default());
                state.change(Change::Create(path.to_owned(), inode));
                inode
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(PowerFile { disk: self.clone(), inode, generation: state.generation }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.spend()?;
        // Directories themselves come and go at once: one without files says nothing.
        let is_dir = state.dirs.remove(from) && state.dirs.insert(to.to_owned());
        if !is_dir && !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.spend()?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(Change::Remove(path.to_owned()));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.spend()?;
        state.dirs.remove(path);
        state.change(Change::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.spend()?;
        // A journal makes everything before it durable too; only what concerns this directory is promised.
        let concerns = |change: &Change| match change {
            Change::Create(name, _) | Change::Remove(name) => name.parent() == Some(path),
            Change::Rename(from, to) => from.parent() == Some(path) || to.parent() == Some(path),
        };
        let through = state.changes.iter().rposition(concerns).map_or(0, |last| last + 1);
        let State { changes, durable_names, .. } = &mut *state;
        changes.drain(..through).for_each(|change| change.apply(durable_names));
        Ok(())
    }

    fn lock(&self, _path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        Ok(Box::new(()))
    }
}

impl PowerFile {
    fn with<T>(&self, act: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut state = self.disk.state();
        assert_eq!(state.generation, self.generation, "a file was used beyond the end of its machine");
        Ok(act(&mut state.contents[self.inode]))
    }

    fn change<T>(&self, act: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        self.disk.state().spend()?;
        self.with(act)
    }
}

impl DiskFile for PowerFile {
    fn len(&self) -> io::Result<u64> {
        self.with(|content| content.now.len() as u64)
    }

    fn modified_ms(&self) -> io::Result<i64> {
        Ok(0)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let position = position as usize;
        self.change(|content| {
            let end = position + bytes.len();
            if content.now.len() < end {
                content.now.resize(end, 0);
            }
            content.now[position..end].copy_from_slice(bytes);
        })
    }

    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.with(|content| {
            let rest = content.now.get(position as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            count
        })
    }

    fn map(&self, position: u64, length: usize) -> io::Result<Bytes> {
        self.with(|content| Bytes::copy_from_slice(&content.now[position as usize..position as usize + length]))
    }

    fn sync(&self) -> io::Result<()> {
        self.change(|content| content.durable.clone_from(&content.now))
    }

    fn reserve(&self, _position: u64, _length: u64) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.change(|content| content.now.resize(length as usize, 0))
    }
}
