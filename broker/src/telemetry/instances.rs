//! The clients that ask and push, as far as it takes to say when they may do so again.

use std::collections::{BTreeSet, HashMap};

use protocol::{ErrorCode, Uuid};

/// Clients that are remembered, as many as Kafka remembers. Above it, who was silent for longest is forgotten: he is met
/// as if he came for the first time.
pub(super) const INSTANCES_MAX: usize = 16_384;
/// A client is forgotten when it was silent for so many of its intervals...
const INTERVALS_REMEMBERED: u64 = 3;
/// ...and for this long.
const REMEMBERED_MIN_MS: u64 = 60_000;

/// What a client was told, and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) subscription_id: i32,
    pub(super) interval_ms: u32,
    /// Of the subscriptions from which this follows.
    version: u64,
    asked_ms: Option<u64>,
    pushed_ms: Option<u64>,
    /// It has said that it would push no more.
    is_terminating: bool,
    /// It was told to, and may at once.
    must_ask: bool,
    seen_ms: u64,
}

impl Instance {
    pub(super) fn new(version: u64, subscription_id: i32, interval_ms: u32, now_ms: u64) -> Instance {
        Instance {
            subscription_id,
            interval_ms,
            version,
            asked_ms: None,
            pushed_ms: None,
            is_terminating: false,
            must_ask: false,
            seen_ms: now_ms,
        }
    }

    /// A client asks for its subscription: not before its interval is over since it asked or pushed last, unless a push was
    /// refused for what it would learn by asking.
    ///
    /// # Errors
    /// `THROTTLING_QUOTA_EXCEEDED`.
    pub(super) fn ask(&mut self, now_ms: u64) -> Result<(), ErrorCode> {
        if !std::mem::take(&mut self.must_ask) && !self.is_over(self.asked_ms.max(self.pushed_ms), now_ms) {
            return Err(ErrorCode::THROTTLING_QUOTA_EXCEEDED);
        }
        self.asked_ms = Some(now_ms);
        Ok(())
    }

