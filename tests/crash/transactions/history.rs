//! What the clients of a world asked and heard, in the order in which that happened.

/// Counts what happened.
pub(crate) type Time = u64;
/// A topic and a partition.
pub(crate) type Place = (&'static str, i32);

/// A record as its writer names it: no other has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Value {
    /// An index into [`History::transactions`].
    pub(crate) transaction: usize,
    /// An index into its writes.
    pub(crate) write: usize,
}

impl Value {
    /// What stands in the log: the name, and whatever the writer has to say.
    pub(crate) fn text(self, payload: &str) -> String {
        format!("{}.{}:{payload}", self.transaction, self.write)
    }

    /// The other way; `None` for what no writer made.
    pub(crate) fn parse(text: &str) -> Option<(Value, &str)> {
        let (name, payload) = text.split_once(':')?;
        let (transaction, write) = name.split_once('.')?;
        Some((Value { transaction: transaction.parse().ok()?, write: write.parse().ok()? }, payload))
    }
}

/// A producer from its InitProducerId on.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// The transactional id: of several instances with the same one only the last may do anything.
    pub(crate) name: String,
    pub(crate) asked: Time,
    pub(crate) answered: Option<Time>,
}

/// One record of a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) place: Place,
    pub(crate) asked: Time,
    pub(crate) answered: Option<Time>,
    /// Where it stands, if the answer said so.
    pub(crate) offset: Option<i64>,
}

/// EndTxn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) committed: bool,
    pub(crate) asked: Time,
    /// When the broker said that it is so. Without it nobody knows.
    pub(crate) answered: Option<Time>,
}

#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    /// An index into [`History::instances`].
    pub(crate) instance: usize,
    /// Whether the coordinator may abort it on its own.
    pub(crate) may_time_out: bool,
    pub(crate) writes: Vec<Write>,
    pub(crate) end: Option<End>,
}

/// What a reader of committed records was given.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) reader: u32,
    pub(crate) place: Place,
    pub(crate) offset: i64,
    /// `None` is something that nobody wrote.
    pub(crate) value: Option<Value>,
    pub(crate) at: Time,
}

/// How far readers of committed records may go, as one prober heard, who asks again when he was answered.
#[derive(Clone, Debug)]
pub(crate) struct Stable {
    pub(crate) place: Place,
    pub(crate) asked: Time,
    pub(crate) answered: Time,
    pub(crate) offset: i64,
}

/// Everything of one world.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    clock: Time,
    pub(crate) instances: Vec<Instance>,
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) reads: Vec<Read>,
    pub(crate) stable: Vec<Stable>,
}

impl History {
    /// A moment that nothing else has.
    pub(crate) fn tick(&mut self) -> Time {
        self.clock += 1;
        self.clock
    }

    pub(crate) fn instance_asked(&mut self, name: &str) -> usize {
        let asked = self.tick();
        self.instances.push(Instance { name: name.to_owned(), asked, answered: None });
        self.instances.len() - 1
    }

    pub(crate) fn instance_answered(&mut self, instance: usize) {
        self.instances[instance].answered = Some(self.tick());
    }

    pub(crate) fn begun(&mut self, instance: usize, may_time_out: bool) -> usize {
        self.transactions.push(Transaction { instance, may_time_out, writes: Vec::new(), end: None });
        self.transactions.len() - 1
    }

    pub(crate) fn write_asked(&mut self, transaction: usize, place: Place) -> Value {
        let asked = self.tick();
        let writes = &mut self.transactions[transaction].writes;
        writes.push(Write { place, asked, answered: None, offset: None });
        Value { transaction, write: writes.len() - 1 }
    }

    /// A negative offset says only that it is there.
    pub(crate) fn write_answered(&mut self, value: Value, offset: i64) {
        let answered = self.tick();
        let write = &mut self.transactions[value.transaction].writes[value.write];
        (write.answered, write.offset) = (Some(answered), (offset >= 0).then_some(offset));
    }

    pub(crate) fn end_asked(&mut self, transaction: usize, committed: bool) {
        let asked = self.tick();
        self.transactions[transaction].end = Some(End { committed, asked, answered: None });
    }

    pub(crate) fn end_answered(&mut self, transaction: usize) {
        let answered = self.tick();
        if let Some(end) = &mut self.transactions[transaction].end {
            end.answered = Some(answered);
        }
    }

    pub(crate) fn was_read(&mut self, reader: u32, place: Place, offset: i64, value: Option<Value>) {
        let at = self.tick();
        self.reads.push(Read { reader, place, offset, value, at });
    }

    pub(crate) fn was_stable(&mut self, place: Place, asked: Time, offset: i64) {
        let answered = self.tick();
        self.stable.push(Stable { place, asked, answered, offset });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_were_written() {
        let value = Value { transaction: 12, write: 3 };
        assert_eq!(Value::parse(&value.text("a:b.c")), Some((value, "a:b.c")));
        for nobodys in ["", "1.2", "1:2", "a.1:", "1.:x"] {
            assert_eq!(Value::parse(nobodys), None, "{nobodys}");
        }
    }
}
