//! What other people's programs wait for on a broker's standard output: Testcontainers, start scripts and CI jobs look
//! for words that Kafka logs when it has started. Each comes once, when it is true.

use std::io::{self, Write};

/// Says that broker `node_id` serves. That nobody reads it is no reason to stop.
pub(crate) fn print(node_id: i32) {
    let lines = lines(node_id);
    let mut out = io::stdout().lock();
    let _ = out.write_all(lines.as_bytes()).and_then(|()| out.flush());
}

fn lines(node_id: i32) -> String {
    // The first two are what waits for a broker with a ZooKeeper: its first log, and its first look at leaders.
    format!(
        "[LogManager id={node_id}] Creating new log file where there was none: done\n\
         [Controller id={node_id}] Checking need to trigger auto leader balancing: none\n\
         [BrokerLifecycleManager id={node_id}] Transitioning from RECOVERY to RUNNING\n\
         [KafkaRaftServer nodeId={node_id}] Kafka Server started\n\
         [KafkaServer id={node_id}] started\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_awaited_text_is_there_once() {
        for awaited in [
            "Transitioning from RECOVERY to RUNNING",
            "[KafkaServer id=7] started",
            "Kafka Server started",
            "Creating new log file",
            "Checking need to trigger auto leader balancing",
        ] {
            assert_eq!(lines(7).matches(awaited).count(), 1, "{awaited}");
        }
    }
}
