//! `meta.properties`: whose directory this is.
//!
//! Kafka's file, in Kafka's form: `version=1`, `cluster.id`, `node.id` and `directory.id`. It is what keeps a
//! directory that was mounted on the wrong node from being served as if it were that node's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use protocol::Uuid;
use storage::{Disk, files};

use crate::error::RaftError;

const FILE_NAME: &str = "meta.properties";
const VERSION: &str = "1";

/// Whose directory it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetaProperties {
    pub(crate) cluster_id: String,
    pub(crate) node_id: i32,
    pub(crate) directory_id: Uuid,
}

impl MetaProperties {
    /// Reads the file of a data directory. `None` when it has none, or one without all ids.
    pub(crate) fn read(
        disk: &dyn Disk,
        dir: &Path,
        node_id: i32,
        cluster_id: Option<&str>,
    ) -> Result<Option<MetaProperties>, RaftError> {
        let path = dir.join(FILE_NAME);
        let Some(found) = files::read_file(disk, &path).map_err(RaftError::io("read", &path))? else { return Ok(None) };
        let found = Self::check(&path, &parse(&String::from_utf8_lossy(&found)), node_id, cluster_id)?;
        Ok(Some(found).filter(|found| !found.directory_id.is_zero()))
    }

    /// Reads the file of a data directory, or writes one if it has none. Whoever calls it has the directory's lock.
    ///
    /// `cluster_id` is the one that was configured, if any: a new directory gets it, or an invented one; an existing
    /// directory must have it.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        node_id: i32,
        cluster_id: Option<&str>,
    ) -> Result<MetaProperties, RaftError> {
        let path = dir.join(FILE_NAME);
        let Some(found) = files::read_file(disk, &path).map_err(RaftError::io("read", &path))? else {
            let cluster_id = match cluster_id {
                Some(configured) => check_cluster_id(configured)?.to_owned(),
                None => random_uuid()?.to_string(),
            };
            let new = MetaProperties { cluster_id, node_id, directory_id: random_uuid()? };
            new.write(disk, &path, &BTreeMap::new())?;
            return Ok(new);
        };
        let found = String::from_utf8_lossy(&found);
        let found = parse(&found);
        let mut properties = Self::check(&path, &found, node_id, cluster_id)?;
        // Kafka before 3.7 wrote none.
        if properties.directory_id.is_zero() {
            properties.directory_id = random_uuid()?;
            properties.write(disk, &path, &found)?;
        }
        Ok(properties)
    }

    /// The properties; a directory without an id has none yet.
    fn check(
        path: &Path,
        found: &BTreeMap<&str, &str>,
        node_id: i32,
        cluster_id: Option<&str>,
    ) -> Result<MetaProperties, RaftError> {
        let mismatch = |reason| Err(RaftError::Mismatch { path: path.to_owned(), reason });
        match found.get("version") {
            Some(&VERSION) => {}
            Some(other) => return mismatch(format!("version={other} is not {VERSION}: another release wrote it")),
            None => {
                return mismatch("it has no version: restore it from a copy, or move the directory away".to_owned());
            }
        }
        let Some(found_node) = found.get("node.id").and_then(|id| id.parse::<i32>().ok()) else {
            return mismatch("it has no node.id: restore it from a copy, or move the directory away".to_owned());
        };
        if found_node != node_id {
            return mismatch(format!(
                "the directory belongs to node.id={found_node}, but this is node.id={node_id}: set node.id={found_node}, \
                 or choose another data directory (log.dirs)"
            ));
        }
        let Some(found_cluster) = found.get("cluster.id").filter(|id| !id.is_empty()) else {
            return mismatch("it has no cluster.id: restore it from a copy, or move the directory away".to_owned());
        };
        let found_cluster = unescaped(found_cluster);
        if let Some(configured) = cluster_id
            && configured != found_cluster
        {
            return mismatch(format!(
                "the directory belongs to cluster {found_cluster}, but cluster {configured} is configured: leave the \
                 cluster id out, or choose another data directory (log.dirs)"
            ));
        }
        let mut properties = MetaProperties { cluster_id: found_cluster, node_id, directory_id: Uuid::ZERO };
        if let Some(id) = found.get("directory.id") {
            match id.parse() {
                Ok(id) => properties.directory_id = id,
                Err(error) => return mismatch(format!("directory.id={id} is not an id: {error}")),
            }
        }
        Ok(properties)
    }

    /// Writes the file durably, with whatever else stood in it.
    fn write(&self, disk: &dyn Disk, path: &Path, others: &BTreeMap<&str, &str>) -> Result<(), RaftError> {
        let (node_id, directory_id) = (self.node_id.to_string(), self.directory_id.to_string());
        let mut all = others.clone();
        all.insert("version", VERSION);
        all.insert("cluster.id", &self.cluster_id);
        all.insert("node.id", &node_id);
        all.insert("directory.id", &directory_id);
        let mut text = String::new();
        for (key, value) in all {
            writeln!(text, "{key}={value}").expect("a string takes everything");
        }
        files::write_file(disk, path, text.as_bytes()).map_err(RaftError::io("write", path))
    }
}

