//! What is in the image's one layer: the program, a shell and its tools, the files of `docker/rootfs`, and the names under which other
//! images' users expect all that.

use super::debian::Packaged;
use super::tar::{Access, Kind, Tar};
use crate::paths;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Who the broker runs as. Group 0 because that is the group of the arbitrary users that OpenShift, and
/// `docker run --user`, give to a container.
pub(crate) const UID: u32 = 1001;
pub(crate) const GID: u32 = 0;

/// The tools' names are links to the program, which looks at the name it was called by. Where images have their tools:
const TOOL_DIRECTORIES: [&str; 3] = ["opt/kafka/bin", "opt/bitnami/kafka/bin", "usr/bin"];
/// Kafka's names, which exist with and without `.sh`.
pub(crate) const TOOLS: &[&str] = &[
    "connect-distributed",
    "connect-mirror-maker",
    "connect-standalone",
    "kafka-acls",
    "kafka-broker-api-versions",
    "kafka-client-metrics",
    "kafka-cluster",
    "kafka-configs",
    "kafka-console-consumer",
    "kafka-console-producer",
    "kafka-console-share-consumer",
    "kafka-consumer-groups",
    "kafka-consumer-perf-test",
    "kafka-delegation-tokens",
    "kafka-delete-records",
    "kafka-dump-log",
    "kafka-e2e-latency",
    "kafka-features",
    "kafka-get-offsets",
    "kafka-groups",
    "kafka-jmx",
    "kafka-leader-election",
    "kafka-log-dirs",
    "kafka-metadata-quorum",
    "kafka-metadata-shell",
    "kafka-mirror-maker",
    "kafka-producer-perf-test",
    "kafka-reassign-partitions",
    "kafka-replica-verification",
    "kafka-run-class",
    "kafka-server-start",
    "kafka-server-stop",
    "kafka-share-groups",
    "kafka-storage",
    "kafka-streams-application-reset",
    "kafka-streams-groups",
    "kafka-topics",
    "kafka-transactions",
    "kafka-verifiable-consumer",
    "kafka-verifiable-producer",
    "zookeeper-security-migration",
    "zookeeper-server-start",
    "zookeeper-server-stop",
    "zookeeper-shell",
];
/// Confluent's readiness check, which never had another name.
pub(crate) const BARE_TOOLS: &[&str] = &["cub"];

/// What scripts around Kafka call, and what somebody types who looks into a container.
const APPLETS: &str = "[ [[ ash awk base64 basename cat chgrp chmod chown clear cmp cp crc32 cut date dc dd df diff \
    dirname du echo ed egrep env expand expr factor fallocate false fgrep find fold free grep groups gunzip gzip head \
    hexdump hostname id ip kill killall less link ln ls md5sum mkdir mkfifo mktemp more mv nc netstat nl nproc \
    nslookup od paste pidof ping printf ps pwd readlink realpath reset rev rm rmdir route sed seq setsid sha1sum \
    sha256sum sha512sum shred shuf sleep sort stat strings stty sync tac tail tar tee telnet test time timeout top \
    touch tr traceroute true truncate tty uname unexpand uniq unlink uptime usleep vi watch wc wget which whoami xargs \
    xxd yes zcat";

/// Directories in which whoever the broker runs as may write. Everybody may: the only users in a container are those
/// that its owner started it as, and a fresh volume takes over these permissions.
const WRITABLE: [&str; 9] = [
    "bitnami",
    "bitnami/kafka",
    "bitnami/kafka/data",
    "kafka",
    "var/lib/kafka",
    "var/lib/kafka/data",
    "var/lib/zookeeper",
    "var/lib/zookeeper/data",
    "var/lib/zookeeper/log",
];
/// Directories whose files the broker's user may replace: scripts of others write there, relative to where they are
/// started or with `sed -i`.
const OWNED: [&str; 4] = ["etc/confluent", "etc/confluent/docker", "opt/kafka", "opt/kafka/logs"];
/// Places to mount something at, and the usual ones.
const EMPTY: [&str; 14] = [
    "bitnami/kafka/config",
    "dev",
    "docker-entrypoint-initdb.d",
    "etc/kafka/secrets",
    "mnt/shared/config",
    "opt/bitnami/kafka/config",
    "proc",
    "run",
    "sys",
    "usr/local/bin",
    "usr/sbin",
    "var/log/kafka",
    "var/run",
    "var/tmp",
];
/// Links that are not tools: from where, to where.
const LINKS: [(&str, &str); 7] = [
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("usr/bin/sh", "bash"),
    ("etc/kafka/kafka.properties", "/opt/ottla/server.properties"),
    ("opt/bitnami/kafka/config/server.properties", "/opt/ottla/server.properties"),
    ("opt/kafka/config/kraft/server.properties", "/opt/ottla/server.properties"),
    ("opt/kafka/config/server.properties", "/opt/ottla/server.properties"),
];

