//! AddRaftVoter: an admin client asks the controller to make a node a voter of the metadata quorum (KIP-853).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Makes a node a voter of the metadata quorum.
    AddRaftVoter = 80, versions 0..=1, flexible 0..;

    request AddRaftVoterRequest {
        cluster_id: Option<String> [nullable 0],
        timeout_ms: i32,
        voter_id: i32,
        voter_directory_id: Uuid,
        listeners: Vec<Listener>,
        ack_when_committed: bool [since 1] = true,
    }

    response AddRaftVoterResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }

    struct Listener {
        name: String,
        host: String,
        port: u16,
    }
}
