//! How much memory the cgroup grants, v2 or v1.

use std::path::Path;

/// A v1 cgroup without a limit says a number close to `i64::MAX`.
const UNLIMITED: u64 = 1 << 60;

/// The limit of the cgroup that this process is in, or of one around it, whichever is less. `root` is `/`.
pub(crate) fn memory_limit(root: &Path) -> Option<u64> {
    let membership = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mount = root.join("sys/fs/cgroup");
    let limits = membership.lines().filter_map(|line| {
        let (_, controllers_and_path) = line.split_once(':')?;
        let (controllers, path) = controllers_and_path.split_once(':')?;
        if controllers.is_empty() {
            least(&mount, path, "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            least(&mount.join("memory"), path, "memory.limit_in_bytes")
        } else {
            None
        }
    });
    limits.min()
}

/// The least limit on the way from the cgroup at `path` up to the mount. Inside a container the path may not be visible:
/// then the mount itself is the container's cgroup.
fn least(mount: &Path, path: &str, file: &str) -> Option<u64> {
    let leaf = mount.join(path.trim_start_matches('/'));
    let around = leaf.ancestors().take_while(|directory| directory.starts_with(mount));
    let read = |directory: &Path| std::fs::read_to_string(directory.join(file)).ok()?.trim().parse::<u64>().ok();
    around.filter_map(read).filter(|limit| *limit < UNLIMITED).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        memory_limit(root.path())
    }

    #[test]
    fn the_least_limit_on_the_way_up_counts() {
        let v2 = [
            ("proc/self/cgroup", "0::/pods/one\n"),
            ("sys/fs/cgroup/pods/memory.max", "67108864\n"),
            ("sys/fs/cgroup/pods/one/memory.max", "max\n"),
        ];
        assert_eq!(limit(&v2), Some(64 << 20));
        let hidden = [("proc/self/cgroup", "0::/../elsewhere\n"), ("sys/fs/cgroup/memory.max", "1048576\n")];
        assert_eq!(limit(&hidden), Some(1 << 20));
        let v1 = [
            ("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/docker/x\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "134217728\n"),
        ];
        assert_eq!(limit(&v1), Some(128 << 20));
        assert_eq!(limit(&v2[..1]), None);
        assert_eq!(limit(&[]), None);
    }
}
