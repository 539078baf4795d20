//! Where declarations come from: a file, a directory, a stream.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::{error, fmt};

/// What a directory is searched for, not below it.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// A text and the name under which to speak of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path, or what the reader of a stream calls it.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// What cannot be read, and why, in one sentence.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceError(String);

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for SourceError {}

/// Reads a file, or the files of a directory in the order of their names; `bytes_max` is for all of them together.
///
/// # Errors
/// When one cannot be read, or there is none: a list that is not whole may not be what was meant.
pub fn read_path(path: &Path, bytes_max: u64) -> Result<Vec<Source>, SourceError> {
    let paths = if path.is_dir() { files(path)? } else { vec![path.to_owned()] };
    let mut left = bytes_max;
    let mut sources = Vec::with_capacity(paths.len());
    for path in paths {
        let name = path.display().to_string();
        let file = File::open(&path).map_err(|error| SourceError(format!("{name}: {error}")))?;
        let source = read_stream(&name, file, left)?;
        left -= source.text.len() as u64;
        sources.push(source);
    }
    Ok(sources)
}

/// Reads a stream to its end, and calls it `name`.
///
/// # Errors
/// The reader's; when it has more than `bytes_max`, or is no UTF-8.
pub fn read_stream(name: &str, from: impl Read, bytes_max: u64) -> Result<Source, SourceError> {
    let problem = |what: &dyn fmt::Display| SourceError(format!("{name}: {what}"));
    let mut text = String::new();
    from.take(bytes_max.saturating_add(1)).read_to_string(&mut text).map_err(|error| problem(&error))?;
    if text.len() as u64 > bytes_max {
        return Err(problem(&format_args!("there are more than the {bytes_max} bytes that are left for it")));
    }
    Ok(Source { name: name.into(), text })
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let problem = |error: io::Error| SourceError(format!("{}: {error}", directory.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(problem)? {
        let path = entry.map_err(problem)?.path();
        let is_ours = path.extension().and_then(|ending| ending.to_str()).is_some_and(|e| ENDINGS.contains(&e));
        // A mounted ConfigMap has links to files; is_file follows them.
        if is_ours && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(SourceError(format!("{}: no file here ends in .yaml, .yml or .json", directory.display())));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mounted_config_map_is_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let version = directory.path().join("..2024_05_01_10_00_00.1");
        fs::create_dir(&version).unwrap();
        for (name, text) in [("b.yaml", "- b"), ("a.yml", "- a"), ("notes.txt", "no")] {
            fs::write(version.join(name), text).unwrap();
            std::os::unix::fs::symlink(format!("..data/{name}"), directory.path().join(name)).unwrap();
        }
        std::os::unix::fs::symlink(version.file_name().unwrap(), directory.path().join("..data")).unwrap();
        let texts: Vec<String> =
            read_path(directory.path(), 100).unwrap().into_iter().map(|source| source.text).collect();
        assert_eq!(texts, ["- a", "- b"]);
    }

    #[test]
    fn the_limit_is_for_all_files_together() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.yaml"), "- a").unwrap();
        fs::write(directory.path().join("b.yaml"), "- bb").unwrap();
        assert_eq!(read_path(directory.path(), 7).unwrap().len(), 2);
        let error = read_path(directory.path(), 6).unwrap_err().to_string();
        assert!(error.contains("b.yaml: there are more than the 3 bytes"), "{error}");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read_path(directory.path(), 9).unwrap_err().to_string().contains("no file here ends in"));
        let missing = directory.path().join("missing.yaml");
        assert!(read_path(&missing, 9).unwrap_err().to_string().contains("missing.yaml: "));
    }
}
