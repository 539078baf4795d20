//! The kafka-*.sh tools by name.

use super::{Outcome, jars};

const TOOLS: &[(&str, &str)] = &[
    ("acls", "org.apache.kafka.tools.AclCommand"),
    ("broker-api-versions", "org.apache.kafka.tools.BrokerApiVersionsCommand"),
    ("client-metrics", "org.apache.kafka.tools.ClientMetricsCommand"),
    ("cluster", "org.apache.kafka.tools.ClusterTool"),
    ("configs", "kafka.admin.ConfigCommand"),
    ("connect-distributed", "org.apache.kafka.connect.cli.ConnectDistributed"),
    ("connect-standalone", "org.apache.kafka.connect.cli.ConnectStandalone"),
    ("console-consumer", "org.apache.kafka.tools.consumer.ConsoleConsumer"),
    ("console-producer", "org.apache.kafka.tools.ConsoleProducer"),
    ("console-share-consumer", "org.apache.kafka.tools.consumer.ConsoleShareConsumer"),
    ("consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
    ("consumer-perf-test", "org.apache.kafka.tools.ConsumerPerformance"),
    ("delegation-tokens", "org.apache.kafka.tools.DelegationTokenCommand"),
    ("delete-records", "org.apache.kafka.tools.DeleteRecordsCommand"),
    ("dump-log", "org.apache.kafka.tools.DumpLogSegments"),
    ("e2e-latency", "org.apache.kafka.tools.EndToEndLatency"),
    ("features", "org.apache.kafka.tools.FeatureCommand"),
    ("get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
    ("groups", "org.apache.kafka.tools.GroupsCommand"),
    ("leader-election", "org.apache.kafka.tools.LeaderElectionCommand"),
    ("log-dirs", "org.apache.kafka.tools.LogDirsCommand"),
    ("metadata-quorum", "org.apache.kafka.tools.MetadataQuorumCommand"),
    ("mirror-maker", "org.apache.kafka.connect.mirror.MirrorMaker"),
    ("producer-perf-test", "org.apache.kafka.tools.ProducerPerformance"),
    ("reassign-partitions", "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"),
    ("replica-verification", "org.apache.kafka.tools.ReplicaVerificationTool"),
    ("share-groups", "org.apache.kafka.tools.consumer.group.ShareGroupCommand"),
    ("storage", "kafka.tools.StorageTool"),
    ("streams-groups", "org.apache.kafka.tools.streams.StreamsGroupCommand"),
    ("topics", "org.apache.kafka.tools.TopicCommand"),
    ("transactions", "org.apache.kafka.tools.TransactionsCommand"),
    ("verifiable-consumer", "org.apache.kafka.tools.VerifiableConsumer"),
    ("verifiable-producer", "org.apache.kafka.tools.VerifiableProducer"),
];

/// Runs a tool in the foreground, with its streams ours and its exit status ours. The heap is `ORACLE_HEAP`.
pub(crate) fn run(args: &[String]) -> Outcome<()> {
    let Some((asked, mut rest)) = args.split_first() else {
        return Err("oracle tool: which tool?".to_owned());
    };
    let name = asked.trim_start_matches("kafka-").trim_end_matches(".sh");
    let class = if name == "run-class" {
        let (class, after) = rest.split_first().ok_or("oracle tool run-class: which class?")?;
        rest = after;
        class.as_str()
    } else {
        let found = TOOLS.iter().find(|(tool, _)| *tool == name);
        found.map(|(_, class)| *class).ok_or_else(|| format!("oracle: no tool named {asked}"))?
    };
    let heap = std::env::var("ORACLE_HEAP").unwrap_or_else(|_| "256m".to_owned());
    let jars = jars::fetch(&jars::wanted_version())?;
    let status = jars::java(&jars, &heap).arg(class).args(rest).status().map_err(|e| format!("java: {e}"))?;
    std::process::exit(status.code().unwrap_or(1));
}
