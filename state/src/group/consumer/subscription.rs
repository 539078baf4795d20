//! What members subscribe to: names, and patterns resolved to names; and the target assignment that follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use protocol::{ErrorCode, Uuid};

use super::Refused;
use super::assignor::{Assignor, Candidate, Input};
use super::record::{Assignment, ConsumerMemberMetadata, ResolvedPattern};
use super::state::{ConsumerGroup, Member};
use super::topics::{PatternCompiler, Topics};

/// The members of a group as they will be when the records of this turn are applied.
pub(super) struct Membership<'a> {
    pub(super) group: &'a ConsumerGroup,
    /// The member that this turn is about.
    pub(super) member_id: &'a str,
    pub(super) metadata: &'a ConsumerMemberMetadata,
    /// What that member was meant to have so far.
    pub(super) target: &'a Assignment,
    /// The static member whose place it takes.
    pub(super) replaced: Option<&'a str>,
}

impl<'a> Membership<'a> {
    /// Every member with what it wants and was meant to have, by member id.
    fn iter(&self) -> impl Iterator<Item = (&'a str, &'a ConsumerMemberMetadata, &'a Assignment)> {
        let replaced = self.replaced;
        let is_in = move |(id, _): &(&Arc<str>, &Member)| Some(&***id) != replaced;
        let member = |(id, member): (&'a Arc<str>, &'a Member)| (&**id, &member.metadata, &member.target);
        let before =
            self.group.members.range::<str, _>((Unbounded, Excluded(self.member_id))).filter(is_in).map(member);
        let after = self.group.members.range::<str, _>((Excluded(self.member_id), Unbounded)).filter(is_in).map(member);
        before.chain(std::iter::once((self.member_id, self.metadata, self.target))).chain(after)
    }

    /// Every pattern that a member subscribes to, with the topics it matches.
    ///
    /// # Errors
    /// INVALID_REGULAR_EXPRESSION for the pattern of the member that this turn is about. Another's, which some other
    /// release may have let in, matches nothing.
    pub(super) fn resolve_patterns(
        &self,
        topics: &Topics,
        compile: PatternCompiler,
        timestamp_ms: i64,
    ) -> Result<BTreeMap<String, ResolvedPattern>, Refused> {
        let mut resolved = BTreeMap::new();
        for (member_id, metadata, _) in self.iter() {
            let Some(pattern) = &metadata.subscribed_topic_regex else { continue };
            if resolved.contains_key(pattern) {
                continue;
            }
            let topics = match compile(pattern) {
                Ok(matches) => topics.names().filter(|name| matches(name)).map(|name| name.to_string()).collect(),
                Err(reason) if member_id == self.member_id => {
                    let message =
                        format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {reason}.");
                    return Err(Refused::new(ErrorCode::INVALID_REGULAR_EXPRESSION, message));
                }
                Err(_) => Vec::new(),
            };
            resolved.insert(pattern.clone(), ResolvedPattern { topics, timestamp_ms });
        }
        Ok(resolved)
    }

