//! Load on a small container: what it takes for 20 seconds, or for as long as `OTTLA_IMAGE_LOAD_S` says (`cargo xtask
//! image test --load-seconds 300`), with the memory that Kubernetes gives by default.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::podman::{Beside, Container, READY, Wanted, image};

/// All producers together, in bytes a second.
const BYTES_PER_SECOND: u64 = 60_000_000;
/// One waits for each answer before it sends again, as the tool does.
const PRODUCERS: u64 = 4;
const RECORD_BYTES: u64 = 1000;
const LOAD_S: u64 = 20;
/// What the producers may take longer than planned on a machine that does other things too.
const LATE: Duration = Duration::from_secs(120);

/// The memory controller's directory of the container that `pid` is in, in either version of cgroups.
fn memory_cgroup(pid: u32) -> PathBuf {
    let of = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = |prefix: &str| of.lines().find_map(|line| line.split_once(prefix)).map(|(_, path)| path.to_owned());
    match path(":memory:") {
        Some(path) => Path::new("/sys/fs/cgroup/memory").join(path.trim_start_matches('/')),
        None => Path::new("/sys/fs/cgroup").join(path("::").unwrap().trim_start_matches('/')),
    }
}

/// The most that was ever charged, page cache included: it grows to the limit on any broker that writes enough.
fn peak_bytes(cgroup: &Path) -> u64 {
    let read = |name| std::fs::read_to_string(cgroup.join(name)).ok();
    let text = read("memory.peak").or_else(|| read("memory.max_usage_in_bytes")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

fn oom_kills(cgroup: &Path) -> u64 {
    let read = |name| std::fs::read_to_string(cgroup.join(name)).ok();
    let text = read("memory.events").or_else(|| read("memory.oom_control")).expect("the kernel counts them");
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.expect("the kernel counts them").parse().unwrap()
}

/// Megabytes a second out of the last line of kafka-producer-perf-test.
fn rate_mb(report: &str) -> f64 {
    let last = report.trim().lines().last().unwrap_or_default();
    let (before, _) = last.split_once(" MB/sec").unwrap_or_else(|| panic!("no rate: {report}"));
    before.rsplit(['(', ' ']).next().unwrap().parse().unwrap()
}

#[test]
fn sixty_megabytes_a_second_fit_into_64_mib() {
    let Some(image) = image() else { return };
    let seconds = std::env::var("OTTLA_IMAGE_LOAD_S").map_or(LOAD_S, |text| text.parse().unwrap());
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::os::unix::fs::chown(directory.path(), Some(1001), Some(0)).unwrap();
    let volume = format!("{}:/var/lib/kafka/data", directory.path().display());
    let options = ["--memory", "64m", "--memory-swap", "64m", "--volume", &volume];
    // What is kept does not depend on how long it runs.
    let environment = [
        ("KAFKA_LOG_RETENTION_BYTES", "200000000"),
        ("KAFKA_LOG_SEGMENT_BYTES", "50000000"),
        ("KAFKA_LOG_RETENTION_CHECK_INTERVAL_MS", "2000"),
    ];
    let broker = Container::run(image, &Wanted { options: &options, environment: &environment, command: &[] });
    broker.wait_for(READY);
    let cgroup = memory_cgroup(broker.pid());
    let records = BYTES_PER_SECOND * seconds / RECORD_BYTES / PRODUCERS;
    let producers: Vec<Beside<'_>> = (0..PRODUCERS).map(|number| producer(&broker, image, number, records)).collect();
    let reader = broker.beside(
        image,
        &[],
        &[
            "kafka-consumer-perf-test",
            "--bootstrap-server",
            "localhost:9092",
            "--include",
            "load-.*",
            "--timeout",
            "20000",
            "--num-records",
            &(records * PRODUCERS / 2).to_string(),
            "--group",
            "reader",
            "--hide-header",
        ],
    );
    let within = Duration::from_secs(seconds) + LATE;
    let mut rate = 0.0;
    for producer in producers {
        rate += rate_mb(&producer.wait(within));
    }
    let read = reader.wait(within);
    let vm_hwm = std::fs::read_to_string(format!("/proc/{}/status", broker.pid())).unwrap();
    let vm_hwm = vm_hwm.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned();
    println!(
        "{seconds} s of {BYTES_PER_SECOND} B/s: {rate:.1} MiB/s taken; {vm_hwm}; cgroup's peak {} B",
        peak_bytes(&cgroup)
    );
    println!("read meanwhile: {}", read.trim());
    assert_eq!(oom_kills(&cgroup), 0);
    assert!(broker.is_running() && broker.inspect("{{.State.OOMKilled}}") == "false");
    assert!(rate * f64::from(1 << 20) >= 0.95 * BYTES_PER_SECOND as f64, "{rate:.1} MiB/s were taken");
    broker.round_trip("localhost:9092");
    assert_eq!(broker.stop().0, 0);
}

fn producer<'c>(broker: &'c Container, image: &str, number: u64, records: u64) -> Beside<'c> {
    let (topic, records) = (format!("load-{number}"), records.to_string());
    let (size, throughput) = (RECORD_BYTES.to_string(), (BYTES_PER_SECOND / RECORD_BYTES / PRODUCERS).to_string());
    broker.beside(
        image,
        &[],
        &[
            "kafka-producer-perf-test",
            "--bootstrap-server",
            "localhost:9092",
            "--topic",
            &topic,
            "--num-records",
            &records,
            "--record-size",
            &size,
            "--throughput",
            &throughput,
            "--command-property",
            "batch.size=500000",
        ],
    )
}
