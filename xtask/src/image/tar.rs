//! A tar archive (POSIX ustar), byte for byte the same for the same entries.

const BLOCK_BYTES: usize = 512;
/// What the header has room for.
const NAME_BYTES: usize = 100;
const PREFIX_BYTES: usize = 155;

/// What an entry is.
pub(crate) enum Kind<'a> {
    Directory,
    File(&'a [u8]),
    /// To where, relative to the link's directory or absolute.
    Link(&'a str),
}

/// Who an entry belongs to, and who may do what with it.
#[derive(Clone, Copy)]
pub(crate) struct Access {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// An archive in memory; images are small.
pub(crate) struct Tar {
    bytes: Vec<u8>,
    /// Seconds since 1970 that every entry was last modified at.
    mtime_s: u64,
}

impl Tar {
    pub(crate) fn new(mtime_s: u64) -> Tar {
        Tar { bytes: Vec::new(), mtime_s }
    }

    /// Adds an entry. `path` is relative, without a slash at its end.
    ///
    /// # Errors
    /// The path or the link's target does not fit into a ustar header.
    pub(crate) fn add(&mut self, path: &str, access: Access, kind: &Kind<'_>) -> Result<(), String> {
        let (flag, target, content): (u8, &str, &[u8]) = match kind {
            Kind::Directory => (b'5', "", b""),
            Kind::File(content) => (b'0', "", content),
            Kind::Link(target) => (b'2', target, b""),
        };
        let path = if flag == b'5' { format!("{path}/") } else { path.to_owned() };
        let (prefix, name) = split(&path).ok_or_else(|| format!("{path}: too long a path for a tar archive"))?;
        if target.len() > NAME_BYTES {
            return Err(format!("{path}: too long a link for a tar archive: {target}"));
        }
        let mut header = [0u8; BLOCK_BYTES];
        put(&mut header, 0, name.as_bytes());
        put(&mut header, 100, octal(u64::from(access.mode), 7).as_bytes());
        put(&mut header, 108, octal(u64::from(access.uid), 7).as_bytes());
        put(&mut header, 116, octal(u64::from(access.gid), 7).as_bytes());
        put(&mut header, 124, octal(content.len() as u64, 11).as_bytes());
        put(&mut header, 136, octal(self.mtime_s, 11).as_bytes());
        put(&mut header, 156, &[flag]);
        put(&mut header, 157, target.as_bytes());
        put(&mut header, 257, b"ustar\x0000");
        put(&mut header, 345, prefix.as_bytes());
        // The checksum counts its own field as blanks.
        put(&mut header, 148, b"        ");
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        put(&mut header, 148, format!("{}\0 ", octal(sum, 6)).as_bytes());
        self.bytes.extend(header);
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    /// The archive with the two empty blocks at its end.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend([0; 2 * BLOCK_BYTES]);
        self.bytes
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    }
}

fn put(header: &mut [u8; BLOCK_BYTES], at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}

fn octal(number: u64, digits: usize) -> String {
    format!("{number:0digits$o}")
}

/// Prefix and name: the path cut at a slash where both parts fit.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= NAME_BYTES {
        return Some(("", path));
    }
    let fits = |at: &usize| *at <= PREFIX_BYTES && path.len() - at - 1 <= NAME_BYTES;
    let cut = path.trim_end_matches('/').match_indices('/').map(|(at, _)| at).find(fits)?;
    Some((&path[..cut], &path[cut + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn tar_reads_what_was_written() {
        let long = format!("{}/{}", "d".repeat(90), "f".repeat(90));
        let mut tar = Tar::new(1_000_000_000);
        let access = |mode| Access { mode, uid: 1001, gid: 0 };
        tar.add("data", access(0o775), &Kind::Directory).expect("it fits");
        tar.add("data/run", access(0o755), &Kind::File(b"#!/bin/sh\n")).expect("it fits");
        tar.add("data/link", access(0o777), &Kind::Link("/data/run")).expect("it fits");
        tar.add(&long, access(0o644), &Kind::File(&[7; 513])).expect("it fits");
        assert!(tar.add(&"x".repeat(101), access(0), &Kind::Directory).is_err());
        let mut child = Command::new("tar")
            .args(["-tv", "--numeric-owner", "--utc"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar is everywhere");
        let bytes = tar.finish();
        assert_eq!(bytes.len() % BLOCK_BYTES, 0);
        std::io::Write::write_all(&mut child.stdin.take().expect("piped"), &bytes).expect("tar reads");
        let output = child.wait_with_output().expect("tar ends");
        let listed = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["drwxrwxr-x", "1001/0", "0", "2001-09-09", "01:46", "data/"]);
        assert_eq!(lines[1][..3], ["-rwxr-xr-x", "1001/0", "10"]);
        assert_eq!(lines[2][5..], ["data/link", "->", "/data/run"]);
        assert_eq!((lines[3][2], lines[3][5]), ("513", long.as_str()));
        assert!(output.status.success());
    }
}
