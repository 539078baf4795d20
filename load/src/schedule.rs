//! When which records are due: the plan of one connection, without a clock.
//!
//! With a rate, record *i* is due at `start + i × interval`, however the broker does. What could not be sent in time is not
//! queued anywhere, since a due time follows from a number: it goes with the next batch, and its latency still counts from
//! when it was due.

/// How long after the end of a timed run records may still be sent that were due before, ns. A broker that keeps up needs
/// none of it; of one that does not, the rest counts as unsent.
const GRACE_NS: u64 = 1_000_000_000;

/// What a connection is to send. Times are nanoseconds of the run's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Between two records; without it, as many as possible.
    pub(crate) interval_ns: Option<f64>,
    /// When the first record is due.
    pub(crate) start: u64,
    /// From when on records count.
    pub(crate) measure_from: u64,
    /// Before when records are due.
    pub(crate) end: Option<u64>,
    /// How many records to send that count.
    pub(crate) quota: Option<u64>,
    /// How long the first record of a batch waits for others.
    pub(crate) linger_ns: u64,
    /// Records of a full batch.
    pub(crate) batch: u32,
}

/// Records that go together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Due {
    /// When the first was due, and the distance to the next.
    pub(crate) first_ns: u64,
    pub(crate) step_ns: f64,
    pub(crate) count: u32,
    /// Whether they are past the warm-up; all are or none is.
    pub(crate) counts: bool,
}

