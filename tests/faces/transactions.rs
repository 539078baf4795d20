//! Transactions that are left open, and what `kafka-transactions` does about them.

use std::time::{Duration, SystemTime};

use client::{Cluster, OutgoingRecord, TransactionalProducer};
use protocol::records::Codec;

use super::process::Broker;
use super::{Said, face, script};

/// As long as a broker lets one last, nearly: no test takes so long.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Leaves a transaction open that has a record in the first partition of a topic.
pub(crate) fn leave_open(address: &str, id: &str, topic: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::connect(address, "faces").await.unwrap();
        let mut producer = TransactionalProducer::new(&cluster, Codec::None, id, TIMEOUT).await.unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let value = Some(id.as_bytes().to_vec().into());
        let record = OutgoingRecord { value, timestamp_ms: now.as_millis() as i64, ..Default::default() };
        producer.send(topic, 0, &[record]).await.unwrap();
    });
}

fn transactions(broker: &Broker, arguments: &str) -> Said {
    face("kafka-transactions", &script::words(&format!("@ {arguments}"), &broker.address), "")
}

/// The cells of the table that it prints, without their blanks.
fn table(broker: &Broker, arguments: &str) -> Vec<Vec<String>> {
    let said = transactions(broker, arguments);
    assert_eq!(said.code, 0, "{arguments}: {said:?}");
    let cells = |line: &str| line.split('\t').map(|cell| cell.trim_end().to_owned()).collect();
    said.out.lines().skip(1).map(cells).collect()
}

fn read_committed(broker: &Broker) -> String {
    let reading = "@ --topic t --from-beginning --timeout-ms 1000 --isolation-level read_committed";
    face("kafka-console-consumer", &script::words(reading, &broker.address), "").out
}

#[test]
fn what_is_open_is_aborted_by_its_producer() {
    let broker = Broker::start(&["broker"]);
    assert_eq!(face("kafka-topics", &script::words("@ --create --topic t", &broker.address), "").code, 0);
    leave_open(&broker.address, "id", "t");
    let write = script::words("@ --topic t", &broker.address);
    assert_eq!(face("kafka-console-producer", &write, "after\n").code, 0);
    let open = table(&broker, "describe-producers --topic t --partition 0");
    let open = open.iter().find(|producer| producer[5] != "None").unwrap();
    let (producer_id, epoch) = (&open[0], open[1].parse::<i32>().unwrap());
    assert_eq!(read_committed(&broker), "", "what is open holds readers up");
    let abort = format!("abort --topic t --partition 0 --coordinator-epoch {} --producer-id {producer_id}", open[2]);
    let refused = transactions(&broker, &format!("{abort} --producer-epoch {}", epoch - 1));
    assert_eq!(refused.code, 1);
    assert!(refused.err.starts_with("Failed to abort transaction AbortTransactionSpec("), "{refused:?}");
    let aborted = transactions(&broker, &format!("{abort} --producer-epoch {epoch}"));
    assert_eq!((aborted.code, aborted.out.as_str(), aborted.err.as_str()), (0, "", ""));
    assert!(table(&broker, "describe-producers --topic t --partition 0").iter().all(|producer| producer[5] == "None"));
    assert_eq!(read_committed(&broker), "after\n");
}

#[test]
fn what_is_open_is_terminated_by_its_id() {
    let broker = Broker::start(&["broker"]);
    assert_eq!(face("kafka-topics", &script::words("@ --create --topic t", &broker.address), "").code, 0);
    leave_open(&broker.address, "id", "t");
    assert_eq!(table(&broker, "list --transactional-id-pattern i.")[0][3], "Ongoing");
    let terminated = transactions(&broker, "forceTerminateTransaction --transactionalId id");
    assert_eq!((terminated.code, terminated.out.as_str(), terminated.err.as_str()), (0, "", ""));
    let described = table(&broker, "describe --transactional-id id");
    assert_eq!(described[0][4..], ["Empty", "30000", "None", "None", "", ""]);
    assert_eq!(table(&broker, "describe-producers --topic t --partition 0")[0][5], "None");
}
