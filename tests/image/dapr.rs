//! Dapr's component beside the broker, as a sidecar is beside an application in its pod: in the network of the container,
//! and outside its limits.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::podman::{Container, DEADLINE, READY, Wanted, image, skip};

/// As little as anybody gives a pod.
const SMALL: &[&str] = &["--memory", "64m", "--cpus", "0.1", "--read-only", "--read-only-tmpfs=false"];
/// Where the programs of tests/clients/dapr come from and go to.
const RELEASE: &str = "1.18";

/// The tests of tests/clients/dapr as one static program, or why there is none.
fn program(directory: &Path) -> Result<PathBuf, String> {
    if Command::new("go").arg("version").stdout(Stdio::null()).status().is_err() {
        return Err("go is not installed".into());
    }
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/dapr");
    std::fs::create_dir_all(directory).unwrap();
    let tests = std::fs::read_dir(&clients).unwrap().flatten();
    let tests = tests.filter(|file| file.path().extension().is_some_and(|extension| extension == "go"));
    for file in tests.chain(std::fs::read_dir(clients.join("versions").join(RELEASE)).unwrap().flatten()) {
        std::fs::copy(file.path(), directory.join(file.file_name())).unwrap();
    }
    let mut go = Command::new("go");
    go.args(["test", "-c", "-ldflags=-s", "-o", "dapr.test", "."]).current_dir(directory).stdin(Stdio::null());
    let built =
        go.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=readonly").output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Ok(directory.join("dapr.test"))
}

#[test]
fn dapr_publishes_and_receives_a_thousand_events_at_a_tenth_of_a_processor() {
    let Some(image) = image() else { return };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dapr");
    let program = match program(&directory) {
        Ok(program) => program,
        Err(reason) => return skip(&reason),
    };
    assert!(program.is_file());
    let broker = Container::run(image, &Wanted { options: SMALL, ..Wanted::default() });
    broker.wait_for(READY);
    println!("ready: {}", broker.logs().1.lines().filter(|line| line.contains(" ready ")).collect::<String>());
    let volume = format!("{}:/dapr:ro", directory.display());
    let options = ["--volume", &volume, "--env", "BROKER=localhost:9092"];
    let words = ["/dapr/dapr.test", "-test.v", "-test.count=1", "-test.run", "^TestThousandEvents$"];
    let report = broker.beside(image, &options, &words).wait(DEADLINE + Duration::from_secs(60));
    println!("{}", report.lines().filter(|line| line.contains("events:")).collect::<String>().trim());
    assert!(report.contains("--- PASS: TestThousandEvents"), "{report}");
    assert_eq!(broker.inspect("{{.State.OOMKilled}}"), "false");
}
