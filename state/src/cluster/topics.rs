//! Creating and deleting topics and partitions.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::{ErrorCode, Uuid};

use super::command::{MorePartitions, NewTopic, Refusal};
use super::image::{ConfigResource, Image, NO_LEADER, PartitionState, Topic};
use super::topic_name::check_topic_name;

/// The most partitions that one command may create, as in Kafka: more is a typing error more often than a plan.
pub const MAX_PARTITIONS_PER_COMMAND: usize = 10_000;

impl Image {
    /// Whether this topic could be created now: what `validate_only` asks, and what creation itself checks.
    pub fn check_new_topic(&self, new: &NewTopic) -> Result<(), Refusal> {
        check_topic_name(&new.name)?;
        if self.topic(&new.name).is_some() {
            let message = format!("Topic '{}' exists.", new.name);
            return Err(Refusal::new(ErrorCode::TOPIC_ALREADY_EXISTS, message));
        }
        if let Some(other) = self.collides_with(&new.name) {
            let message =
                format!("Topic '{}' collides with topic '{other}': '.' and '_' are one in metric names.", new.name);
            return Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message));
        }
        if new.id.is_zero() || self.topic_by_id(new.id).is_some() {
            let message = format!("{} cannot be the id of a new topic.", new.id);
            return Err(Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, message));
        }
        if new.assignments.is_empty() {
            return Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, "A topic has at least one partition."));
        }
        if new.assignments.len() > MAX_PARTITIONS_PER_COMMAND {
            return Err(too_many_partitions());
        }
        self.check_assignments(&new.assignments, new.assignments[0].len())
    }

    /// Whether these could be the replicas of new partitions: known brokers, each once, one of them alive, and as
    /// many for each partition as the topic has.
    pub(super) fn check_assignments(&self, assignments: &[Vec<i32>], replication: usize) -> Result<(), Refusal> {
        let invalid = |message| Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        for replicas in assignments {
            if replicas.is_empty() {
                return invalid("A partition has at least one replica.".to_owned());
            }
            if replicas.iter().collect::<BTreeSet<_>>().len() < replicas.len() {
                return invalid(format!("The replicas {replicas:?} name a broker twice."));
            }
            let unknown = self.unknown_brokers(replicas);
            if !unknown.is_empty() {
                return invalid(format!(
                    "The replicas {replicas:?} name brokers that are not registered: {unknown:?}."
                ));
            }
            if replicas.len() != replication {
                return invalid(format!(
                    "The replicas {replicas:?} are {}, where other partitions of the topic have {replication}.",
                    replicas.len()
                ));
            }
            if self.elect(replicas, replicas) == NO_LEADER {
                return invalid(format!("All of the replicas {replicas:?} are fenced."));
            }
        }
        Ok(())
    }

    pub(super) fn create_topics(&mut self, topics: &[NewTopic]) -> Vec<Result<(), Refusal>> {
        let mut left = MAX_PARTITIONS_PER_COMMAND;
        topics.iter().map(|new| self.create_topic(new, &mut left)).collect()
    }

    fn create_topic(&mut self, new: &NewTopic, partitions_left: &mut usize) -> Result<(), Refusal> {
        if self.topic(&new.name).is_some_and(|existing| existing.id == new.id) {
            // The same proposal again, after a time-out left its fate unknown.
            return Ok(());
        }
        self.check_new_topic(new)?;
        *partitions_left = partitions_left.checked_sub(new.assignments.len()).ok_or_else(too_many_partitions)?;
        let partitions = new.assignments.iter().map(|replicas| self.new_partition(replicas)).collect();
        self.insert_topic(Topic { id: new.id, name: new.name.as_str().into(), partitions });
        if !new.configs.is_empty() {
            self.configs.insert(ConfigResource::Topic(new.name.clone()), Arc::new(new.configs.clone()));
        }
        Ok(())
    }

    fn new_partition(&self, replicas: &[i32]) -> PartitionState {
        let isr: Vec<i32> = replicas.iter().copied().filter(|id| self.is_alive(*id)).collect();
        let leader = self.elect(replicas, &isr);
        PartitionState { replicas: replicas.to_vec(), isr, leader, leader_epoch: 0, partition_epoch: 0 }
    }

    pub(super) fn delete_topic(&mut self, id: Uuid) -> Result<(), Refusal> {
        match self.remove_topic(id) {
            Some(_) => Ok(()),
            None => Err(unknown_topic_id(id)),
        }
    }

    pub(super) fn create_partitions(&mut self, topics: &[MorePartitions]) -> Vec<Result<(), Refusal>> {
        let mut left = MAX_PARTITIONS_PER_COMMAND;
        topics.iter().map(|more| self.add_partitions(more, &mut left)).collect()
    }

    fn add_partitions(&mut self, more: &MorePartitions, partitions_left: &mut usize) -> Result<(), Refusal> {
        let topic = self.topic_by_id(more.topic_id).ok_or_else(|| unknown_topic_id(more.topic_id))?;
        check_more_partitions(topic, more.count)?;
        let missing = usize::try_from(more.count - topic.partition_count()).unwrap_or(0);
        if missing != more.assignments.len() {
            let message = format!(
                "Topic '{}' needs {missing} more partitions to have {}, but replicas were given for {}.",
                topic.name,
                more.count,
                more.assignments.len()
            );
            return Err(Refusal::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
        self.check_assignments(&more.assignments, topic.partitions[0].replicas.len())?;
        *partitions_left = partitions_left.checked_sub(missing).ok_or_else(too_many_partitions)?;
        let mut topic = Topic::clone(topic);
        topic.partitions.extend(more.assignments.iter().map(|replicas| self.new_partition(replicas)));
        self.insert_topic(topic);
        Ok(())
    }
}

/// Whether a topic may get that many partitions: more than it has, since partitions never go away.
pub(super) fn check_more_partitions(topic: &Topic, count: i32) -> Result<(), Refusal> {
    let existing = topic.partition_count();
    if count > existing {
        return Ok(());
    }
    let message = format!("Topic '{}' has {existing} partitions; {count} would not be more.", topic.name);
    Err(Refusal::new(ErrorCode::INVALID_PARTITIONS, message))
}

pub(super) fn too_many_partitions() -> Refusal {
    let message = format!("At most {MAX_PARTITIONS_PER_COMMAND} partitions can be created at once.");
    Refusal::new(ErrorCode::POLICY_VIOLATION, message)
}

fn unknown_topic_id(id: Uuid) -> Refusal {
    Refusal::new(ErrorCode::UNKNOWN_TOPIC_ID, format!("There is no topic with the id {id}."))
}
