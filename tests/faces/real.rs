//! Kafka's tools, in one JVM that `Tools.java` runs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::Said;

const CLASSES: &[(&str, &str)] = &[
    ("broker-api-versions", "org.apache.kafka.tools.BrokerApiVersionsCommand"),
    ("cluster", "org.apache.kafka.tools.ClusterTool"),
    ("client-metrics", "org.apache.kafka.tools.ClientMetricsCommand"),
    ("configs", "kafka.admin.ConfigCommand"),
    ("console-consumer", "org.apache.kafka.tools.consumer.ConsoleConsumer"),
    ("console-producer", "org.apache.kafka.tools.ConsoleProducer"),
    ("consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
    ("delete-records", "org.apache.kafka.tools.DeleteRecordsCommand"),
    ("dump-log", "org.apache.kafka.tools.DumpLogSegments"),
    ("features", "org.apache.kafka.tools.FeatureCommand"),
    ("get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
    ("groups", "org.apache.kafka.tools.GroupsCommand"),
    ("leader-election", "org.apache.kafka.tools.LeaderElectionCommand"),
    ("log-dirs", "org.apache.kafka.tools.LogDirsCommand"),
    ("metadata-quorum", "org.apache.kafka.tools.MetadataQuorumCommand"),
    ("reassign-partitions", "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"),
    ("storage", "kafka.tools.StorageTool"),
    ("topics", "org.apache.kafka.tools.TopicCommand"),
    ("transactions", "org.apache.kafka.tools.TransactionsCommand"),
];

/// The JVM. It ends with its standard input.
pub(crate) struct Tools {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Tools {
    /// # Errors
    /// When there is no Java, or Kafka's release cannot be had.
    pub(crate) fn start() -> Result<Tools, String> {
        let java = Command::new("java").arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !java.is_ok_and(|status| status.success()) {
            return Err("there is no Java".into());
        }
        let root = env!("CARGO_MANIFEST_DIR");
        let mut process = Command::new(env!("CARGO"))
            .args(["xtask", "oracle", "tool", "run-class"])
            .arg(format!("{root}/tests/faces/Tools.java"))
            .current_dir(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cargo xtask: {error}"))?;
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut tools = Tools { process, input, output };
        // The first answer says that the release is there.
        let said = tools.ask("topics", &["--version".into()], "");
        said.map(|_| tools).ok_or_else(|| "Apache Kafka's tools do not run (cargo xtask oracle)".into())
    }

    pub(crate) fn run(&mut self, tool: &str, arguments: &[String], input: &str) -> Said {
        self.ask(tool, arguments, input).unwrap_or_else(|| panic!("the JVM died of {tool} {arguments:?}"))
    }

    fn ask(&mut self, tool: &str, arguments: &[String], input: &str) -> Option<Said> {
        let class = CLASSES.iter().find(|(name, _)| *name == tool).unwrap_or_else(|| panic!("no class for {tool}")).1;
        let words = [class, input].into_iter().chain(arguments.iter().map(String::as_str));
        let words: Vec<String> = words.map(to_hex).collect();
        writeln!(self.input, "{}", words.join(" ")).ok()?;
        self.input.flush().ok()?;
        let mut line = String::new();
        self.output.read_line(&mut line).ok()?;
        let mut parts = line.trim_end_matches('\n').split(' ');
        let code = parts.next()?.parse().ok()?;
        Some(Said { code, out: from_hex(parts.next()?), err: from_hex(parts.next()?) })
    }
}

impl Drop for Tools {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A tool in a JVM of its own.
pub(crate) fn alone(tool: &str, arguments: &[String]) -> Said {
    let root = env!("CARGO_MANIFEST_DIR");
    let output = Command::new(env!("CARGO"))
        .args(["xtask", "oracle", "tool", tool])
        .args(arguments)
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn to_hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> String {
    let byte = |place: usize| u8::from_str_radix(&text[place..place + 2], 16).unwrap();
    String::from_utf8_lossy(&(0..text.len()).step_by(2).map(byte).collect::<Vec<u8>>()).into_owned()
}