impl Due {
    /// When each was due.
    pub(crate) fn times(&self) -> impl Iterator<Item = u64> + use<> {
        let Due { first_ns, step_ns, count, .. } = *self;
        (0..count).map(move |place| first_ns + (f64::from(place) * step_ns) as u64)
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Next {
    /// Send these.
    Send(Due),
    /// Nothing before this time.
    At(u64),
    /// Nothing any more.
    Done,
}

/// A plan and how far it has got.
#[derive(Debug)]
pub(crate) struct Schedule {
    plan: Plan,
    /// The number of the next record, with a rate.
    next: u64,
    /// How many that count were sent.
    counted: u64,
}

impl Schedule {
    pub(crate) fn new(plan: Plan) -> Schedule {
        Schedule { plan: Plan { batch: plan.batch.max(1), ..plan }, next: 0, counted: 0 }
    }

    /// What is to be sent at `now`. Records that are answered are taken to be sent.
    pub(crate) fn next(&mut self, now: u64) -> Next {
        if now < self.plan.start {
            return Next::At(self.plan.start);
        }
        let next = match self.plan.interval_ns {
            None => self.flat_out(now),
            Some(interval_ns) => self.paced(now, interval_ns),
        };
        if let Next::Send(due) = next {
            self.next += u64::from(due.count);
            self.counted += if due.counts { u64::from(due.count) } else { 0 };
        }
        next
    }

    /// Records that were due by `now` and that count, but were not sent.
    pub(crate) fn unsent(&self, now: u64) -> u64 {
        let Some(interval_ns) = self.plan.interval_ns else { return 0 };
        let until = self.plan.end.unwrap_or(u64::MAX).min(now);
        let due = self.number_at(until, interval_ns).saturating_sub(self.next);
        due.min(self.plan.quota.map_or(u64::MAX, |quota| quota.saturating_sub(self.counted)))
    }

    fn flat_out(&self, now: u64) -> Next {
        let counts = now >= self.plan.measure_from;
        let room = self.room(counts);
        if room == 0 || self.plan.end.is_some_and(|end| now >= end) {
            return Next::Done;
        }
        Next::Send(Due { first_ns: now, step_ns: 0.0, count: room, counts })
    }

    fn paced(&self, now: u64, interval_ns: f64) -> Next {
        let first_ns = self.due_at(self.next, interval_ns);
        let counts = first_ns >= self.plan.measure_from;
        let mut room = u64::from(self.room(counts));
        // A batch does not reach over the end of the warm-up, nor over the end.
        let borders = [(!counts).then_some(self.plan.measure_from), self.plan.end];
        for border in borders.into_iter().flatten() {
            room = room.min(self.number_at(border, interval_ns).saturating_sub(self.next));
        }
        let too_late = self.plan.end.is_some_and(|end| now >= end.saturating_add(GRACE_NS));
        if room == 0 || too_late {
            return Next::Done;
        }
        let due = self.number_at(now.saturating_add(1), interval_ns).saturating_sub(self.next).min(room);
        let lingered = first_ns.saturating_add(self.plan.linger_ns);
        if due == room || (due > 0 && now >= lingered) {
            return Next::Send(Due { first_ns, step_ns: interval_ns, count: due as u32, counts });
        }
        Next::At(lingered.min(self.due_at(self.next + room - 1, interval_ns)))
    }

    /// How many records the next batch may have.
    fn room(&self, counts: bool) -> u32 {
        match self.plan.quota {
            Some(quota) if counts => quota.saturating_sub(self.counted).min(u64::from(self.plan.batch)) as u32,
            _ => self.plan.batch,
        }
    }

    fn due_at(&self, number: u64, interval_ns: f64) -> u64 {
        self.plan.start.saturating_add((number as f64 * interval_ns) as u64)
    }

    /// The number of the first record that is due at this time or later.
    fn number_at(&self, time: u64, interval_ns: f64) -> u64 {
        let mut number = (time.saturating_sub(self.plan.start) as f64 / interval_ns) as u64;
        while number > 0 && self.due_at(number - 1, interval_ns) >= time {
            number -= 1;
        }
        while self.due_at(number, interval_ns) < time {
            number += 1;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        interval_ns: Some(100.0),
        start: 1000,
        measure_from: 1000,
        end: None,
        quota: None,
        linger_ns: 0,
        batch: 10,
    };

    fn due(first_ns: u64, count: u32, counts: bool) -> Next {
        Next::Send(Due { first_ns, step_ns: 100.0, count, counts })
    }

    #[test]
    fn a_record_is_due_by_its_number_and_not_before() {
        let mut schedule = Schedule::new(PLAN);
        assert_eq!(schedule.next(0), Next::At(1000));
        assert_eq!(schedule.next(1000), due(1000, 1, true));
        assert_eq!(schedule.next(1000), Next::At(1100));
        assert_eq!(schedule.next(1099), Next::At(1100));
        assert_eq!(schedule.next(1100), due(1100, 1, true));
    }

    #[test]
    fn after_a_stall_all_that_was_due_goes_and_knows_since_when() {
        let mut schedule = Schedule::new(PLAN);
        assert_eq!(schedule.next(1000), due(1000, 1, true));
        // Nobody asked for 2 µs: twenty records, in batches of ten.
        assert_eq!(schedule.next(3000), due(1100, 10, true));
        assert_eq!(schedule.unsent(3000), 9);
        assert_eq!(schedule.next(3000), due(2100, 10, true));
        let Next::Send(last) = due(2100, 10, true) else { unreachable!() };
        assert_eq!(last.times().last(), Some(3000));
        assert_eq!(schedule.next(3000), Next::At(3100));
    }

    #[test]
    fn a_batch_waits_until_it_is_full_or_has_lingered() {
        let mut schedule = Schedule::new(Plan { linger_ns: 250, batch: 4, ..PLAN });
        assert_eq!(schedule.next(1000), Next::At(1250));
        assert_eq!(schedule.next(1250), due(1000, 3, true));
        assert_eq!(schedule.next(1300), Next::At(1550));
        // Full before its time is over.
        let mut schedule = Schedule::new(Plan { linger_ns: 10_000, batch: 4, ..PLAN });
        assert_eq!(schedule.next(1000), Next::At(1300));
        assert_eq!(schedule.next(1300), due(1000, 4, true));
    }

    #[test]
    fn batches_end_with_the_warm_up_with_the_end_and_with_the_quota() {
        let mut schedule = Schedule::new(Plan { measure_from: 1450, end: Some(1900), ..PLAN });
        assert_eq!(schedule.next(5000), due(1000, 5, false));
        assert_eq!(schedule.next(5000), due(1500, 4, true));
        assert_eq!(schedule.next(5000), Next::Done);
        let mut schedule = Schedule::new(Plan { measure_from: 1200, quota: Some(3), ..PLAN });
        assert_eq!(schedule.next(5000), due(1000, 2, false));
        assert_eq!(schedule.next(5000), due(1200, 3, true));
        assert_eq!((schedule.next(5000), schedule.unsent(5000)), (Next::Done, 0));
    }

    #[test]
    fn what_comes_too_long_after_the_end_is_unsent() {
        let mut schedule = Schedule::new(Plan { end: Some(2000), ..PLAN });
        assert_eq!(schedule.next(1000), due(1000, 1, true));
        assert_eq!(schedule.next(2000 + GRACE_NS), Next::Done);
        assert_eq!(schedule.unsent(2000 + GRACE_NS), 9);
    }

    #[test]
    fn flat_out_is_full_batches_from_now_on() {
        let mut schedule =
            Schedule::new(Plan { interval_ns: None, measure_from: 2000, quota: Some(15), batch: 10, ..PLAN });
        let flat = |first_ns, count, counts| Next::Send(Due { first_ns, step_ns: 0.0, count, counts });
        assert_eq!(schedule.next(1500), flat(1500, 10, false));
        assert_eq!(schedule.next(2500), flat(2500, 10, true));
        assert_eq!(schedule.next(2600), flat(2600, 5, true));
        assert_eq!(schedule.next(2700), Next::Done);
        let mut schedule = Schedule::new(Plan { interval_ns: None, end: Some(2000), ..PLAN });
        assert_eq!(schedule.next(2000), Next::Done);
    }

    #[test]
    fn no_record_is_left_out_or_sent_twice_whatever_the_rate() {
        for interval_ns in [0.37, 1.0, 33.3, 1e6 / 3.0] {
            let plan = Plan { interval_ns: Some(interval_ns), batch: 7, end: Some(2_001_000), ..PLAN };
            let (mut schedule, mut now, mut sent) = (Schedule::new(plan), 0, 0);
            loop {
                match schedule.next(now) {
                    Next::Send(due) => {
                        assert!(due.times().all(|time| time <= now && time < 2_001_000), "{interval_ns}: {due:?}");
                        sent += u64::from(due.count);
                    }
                    Next::At(time) => {
                        assert!(time > now, "{interval_ns}: it makes no headway at {now}");
                        now = time;
                    }
                    Next::Done => break,
                }
                now += 90;
            }
            assert_eq!(sent, (2_000_000.0 / interval_ns).ceil() as u64, "{interval_ns}");
        }
    }
}
