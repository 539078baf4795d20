//! ApiVersions, DescribeCluster, FindCoordinator, DescribeLogDirs, and frames that are no requests.

use protocol::messages::describe_log_dirs::DescribableLogDirTopic;
use protocol::messages::*;

use super::{create, produce_to};
use crate::batch;
use crate::pair::Pair;

pub(crate) fn run(pair: &mut Pair) {
    pair.every_version("software", |_| ApiVersionsRequest {
        client_software_name: "differential".into(),
        client_software_version: "1.0".into(),
    });
    pair.every_version("software without a name", |_| ApiVersionsRequest::default());
    pair.every_version("software with odd characters", |_| ApiVersionsRequest {
        client_software_name: "-a b-".into(),
        client_software_version: "1".into(),
    });
    pair.scenario("brokers");
    frames(pair);
    cluster(pair);
    // Asking makes Apache Kafka create the topic of the offsets, which may take a while.
    super::wait_for_coordinator(pair);
    coordinators(pair);
    log_dirs(pair);
}

fn frames(pair: &mut Pair) {
    pair.raw("an unknown version of ApiVersions", b"\x00\x12\x00\x63\x00\x00\x00\x07\x00\x02me\x00\x02a\x02b\x00");
    pair.raw("an unknown API", b"\x03\xe7\x00\x00\x00\x00\x00\x07\x00\x02me");
    pair.raw("an unknown version of Metadata", b"\x00\x03\x00\x63\x00\x00\x00\x07\x00\x02me");
    pair.raw("a header cut off", b"\x00\x03\x00\x01\x00");
    pair.raw("a body cut off", b"\x00\x03\x00\x01\x00\x00\x00\x07\x00\x02me\x00\x00");
    pair.raw("a count that cannot be", b"\x00\x03\x00\x01\x00\x00\x00\x07\x00\x02me\x7f\xff\xff\xff");
    pair.raw(
        "a body with more behind it",
        b"\x00\x0c\x00\x00\x00\x00\x00\x07\x00\x02me\x00\x00\x00\x00\x00\x01\x00\x00more",
    );
    pair.raw("an empty frame", b"");
}

fn cluster(pair: &mut Pair) {
    for asked in [false, true] {
        for endpoint_type in [1, 2, 3] {
            pair.every_version(&format!("cluster, endpoints {endpoint_type}, operations {asked}"), |_| {
                DescribeClusterRequest {
                    include_cluster_authorized_operations: asked,
                    endpoint_type,
                    include_fenced_brokers: asked,
                }
            });
        }
    }
}

fn coordinators(pair: &mut Pair) {
    for (key_type, key) in [(0, "group"), (0, ""), (3, "x"), (-1, "x"), (127, "x")] {
        pair.every_version(&format!("coordinator of type {key_type}, key {key:?}"), |_| FindCoordinatorRequest {
            key: key.into(),
            key_type,
            coordinator_keys: vec![key.into(), "another".into()],
        });
    }
    pair.every_version("coordinators of nothing", |_| FindCoordinatorRequest {
        key: "group".into(),
        ..Default::default()
    });
    pair.every_version("coordinators of one group twice", |_| FindCoordinatorRequest {
        key: "group".into(),
        coordinator_keys: vec!["group".into(), "group".into()],
        ..Default::default()
    });
    pair.every_version("coordinator of a share partition", |_| FindCoordinatorRequest {
        key: "not a share key".into(),
        key_type: 2,
        coordinator_keys: vec!["not a share key".into()],
    });
}

fn log_dirs(pair: &mut Pair) {
    create(pair, "dirs", 2, &[]);
    pair.once("a record for the log directory", |side| produce_to(side, "dirs", 0, &batch::plain(3)));
    let wanted = |topic: &str, partitions: &[i32]| DescribableLogDirTopic {
        topic: topic.into(),
        partitions: partitions.to_vec(),
    };
    pair.every_version("log dirs of one topic", |_| DescribeLogDirsRequest {
        topics: Some(vec![wanted("dirs", &[0, 1])]),
    });
    pair.every_version("log dirs of a partition that is not there", |_| DescribeLogDirsRequest {
        topics: Some(vec![wanted("dirs", &[0, 7]), wanted("missing", &[0])]),
    });
    pair.every_version("log dirs of nothing", |_| DescribeLogDirsRequest { topics: Some(Vec::new()) });
}
