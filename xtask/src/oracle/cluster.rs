//! Starts and stops KRaft clusters of the real thing on loopback.

use super::{Outcome, jars};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Any fixed cluster id will do: clusters never meet.
const CLUSTER_ID: &str = "AAAAAAAAQACAAAAAAAAAAQ";
const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);

struct Plan {
    port: u16,
    nodes: u16,
    heap: String,
    extra: Vec<String>,
}

impl Plan {
    fn parse(args: &[String]) -> Outcome<Self> {
        let mut plan = Plan { port: 0, nodes: 1, heap: "1g".to_owned(), extra: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--port" => plan.port = number(value()?)?,
                "--nodes" => plan.nodes = number(value()?)?,
                "--heap" => plan.heap = value()?.clone(),
                pair if pair.contains('=') => plan.extra.push(arg.clone()),
                other => return Err(format!("oracle start: unknown argument {other}")),
            }
        }
        if plan.nodes == 0 || plan.nodes > 9 {
            return Err("oracle start: --nodes goes from 1 to 9".to_owned());
        }
        if plan.port == 0 {
            plan.port = free_ports(plan.nodes * 2)?;
        }
        Ok(plan)
    }

    fn client_port(&self, node: u16) -> u16 {
        self.port + 2 * (node - 1)
    }

    fn properties(&self, dir: &Path, node: u16) -> String {
        let (replicas, in_sync) = if self.nodes >= 3 { (3, 2) } else { (1, 1) };
        let voter = |n: u16| format!("{n}@127.0.0.1:{}", self.client_port(n) + 1);
        let voters: Vec<String> = (1..=self.nodes).map(voter).collect();
        let port = self.client_port(node);
        let mut lines = vec![
            "process.roles=broker,controller".to_owned(),
            format!("node.id={node}"),
            format!("controller.quorum.voters={}", voters.join(",")),
            format!("listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{}", port + 1),
            format!("advertised.listeners=PLAINTEXT://127.0.0.1:{port}"),
            "controller.listener.names=CONTROLLER".to_owned(),
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,\
             SSL:SSL,SASL_SSL:SASL_SSL"
                .to_owned(),
            format!("log.dirs={}", dir.join("data").display()),
            format!("offsets.topic.replication.factor={replicas}"),
            format!("transaction.state.log.replication.factor={replicas}"),
            format!("transaction.state.log.min.isr={in_sync}"),
            format!("share.coordinator.state.topic.replication.factor={replicas}"),
            format!("share.coordinator.state.topic.min.isr={in_sync}"),
            "group.initial.rebalance.delay.ms=0".to_owned(),
        ];
        lines.extend(self.extra.iter().cloned());
        lines.push(String::new());
        lines.join("\n")
    }
}

pub(crate) fn start(dir: &Path, args: &[String]) -> Outcome<()> {
    let plan = Plan::parse(args)?;
    let jars = jars::fetch(&jars::wanted_version())?;
    let failed = |e: std::io::Error| format!("{}: {e}", dir.display());
    fs::create_dir_all(dir).map_err(failed)?;
    let dir = dir.canonicalize().map_err(failed)?;
    if pids(&dir).into_iter().any(is_alive) {
        return Err(format!("a cluster already runs in {}", dir.display()));
    }
    for node in 1..=plan.nodes {
        start_node(&plan, &jars, &dir.join(node.to_string()), node)?;
    }
    for node in 1..=plan.nodes {
        wait_until_served(&dir.join(node.to_string()), plan.client_port(node))?;
    }
    println!("127.0.0.1:{}", plan.port);
    Ok(())
}

pub(crate) fn stop(dir: &Path) -> Outcome<()> {
    let pids = pids(dir);
    for pid in &pids {
        signal(*pid, "TERM");
    }
    let deadline = Instant::now() + STOP_LIMIT;
    for pid in pids {
        while is_alive(pid) {
            if Instant::now() > deadline {
                signal(pid, "KILL");
            }
            sleep(POLL);
        }
    }
    for node in nodes(dir) {
        let _ = fs::remove_file(node.join("pid"));
    }
    Ok(())
}

