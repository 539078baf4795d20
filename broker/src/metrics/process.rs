//! The process as the operating system sees it, under the names that every Prometheus client library uses.

use std::fs;

use super::text::Exposition;
use super::text::Kind::{Counter, Gauge};

/// Linux counts processor time in these, per second, for every program.
const TICKS_PER_SECOND: f64 = 100.0;

/// Writes what `/proc` tells; on a system without it, nothing.
pub(super) fn write(out: &mut Exposition<'_>) {
    if let Ok(stat) = fs::read_to_string("/proc/self/stat") {
        // The name in parentheses may hold anything, blanks included.
        let fields: Vec<f64> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().map(number).collect();
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default();
        let cpu_seconds = (field(14) + field(15)) / TICKS_PER_SECOND;
        out.single("process_cpu_seconds_total", Counter, "Processor time used, seconds.", cpu_seconds);
        out.single("process_threads", Gauge, "Threads.", field(20));
        out.single("process_virtual_memory_bytes", Gauge, "Address space, bytes.", field(23));
        let started = boot_seconds() + field(22) / TICKS_PER_SECOND;
        out.single("process_start_time_seconds", Gauge, "When it started, seconds since 1970.", started);
    }
    if let Some(bytes) = resident_bytes() {
        out.single("process_resident_memory_bytes", Gauge, "Resident memory, bytes.", bytes);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        // The listing itself has one open.
        out.single("process_open_fds", Gauge, "Open files and sockets.", entries.count().saturating_sub(1));
    }
    if let Some(limit) = value_of("/proc/self/limits", "Max open files") {
        out.single("process_max_fds", Gauge, "Files and sockets that may be open.", limit);
    }
    for (name, key) in [
        ("kafka_server_kafkaserver_linux_disk_read_bytes", "read_bytes:"),
        ("kafka_server_kafkaserver_linux_disk_write_bytes", "write_bytes:"),
    ] {
        if let Some(bytes) = value_of("/proc/self/io", key) {
            out.single(name, Gauge, "Bytes that went to or came from a disk for this process.", bytes);
        }
    }
}

/// Memory that is in use and not swapped out.
pub(super) fn resident_bytes() -> Option<u64> {
    Some(value_of("/proc/self/status", "VmRSS:")? * 1024)
}

/// The number behind `key` at the start of a line.
fn value_of(path: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn boot_seconds() -> f64 {
    value_of("/proc/stat", "btime").unwrap_or_default() as f64
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_default()
}
