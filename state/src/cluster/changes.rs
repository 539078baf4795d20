//! What differs between two images, for those who must act on it.

use std::sync::Arc;

use super::image::{BrokerRegistration, ConfigResource, Configs, Image, Topic};

/// One difference between an older image and a newer one.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A topic is gone. A name that was created again is reported as gone first, then as created.
    TopicDeleted(Arc<Topic>),
    /// A topic is new.
    TopicCreated(Arc<Topic>),
    /// A topic has more partitions, or a partition another leader, epoch or ISR.
    TopicChanged {
        /// As it was.
        old: Arc<Topic>,
        /// As it is.
        new: Arc<Topic>,
    },
    /// The overrides of a resource are others. Those of a deleted topic change to none.
    ConfigsChanged {
        /// Whose.
        resource: ConfigResource,
        /// What they are now; `None` when there are none.
        configs: Option<Configs>,
    },
    /// A broker registered, or registered again.
    BrokerChanged(Arc<BrokerRegistration>),
}

/// Every difference from `old` to `new`: topics by name, then configs, then brokers.
///
/// Parts that both images share are skipped, so the cost follows the number of changes, not the size of the cluster.
pub fn changes(old: &Image, new: &Image) -> Vec<Change> {
    let mut changes = Vec::new();
    for (_, was, is) in old.topics.differences(&new.topics, Arc::ptr_eq) {
        match (was, is) {
            (Some(was), Some(is)) if was.id == is.id => {
                if was != is {
                    changes.push(Change::TopicChanged { old: Arc::clone(was), new: Arc::clone(is) });
                }
            }
            (was, is) => {
                changes.extend(was.cloned().map(Change::TopicDeleted));
                changes.extend(is.cloned().map(Change::TopicCreated));
            }
        }
    }
    for (resource, was, is) in old.configs.differences(&new.configs, Arc::ptr_eq) {
        if was != is {
            changes.push(Change::ConfigsChanged { resource: resource.clone(), configs: is.cloned() });
        }
    }
    if !Arc::ptr_eq(&old.brokers, &new.brokers) {
        let changed = new.brokers().filter(|broker| old.broker(broker.broker_id) != Some(broker));
        changes.extend(changed.cloned().map(Change::BrokerChanged));
    }
    changes
}