pub(crate) fn kill(node: &Path) -> Outcome<()> {
    let pid = pid_of(node).ok_or_else(|| format!("no node in {}", node.display()))?;
    signal(pid, "KILL");
    Ok(())
}

fn start_node(plan: &Plan, jars: &Path, dir: &Path, node: u16) -> Outcome<()> {
    let failed = |e: std::io::Error| format!("{}: {e}", dir.display());
    fs::create_dir_all(dir).map_err(failed)?;
    let properties = dir.join("server.properties");
    fs::write(&properties, plan.properties(dir, node)).map_err(failed)?;
    if !dir.join("data/meta.properties").exists() {
        let log = File::create(dir.join("format.log")).map_err(failed)?;
        let mut format = jars::java(jars, "256m");
        format.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]).arg(&properties);
        format.stdout(log.try_clone().map_err(failed)?).stderr(log);
        if !format.status().map_err(|e| format!("java: {e}"))?.success() {
            return Err(format!("format failed, see {}", dir.join("format.log").display()));
        }
    }
    let log = File::create(dir.join("out.log")).map_err(failed)?;
    let mut kafka = jars::java(jars, &plan.heap);
    kafka.arg("kafka.Kafka").arg(&properties);
    kafka.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
    // Its own process group: Ctrl-C in the terminal that started it must not take it down.
    let child = kafka.process_group(0).spawn().map_err(|e| format!("java: {e}"))?;
    fs::write(dir.join("pid"), child.id().to_string()).map_err(failed)
}

/// A port that accepts is not yet a broker that answers: the metadata log may still be loading, so the smallest
/// ApiVersions request decides.
fn wait_until_served(node: &Path, port: u16) -> Outcome<()> {
    let deadline = Instant::now() + START_LIMIT;
    while Instant::now() < deadline {
        if answers(port) {
            return Ok(());
        }
        if !pid_of(node).is_some_and(is_alive) {
            break;
        }
        sleep(POLL);
    }
    Err(format!("Kafka did not start, see {}", node.join("out.log").display()))
}

fn answers(port: u16) -> bool {
    use std::io::{Read, Write};
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    // Length 10, key 18 version 0, correlation id 1, null client id.
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let mut length = [0; 4];
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.write_all(&request).is_ok()
        && stream.read_exact(&mut length).is_ok()
}

/// The first of `count` consecutive ports that are free now. They are below the range from which the kernel hands out
/// ports to outgoing connections, so nobody gets them by accident.
fn free_ports(count: u16) -> Outcome<u16> {
    const FIRST: u16 = 20_000;
    const LAST: u16 = 32_000;
    let spread = u16::try_from(std::process::id() % 10_000).unwrap_or(0);
    let mut candidate = FIRST + spread;
    while candidate + count < LAST {
        let all_free =
            (candidate..candidate + count).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
        if all_free {
            return Ok(candidate);
        }
        candidate += count;
    }
    Err("no free ports".to_owned())
}

fn nodes(dir: &Path) -> Vec<std::path::PathBuf> {
    let found = fs::read_dir(dir).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
    let mut found: Vec<std::path::PathBuf> = found.unwrap_or_default();
    found.retain(|path| path.join("pid").exists());
    found
}

fn pids(dir: &Path) -> Vec<u32> {
    nodes(dir).iter().filter_map(|node| pid_of(node)).collect()
}

fn pid_of(node: &Path) -> Option<u32> {
    fs::read_to_string(node.join("pid")).ok()?.trim().parse().ok()
}

/// Alive means running: a process that ended but was not yet reaped by its parent has state Z.
fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status();
}

fn number(text: &str) -> Outcome<u16> {
    text.parse().map_err(|_| format!("{text} is not a number from 0 to 65535"))
}
