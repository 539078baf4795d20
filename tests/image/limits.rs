//! What an operator limits: memory, processor, the root file system, the user.

use std::time::Duration;

use crate::podman::{Container, READY, Wanted, image};

/// As little as anybody gives a pod.
const SMALL: &[&str] =
    &["--memory", "64m", "--cpus", "0.1", "--read-only", "--read-only-tmpfs=false", "--user", "54321"];

/// A line of /proc/PID/status, in KiB.
fn status_kib(pid: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let found = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    found.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Time that the process was running on a processor, at 100 ticks a second.
fn cpu_ms(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    let ticks = after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap());
    ticks.sum::<u64>() * 10
}

#[test]
fn a_small_read_only_container_of_anybody_serves_and_stops() {
    let Some(image) = image() else { return };
    let container = Container::run(image, &Wanted { options: SMALL, ..Wanted::default() });
    let out = container.wait_for(READY);
    // podman's own start is in it, on a processor that other tests use; the broker's share is in its log.
    println!("ready {:?} after podman was asked to start it", container.started.elapsed());
    println!("ready: {}", container.logs().1.lines().filter(|line| line.contains("ready")).collect::<String>());
    for line in [READY, "[KafkaServer id=1] started", "Kafka Server started"] {
        assert_eq!(out.matches(line).count(), 1, "{line}: {out}");
    }
    let cpu_ms = cpu_ms(container.pid());
    println!("processor time until ready: {cpu_ms} ms");
    assert!(cpu_ms <= 100, "{cpu_ms} ms, which at a tenth of a processor is more than a second");
    let rss_kib = status_kib(container.pid(), "VmRSS:");
    println!("resident when idle: {rss_kib} KiB");
    assert!(rss_kib <= 16 << 10, "{rss_kib} KiB when idle");
    container.round_trip("localhost:9092");
    assert_eq!(container.exec(&["ottla", "healthcheck"]).0, Some(0));
    assert_eq!(container.exec(&["ottla", "healthcheck", "-b", "localhost:1"]).0, Some(1));
    assert!(container.sh("wget -qO- http://localhost:8080/readyz").contains("ready"));
    assert_eq!(container.exec(&["touch", "/opt/kafka/x"]).0, Some(1), "the root is read-only");
    let (code, took) = container.stop();
    println!("SIGTERM to exit: {took:?}");
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(container.inspect("{{.State.OOMKilled}}"), "false");
}

#[test]
fn what_was_written_is_there_after_a_stop_and_a_start_on_the_same_volume() {
    let Some(image) = image() else { return };
    let directory = tempfile::tempdir().unwrap();
    // A volume of somebody else's, with what a fresh ext4 has in it.
    std::fs::create_dir(directory.path().join("lost+found")).unwrap();
    let volume = format!("{}:/var/lib/kafka/data", directory.path().display());
    let options = ["--volume", &volume, "--read-only", "--user", "0"];
    let wanted = Wanted { options: &options, ..Wanted::default() };
    let first = Container::run(image, &wanted);
    first.wait_for(READY);
    first.round_trip("localhost:9092");
    assert_eq!(first.stop().0, 0);
    let second = Container::run(image, &wanted);
    second.wait_for(READY);
    assert_eq!(second.sh("ottla consume there-and-back --from-beginning -n 1"), "b\n");
}

#[test]
fn too_little_memory_is_refused_with_the_number() {
    let Some(image) = image() else { return };
    let options = ["--memory", "24m"];
    let container = Container::run(image, &Wanted { options: &options, ..Wanted::default() });
    assert_eq!(container.wait_for_end(), 1);
    let (_, err) = container.logs();
    assert!(err.contains("may use 25165824 bytes") && err.contains("needs 33554432"), "{err}");
}

#[test]
fn the_least_memory_that_is_accepted_is_enough() {
    let Some(image) = image() else { return };
    let options = ["--memory", "32m", "--memory-swap", "32m"];
    let container = Container::run(image, &Wanted { options: &options, ..Wanted::default() });
    container.wait_for(READY);
    container.sh("ottla topic create load --partitions 4");
    // 32 MB through a broker that may use as much.
    container.sh("yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -n 450000 | ottla produce load >&2");
    assert!(container.is_running());
    container.round_trip("localhost:9092");
}

#[test]
fn a_directory_that_cannot_be_written_is_told_with_the_cure() {
    let Some(image) = image() else { return };
    let directory = tempfile::tempdir().unwrap();
    let volume = format!("{}:/var/lib/kafka/data:ro", directory.path().display());
    let options = ["--volume", &volume];
    let container = Container::run(image, &Wanted { options: &options, ..Wanted::default() });
    assert_eq!(container.wait_for_end(), 1);
    let (_, err) = container.logs();
    assert!(err.contains("/var/lib/kafka/data"), "{err}");
}
