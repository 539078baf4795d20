//! What a broker was told of what is read: an incremental fetch session (KIP-227), as consumers have them. The first
//! request names every partition, and those after it only what has changed since.

use std::collections::BTreeMap;

use crate::reader::Place;

/// Of a request that names everything and asks for a session.
const INITIAL_EPOCH: i32 = 0;

/// A session with one broker. A broker that gives none is told everything each time.
#[derive(Debug, Default)]
pub(crate) struct Session {
    id: i32,
    epoch: i32,
    /// The offset that the broker knows of each partition.
    known: BTreeMap<i32, i64>,
}

/// What the next request says.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) session_id: i32,
    pub(crate) session_epoch: i32,
    pub(crate) places: Vec<Place>,
    /// Partitions that are not read any more.
    pub(crate) forgotten: Vec<i32>,
}

impl Session {
    /// What to say about these places, which are all that are read.
    pub(crate) fn tell(&mut self, places: &[Place]) -> Told {
        if self.epoch == INITIAL_EPOCH {
            self.known.clear();
        }
        let is_new = |place: &&Place| self.known.get(&place.partition) != Some(&place.offset);
        let changed: Vec<Place> = places.iter().filter(is_new).copied().collect();
        let now: BTreeMap<i32, i64> = places.iter().map(|place| (place.partition, place.offset)).collect();
        let forgotten = self.known.keys().filter(|partition| !now.contains_key(partition)).copied().collect();
        self.known = now;
        Told { session_id: self.id, session_epoch: self.epoch, places: changed, forgotten }
    }

    /// The broker has answered, in this session; 0 is none.
    pub(crate) fn answered(&mut self, session_id: i32) {
        if session_id == 0 {
            *self = Session::default();
            return;
        }
        self.id = session_id;
        // From the largest number it goes on with 1: 0 asks for a new session.
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
    }

    /// The broker knows nothing of it, or the connection is another. Answers whether there was a session.
    pub(crate) fn lose(&mut self) -> bool {
        std::mem::take(self).epoch != INITIAL_EPOCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(partition: i32, offset: i64) -> Place {
        Place { partition, offset, until: None }
    }

    fn told(session_id: i32, session_epoch: i32, places: &[Place], forgotten: &[i32]) -> Told {
        Told { session_id, session_epoch, places: places.to_vec(), forgotten: forgotten.to_vec() }
    }

    #[test]
    fn after_the_first_request_only_changes_are_told() {
        let mut session = Session::default();
        let all = [place(0, 0), place(1, 5), place(2, 9)];
        assert_eq!(session.tell(&all), told(0, 0, &all, &[]));
        session.answered(77);
        let moved = [place(0, 3), place(1, 5), place(2, 9)];
        assert_eq!(session.tell(&moved), told(77, 1, &moved[..1], &[]));
        session.answered(77);
        // The second was read to its end.
        assert_eq!(session.tell(&[moved[0], moved[2]]), told(77, 2, &[], &[1]));
        session.answered(77);
        assert!(session.lose());
        assert_eq!(session.tell(&moved), told(0, 0, &moved, &[]));
        assert!(!session.lose());
    }

    #[test]
    fn a_broker_without_sessions_is_told_everything_each_time() {
        let mut session = Session::default();
        for _ in 0..2 {
            assert_eq!(session.tell(&[place(0, 1)]), told(0, 0, &[place(0, 1)], &[]));
            session.answered(0);
        }
    }

    #[test]
    fn the_number_of_a_request_wraps_to_one() {
        let mut session = Session { id: 7, epoch: i32::MAX, known: BTreeMap::new() };
        session.answered(7);
        assert_eq!(session.tell(&[]).session_epoch, 1);
    }
}