enum Entry {
    Directory,
    File(Vec<u8>),
    Link(String),
}

/// What does not lie in the repository.
pub(crate) struct Programs {
    pub(crate) ottla: Vec<u8>,
    pub(crate) packaged: Vec<Packaged>,
}

/// The layer as an uncompressed tar archive.
///
/// # Errors
/// A file of `docker/rootfs` cannot be read.
pub(crate) fn build(programs: Programs, mtime_s: u64) -> Result<Vec<u8>, String> {
    let mut entries = BTreeMap::new();
    let rootfs = paths::root().join("docker/rootfs");
    collect(&rootfs, &rootfs, &mut entries)?;
    entries.insert("usr/bin/ottla".to_owned(), Entry::File(programs.ottla));
    for Packaged { package, program, bytes, copyright, .. } in programs.packaged {
        entries.insert(format!("usr/bin/{program}"), Entry::File(bytes));
        entries.insert(format!("usr/share/doc/{package}/copyright"), Entry::File(copyright));
    }
    for applet in APPLETS.split_whitespace() {
        entries.entry(format!("usr/bin/{applet}")).or_insert_with(|| Entry::Link("busybox".to_owned()));
    }
    for directory in TOOL_DIRECTORIES {
        let suffixed = TOOLS.iter().map(|name| format!("{name}.sh"));
        for name in TOOLS.iter().chain(BARE_TOOLS).map(|name| (*name).to_owned()).chain(suffixed) {
            entries.insert(format!("{directory}/{name}"), Entry::Link("/usr/bin/ottla".to_owned()));
        }
    }
    for (from, to) in LINKS {
        entries.insert(from.to_owned(), Entry::Link(to.to_owned()));
    }
    for directory in WRITABLE.iter().chain(&OWNED).chain(&EMPTY).chain(&["tmp"]) {
        entries.insert((*directory).to_owned(), Entry::Directory);
    }
    with_parents(&mut entries);
    write(&entries, mtime_s)
}

/// The applets that the layer links to; busybox must have them.
pub(crate) fn applets() -> impl Iterator<Item = &'static str> {
    APPLETS.split_whitespace()
}

fn collect(root: &Path, directory: &Path, entries: &mut BTreeMap<String, Entry>) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", directory.display());
    for file in fs::read_dir(directory).map_err(failed)? {
        let path = file.map_err(failed)?.path();
        if path.is_dir() {
            collect(root, &path, entries)?;
            continue;
        }
        let name = path.strip_prefix(root).map_err(|e| e.to_string())?.to_string_lossy().into_owned();
        let content = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        entries.insert(name, Entry::File(content));
    }
    Ok(())
}

fn with_parents(entries: &mut BTreeMap<String, Entry>) {
    let names: Vec<String> = entries.keys().cloned().collect();
    for name in names {
        for (at, _) in name.match_indices('/') {
            entries.entry(name[..at].to_owned()).or_insert(Entry::Directory);
        }
    }
}

fn write(entries: &BTreeMap<String, Entry>, mtime_s: u64) -> Result<Vec<u8>, String> {
    let mut tar = Tar::new(mtime_s);
    for (path, entry) in entries {
        match entry {
            Entry::Directory => tar.add(path, directory_access(path), &Kind::Directory)?,
            Entry::File(content) => tar.add(path, file_access(path, content), &Kind::File(content))?,
            Entry::Link(to) => tar.add(path, Access { mode: 0o777, uid: 0, gid: 0 }, &Kind::Link(to))?,
        }
    }
    Ok(tar.finish())
}

fn directory_access(path: &str) -> Access {
    match path {
        "tmp" | "var/tmp" => Access { mode: 0o1777, uid: 0, gid: 0 },
        path if WRITABLE.contains(&path) => Access { mode: 0o777, uid: UID, gid: GID },
        path if OWNED.contains(&path) => Access { mode: 0o775, uid: UID, gid: GID },
        _ => Access { mode: 0o755, uid: 0, gid: 0 },
    }
}

fn file_access(path: &str, content: &[u8]) -> Access {
    let runs = content.starts_with(b"#!") || content.starts_with(b"\x7fELF");
    let mode = if runs { 0o755 } else { 0o644 };
    match path.rsplit_once('/') {
        Some((directory, _)) if OWNED.contains(&directory) => Access { mode: mode | 0o020, uid: UID, gid: GID },
        _ => Access { mode, uid: 0, gid: 0 },
    }
}
