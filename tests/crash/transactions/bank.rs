//! Money goes from account to account, and there is always as much of it as before.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{Consumer, Isolation, StartOffset, TopicPartition};

use super::history::{Place, Value};
use super::producer::{LONG_MS, Manner, Producer, Stopped, Understanding};
use super::stage::Stage;
use super::watchers::latest;

pub(crate) const BANK: &str = "bank";
pub(crate) const PARTITIONS: i32 = 2;
const ACCOUNTS: i32 = 5;
/// What each account has at first.
const BALANCE: i64 = 100;
/// For a reader to reach the end of what it may read.
const STEP: Duration = Duration::from_millis(50);

/// What an account had after a transfer, as it stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) transfer: u64,
    pub(crate) account: i32,
    pub(crate) balance: i64,
}

impl Statement {
    fn text(&self) -> String {
        format!("{}/{}/{}", self.transfer, self.account, self.balance)
    }

    pub(crate) fn parse(text: &str) -> Option<Statement> {
        let mut parts = text.split('/');
        let (transfer, account) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Statement { transfer, account, balance: parts.next()?.parse().ok()? })
    }
}

/// What all accounts have, and the last transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Books {
    balances: Vec<i64>,
    pub(crate) transfers: u64,
}

impl Books {
    /// After these statements, which two readers may have got in any order of the partitions.
    ///
    /// # Errors
    /// Half a transfer, one that comes twice or is missing, and money that came from nowhere.
    pub(crate) fn of(statements: &[Statement]) -> Result<Books, String> {
        let mut books = Books { balances: vec![BALANCE; ACCOUNTS as usize], transfers: 0 };
        let mut transfers: BTreeMap<u64, Vec<Statement>> = BTreeMap::new();
        statements.iter().for_each(|statement| transfers.entry(statement.transfer).or_default().push(*statement));
        for (transfer, both) in transfers {
            let accounts_differ = both.len() == 2 && both[0].account != both[1].account;
            if transfer != books.transfers + 1 || !accounts_differ {
                return Err(format!("after transfer {} comes {both:?}", books.transfers));
            }
            for Statement { account, balance, .. } in &both {
                books.balances[*account as usize] = *balance;
            }
            books.transfers = transfer;
            let sum: i64 = books.balances.iter().sum();
            if sum != BALANCE * i64::from(ACCOUNTS) {
                return Err(format!("{sum} in all after {both:?}"));
            }
        }
        Ok(books)
    }

    fn next(&self, random: &mut fastrand::Rng) -> [Statement; 2] {
        let from = random.i32(0..ACCOUNTS);
        let to = (from + random.i32(1..ACCOUNTS)) % ACCOUNTS;
        let amount = random.i64(0..40);
        let transfer = self.transfers + 1;
        [(from, -amount), (to, amount)].map(|(account, change)| {
            let balance = self.balances[account as usize] + change;
            Statement { transfer, account, balance }
        })
    }

    fn apply(&mut self, statements: &[Statement; 2]) {
        for Statement { account, balance, .. } in statements {
            self.balances[*account as usize] = *balance;
        }
        self.transfers = statements[0].transfer;
    }
}

/// Transfers until it is over; each new instance begins with the books as they are committed.
pub(crate) async fn transfer(stage: Stage, mut random: fastrand::Rng) {
    let understanding = if random.bool() { Understanding::New } else { Understanding::Old };
    let manner = Manner { transactional_id: "banker".into(), understanding, timeout_ms: LONG_MS };
    let mut known = 0;
    while !stage.is_over() {
        let mut producer = Producer::init(stage.for_another().await, &manner).await;
        let mut books = Books::of(&statements(&stage).await).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert!(books.transfers >= known, "transfer {known} was committed, and the last is {}", books.transfers);
        while !stage.is_over() {
            let (next, insists, ending) = (books.next(&mut random), random.u32(..4) > 0, random.u32(..8));
            producer.insists = insists;
            match transact(&mut producer, &next, ending).await {
                Ok(true) => books.apply(&next),
                Ok(false) => {}
                Err(Stopped::GaveUp) => break,
                Err(Stopped::Refused(api, code)) => panic!("nobody fenced the banker, and {api} says {code}"),
            }
            known = books.transfers;
            // It leaves in the middle.
            if ending == 0 {
                break;
            }
        }
    }
}

async fn transact(producer: &mut Producer, statements: &[Statement; 2], ending: u32) -> Result<bool, Stopped> {
    for statement in statements {
        let place: Place = (BANK, statement.account % PARTITIONS);
        producer.write(&BTreeMap::from([(place, vec![statement.text()])])).await?;
    }
    if ending > 0 {
        producer.end(ending > 1).await?;
    }
    Ok(ending > 1)
}

/// All that is committed. Nobody writes meanwhile.
async fn statements(stage: &Stage) -> Vec<Statement> {
    let mut places = Vec::new();
    for partition in 0..PARTITIONS {
        // Where there is nothing a reader would wait.
        if latest(stage, (BANK, partition), Isolation::ReadCommitted).await != Some(0) {
            places.push(TopicPartition::new(BANK, partition));
        }
    }
    let mut consumer = Consumer::new(&stage.cluster).isolation(Isolation::ReadCommitted);
    consumer.assign(&places, StartOffset::Earliest).await.unwrap();
    let mut found = Vec::new();
    while !consumer.is_caught_up() {
        let Some(record) = consumer.next(STEP).await.unwrap() else { continue };
        let text = std::str::from_utf8(record.value.as_deref().unwrap_or_default()).unwrap_or_default();
        let statement = Value::parse(text).and_then(|(_, payload)| Statement::parse(payload));
        found.push(statement.unwrap_or_else(|| panic!("no statement: {record:?}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Books, Statement};

    fn statement(transfer: u64, account: i32, balance: i64) -> Statement {
        Statement { transfer, account, balance }
    }

    #[test]
    fn books_balance_after_every_transfer() {
        let good = [statement(1, 0, 90), statement(2, 2, 105), statement(1, 1, 110), statement(2, 0, 85)];
        let books = Books::of(&good).unwrap();
        assert_eq!((books.balances, books.transfers), (vec![85, 110, 105, 100, 100], 2));
        assert_eq!(Statement::parse(&good[1].text()), Some(good[1]));
        let without =
            |at: usize| good.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, s)| *s).collect::<Vec<_>>();
        (0..4).for_each(|at| assert!(Books::of(&without(at)).is_err(), "without {at}"));
        let with = |more: Statement| Books::of(&[&good[..], &[more]].concat());
        assert!(with(statement(2, 0, 85)).is_err(), "twice");
        assert!(with(statement(3, 0, 80)).is_err(), "half");
        let other = [statement(1, 0, 90), statement(1, 1, 111)];
        assert!(Books::of(&other).is_err(), "from nowhere");
        assert!(Books::of(&good[1..2]).is_err(), "the first is missing");
    }
}
