//! A copy of the work tree, in which one file at a time is broken.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::tidy;

pub(super) struct Tree {
    root: PathBuf,
}

/// Puts the file back when dropped.
pub(super) struct Planted {
    path: PathBuf,
    whole: String,
}

impl Tree {
    /// Makes `to` a copy of what git tracks, or would track, in `from`. What is the same already is not touched, so that
    /// cargo builds only what changed.
    pub(super) fn copy(from: &Path, to: &Path) -> Result<Tree, String> {
        let files: BTreeSet<String> = tidy::files(from)?.into_iter().filter(|file| from.join(file).is_file()).collect();
        remove_others(to, Path::new(""), &files)?;
        for file in &files {
            let (source, copy) = (from.join(file), to.join(file));
            let content = fs::read(&source).map_err(|e| format!("{}: {e}", source.display()))?;
            if fs::read(&copy).is_ok_and(|copied| copied == content) {
                continue;
            }
            if let Some(parent) = copy.parent() {
                fs::create_dir_all(parent).map_err(|e| format!("{}: {e}", parent.display()))?;
            }
            fs::copy(&source, &copy).map_err(|e| format!("{}: {e}", copy.display()))?;
        }
        Ok(Tree { root: to.to_owned() })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Replaces the one place in `file` that reads `find`.
    pub(super) fn plant(&self, file: &str, find: &str, replace: &str) -> Result<Planted, String> {
        let path = self.root.join(file);
        let whole = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        write(&path, &whole.replacen(find, replace, 1))?;
        Ok(Planted { path, whole })
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        // If it fails, the next run copies the file again.
        let _ = write(&self.path, &self.whole);
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Removes files that are not in the work tree any more.
fn remove_others(root: &Path, below: &Path, files: &BTreeSet<String>) -> Result<(), String> {
    let Ok(found) = fs::read_dir(root.join(below)) else { return Ok(()) };
    for entry in found.flatten() {
        let name = below.join(entry.file_name());
        if entry.path().is_dir() {
            remove_others(root, &name, files)?;
        } else if !files.contains(&*name.to_string_lossy()) {
            fs::remove_file(entry.path()).map_err(|e| format!("{}: {e}", entry.path().display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_file_is_put_back() {
        let root = std::env::temp_dir().join(format!("xtask-tree-{}", std::process::id()));
        fs::create_dir_all(&root).expect("a temporary directory");
        fs::write(root.join("a.rs"), "one two").expect("a file");
        let tree = Tree { root: root.clone() };
        let planted = tree.plant("a.rs", "two", "three").expect("the file is there");
        let text = || fs::read_to_string(root.join("a.rs")).expect("the file is there");
        assert_eq!(text(), "one three");
        drop(planted);
        assert_eq!(text(), "one two");
        fs::remove_dir_all(&root).expect("it is ours");
    }
}