    /// A number that changes when a topic that is subscribed to appears, disappears or gets more partitions (FNV-1a).
    pub(super) fn metadata_hash(&self, topics: &Topics, patterns: &BTreeMap<String, ResolvedPattern>) -> i64 {
        let by_name = self.iter().flat_map(|(_, metadata, _)| &metadata.subscribed_topic_names);
        let by_pattern = patterns.values().flat_map(|pattern| &pattern.topics);
        let names: BTreeSet<&String> = by_name.chain(by_pattern).collect();
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut any = false;
        for (name, (id, partitions)) in names.into_iter().filter_map(|name| Some((name, topics.get(name)?))) {
            any = true;
            for byte in name.bytes().chain(id.0).chain((partitions as u64).to_be_bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        // Kafka has 0 for no topics.
        if any { hash.cast_signed() } else { 0 }
    }

    /// What everybody shall have, by member id.
    pub(super) fn assign(
        &self,
        topics: &Topics,
        patterns: &BTreeMap<String, ResolvedPattern>,
        default: Assignor,
    ) -> Vec<(&'a str, Assignment)> {
        let members: Vec<_> = self.iter().collect();
        let wanted = self.topics_of_members(&members, topics, patterns);
        let all: BTreeSet<(Uuid, usize)> = wanted.iter().flat_map(|topics| topics.iter().copied()).collect();
        let all: Vec<(Uuid, usize)> = all.into_iter().collect();
        let mut candidates: Vec<Candidate<'_>> = Vec::with_capacity(members.len());
        for (place, (member_id, metadata, previous)) in members.iter().enumerate() {
            let topics = match candidates.last() {
                Some(last) if Arc::ptr_eq(&wanted[place], &wanted[place - 1]) => Arc::clone(&last.topics),
                _ => wanted[place].iter().filter_map(|topic| all.binary_search(topic).ok()).collect(),
            };
            let instance_id = metadata.instance_id.as_deref();
            candidates.push(Candidate { member_id, instance_id, topics, previous });
        }
        let assignor = elected(members.iter().map(|(_, metadata, _)| *metadata)).unwrap_or(default);
        let assignments = assignor.assign(&Input { members: candidates, topics: all });
        members.into_iter().map(|(member_id, _, _)| member_id).zip(assignments).collect()
    }

    /// The topics of each member, ascending by id. Members who say the same as the one before share a list.
    fn topics_of_members(
        &self,
        members: &[(&str, &ConsumerMemberMetadata, &Assignment)],
        topics: &Topics,
        patterns: &BTreeMap<String, ResolvedPattern>,
    ) -> Vec<Arc<[(Uuid, usize)]>> {
        let mut wanted: Vec<Arc<[(Uuid, usize)]>> = Vec::with_capacity(members.len());
        for (place, (_, metadata, _)) in members.iter().enumerate() {
            let says_the_same = |before: &ConsumerMemberMetadata| {
                before.subscribed_topic_names == metadata.subscribed_topic_names
                    && before.subscribed_topic_regex == metadata.subscribed_topic_regex
            };
            let topics = match wanted.last() {
                Some(last) if says_the_same(members[place - 1].1) => Arc::clone(last),
                _ => {
                    let matched = metadata.subscribed_topic_regex.as_ref().and_then(|pattern| patterns.get(pattern));
                    let matched = matched.iter().flat_map(|pattern| &pattern.topics);
                    let names = metadata.subscribed_topic_names.iter().chain(matched);
                    let ids: BTreeSet<(Uuid, usize)> = names.filter_map(|name| topics.get(name)).collect();
                    ids.into_iter().collect()
                }
            };
            wanted.push(topics);
        }
        wanted
    }
}

impl ConsumerGroup {
    /// The assignor that most members would like, if anybody has a wish.
    pub(super) fn preferred_assignor(&self) -> Option<Assignor> {
        elected(self.members.values().map(|member| &member.metadata))
    }
}

/// The assignor with the most votes.
fn elected<'a>(members: impl Iterator<Item = &'a ConsumerMemberMetadata>) -> Option<Assignor> {
    let mut votes = BTreeMap::<Assignor, usize>::new();
    for assignor in members.filter_map(|metadata| Assignor::from_name(metadata.server_assignor.as_deref()?)) {
        *votes.entry(assignor).or_default() += 1;
    }
    votes
        .into_iter()
        .max_by_key(|(assignor, votes)| (*votes, std::cmp::Reverse(*assignor)))
        .map(|(assignor, _)| assignor)
}

/// Whether a member with these subscriptions reads a topic.
pub(super) fn is_subscribed(
    metadata: &ConsumerMemberMetadata,
    patterns: &BTreeMap<String, ResolvedPattern>,
    name: &str,
) -> bool {
    let contains = |names: &[String]| names.binary_search_by(|known| known.as_str().cmp(name)).is_ok();
    let matched = metadata.subscribed_topic_regex.as_ref().and_then(|pattern| patterns.get(pattern));
    contains(&metadata.subscribed_topic_names) || matched.is_some_and(|pattern| contains(&pattern.topics))
}
