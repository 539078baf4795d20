//! Incremental fetch sessions (KIP-227): a consumer says once what it reads, and then only what changed.
//!
//! Never creating a session is legal, so the cache is bounded and never fails a fetch: when it is full of sessions
//! in use, a client is answered session id 0 and goes on sending full requests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use protocol::{ErrorCode, Uuid};

/// The session id of a request or answer outside any session.
pub(crate) const NO_SESSION: i32 = 0;
/// Epoch of a full request that asks for a session.
const INITIAL_EPOCH: i32 = 0;
/// Epoch of a full request that wants none.
const FINAL_EPOCH: i32 = -1;
/// A session unused for this long gives way to a new one (Kafka's `min.incremental.fetch.session.eviction.ms`).
const EVICTION_AGE: Duration = Duration::from_secs(120);

/// How a request names topics: by name below version 13, by id since.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TopicKey {
    Name(Arc<str>),
    Id(Uuid),
}

/// One partition as a consumer wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) topic: TopicKey,
    pub(crate) partition: i32,
    pub(crate) fetch_offset: i64,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
    pub(crate) max_bytes: i32,
}

/// What a fetch found, as far as a session compares it with the answer before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) high_watermark: i64,
    pub(crate) log_start_offset: i64,
    pub(crate) has_records: bool,
    /// An error or a diverging epoch: always told.
    pub(crate) must_tell: bool,
}

struct Cached {
    wanted: Wanted,
    high_watermark: i64,
    log_start_offset: i64,
}

/// The state of one session.
struct Session {
    next_epoch: i32,
    by_id: bool,
    last_used: Instant,
    /// Partitions in answering order; one that returned data moves to the end, so that none starves.
    ordered: BTreeMap<u64, Cached>,
    places: BTreeMap<(TopicKey, i32), u64>,
    next_place: u64,
}

impl Session {
    fn new(by_id: bool, wanted: &[Wanted]) -> Session {
        let mut session = Session {
            next_epoch: 1,
            by_id,
            last_used: Instant::now(),
            ordered: BTreeMap::new(),
            places: BTreeMap::new(),
            next_place: 0,
        };
        wanted.iter().for_each(|wanted| session.want(wanted.clone()));
        session
    }

    fn want(&mut self, wanted: Wanted) {
        let key = (wanted.topic.clone(), wanted.partition);
        match self.places.get(&key).and_then(|place| self.ordered.get_mut(place)) {
            Some(cached) => cached.wanted = wanted,
            None => self.append(key, Cached { wanted, high_watermark: -1, log_start_offset: -1 }),
        }
    }

    fn append(&mut self, key: (TopicKey, i32), cached: Cached) {
        self.places.insert(key, self.next_place);
        self.ordered.insert(self.next_place, cached);
        self.next_place += 1;
    }

    fn forget(&mut self, topic: &TopicKey, partition: i32) {
        if let Some(place) = self.places.remove(&(topic.clone(), partition)) {
            self.ordered.remove(&place);
        }
    }

    /// Remembers what was found; true when the answer must name the partition.
    fn tell(&mut self, topic: &TopicKey, partition: i32, seen: Seen) -> bool {
        let key = (topic.clone(), partition);
        let Some(place) = self.places.get(&key).copied() else { return true };
        let Some(cached) = self.ordered.get_mut(&place) else { return true };
        let changed = cached.high_watermark != seen.high_watermark || cached.log_start_offset != seen.log_start_offset;
        // An error is told again until it heals, and the healing is told too.
        cached.high_watermark = if seen.must_tell { -1 } else { seen.high_watermark };
        cached.log_start_offset = seen.log_start_offset;
        if seen.has_records
            && let Some(cached) = self.ordered.remove(&place)
        {
            self.append(key, cached);
        }
        changed || seen.has_records || seen.must_tell
    }
}

/// The session part of a fetch request.
pub(crate) struct SessionRequest {
    pub(crate) session_id: i32,
    pub(crate) epoch: i32,
    pub(crate) by_id: bool,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) forgotten: Vec<(TopicKey, i32)>,
}

/// What one fetch reads, and how its answer is trimmed.
pub(crate) struct FetchPlan {
    /// What the answer carries; [`NO_SESSION`] outside any.
    pub(crate) session_id: i32,
    /// Partitions to read, in order.
    pub(crate) wanted: Vec<Wanted>,
    session: Option<Arc<Mutex<Session>>>,
    incremental: bool,
}

