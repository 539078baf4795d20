//! `kafka-metadata-quorum`.

use protocol::Uuid;

use super::flags::{Flag, Parsed, switch, value};
use super::table::table;
use super::{BOOTSTRAP_CONTROLLER, cluster_endpoint, of_cluster, sub_command};
use crate::admin::quorum::{self, Described, ReplicaState};
use crate::clock::now_ms;
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    value("bootstrap-server", "host:port", "Brokers to connect to, with commas between them"),
    BOOTSTRAP_CONTROLLER,
    value("command-config", "file", "Properties of the client"),
    switch("status", "describe: a summary of the quorum"),
    switch("replication", "describe: how far each member is"),
    switch("human-readable", "describe --replication: times as their age"),
    value("controller-id", "n", "remove-controller: not possible, there is one node").or(&["i"]),
    value("controller-directory-id", "id", "remove-controller: not possible, there is one node").or(&["d"]),
    switch("dry-run", "add-controller, remove-controller: not possible, there is one node"),
];

const COLUMNS: [&str; 7] =
    ["NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    let command = sub_command(parsed, &["describe", "add-controller", "remove-controller"])?;
    match (command, parsed.has("status"), parsed.has("replication")) {
        ("describe", true, true) => {
            let text = "Only one of --status or --replication should be specified with describe sub-command";
            Err(Failure::Input(text.into()))
        }
        ("describe", true, false) if parsed.has("human-readable") => {
            Err(Failure::Input("The option --human-readable is only supported along with --replication".into()))
        }
        ("describe", true, false) => say(&status(parsed).await?),
        ("describe", false, true) => say(&replication(parsed).await?),
        ("describe", false, false) => {
            let text = "One of --status or --replication must be specified with describe sub-command";
            Err(Failure::Input(text.into()))
        }
        (change, ..) => Err(refused(parsed, change)),
    }
}

/// Who is a controller does not change while there is one node.
fn refused(parsed: &Parsed, change: &str) -> Failure {
    if change == "remove-controller" {
        for flag in ["controller-id", "controller-directory-id"] {
            if !parsed.has(flag) {
                return Failure::Usage(format!("error: argument --{flag} is required"));
            }
        }
    } else if !parsed.has("command-config") {
        let text = "You must supply the configuration file of the controller you are adding when using add-controller.";
        return Failure::Input(text.into());
    }
    Failure::Input(format!(
        "org.apache.kafka.common.errors.UnsupportedVersionException: {change} is not possible: the cluster is one node, \
         which is its only controller"
    ))
}

async fn status(parsed: &Parsed) -> Result<String, Failure> {
    let endpoint = cluster_endpoint(parsed).await?;
    let quorum = quorum::describe(&endpoint).await.map_err(of_cluster)?;
    let leader = leader(&quorum)?;
    let state = &quorum.state;
    let last = state.current_voters.iter().min_by_key(|voter| voter.log_end_offset).unwrap_or(leader);
    let (ours, theirs) = (leader.last_caught_up_timestamp, last.last_caught_up_timestamp);
    let lag_ms = if leader == last {
        0
    } else if ours < 0 || theirs < 0 {
        -1
    } else {
        ours - theirs
    };
    Ok(format!(
        "ClusterId:              {}\nLeaderId:               {}\nLeaderEpoch:            {}\nHighWatermark:          {}\n\
         MaxFollowerLag:         {}\nMaxFollowerLagTimeMs:   {lag_ms}\nCurrentVoters:          {}\n\
         CurrentObservers:       {}\n",
        endpoint.cluster.cluster_id,
        state.leader_id,
        state.leader_epoch,
        state.high_watermark,
        leader.log_end_offset - last.log_end_offset,
        members(&quorum, &state.current_voters),
        members(&quorum, &state.observers),
    ))
}

fn leader(quorum: &Described) -> Result<&ReplicaState, Failure> {
    quorum.leader().ok_or_else(|| Failure::Input("the leader of the quorum is none of its voters; ask again".into()))
}

fn members(quorum: &Described, replicas: &[ReplicaState]) -> String {
    let member = |replica: &ReplicaState| {
        let mut text = format!("{{\"id\": {}", replica.replica_id);
        if replica.replica_directory_id != Uuid::ZERO {
            text.push_str(&format!(", \"directoryId\": \"{}\"", replica.replica_directory_id));
        }
        let node = quorum.nodes.iter().find(|node| node.node_id == replica.replica_id);
        let listeners = node.into_iter().flat_map(|node| &node.listeners);
        let endpoints: Vec<String> =
            listeners.map(|listener| format!("\"{}://{}:{}\"", listener.name, listener.host, listener.port)).collect();
        if !endpoints.is_empty() {
            text.push_str(&format!(", \"endpoints\": [{}]", endpoints.join(", ")));
        }
        text + "}"
    };
    format!("[{}]", replicas.iter().map(member).collect::<Vec<_>>().join(", "))
}

async fn replication(parsed: &Parsed) -> Result<String, Failure> {
    let quorum = quorum::describe(&cluster_endpoint(parsed).await?).await.map_err(of_cluster)?;
    let leader = leader(&quorum)?;
    let now_ms = parsed.has("human-readable").then(now_ms);
    let row = |replica: &ReplicaState, status: &str| {
        let time = |timestamp_ms: i64| match now_ms {
            Some(now_ms) if timestamp_ms >= 0 => format!("{} ms ago", (now_ms - timestamp_ms).max(0)),
            _ => timestamp_ms.to_string(),
        };
        [
            replica.replica_id.to_string(),
            replica.replica_directory_id.to_string(),
            replica.log_end_offset.to_string(),
            (leader.log_end_offset - replica.log_end_offset).to_string(),
            time(replica.last_fetch_timestamp),
            time(replica.last_caught_up_timestamp),
            status.to_string(),
        ]
    };
    let followers = quorum.state.current_voters.iter().filter(|voter| *voter != leader);
    let mut rows = vec![COLUMNS.map(str::to_owned), row(leader, "Leader")];
    rows.extend(followers.map(|voter| row(voter, "Follower")));
    rows.extend(quorum.state.observers.iter().map(|observer| row(observer, "Observer")));
    Ok(table(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::quorum::{Node, PartitionData};
    use protocol::messages::describe_quorum::Listener;

    #[test]
    fn members_are_named_with_what_is_known_of_them() {
        let replica =
            |replica_id, replica_directory_id| ReplicaState { replica_id, replica_directory_id, ..Default::default() };
        let listener = Listener { name: "CONTROLLER".into(), host: "c".into(), port: 9093 };
        let quorum =
            Described { state: PartitionData::default(), nodes: vec![Node { node_id: 2, listeners: vec![listener] }] };
        let shown = members(&quorum, &[replica(1, Uuid([1; 16])), replica(2, Uuid::ZERO)]);
        let expected =
            r#"[{"id": 1, "directoryId": "AQEBAQEBAQEBAQEBAQEBAQ"}, {"id": 2, "endpoints": ["CONTROLLER://c:9093"]}]"#;
        assert_eq!(shown, expected);
        assert_eq!(members(&quorum, &[]), "[]");
    }
}
