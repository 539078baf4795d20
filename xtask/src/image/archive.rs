//! One tar that every loader takes: it is a docker-archive (`manifest.json`) and an OCI image layout (`index.json`) at
//! once, and both point at the same blobs.

use super::layer::{GID, UID};
use super::sha256;
use super::tar::{Access, Kind, Tar};

const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// What the image says of itself.
pub(crate) struct Facts {
    /// As Go and containers call it: `amd64`, `arm64`.
    pub(crate) architecture: &'static str,
    pub(crate) version: String,
    pub(crate) revision: String,
    /// Programs of others, and their versions.
    pub(crate) packaged: Vec<(&'static str, String)>,
    /// RFC 3339.
    pub(crate) created: String,
    pub(crate) mtime_s: u64,
}

/// The archive, named `ottla:VERSION` and `ottla:latest`.
///
/// # Errors
/// None that a loader could not show; a path that does not fit into a tar header.
pub(crate) fn build(layer: &[u8], facts: &Facts) -> Result<Vec<u8>, String> {
    let layer_digest = sha256::hex(layer);
    let config = config(facts, &layer_digest);
    let config_digest = sha256::hex(config.as_bytes());
    let manifest = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{MANIFEST_TYPE}\",\
         \"config\":{{\"mediaType\":\"{CONFIG_TYPE}\",\"digest\":\"sha256:{config_digest}\",\"size\":{}}},\
         \"layers\":[{{\"mediaType\":\"{LAYER_TYPE}\",\"digest\":\"sha256:{layer_digest}\",\"size\":{}}}]}}",
        config.len(),
        layer.len()
    );
    let manifest_digest = sha256::hex(manifest.as_bytes());

    let mut tar = Tar::new(facts.mtime_s);
    let file = Access { mode: 0o644, uid: 0, gid: 0 };
    let directory = Access { mode: 0o755, uid: 0, gid: 0 };
    // What tells the formats apart comes first, so that a loader that streams knows what it reads.
    tar.add("oci-layout", file, &Kind::File(b"{\"imageLayoutVersion\":\"1.0.0\"}"))?;
    tar.add("index.json", file, &Kind::File(index(facts, &manifest_digest, manifest.len()).as_bytes()))?;
    tar.add("manifest.json", file, &Kind::File(docker_manifest(facts, &config_digest, &layer_digest).as_bytes()))?;
    tar.add("blobs", directory, &Kind::Directory)?;
    tar.add("blobs/sha256", directory, &Kind::Directory)?;
    for (digest, content) in
        [(&config_digest, config.as_bytes()), (&manifest_digest, manifest.as_bytes()), (&layer_digest, layer)]
    {
        tar.add(&format!("blobs/sha256/{digest}"), file, &Kind::File(content))?;
    }
    Ok(tar.finish())
}

/// How to start it, in the form that Docker and OCI share.
fn config(facts: &Facts, layer_digest: &str) -> String {
    let packaged: String =
        facts.packaged.iter().map(|(program, version)| format!(",\"ottla.{program}.version\":\"{version}\"")).collect();
    let Facts { architecture, version, revision, created, .. } = facts;
    format!(
        "{{\"architecture\":\"{architecture}\",\"os\":\"linux\",\"created\":\"{created}\",\"config\":{{\
         \"User\":\"{UID}:{GID}\",\
         \"ExposedPorts\":{{\"8080/tcp\":{{}},\"9092/tcp\":{{}}}},\
         \"Env\":[\"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/opt/kafka/bin\",\
         \"OTTLA_DEFAULTS=/opt/ottla/server.properties\"],\
         \"Cmd\":[\"/opt/ottla/run\"],\
         \"Volumes\":{{\"/var/lib/kafka/data\":{{}}}},\
         \"WorkingDir\":\"/opt/kafka\",\
         \"StopSignal\":\"SIGTERM\",\
         \"Labels\":{{\
         \"org.opencontainers.image.title\":\"ottla\",\
         \"org.opencontainers.image.description\":\"The Kafka protocol in one small binary\",\
         \"org.opencontainers.image.licenses\":\"Apache-2.0 AND GPL-2.0-only AND GPL-3.0-or-later\",\
         \"org.opencontainers.image.version\":\"{version}\",\
         \"org.opencontainers.image.revision\":\"{revision}\"{packaged}}}}},\
         \"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"sha256:{layer_digest}\"]}},\
         \"history\":[{{\"created\":\"{created}\",\"created_by\":\"cargo xtask image\"}}]}}"
    )
}

/// containerd reads the name from its own annotation, others the tag from the standard's.
fn index(facts: &Facts, manifest_digest: &str, manifest_bytes: usize) -> String {
    let entry = |tag: &str| {
        format!(
            "{{\"mediaType\":\"{MANIFEST_TYPE}\",\"digest\":\"sha256:{manifest_digest}\",\"size\":{manifest_bytes},\
             \"annotations\":{{\"io.containerd.image.name\":\"docker.io/library/ottla:{tag}\",\
             \"org.opencontainers.image.ref.name\":\"{tag}\"}},\
             \"platform\":{{\"architecture\":\"{}\",\"os\":\"linux\"}}}}",
            facts.architecture
        )
    };
    format!("{{\"schemaVersion\":2,\"manifests\":[{},{}]}}", entry(&facts.version), entry("latest"))
}

fn docker_manifest(facts: &Facts, config_digest: &str, layer_digest: &str) -> String {
    let version = &facts.version;
    format!(
        "[{{\"Config\":\"blobs/sha256/{config_digest}\",\"RepoTags\":[\"ottla:{version}\",\"ottla:latest\"],\
         \"Layers\":[\"blobs/sha256/{layer_digest}\"]}}]"
    )
}