impl FetchPlan {
    /// Whether the answer must name this partition. Call once per partition, in answering order.
    pub(crate) fn tell(&self, topic: &TopicKey, partition: i32, seen: Seen) -> bool {
        let told = self.session.as_ref().is_none_or(|session| lock(session).tell(topic, partition, seen));
        told || !self.incremental
    }
}

/// All sessions of this broker.
pub(crate) struct SessionCache {
    sessions: DashMap<i32, Arc<Mutex<Session>>>,
    next_id: AtomicI32,
    slots: usize,
}

impl SessionCache {
    /// `slots` is `max.incremental.fetch.session.cache.slots`; `seed` makes ids of a restarted broker differ.
    pub(crate) fn new(slots: usize, seed: u32) -> SessionCache {
        let next_id = AtomicI32::new((seed >> 2) as i32 + 1);
        SessionCache { sessions: DashMap::with_shard_amount(8), next_id, slots }
    }

    /// Sessions now.
    pub(crate) fn count(&self) -> usize {
        self.sessions.len()
    }

    /// Finds or makes the session of a request.
    ///
    /// # Errors
    /// `FETCH_SESSION_ID_NOT_FOUND`, `INVALID_FETCH_SESSION_EPOCH`, `FETCH_SESSION_TOPIC_ID_ERROR`; the client then
    /// sends a full request.
    pub(crate) fn plan(&self, request: SessionRequest) -> Result<FetchPlan, ErrorCode> {
        match request.epoch {
            FINAL_EPOCH => {
                self.sessions.remove(&request.session_id);
                Ok(FetchPlan { session_id: NO_SESSION, wanted: request.wanted, session: None, incremental: false })
            }
            INITIAL_EPOCH => {
                self.sessions.remove(&request.session_id);
                Ok(self.create(request))
            }
            _ => self.resume(request),
        }
    }

    /// The session of an answer that names no partition because the client is throttled: an incremental one goes on, and
    /// one that would begin does not.
    pub(crate) fn withhold(&self, plan: &FetchPlan) -> i32 {
        if plan.incremental {
            return plan.session_id;
        }
        self.sessions.remove(&plan.session_id);
        NO_SESSION
    }

    fn create(&self, request: SessionRequest) -> FetchPlan {
        if request.wanted.is_empty() || !self.make_room() {
            return FetchPlan { session_id: NO_SESSION, wanted: request.wanted, session: None, incremental: false };
        }
        let session = Arc::new(Mutex::new(Session::new(request.by_id, &request.wanted)));
        let session_id = self.insert(&session);
        FetchPlan { session_id, wanted: request.wanted, session: Some(session), incremental: false }
    }

    fn insert(&self, session: &Arc<Mutex<Session>>) -> i32 {
        loop {
            let id = self.next_id.fetch_add(1, Ordering::Relaxed) & i32::MAX;
            if id != NO_SESSION
                && let dashmap::Entry::Vacant(vacant) = self.sessions.entry(id)
            {
                vacant.insert(Arc::clone(session));
                return id;
            }
        }
    }

    /// Whether one more fits; the oldest goes if nobody has used it for a while.
    fn make_room(&self) -> bool {
        if self.sessions.len() < self.slots {
            return true;
        }
        let oldest = self.sessions.iter().map(|entry| (lock(entry.value()).last_used, *entry.key())).min();
        match oldest {
            Some((last_used, id)) if last_used.elapsed() > EVICTION_AGE => self.sessions.remove(&id).is_some(),
            _ => false,
        }
    }

    fn resume(&self, request: SessionRequest) -> Result<FetchPlan, ErrorCode> {
        let found = self.sessions.get(&request.session_id).map(|entry| Arc::clone(entry.value()));
        let session = found.ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        let mut locked = lock(&session);
        if locked.next_epoch != request.epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        let names_topics = !request.wanted.is_empty() || !request.forgotten.is_empty();
        if names_topics && locked.by_id != request.by_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        locked.next_epoch = if locked.next_epoch == i32::MAX { 1 } else { locked.next_epoch + 1 };
        locked.last_used = Instant::now();
        let mut wanted = request.wanted;
        wanted.drain(..).for_each(|wanted| locked.want(wanted));
        request.forgotten.iter().for_each(|(topic, partition)| locked.forget(topic, *partition));
        wanted.extend(locked.ordered.values().map(|cached| cached.wanted.clone()));
        drop(locked);
        let mut session_id = request.session_id;
        if wanted.is_empty() {
            self.sessions.remove(&session_id);
            session_id = NO_SESSION;
        }
        Ok(FetchPlan { session_id, wanted, session: Some(session), incremental: true })
    }
}

