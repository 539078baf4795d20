//! RemoveRaftVoter: an admin client asks the controller to remove a voter from the metadata quorum (KIP-853).

use crate::api::*;
use crate::{ErrorCode, Uuid};

api! {
    /// Removes a voter from the metadata quorum.
    RemoveRaftVoter = 81, versions 0..=0, flexible 0..;

    request RemoveRaftVoterRequest {
        cluster_id: Option<String> [nullable 0],
        voter_id: i32,
        voter_directory_id: Uuid,
    }

    response RemoveRaftVoterResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
    }
}
