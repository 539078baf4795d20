//! Memory and disk: what ends a broker that is otherwise well.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use client::ClientError;
use protocol::ErrorCode;
use protocol::messages::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResult};
use tokio::time::timeout;

use super::brokers::Visited;
use super::report::Finding;

/// Free room in percent of the volume, below which there is a warning, and below which it is as good as full unless
/// what is left is much by itself.
const ROOM_WARN_PERCENT: i64 = 15;
const ROOM_FAIL_PERCENT: i64 = 3;
const ROOM_FAIL_BYTES: u64 = 2 << 30;
/// A v1 cgroup without a limit says a number close to `i64::MAX`.
const UNLIMITED: u64 = 1 << 60;

/// The memory limit of the container that this process is in. `root` is `/`.
pub(super) fn memory(root: &Path) -> Finding {
    const CHECK: &str = "memory";
    let groups = control_groups(root);
    let limit = groups.iter().filter_map(|group| number(&group.directory.join(group.limit))).min();
    let limit = limit.filter(|limit| *limit < UNLIMITED);
    let killed: u64 = groups.iter().filter_map(|group| oom_kills(&group.directory)).max().unwrap_or(0);
    let what = match limit {
        Some(limit) => format!("the limit here is {}", size(limit)),
        None => "no limit is set here".into(),
    };
    if killed == 0 {
        return Finding::ok(CHECK, what);
    }
    let cure = "raise the container's limit (resources.limits.memory, docker run --memory), or give other processes in \
                it less";
    Finding::warn(CHECK, format!("{what}, and the kernel has killed {killed} processes for want of it"), cure)
}

struct ControlGroup {
    directory: PathBuf,
    limit: &'static str,
}

/// The cgroup of this process and those around it, v2 and v1, as far as they can be seen.
fn control_groups(root: &Path) -> Vec<ControlGroup> {
    let membership = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mount = root.join("sys/fs/cgroup");
    let mut groups = Vec::new();
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (mount, limit) = match controllers {
            "" => (mount.clone(), "memory.max"),
            "memory" => (mount.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        let leaf = mount.join(path.trim_start_matches('/'));
        let around = leaf.ancestors().take_while(|directory| directory.starts_with(&mount));
        groups.extend(around.map(|directory| ControlGroup { directory: directory.into(), limit }));
    }
    groups
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn oom_kills(directory: &Path) -> Option<u64> {
    let events = fs::read_to_string(directory.join("memory.events.local")).ok()?;
    events.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// The log directories of a broker: whether they work, and how full their volumes are.
pub(super) async fn disk(broker: &Visited, limit: Duration) -> Vec<Finding> {
    let request = DescribeLogDirsRequest { topics: Some(Vec::new()) };
    let whose = format!("broker {}", broker.node_id);
    match timeout(limit, broker.connection.send(&request)).await {
        Ok(Ok(answer)) if answer.error_code == ErrorCode::NONE => {
            answer.results.iter().map(|directory| directory_finding(&whose, directory)).collect()
        }
        Ok(Ok(answer)) => vec![unknown(&whose, &answer.error_code.to_string())],
        Ok(Err(ClientError::Unsupported { .. })) => vec![unknown(&whose, "it does not serve DescribeLogDirs")],
        Ok(Err(error)) => vec![unknown(&whose, &error.to_string())],
        Err(_) => vec![unknown(&whose, &format!("no answer within {} ms", limit.as_millis()))],
    }
}

fn unknown(whose: &str, why: &str) -> Finding {
    let cure = "look at the machine itself: df -h";
    Finding::warn("disk", format!("{whose}: how full its disk is, is not known: {why}"), cure)
}

fn directory_finding(whose: &str, directory: &DescribeLogDirsResult) -> Finding {
    const CHECK: &str = "disk";
    let what = format!("{whose}: {}", directory.log_dir);
    if directory.error_code != ErrorCode::NONE {
        let cure = "the directory takes no more writes: its log says why; mend the disk and restart the broker";
        return Finding::fail(CHECK, format!("{what} is offline ({})", directory.error_code), cure);
    }
    let (Ok(usable), Ok(total)) = (u64::try_from(directory.usable_bytes), u64::try_from(directory.total_bytes)) else {
        return Finding::ok(CHECK, format!("{what} works; how much room it has, this broker does not tell"));
    };
    let percent = directory.usable_bytes.saturating_mul(100) / directory.total_bytes.max(1);
    let what = format!("{what} has {} free of {}, {percent} %", size(usable), size(total));
    let cure = "enlarge the volume, or keep less: retention.ms and retention.bytes of the largest topics, \
                ottla.log.retention.total.bytes for all together";
    match percent {
        ..ROOM_FAIL_PERCENT if usable < ROOM_FAIL_BYTES => Finding::fail(CHECK, what, cure),
        ..ROOM_WARN_PERCENT => Finding::warn(CHECK, what, cure),
        _ => Finding::ok(CHECK, what),
    }
}

fn size(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, "bytes");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::super::report::Level;
    use super::*;

    #[test]
    fn a_nearly_full_volume_is_warned_of_and_a_full_one_fails() {
        let directory = |usable_bytes, error_code| DescribeLogDirsResult {
            log_dir: "/data".into(),
            total_bytes: 100 << 30,
            usable_bytes,
            error_code,
            ..Default::default()
        };
        let level = |usable, code| directory_finding("broker 1", &directory(usable, code)).level;
        assert_eq!(level(50 << 30, ErrorCode::NONE), Level::Ok);
        assert_eq!(level(14 << 30, ErrorCode::NONE), Level::Warn);
        assert_eq!(level(2 << 30, ErrorCode::NONE), Level::Warn, "two percent, and yet much");
        assert_eq!(level(1 << 30, ErrorCode::NONE), Level::Fail);
        assert_eq!(level(-1, ErrorCode::NONE), Level::Ok, "an old broker does not tell");
        assert_eq!(level(50 << 30, ErrorCode::KAFKA_STORAGE_ERROR), Level::Fail);
    }

    #[test]
    fn the_least_limit_around_counts_and_kills_are_warned_of() {
        let root = tempfile::tempdir().unwrap();
        let file = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(memory(root.path()).what, "no limit is set here");
        file("proc/self/cgroup", "0::/pod/broker\n");
        file("sys/fs/cgroup/pod/memory.max", "67108864\n");
        file("sys/fs/cgroup/pod/broker/memory.max", "max\n");
        file("sys/fs/cgroup/pod/broker/memory.events.local", "oom 4\noom_kill 0\n");
        let well = memory(root.path());
        assert_eq!((well.level, well.what.as_str()), (Level::Ok, "the limit here is 64.0 MiB"));
        file("sys/fs/cgroup/pod/broker/memory.events.local", "oom 4\noom_kill 3\n");
        let ill = memory(root.path());
        assert!(ill.level == Level::Warn && ill.what.contains("killed 3 processes"), "{ill:?}");
        file("proc/self/cgroup", "7:memory:/x\n");
        file("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(memory(root.path()).what, "no limit is set here", "what v1 says for none");
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!([size(1023), size(64 << 20), size(3 << 29)], ["1023 bytes", "64.0 MiB", "1.5 GiB"]);
    }
}