/// A session holds no invariant that a panic could break half way.
fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(partition: i32, fetch_offset: i64) -> Wanted {
        let topic = TopicKey::Name("t".into());
        Wanted { topic, partition, fetch_offset, current_leader_epoch: -1, last_fetched_epoch: -1, max_bytes: 1 << 20 }
    }

    fn request(session_id: i32, epoch: i32, wanted: Vec<Wanted>) -> SessionRequest {
        SessionRequest { session_id, epoch, by_id: false, wanted, forgotten: Vec::new() }
    }

    fn seen(high_watermark: i64, has_records: bool) -> Seen {
        Seen { high_watermark, log_start_offset: 0, has_records, must_tell: false }
    }

    #[test]
    fn an_incremental_answer_names_only_what_changed() {
        let cache = SessionCache::new(10, 1);
        let full = cache.plan(request(0, 0, vec![wanted(0, 0), wanted(1, 0)])).unwrap();
        assert!(full.session_id > 0);
        let topic = TopicKey::Name("t".into());
        assert!(full.tell(&topic, 0, seen(5, true)) && full.tell(&topic, 1, seen(7, false)));

        let next = cache.plan(request(full.session_id, 1, vec![wanted(0, 5)])).unwrap();
        // Partition 0 returned data before, so it comes last now.
        let order: Vec<_> = next.wanted.iter().map(|w| (w.partition, w.fetch_offset)).collect();
        assert_eq!(order, [(1, 0), (0, 5)]);
        assert!(!next.tell(&topic, 0, seen(5, false)));
        assert!(next.tell(&topic, 1, seen(8, false)));
    }

    #[test]
    fn an_error_is_told_until_healed() {
        let cache = SessionCache::new(10, 1);
        let full = cache.plan(request(0, 0, vec![wanted(0, 0)])).unwrap();
        let topic = TopicKey::Name("t".into());
        full.tell(&topic, 0, seen(5, false));
        let next = cache.plan(request(full.session_id, 1, vec![])).unwrap();
        let broken = Seen { must_tell: true, ..seen(-1, false) };
        assert!(next.tell(&topic, 0, broken) && next.tell(&topic, 0, broken));
        assert!(next.tell(&topic, 0, seen(5, false)));
        assert!(!next.tell(&topic, 0, seen(5, false)));
    }

    #[test]
    fn wrong_ids_and_epochs_are_refused() {
        let cache = SessionCache::new(10, 1);
        let full = cache.plan(request(0, 0, vec![wanted(0, 0)])).unwrap();
        let unknown = cache.plan(request(full.session_id + 1, 1, vec![])).err();
        assert_eq!(unknown, Some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
        let early = cache.plan(request(full.session_id, 2, vec![])).err();
        assert_eq!(early, Some(ErrorCode::INVALID_FETCH_SESSION_EPOCH));
        let by_id = SessionRequest { by_id: true, ..request(full.session_id, 1, vec![wanted(0, 0)]) };
        assert_eq!(cache.plan(by_id).err(), Some(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR));
    }

    #[test]
    fn a_full_cache_answers_without_a_session() {
        let cache = SessionCache::new(1, 1);
        let first = cache.plan(request(0, 0, vec![wanted(0, 0)])).unwrap();
        let second = cache.plan(request(0, 0, vec![wanted(0, 0)])).unwrap();
        assert_eq!(second.session_id, NO_SESSION);
        cache.plan(request(first.session_id, FINAL_EPOCH, vec![])).unwrap();
        assert_eq!(cache.sessions.len(), 0);
    }

    #[test]
    fn forgetting_everything_closes_the_session() {
        let cache = SessionCache::new(10, 1);
        let full = cache.plan(request(0, 0, vec![wanted(0, 0)])).unwrap();
        let forgotten = vec![(TopicKey::Name("t".into()), 0)];
        let next = cache.plan(SessionRequest { forgotten, ..request(full.session_id, 1, vec![]) }).unwrap();
        assert_eq!((next.session_id, next.wanted.len(), cache.sessions.len()), (NO_SESSION, 0, 0));
    }
}
