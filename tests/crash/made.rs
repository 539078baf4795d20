//! Topics that come and go: what exists, how it is configured, and that nothing of an earlier one is in it.

use client::{ClientError, Cluster, OutgoingRecord, Producer};
use protocol::ErrorCode;
use protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use protocol::messages::delete_topics::DeleteTopicState;
use protocol::messages::describe_configs::DescribeConfigsResource;
use protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use protocol::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
};
use protocol::records::Codec;

use crate::actors::{Stage, is_loss, now_ms, pause};
use crate::reader::read;

const NAMES: [&str; 3] = ["made-a", "made-b", "made-c"];
const TOPIC: i8 = 2;
const SET: i8 = 0;
/// Records written to each topic when it is new, as one batch.
const RECORDS: usize = 3;

/// What may be in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    No,
    Perhaps,
    Yes,
}

#[derive(Debug)]
struct Made {
    name: &'static str,
    /// Unknown while a request about it has no answer.
    exists: Option<bool>,
    /// Counts the topics of this name.
    generation: u32,
    /// What `retention.ms` may be.
    retention_ms: Vec<i64>,
    filled: Filled,
}

/// Whoever makes and deletes them.
pub(crate) struct Maker {
    topics: Vec<Made>,
    random: fastrand::Rng,
    pub(crate) changes: u64,
}

impl Maker {
    pub(crate) fn new(random: fastrand::Rng) -> Maker {
        let made =
            |name| Made { name, exists: Some(false), generation: 0, retention_ms: Vec::new(), filled: Filled::No };
        Maker { topics: NAMES.map(made).into(), random, changes: 0 }
    }

    pub(crate) async fn work(mut self, stage: Stage) -> Maker {
        while !stage.is_over() {
            let at = self.random.usize(..self.topics.len());
            let (action, retention_ms) = (self.random.u32(..4), self.random.i64(3_600_000..90_000_000));
            let made = &mut self.topics[at];
            let done = match (made.exists, action) {
                (None, _) => Ok(()),
                (Some(false), _) => made.create(&stage.cluster, retention_ms).await,
                (Some(true), 0) => made.delete(&stage.cluster).await,
                (Some(true), 1) => made.alter(&stage.cluster, retention_ms).await,
                (Some(true), _) => made.fill(&stage.cluster).await,
            };
            match done {
                Ok(()) => self.changes += 1,
                Err(error) => assert!(is_loss(&error), "{}: {error}", self.topics[at].name),
            }
            pause().await;
        }
        self
    }

    /// Compares each with what the broker says now.
    pub(crate) async fn check(&mut self, cluster: &Cluster) {
        for made in &mut self.topics {
            made.check(cluster).await;
        }
    }
}

impl Made {
    async fn create(&mut self, cluster: &Cluster, retention_ms: i64) -> Result<(), ClientError> {
        let config = CreatableTopicConfig { name: "retention.ms".into(), value: Some(retention_ms.to_string()) };
        let topic = CreatableTopic {
            name: self.name.into(),
            num_partitions: 1,
            replication_factor: 1,
            configs: vec![config],
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
        self.generation += 1;
        (self.exists, self.retention_ms, self.filled) = (None, vec![retention_ms], Filled::No);
        let answer = cluster.any().await?.send(&request).await?;
        ClientError::check("create", answer.topics[0].error_code, None)?;
        self.exists = Some(true);
        Ok(())
    }

    async fn delete(&mut self, cluster: &Cluster) -> Result<(), ClientError> {
        let name = self.name.to_string();
        let topic = DeleteTopicState { name: Some(name.clone()), ..Default::default() };
        let request = DeleteTopicsRequest { topics: vec![topic], topic_names: vec![name], timeout_ms: 10_000 };
        self.exists = None;
        let answer = cluster.any().await?.send(&request).await?;
        ClientError::check("delete", answer.responses[0].error_code, None)?;
        self.exists = Some(false);
        Ok(())
    }

    async fn alter(&mut self, cluster: &Cluster, retention_ms: i64) -> Result<(), ClientError> {
        let config = AlterableConfig {
            name: "retention.ms".into(),
            config_operation: SET,
            value: Some(retention_ms.to_string()),
        };
        let resource =
            AlterConfigsResource { resource_type: TOPIC, resource_name: self.name.into(), configs: vec![config] };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
        self.retention_ms.push(retention_ms);
        let answer = cluster.any().await?.send(&request).await?;
        ClientError::check("alter", answer.responses[0].error_code, None)?;
        self.retention_ms = vec![retention_ms];
        Ok(())
    }

    async fn fill(&mut self, cluster: &Cluster) -> Result<(), ClientError> {
        if self.filled != Filled::No {
            return Ok(());
        }
        self.filled = Filled::Perhaps;
        let mut producer = Producer::idempotent(cluster, Codec::None).await?;
        let record =
            |value: Vec<u8>| OutgoingRecord { value: Some(value.into()), timestamp_ms: now_ms(), ..Default::default() };
        let records: Vec<OutgoingRecord> = self.expected().into_iter().map(record).collect();
        producer.send(self.name, 0, &records).await?;
        self.filled = Filled::Yes;
        Ok(())
    }

    fn expected(&self) -> Vec<Vec<u8>> {
        (0..RECORDS).map(|index| format!("{} {} {index}", self.name, self.generation).into_bytes()).collect()
    }

    async fn check(&mut self, cluster: &Cluster) {
        let exists = match cluster.topic(self.name).await {
            Ok(_) => true,
            Err(error) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => false,
            Err(error) => panic!("{}: {error}", self.name),
        };
        assert!(self.exists.is_none_or(|known| known == exists), "{self:?}: exists is {exists}");
        self.exists = Some(exists);
        if !exists {
            return;
        }
        let retention_ms = retention_ms(cluster, self.name).await;
        assert!(self.retention_ms.contains(&retention_ms), "{self:?}: retention.ms is {retention_ms}");
        self.retention_ms = vec![retention_ms];
        let contents = read(cluster, self.name, 0).await.unwrap();
        let found: Vec<Vec<u8>> =
            contents.records.iter().map(|record| record.value.as_deref().unwrap_or_default().to_vec()).collect();
        let whole = found == self.expected();
        match self.filled {
            Filled::No => assert!(found.is_empty(), "{self:?}: {found:?}"),
            Filled::Perhaps => assert!(whole || found.is_empty(), "{self:?}: {found:?}"),
            Filled::Yes => assert!(whole, "{self:?}: {found:?}"),
        }
        self.filled = if whole { Filled::Yes } else { Filled::No };
    }
}

async fn retention_ms(cluster: &Cluster, topic: &str) -> i64 {
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.into(),
        configuration_keys: Some(vec!["retention.ms".into()]),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer = cluster.any().await.unwrap().send(&request).await.unwrap();
    let value = answer.results[0].configs.first().and_then(|config| config.value.as_deref());
    value.unwrap_or_else(|| panic!("{topic} has no retention.ms: {answer:?}")).parse().unwrap()
}
