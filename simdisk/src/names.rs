//! Directories, and which of their names are durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

use fastrand::Rng;

/// A file or directory, whatever its name.
pub(crate) type Inode = usize;

const ROOT: Inode = 0;

type Entries = BTreeMap<String, Inode>;

#[derive(Debug, Default)]
struct Dir {
    now: Entries,
    durable: Entries,
}

/// What happens to one name in one directory.
#[derive(Debug)]
struct Edit {
    dir: Inode,
    name: String,
    to: Option<Inode>,
}

/// A creation, rename or removal that no fsync has covered: all of it happens or nothing.
type Change = Vec<Edit>;

/// All names.
#[derive(Debug)]
pub(crate) struct Names {
    dirs: BTreeMap<Inode, Dir>,
    /// The inode that the next file or directory gets.
    next: Inode,
    unsynced: Vec<Change>,
}

impl Default for Names {
    fn default() -> Names {
        Names { dirs: BTreeMap::from([(ROOT, Dir::default())]), next: ROOT + 1, unsynced: Vec::new() }
    }
}

impl Names {
    pub(crate) fn is_dir(&self, inode: Inode) -> bool {
        self.dirs.contains_key(&inode)
    }

    pub(crate) fn child(&self, dir: Inode, name: &str) -> Option<Inode> {
        self.dirs.get(&dir)?.now.get(name).copied()
    }

