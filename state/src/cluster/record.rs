//! A snapshot is a list of records, each of which says one fact of the image.
//!
//! The form is versioned by its variants: a field is only ever added, with a default, and an old variant is read
//! forever. So a newer program opens an older snapshot, and a dump of one can be read by a person.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::Uuid;
use serde::{Deserialize, Serialize};

use super::image::{BrokerRegistration, ConfigResource, Image, PartitionState, Topic};
use super::quotas::{QuotaEntity, QuotaValue};
use super::serde_form;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// What there is one of.
    Cluster {
        /// The cluster's id.
        cluster_id: Option<String>,
        /// Feature levels.
        features: BTreeMap<String, i16>,
        /// The controller last elected.
        controller_id: Option<i32>,
        /// How many were elected.
        controller_epoch: i32,
        /// The epoch of the next registration.
        next_broker_epoch: i64,
        /// The first unclaimed producer id.
        next_producer_id: i64,
    },
    /// A registered broker.
    Broker(BrokerRegistration),
    /// A topic.
    Topic {
        /// Its id.
        #[serde(with = "serde_form::uuid")]
        id: Uuid,
        /// Its name.
        name: String,
        /// Its partitions, in order.
        partitions: Vec<PartitionState>,
    },
    /// The overrides of a resource.
    Configs {
        /// Whose.
        resource: ConfigResource,
        /// Key to value.
        configs: BTreeMap<String, String>,
    },
    /// The quotas of an entity.
    ClientQuotas {
        /// Whose.
        entity: QuotaEntity,
        /// Key to limit.
        quotas: BTreeMap<String, QuotaValue>,
    },
}

/// Records that no image could have written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidRecord {
    /// Two topics have one id or one name, or a topic has no partition.
    #[error("topic {name} ({id}) contradicts another record or has no partitions")]
    Topic {
        /// Its name.
        name: String,
        /// Its id.
        id: Uuid,
    },
}

impl Image {
    /// The image as records, in a fixed order.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let cluster = Record::Cluster {
            cluster_id: self.cluster_id.as_deref().map(str::to_owned),
            features: (*self.features).clone(),
            controller_id: self.controller_id,
            controller_epoch: self.controller_epoch,
            next_broker_epoch: self.next_broker_epoch,
            next_producer_id: self.next_producer_id,
        };
        let brokers = self.brokers().map(|broker| Record::Broker((**broker).clone()));
        let topics = self.topics().map(|topic| Record::Topic {
            id: topic.id,
            name: topic.name.to_string(),
            partitions: topic.partitions.clone(),
        });
        let configs = self
            .all_configs()
            .map(|(resource, configs)| Record::Configs { resource: resource.clone(), configs: (**configs).clone() });
        let quotas = self
            .all_quotas()
            .map(|(entity, quotas)| Record::ClientQuotas { entity: entity.clone(), quotas: (**quotas).clone() });
        std::iter::once(cluster).chain(brokers).chain(topics).chain(configs).chain(quotas)
    }

    /// Adds what a record says: an image is rebuilt by adding each of its records to an empty one.
    pub fn add(&mut self, record: Record) -> Result<(), InvalidRecord> {
        match record {
            Record::Cluster {
                cluster_id,
                features,
                controller_id,
                controller_epoch,
                next_broker_epoch,
                next_producer_id,
            } => {
                self.cluster_id = cluster_id.map(Arc::from);
                self.features = Arc::new(features);
                self.controller_id = controller_id;
                self.controller_epoch = controller_epoch;
                self.next_broker_epoch = next_broker_epoch;
                self.next_producer_id = next_producer_id;
            }
            Record::Broker(broker) => {
                Arc::make_mut(&mut self.brokers).insert(broker.broker_id, Arc::new(broker));
            }
            Record::Topic { id, name, partitions } => {
                if partitions.is_empty() || self.topic_by_id(id).is_some() || self.topic(&name).is_some() {
                    return Err(InvalidRecord::Topic { name, id });
                }
                self.insert_topic(Topic { id, name: name.into(), partitions });
            }
            Record::Configs { resource, configs } => {
                self.configs.insert(resource, Arc::new(configs));
            }
            Record::ClientQuotas { entity, quotas } => {
                self.quotas.insert(entity, Arc::new(quotas));
            }
        }
        Ok(())
    }
}
