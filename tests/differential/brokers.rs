//! Starts the two brokers, and stops them whatever happens.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What both are told. Few partitions and next to no delay make groups quick to serve.
const SETTINGS: &[&str] =
    &["auto.create.topics.enable=false", "offsets.topic.num.partitions=1", "group.initial.rebalance.delay.ms=20"];
/// What Kafka is told besides: to assign as soon as somebody asks, not once a second, nor behind the answer.
const SETTINGS_OF_KAFKA: &[&str] =
    &["group.consumer.assignment.interval.ms=0", "group.consumer.assignor.offload.enable=false"];
const START_LIMIT: Duration = Duration::from_secs(20);

/// Apache Kafka, and Ottla.
pub(crate) struct Brokers {
    pub(crate) kafka: SocketAddr,
    pub(crate) ottla: SocketAddr,
    _running: (Kafka, Ottla),
}

impl Brokers {
    /// # Errors
    /// What is missing on this machine.
    pub(crate) fn start(dir: &Path) -> Result<Brokers, String> {
        for (tool, version) in [("java", "-version"), ("mvn", "-version")] {
            let found = Command::new(tool).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !found.is_ok_and(|status| status.success()) {
                return Err(format!("{tool} is missing"));
            }
        }
        let kafka = Kafka::start(&dir.join("kafka"));
        let ottla = Ottla::start(&dir.join("ottla"));
        Ok(Brokers { kafka: kafka.address, ottla: ottla.address, _running: (kafka, ottla) })
    }
}

struct Kafka {
    address: SocketAddr,
    dir: PathBuf,
}

impl Kafka {
    fn start(dir: &Path) -> Kafka {
        let mut kafka = Kafka { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), dir: dir.to_path_buf() };
        let mut start = xtask();
        start.args(["oracle", "start"]).arg(dir).args(["--heap", "512m"]).args(SETTINGS).args(SETTINGS_OF_KAFKA);
        let output = start.stderr(Stdio::inherit()).output().expect("cargo runs");
        let address = String::from_utf8_lossy(&output.stdout);
        kafka.address = address.trim().parse().unwrap_or_else(|_| panic!("Kafka did not start: {address:?}"));
        kafka
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let _ = xtask().args(["oracle", "stop"]).arg(&self.dir).status();
    }
}

fn xtask() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).arg("xtask");
    cargo
}

struct Ottla {
    address: SocketAddr,
    log: PathBuf,
    process: Child,
}

impl Ottla {
    fn start(dir: &Path) -> Ottla {
        std::fs::create_dir_all(dir).expect("a directory under a temporary one");
        let address = free_address().expect("a free port");
        let log = File::create(dir.join("out.log")).expect("a file in a directory of ours");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
        let listeners = format!("listeners=PLAINTEXT://{address}");
        let data = format!("log.dirs={}", dir.join("data").display());
        for setting in [&listeners, &data, "node.id=1", "ottla.http.listener=none"] {
            command.args(["--set", setting]);
        }
        for setting in SETTINGS {
            command.args(["--set", setting]);
        }
        let errors = log.try_clone().expect("a second handle of an open file");
        let process = command.stdout(log).stderr(errors).spawn().expect("the binary was just built");
        let mut ottla = Ottla { address, log: dir.join("out.log"), process };
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(address).is_err() {
            let ended = ottla.process.try_wait().expect("a child of ours");
            let log = || std::fs::read_to_string(dir.join("out.log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "Ottla did not start: {}", log());
            sleep(Duration::from_millis(10));
        }
        ottla
    }
}

impl Drop for Ottla {
    fn drop(&mut self) {
        if let Some(log) = std::env::var_os("DIFFERENTIAL_OTTLA_LOG") {
            let _ = std::fs::copy(&self.log, log);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
