//! The shape that every coordinator has: decisions as data.
//!
//! A machine is told the time, the requests, and what was logged. It answers with records to append and replies to
//! send; it never does I/O and never asks the time. So its worst race is a unit test, and a run is replayed from a
//! seed. One async shell in the broker drives them all.

/// Milliseconds on a clock that the caller owns.
///
/// `monotonic_ms` never goes back and drives deadlines; `wall_ms` is the time of day, for timestamps that are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Milliseconds since some moment before the process started.
    pub monotonic_ms: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub wall_ms: i64,
}

/// Whom a reply goes to: a number the caller chose, which the machine only hands back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyTo(pub u64);

/// When a reply may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Once everything the machine had logged at that moment is committed.
    Committed,
    /// At once: for pure liveness, so that slow replication cannot expire a whole group.
    Now,
}

/// An answer on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<R> {
    /// The request it answers.
    pub to: ReplyTo,
    /// The answer.
    pub response: R,
    /// What it waits for.
    pub when: When,
}

/// What a machine decided: append `records`, apply them, send each reply when it says, and start each effect once
/// everything the machine had logged at that moment is committed.
pub struct Output<M: Machine + ?Sized> {
    /// To be appended in this order, as one atomic batch.
    pub records: Vec<M::Record>,
    /// To be sent, each at its own time.
    pub replies: Vec<Reply<M::Response>>,
    /// To be started in this order, none before what was logged up to now is committed.
    pub effects: Vec<M::Effect>,
}

impl<M: Machine + ?Sized> Default for Output<M> {
    fn default() -> Self {
        Output { records: Vec::new(), replies: Vec::new(), effects: Vec::new() }
    }
}

/// A replicated state machine that decides, and is told what was logged.
///
/// `handle` and `expire` may change only soft state (who waits, who was heard of last). Durable state changes in
/// `apply` alone, which is also how a log is loaded. If an append fails or leadership moves, the shell drops the
/// machine and loads a new one.
pub trait Machine {
    /// What it is asked.
    type Request;
    /// What it answers.
    type Response;
    /// What it logs.
    type Record;
    /// What it wants done in the world, whose outcome it is told by a request. [`std::convert::Infallible`] if nothing.
    type Effect;

    /// Decides about one request.
    fn handle(&mut self, now: Now, from: ReplyTo, request: Self::Request) -> Output<Self>;

    /// Decides about the deadlines that have passed.
    fn expire(&mut self, now: Now) -> Output<Self>;

    /// The next moment (on the monotonic clock) at which `expire` has something to do.
    fn next_deadline_ms(&self) -> Option<u64>;

    /// Takes a record that is in the log: live, and again when loading.
    fn apply(&mut self, record: &Self::Record);
}
