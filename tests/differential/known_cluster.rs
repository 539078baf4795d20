//! The differences that are meant in what is asked of the cluster as a whole.

use crate::known::{ALL, Known};

pub(crate) const CLUSTER: &[Known] = &[
    Known {
        place: "cluster: ",
        api: "",
        versions: ALL,
        path: "error_message",
        kafka: "\"\"",
        ottla: "None",
        reason: "success has no message; Kafka sends an empty one",
    },
    Known {
        place: "cluster: the quorum",
        api: "DescribeQuorum",
        versions: ALL,
        path: "replica_directory_id",
        kafka: "AAAAAAAAAAAAAAAAAAAAAA",
        ottla: "",
        reason: "Kafka knows directories from kraft.version 1 on; here they are always known",
    },
    Known {
        place: "cluster: the quorum",
        api: "DescribeQuorum",
        versions: ALL,
        path: "listeners[CONTROLLER]",
        kafka: "CONTROLLER",
        ottla: "nothing",
        reason: "the controller has no listener of its own",
    },
    Known {
        place: "cluster: features: a level that it has",
        api: "UpdateFeatures",
        versions: ALL,
        path: "",
        kafka: "NONE",
        ottla: "",
        reason: "no feature has levels here yet",
    },
];