fn parse(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', '!']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect()
}

/// Java writes `=` as `\=`, and reads it without; ids of ordinary base64 end in it.
fn unescaped(value: &str) -> String {
    value.replace('\\', "")
}

/// Cluster ids come from people, too. They travel in answers and files, so they must be one plain word.
fn check_cluster_id(id: &str) -> Result<&str, RaftError> {
    let plain = id.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '#' | '\\'));
    if id.is_empty() || id.len() > 128 || !plain {
        let reason = format!("cluster id {id:?} is not a word of 1 to 128 printable ASCII characters");
        return Err(RaftError::Config(reason));
    }
    Ok(id)
}

/// A random id.
pub(crate) fn random_uuid() -> Result<Uuid, RaftError> {
    loop {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| RaftError::Config(format!("the system gives no random numbers: {error}")))?;
        if let Some(id) = Uuid::from_random(bytes) {
            return Ok(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use storage::OsDisk;

    use super::*;

    #[test]
    fn a_directory_keeps_its_ids() {
        let dir = tempfile::tempdir().unwrap();
        let first = MetaProperties::open(&OsDisk, dir.path(), 7, None).unwrap();
        assert_eq!(MetaProperties::open(&OsDisk, dir.path(), 7, None).unwrap(), first);
        assert_eq!(MetaProperties::open(&OsDisk, dir.path(), 7, Some(&first.cluster_id)).unwrap(), first);
        let text = fs::read_to_string(dir.path().join(FILE_NAME)).unwrap();
        assert!(text.contains("version=1\n") && text.contains("node.id=7\n"), "{text}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn another_node_or_cluster_is_refused_with_a_cure() {
        let dir = tempfile::tempdir().unwrap();
        MetaProperties::open(&OsDisk, dir.path(), 1, Some("mine")).unwrap();
        let error = MetaProperties::open(&OsDisk, dir.path(), 2, None).unwrap_err().to_string();
        assert!(error.contains("set node.id=1"), "{error}");
        let error = MetaProperties::open(&OsDisk, dir.path(), 1, Some("yours")).unwrap_err().to_string();
        assert!(error.contains("belongs to cluster mine"), "{error}");
    }

    #[test]
    fn kafkas_file_is_read_and_its_extras_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        fs::write(
            &path,
            "#\n#Fri Nov 21 08:00:00 UTC 2025\ncluster.id=4L6g3nShT-eMCtK--X86sw\nextra=1\nnode.id=1\nversion=1\n",
        )
        .unwrap();
        let found = MetaProperties::open(&OsDisk, dir.path(), 1, None).unwrap();
        assert_eq!(found.cluster_id, "4L6g3nShT-eMCtK--X86sw");
        assert!(!found.directory_id.is_zero());
        assert_eq!(MetaProperties::open(&OsDisk, dir.path(), 1, None).unwrap(), found);
        assert!(fs::read_to_string(&path).unwrap().contains("extra=1\n"));
    }

    #[test]
    fn an_id_that_java_escaped_is_the_id() {
        let dir = tempfile::tempdir().unwrap();
        let text =
            "node.id=1\ndirectory.id=DfWpsRAwWQLThNLeFX60zA\nversion=1\ncluster.id=+9/Ax6o1SkSd+2Hn/2Zq3A\\=\\=\n";
        fs::write(dir.path().join(FILE_NAME), text).unwrap();
        let found = MetaProperties::open(&OsDisk, dir.path(), 1, Some("+9/Ax6o1SkSd+2Hn/2Zq3A==")).unwrap();
        assert_eq!(found.cluster_id, "+9/Ax6o1SkSd+2Hn/2Zq3A==");
    }

    #[test]
    fn a_spoiled_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "version=0\nbroker.id=1\n", "version=1\nnode.id=1\n", "version=1\ncluster.id=x\nnode.id=one\n"]
        {
            fs::write(dir.path().join(FILE_NAME), text).unwrap();
            let error = MetaProperties::open(&OsDisk, dir.path(), 1, None);
            assert!(matches!(error, Err(RaftError::Mismatch { .. })), "{text:?}: {error:?}");
        }
        assert!(MetaProperties::open(&OsDisk, &dir.path().join("none"), 1, Some("two words")).is_err());
    }
}
