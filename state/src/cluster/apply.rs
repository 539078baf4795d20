//! What a command does to an image.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::ErrorCode;

use super::command::{Applied, Command, ProducerIdBlock, Refusal, RegisterBroker};
use super::image::{BrokerRegistration, Image, NO_LEADER, PartitionState, Topic};

impl Image {
    /// Does what the command asks, item by item, as far as its preconditions hold here.
    ///
    /// Deterministic: the same image and command give the same image and outcome on every node, forever. A refused
    /// item leaves no trace.
    pub fn apply(&mut self, command: &Command) -> Applied {
        match command {
            Command::ClusterCreated { cluster_id, features } => {
                Applied::Items(vec![self.create_cluster(cluster_id, features)])
            }
            Command::ControllerElected { controller_id } => {
                self.controller_id = Some(*controller_id);
                self.controller_epoch = self.controller_epoch.saturating_add(1);
                Applied::ControllerEpoch(Ok(self.controller_epoch))
            }
            Command::RegisterBroker(registration) => Applied::BrokerEpoch(self.register_broker(registration)),
            Command::CreateTopics(topics) => Applied::Items(self.create_topics(topics)),
            Command::DeleteTopics(ids) => Applied::Items(ids.iter().map(|id| self.delete_topic(*id)).collect()),
            Command::CreatePartitions(topics) => Applied::Items(self.create_partitions(topics)),
            Command::AlterConfigs(alterations) => {
                Applied::Items(alterations.iter().map(|alteration| self.alter_configs(alteration)).collect())
            }
            Command::AlterClientQuotas(alterations) => {
                Applied::Items(alterations.iter().map(|alteration| self.alter_quotas(alteration)).collect())
            }
            Command::AllocateProducerIds { broker_id, broker_epoch, count } => {
                Applied::ProducerIds(self.allocate_producer_ids(*broker_id, *broker_epoch, *count))
            }
        }
    }

    fn create_cluster(
        &mut self,
        cluster_id: &str,
        features: &std::collections::BTreeMap<String, i16>,
    ) -> Result<(), Refusal> {
        match &self.cluster_id {
            Some(existing) if **existing == *cluster_id => Ok(()),
            Some(existing) => Err(Refusal::new(
                ErrorCode::INCONSISTENT_CLUSTER_ID,
                format!("This is cluster {existing}, not {cluster_id}."),
            )),
            None => {
                self.cluster_id = Some(cluster_id.into());
                self.features = Arc::new(features.clone());
                Ok(())
            }
        }
    }

    fn register_broker(&mut self, new: &RegisterBroker) -> Result<i64, Refusal> {
        if new.broker_id < 0 {
            let message = format!("{} is not a broker id: they start at 0.", new.broker_id);
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        }
        if let Some(old) = self.brokers.get(&new.broker_id) {
            if old.incarnation_id == new.incarnation_id {
                return Ok(old.epoch);
            }
            if old.epoch != new.replaces_epoch {
                let message = format!("Broker {} has registered meanwhile, with epoch {}.", old.broker_id, old.epoch);
                return Err(Refusal::new(ErrorCode::DUPLICATE_BROKER_REGISTRATION, message));
            }
        }
        let registration = BrokerRegistration {
            broker_id: new.broker_id,
            epoch: self.next_broker_epoch,
            incarnation_id: new.incarnation_id,
            directory_id: new.directory_id,
            listeners: new.listeners.clone(),
            rack: new.rack.clone(),
            fenced: new.fenced,
        };
        self.next_broker_epoch += 1;
        Arc::make_mut(&mut self.brokers).insert(new.broker_id, Arc::new(registration));
        self.elect_leaders_around(new.broker_id);
        Ok(self.next_broker_epoch - 1)
    }

    /// Gives a new leader epoch to what a restarted broker leads, and a leader to what had none.
    ///
    /// The broker may have lost the unflushed tail of its logs. Records it writes from now on carry another epoch, so
    /// a client that had read that tail can tell (KIP-320).
    fn elect_leaders_around(&mut self, broker_id: i32) {
        let concerned = |partition: &PartitionState| {
            partition.leader == broker_id || (partition.leader == NO_LEADER && partition.isr.contains(&broker_id))
        };
        let topics: Vec<Arc<Topic>> =
            self.topics().filter(|topic| topic.partitions.iter().any(concerned)).cloned().collect();
        for topic in topics {
            let mut topic = Topic::clone(&topic);
            for partition in topic.partitions.iter_mut().filter(|partition| concerned(partition)) {
                let leader = self.elect(&partition.replicas, &partition.isr);
                if leader == NO_LEADER && partition.leader == NO_LEADER {
                    continue;
                }
                partition.leader = leader;
                partition.leader_epoch += 1;
                partition.partition_epoch += 1;
            }
            self.insert_topic(topic);
        }
    }

    /// The first replica that is in sync and alive.
    pub(super) fn elect(&self, replicas: &[i32], isr: &[i32]) -> i32 {
        replicas.iter().copied().find(|id| isr.contains(id) && self.is_alive(*id)).unwrap_or(NO_LEADER)
    }

    fn allocate_producer_ids(
        &mut self,
        broker_id: i32,
        broker_epoch: i64,
        count: i32,
    ) -> Result<ProducerIdBlock, Refusal> {
        let Some(broker) = self.brokers.get(&broker_id) else {
            let message = format!("Broker {broker_id} is not registered.");
            return Err(Refusal::new(ErrorCode::BROKER_ID_NOT_REGISTERED, message));
        };
        if broker.epoch != broker_epoch {
            let message = format!("Broker {broker_id} has epoch {}, not {broker_epoch}.", broker.epoch);
            return Err(Refusal::new(ErrorCode::STALE_BROKER_EPOCH, message));
        }
        if count < 1 {
            let message = format!("A block of {count} producer ids is not one.");
            return Err(Refusal::new(ErrorCode::INVALID_REQUEST, message));
        }
        let first = self.next_producer_id;
        let Some(next) = first.checked_add(i64::from(count)) else {
            let message = "All producer ids have been used.";
            return Err(Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, message));
        };
        self.next_producer_id = next;
        Ok(ProducerIdBlock { first, count })
    }

    /// The ids of those that do not stand in `known`.
    pub(super) fn unknown_brokers(&self, ids: &[i32]) -> BTreeSet<i32> {
        ids.iter().copied().filter(|id| !self.brokers.contains_key(id)).collect()
    }
}
