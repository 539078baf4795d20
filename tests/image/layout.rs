//! The archive, and what is where in the image.

use std::path::Path;
use std::process::Command;

use crate::podman::{Container, Wanted, image, podman};

const TOOLS: [&str; 6] = [
    "kafka-topics",
    "kafka-console-producer",
    "kafka-console-consumer",
    "kafka-consumer-groups",
    "kafka-configs",
    "kafka-broker-api-versions",
];

#[test]
fn tools_are_where_people_type_them() {
    let Some(image) = image() else { return };
    let container = Container::run(image, &Wanted { command: &["sleep", "1000"], ..Wanted::default() });
    assert_eq!(container.sh("pwd"), "/opt/kafka\n");
    for directory in ["/opt/kafka/bin", "bin", "/opt/bitnami/kafka/bin", "/usr/bin", "/bin"] {
        for tool in TOOLS {
            let script = format!("readlink -f {directory}/{tool} && readlink -f {directory}/{tool}.sh");
            assert_eq!(container.sh(&script), "/usr/bin/ottla\n/usr/bin/ottla\n", "{directory}/{tool}");
        }
    }
    for path in
        ["/usr/bin/cub", "/usr/bin/zookeeper-server-start", "/usr/bin/kafka-storage", "/usr/bin/kafka-server-start.sh"]
    {
        assert_eq!(container.sh(&format!("readlink -f {path}")), "/usr/bin/ottla\n");
    }
    let scripts = "for f in /etc/kafka/docker/run /etc/confluent/docker/run /etc/confluent/docker/configure \
                   /etc/confluent/docker/ensure /etc/confluent/docker/launch /opt/bitnami/scripts/kafka/run.sh \
                   /usr/bin/start-kafka.sh /opt/ottla/run; do test -x $f && sh -n $f || echo $f; done";
    assert_eq!(container.sh(scripts), "");
    let programs =
        "for p in sh bash sed sleep echo hostname cut grep awk cat nc df ps; do which $p >/dev/null || echo $p; done";
    assert_eq!(container.sh(programs), "");
    assert_eq!(
        container.exec(&["bash", "-c", "source /etc/confluent/docker/bash-config && echo $0 sourced"]).1,
        "bash sourced\n"
    );
    assert_eq!(container.sh("id -u; id -g"), "1001\n0\n");
}

#[test]
fn every_tool_that_the_program_has_is_linked() {
    let Some(image) = image() else { return };
    let container = Container::run(image, &Wanted { command: &["sleep", "1000"], ..Wanted::default() });
    let (code, faces, _) = container.exec(&["ottla", "--list-faces"]);
    assert_eq!(code, Some(0), "the program says under which names it answers");
    for face in faces.split_whitespace() {
        assert_eq!(container.sh(&format!("readlink -f /usr/bin/{face}")), "/usr/bin/ottla\n", "{face}");
    }
}

#[test]
fn the_archive_is_an_oci_layout_too() {
    let Some(name) = image() else { return };
    // podman makes an image's name of the path, and those are in lower case.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oci-layout");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    let archive = std::env::var("OTTLA_IMAGE").unwrap();
    let status = Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&directory).status().unwrap();
    assert!(status.success());
    let blobs = directory.join("blobs/sha256");
    let check = "for blob in *; do echo \"$blob  $blob\"; done | sha256sum --check --quiet";
    assert!(Command::new("sh").args(["-c", check]).current_dir(&blobs).status().unwrap().success());

    let (_, tag) = name.rsplit_once(':').unwrap();
    let pulled = podman(&["pull", "--quiet", &format!("oci:{}:{tag}", directory.display())]);
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    let by_layout = String::from_utf8_lossy(&pulled.stdout).trim().to_owned();
    let loaded = podman(&["image", "inspect", "--format", "{{.Id}}", name]);
    assert_eq!(by_layout, String::from_utf8_lossy(&loaded.stdout).trim(), "one image in both forms");
}

#[test]
fn it_is_small() {
    let Some(_) = image() else { return };
    let bytes = std::fs::metadata(std::env::var("OTTLA_IMAGE").unwrap()).unwrap().len();
    println!("image: {bytes} bytes");
    assert!(bytes <= 20 << 20, "{bytes} bytes");
}