    /// The directory that holds the last name of `path`, and that name.
    pub(crate) fn place(&self, path: &Path) -> io::Result<(Inode, String)> {
        let mut parts = parts(path)?;
        let name = parts.pop().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.walk(&parts)?, name.to_owned()))
    }

    fn walk(&self, parts: &[&str]) -> io::Result<Inode> {
        let inode = parts.iter().try_fold(ROOT, |dir, name| self.child(dir, name)).ok_or(io::ErrorKind::NotFound)?;
        if self.is_dir(inode) { Ok(inode) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    fn dir(&self, path: &Path) -> io::Result<Inode> {
        self.walk(&parts(path)?)
    }

    /// The first name of `path` that is not there yet, and the directory where it goes.
    pub(crate) fn first_missing(&self, path: &Path) -> io::Result<Option<(Inode, String)>> {
        let mut dir = ROOT;
        for name in parts(path)? {
            match self.child(dir, name) {
                Some(inode) if self.is_dir(inode) => dir = inode,
                Some(_) => return Err(io::ErrorKind::NotADirectory.into()),
                None => return Ok(Some((dir, name.to_owned()))),
            }
        }
        Ok(None)
    }

    pub(crate) fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        let entries = &self.dirs[&self.dir(path)?].now;
        Ok(entries.iter().map(|(name, inode)| (name.clone(), self.is_dir(*inode))).collect())
    }

    pub(crate) fn create(&mut self, dir: Inode, name: String, is_dir: bool) -> Inode {
        let inode = self.next;
        self.next += 1;
        if is_dir {
            self.dirs.insert(inode, Dir::default());
        }
        self.change(vec![Edit { dir, name, to: Some(inode) }]);
        inode
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let ((old_dir, old), (new_dir, new)) = (self.place(from)?, self.place(to)?);
        let inode = self.child(old_dir, &old).ok_or(io::ErrorKind::NotFound)?;
        if self.child(new_dir, &new).and_then(|there| self.dirs.get(&there)).is_some_and(|dir| !dir.now.is_empty()) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let leaves = Edit { dir: old_dir, name: old, to: None };
        self.change(vec![leaves, Edit { dir: new_dir, name: new, to: Some(inode) }]);
        Ok(())
    }

    pub(crate) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        match self.child(dir, &name) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(inode) if self.is_dir(inode) => Err(io::ErrorKind::IsADirectory.into()),
            Some(_) => {
                self.change(vec![Edit { dir, name, to: None }]);
                Ok(())
            }
        }
    }

    /// Name by name, from the bottom up.
    pub(crate) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.dir(path)?;
        for (name, is_dir) in self.list(path)? {
            if is_dir {
                self.remove_dir(&path.join(name))?;
            } else {
                self.change(vec![Edit { dir: inode, name, to: None }]);
            }
        }
        let (dir, name) = self.place(path)?;
        self.change(vec![Edit { dir, name, to: None }]);
        Ok(())
    }

    fn change(&mut self, change: Change) {
        for edit in &change {
            if let Some(dir) = self.dirs.get_mut(&edit.dir) {
                apply(&mut dir.now, edit);
            }
        }
        self.unsynced.push(change);
    }

    /// Makes the names in a directory durable. A journal makes everything before it durable too; nothing is promised
    /// here but this directory, and others as far as names have come from there or gone there.
    pub(crate) fn sync(&mut self, path: &Path) -> io::Result<()> {
        let mut concerned = BTreeSet::from([self.dir(path)?]);
        let mut synced = Vec::new();
        for change in self.unsynced.drain(..).rev().collect::<Vec<_>>() {
            if change.iter().any(|edit| concerned.contains(&edit.dir)) {
                concerned.extend(change.iter().map(|edit| edit.dir));
                synced.push(change);
            } else {
                self.unsynced.push(change);
            }
        }
        self.unsynced.reverse();
        synced.into_iter().rev().for_each(|change| self.make_durable(&change));
        Ok(())
    }

    fn make_durable(&mut self, change: &Change) {
        for edit in change {
            if let Some(dir) = self.dirs.get_mut(&edit.dir) {
                apply(&mut dir.durable, edit);
            }
        }
    }

    /// Each directory keeps the first so many of its changes. Answers what no longer has a name.
    pub(crate) fn lose_power(&mut self, rng: &mut Rng) -> Vec<Inode> {
        let changes = std::mem::take(&mut self.unsynced);
        // Sometimes all of one order, as with one journal for everything.
        let journal = (rng.u32(..3) == 0).then(|| rng.usize(..=changes.len()));
        let mut left: BTreeMap<Inode, usize> = BTreeMap::new();
        changes.iter().flatten().for_each(|edit| *left.entry(edit.dir).or_default() += 1);
        left.values_mut().for_each(|count| *count = rng.usize(..=*count));
        for (i, change) in changes.iter().enumerate() {
            let is_kept = match journal {
                Some(kept) => i < kept,
                None => change.iter().all(|edit| left[&edit.dir] > 0),
            };
            for edit in change {
                // What is lost in one directory holds back whatever comes after it there.
                left.entry(edit.dir).and_modify(|left| *left = if is_kept { left.saturating_sub(1) } else { 0 });
            }
            if is_kept {
                self.make_durable(change);
            }
        }
        for dir in self.dirs.values_mut() {
            dir.now.clone_from(&dir.durable);
        }
        self.sweep()
    }

    fn sweep(&mut self) -> Vec<Inode> {
        let (mut named, mut ahead) = (BTreeSet::from([ROOT]), vec![ROOT]);
        while let Some(dir) = ahead.pop().and_then(|inode| self.dirs.get(&inode)) {
            for inode in dir.now.values() {
                named.insert(*inode);
                if self.dirs.contains_key(inode) {
                    ahead.push(*inode);
                }
            }
        }
        self.dirs.retain(|inode, _| named.contains(inode));
        (0..self.next).filter(|inode| !named.contains(inode)).collect()
    }
}

fn apply(entries: &mut Entries, edit: &Edit) {
    match edit.to {
        Some(inode) => drop(entries.insert(edit.name.clone(), inode)),
        None => drop(entries.remove(&edit.name)),
    }
}

fn parts(path: &Path) -> io::Result<Vec<&str>> {
    path.components()
        .filter(|part| !matches!(part, Component::RootDir | Component::CurDir))
        .map(|part| match part {
            Component::Normal(name) => name.to_str().ok_or_else(|| io::ErrorKind::InvalidInput.into()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        })
        .collect()
}
