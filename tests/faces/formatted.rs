//! Directories that `kafka-storage format` made, and the broker that is started on them.

use std::path::Path;
use std::process::Stdio;

use super::process::ottla;
use super::{Members, Said, face, script};

/// As some clients make ids: ordinary base64, with its padding.
const CLUSTER_ID: &str = "+9/Ax6o1SkSd+2Hn/2Zq3A==";

fn write_properties(directory: &Path, node_id: i32) -> String {
    let file = directory.join("server.properties");
    // A port that was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let settings = format!(
        "process.roles=broker,controller\nnode.id={node_id}\ncontroller.quorum.bootstrap.servers=localhost:9093\n\
         listeners=PLAINTEXT://{address},CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER\nlog.dirs={}\n\
         ottla.http.listener=none\n",
        directory.join("data").display()
    );
    std::fs::write(file, settings).unwrap();
    address
}

fn format(directory: &Path, arguments: &str) -> Said {
    let file = directory.join("server.properties");
    let mut words = vec!["format".into(), "-c".into(), file.display().to_string()];
    words.extend(script::words(arguments, ""));
    face("kafka-storage", &words, "")
}

fn meta(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("data/meta.properties")).unwrap()
}

/// What a broker with the file says of its cluster; it is killed then.
fn id_of_started(directory: &Path, address: &str) -> String {
    let mut command = ottla();
    command.arg("kafka-server-start").arg(directory.join("server.properties"));
    let broker = Members(vec![command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()]);
    let ready = face("cub", &script::words(&format!("kafka-ready -b {address} 1 60"), address), "");
    assert_eq!(ready.code, 0, "{ready:?}");
    let said = face("kafka-cluster", &script::words("cluster-id @", address), "");
    assert_eq!(said.code, 0, "{said:?}");
    drop(broker);
    said.out
}

#[test]
fn a_broker_keeps_what_its_directory_was_formatted_with() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let address = write_properties(directory, 3);
    let said = format(directory, &format!("-t {CLUSTER_ID} --standalone"));
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let formatted = meta(directory);
    assert!(
        formatted.contains(&format!("cluster.id={CLUSTER_ID}\n")) && formatted.contains("node.id=3\n"),
        "{formatted}"
    );
    for start in ["first", "second"] {
        assert_eq!(id_of_started(directory, &address), format!("Cluster ID: {CLUSTER_ID}\n"), "{start} start");
        assert_eq!(meta(directory), formatted, "{start} start");
    }
    let again = format(directory, &format!("-t {CLUSTER_ID} --standalone"));
    assert!(again.code == 1 && again.err.contains("is already formatted. Use --ignore-formatted"), "{again:?}");
    assert_eq!(meta(directory), formatted);
}

#[test]
fn a_broker_with_another_number_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    write_properties(directory, 3);
    assert_eq!(format(directory, "-t AAAAAAAAQACAAAAAAAAAAQ -s").code, 0);
    let formatted = meta(directory);
    write_properties(directory, 4);
    let output = ottla().arg("kafka-server-start").arg(directory.join("server.properties")).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.code() != Some(0) && said.contains("set node.id=3"), "{:?} {said}", output.status);
    assert_eq!(meta(directory), formatted);
}

#[test]
fn what_the_environment_says_counts_for_the_directory_too() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let file = directory.join("server.properties");
    std::fs::write(&file, format!("log.dirs={}\n", directory.join("data").display())).unwrap();
    let format = |variable: &str, value: &str| {
        let mut command = ottla();
        command.args(["kafka-storage", "format", "-t", "AAAAAAAAQACAAAAAAAAAAQ", "-c"]).arg(&file);
        command.env(variable, value).output().unwrap()
    };
    // A broker with this variable would not start on a directory of another cluster.
    let refused = format("CLUSTER_ID", "another");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("give --cluster-id another"), "{refused:?}");
    assert!(!refused.status.success() && !directory.join("data").exists(), "{refused:?}");
    let output = format("KAFKA_NODE_ID", "7");
    assert!(output.status.success(), "{output:?}");
    assert!(meta(directory).contains("node.id=7\n"), "{}", meta(directory));
}
