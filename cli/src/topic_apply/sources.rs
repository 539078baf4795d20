//! Where declarations come from: files, directories, standard input.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The most that one file may have, bytes. Ten thousand topics need a quarter of it.
const FILE_MAX_BYTES: u64 = 8 << 20;
/// What a directory is searched for, not below it.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// A text and the name under which to speak of it.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

/// Reads all of `paths`, `-` as standard input, directories in the order of their names.
///
/// # Errors
/// When one cannot be read: a list that is not whole may not be what was meant.
pub(super) fn read_all(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for path in paths {
        let problem = |error: io::Error| Failure::Input(format!("{}: {error}", path.display()));
        if path == Path::new("-") {
            sources.push(Source { name: "stdin".into(), text: read(io::stdin().lock()).map_err(problem)? });
        } else if path.is_dir() {
            let files = files(path).map_err(problem)?;
            if files.is_empty() {
                return Err(Failure::Input(format!("{}: no file here ends in .yaml, .yml or .json", path.display())));
            }
            for file in files {
                sources.push(read_file(&file)?);
            }
        } else {
            sources.push(read_file(path)?);
        }
    }
    Ok(sources)
}

fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_ours = path.extension().and_then(|ending| ending.to_str()).is_some_and(|e| ENDINGS.contains(&e));
        // A mounted ConfigMap has links to files; is_file follows them.
        if is_ours && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<Source, Failure> {
    let text = File::open(path).and_then(read);
    let text = text.map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?;
    Ok(Source { name: path.display().to_string(), text })
}

fn read(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(FILE_MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {FILE_MAX_BYTES} bytes")));
    }
    Ok(text)
}