    /// A client pushes: at any time after it has asked, because its first interval is shortened by chance, so that not
    /// all clients push at once; then not before its interval is over, except to say good-bye.
    ///
    /// # Errors
    /// `INVALID_REQUEST` from somebody who said good-bye, `THROTTLING_QUOTA_EXCEEDED`.
    pub(super) fn push(&mut self, is_terminating: bool, now_ms: u64) -> Result<(), ErrorCode> {
        if std::mem::replace(&mut self.is_terminating, is_terminating) {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        if self.asked_ms > self.pushed_ms || self.is_over(self.pushed_ms, now_ms) {
            self.pushed_ms = Some(now_ms);
        } else if !is_terminating {
            return Err(ErrorCode::THROTTLING_QUOTA_EXCEEDED);
        }
        Ok(())
    }

    /// What it pushed does not go with its subscription.
    pub(super) fn has_to_ask(&mut self) {
        self.must_ask = true;
    }

    /// For how long it is remembered after it was seen.
    pub(super) fn remembered_ms(&self) -> u64 {
        (u64::from(self.interval_ms) * INTERVALS_REMEMBERED).max(REMEMBERED_MIN_MS)
    }

    fn is_over(&self, since_ms: Option<u64>, now_ms: u64) -> bool {
        since_ms.is_none_or(|since_ms| now_ms.saturating_sub(since_ms) >= u64::from(self.interval_ms))
    }

    fn is_expired(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.seen_ms) >= self.remembered_ms()
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Instances {
    known: HashMap<Uuid, Instance>,
    /// By when they were seen.
    seen: BTreeSet<(u64, Uuid)>,
}

impl Instances {
    /// A client, as subscriptions of this version have it; `meet` says how, when it is new to them.
    pub(super) fn of(&mut self, id: Uuid, version: u64, now_ms: u64, meet: impl FnOnce() -> Instance) -> &mut Instance {
        let is_known = self.known.get(&id).is_some_and(|known| known.version == version && !known.is_expired(now_ms));
        if !is_known {
            self.forget(id);
            if self.known.len() >= INSTANCES_MAX
                && let Some((_, oldest)) = self.seen.first().copied()
            {
                self.forget(oldest);
            }
        }
        let instance = self.known.entry(id).or_insert_with(meet);
        self.seen.remove(&(instance.seen_ms, id));
        self.seen.insert((now_ms, id));
        instance.seen_ms = now_ms;
        instance
    }

    #[cfg(test)]
    fn contains(&self, id: Uuid) -> bool {
        self.known.contains_key(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn forget(&mut self, id: Uuid) {
        if let Some(instance) = self.known.remove(&id) {
            self.seen.remove(&(instance.seen_ms, id));
        }
    }

    /// Forgets who was silent for long.
    pub(super) fn expire(&mut self, now_ms: u64) {
        let seen = &mut self.seen;
        self.known.retain(|id, instance| {
            let stays = !instance.is_expired(now_ms);
            if !stays {
                seen.remove(&(instance.seen_ms, *id));
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOO_EARLY: Result<(), ErrorCode> = Err(ErrorCode::THROTTLING_QUOTA_EXCEEDED);

    fn id(number: usize) -> Uuid {
        Uuid((number as u128 + 1000).to_be_bytes())
    }

    #[test]
    fn a_client_comes_once_in_an_interval() {
        let mut client = Instance::new(1, 1, 1000, 0);
        assert_eq!(client.ask(0), Ok(()));
        assert_eq!(client.ask(999), TOO_EARLY);
        assert_eq!(client.push(false, 500), Ok(()), "the first comes at any time after it asked");
        assert_eq!(client.push(false, 1499), TOO_EARLY);
        assert_eq!(client.ask(1499), TOO_EARLY);
        assert_eq!(client.push(false, 1500), Ok(()));
        assert_eq!(client.ask(2500), Ok(()));
        assert_eq!(client.push(false, 2501), Ok(()));
    }

    #[test]
    fn good_bye_is_said_at_any_time_and_once() {
        let mut client = Instance::new(1, 1, 1000, 0);
        assert_eq!(client.push(false, 0), Ok(()), "nobody has to ask");
        assert_eq!(client.push(true, 1), Ok(()));
        assert_eq!(client.push(true, 5000), Err(ErrorCode::INVALID_REQUEST));
        assert_eq!(client.push(false, 9000), Err(ErrorCode::INVALID_REQUEST));
        assert_eq!(
            client.push(false, 10_000),
            Ok(()),
            "he who was refused and does not say so again is back, as in Kafka"
        );
    }

    #[test]
    fn who_is_silent_for_long_is_forgotten_and_so_is_what_follows_from_old_subscriptions() {
        let mut instances = Instances::default();
        let meet = |version, interval_ms, now_ms| move || Instance::new(version, 1, interval_ms, now_ms);
        instances.of(id(1), 1, 0, meet(1, 100, 0)).ask(0).unwrap();
        instances.of(id(2), 1, 0, meet(1, 30_000, 0)).ask(0).unwrap();
        assert_eq!(instances.of(id(1), 1, 59, meet(1, 100, 59)).ask(59), TOO_EARLY);
        instances.expire(60_058);
        assert_eq!(instances.len(), 2);
        instances.expire(60_059);
        assert!(!instances.contains(id(1)) && instances.contains(id(2)), "three intervals, or a minute");
        assert_eq!(instances.of(id(2), 1, 89_999, meet(1, 30_000, 89_999)).push(false, 89_999), Ok(()));
        assert_eq!(instances.of(id(2), 2, 90_000, meet(2, 30_000, 90_000)).ask(90_000), Ok(()), "other subscriptions");
    }

    #[test]
    fn there_are_never_too_many() {
        let mut instances = Instances::default();
        for number in 0..INSTANCES_MAX + 2 {
            instances.of(id(number), 1, number as u64, || Instance::new(1, 1, 100, 0));
        }
        assert_eq!(instances.len(), INSTANCES_MAX);
        assert!(!instances.contains(id(1)) && instances.contains(id(2)));
    }
}
