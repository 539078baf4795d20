//! Appending to a log and reading its end, on the file system of the temporary directory: `cargo bench -p storage`.

#![allow(clippy::unwrap_used, reason = "whatever fails here has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use protocol::Uuid;
use protocol::records::BatchBuilder;
use storage::{AppendOrigin, LogConfig, LogDir, OsDisk, PartitionLog, SharedLimits, TopicPartition};
use tempfile::TempDir;

/// Records in batches, and bytes of each.
const BATCHES: [(&str, usize, usize); 2] = [("1 record of 1 KB", 1, 1024), ("64 records of 1 KB", 64, 1000)];
/// A log is replaced when it has so many bytes, so that the page cache and the disk see no more of them.
const LOG_MAX_BYTES: u64 = 128 << 20;

criterion_group! {
    name = hot_path;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = append, read
}
criterion_main!(hot_path);

fn batch(records: usize, value_bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(0);
    (0..records).for_each(|_| builder.append(1_000, None, Some(&vec![b'x'; value_bytes]), &[]));
    builder.build().freeze()
}

/// A log in a directory of its own, with both of which it ends.
struct Rig {
    log: PartitionLog,
    _dir: LogDir,
    _path: TempDir,
}

impl Rig {
    fn new(tail_cache_bytes: usize) -> Rig {
        let path = tempfile::tempdir().unwrap();
        let limits = SharedLimits { tail_cache_bytes, ..SharedLimits::default() };
        let dir = LogDir::open(Arc::new(OsDisk), path.path(), limits).unwrap();
        let partition = TopicPartition { topic: "orders".into(), index: 0 };
        let config = LogConfig { retention_ms: None, timestamp_after_max_ms: None, ..LogConfig::default() };
        let log = dir.open_log(&partition, Uuid::from_random([1; 16]).unwrap(), config).unwrap();
        Rig { log, _dir: dir, _path: path }
    }

    fn append(&self, batch: Bytes) {
        self.log.append_as_leader(batch, 0, AppendOrigin::Client, 1_000).unwrap();
    }
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    for (name, records, value_bytes) in BATCHES {
        let batch = batch(records, value_bytes);
        group.throughput(Throughput::Bytes(batch.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            let mut rig = Rig::new(SharedLimits::default().tail_cache_bytes);
            bencher.iter_custom(|count| {
                let mut spent = Duration::ZERO;
                for _ in 0..count {
                    if rig.log.size_bytes() > LOG_MAX_BYTES {
                        rig = Rig::new(SharedLimits::default().tail_cache_bytes);
                    }
                    // A frame of its own, as it comes from a socket: what is large is kept without a copy.
                    let frame = Bytes::copy_from_slice(&batch);
                    let begun = Instant::now();
                    rig.append(frame);
                    spent += begun.elapsed();
                }
                spent
            });
        });
    }
}

/// The last batch, from memory and from the file.
fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read the last batch");
    for (name, records, value_bytes) in BATCHES {
        let batch = batch(records, value_bytes);
        for (place, tail_cache_bytes) in [("tail cache", SharedLimits::default().tail_cache_bytes), ("mapped file", 0)]
        {
            let rig = Rig::new(tail_cache_bytes);
            (0..100).for_each(|_| rig.append(Bytes::copy_from_slice(&batch)));
            let end = rig.log.log_end_offset();
            group.bench_function(BenchmarkId::new(place, name), |bencher| {
                bencher.iter(|| rig.log.read(black_box(end - 1), 1 << 20, end, true).unwrap());
            });
        }
    }
}
