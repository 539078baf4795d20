//! Numbers, names and retriability of all errors, against a list that Kafka's own class wrote
//! (`golden/ErrorCodes.java`).

use protocol::ErrorCode;

const GOLDEN: &str = include_str!("golden/error-codes-4.3.1.txt");

#[test]
fn numbers_and_names_are_those_of_kafka() {
    let mut theirs: Vec<&str> = GOLDEN.lines().collect();
    theirs.sort_unstable();
    let line = |code: &ErrorCode| {
        let retriable = if code.is_retriable() { "retriable" } else { "fatal" };
        format!("{} {} {retriable}", code.0, code.name().unwrap_or("?"))
    };
    let mut ours: Vec<String> = ErrorCode::ALL.iter().map(line).collect();
    ours.sort_unstable();
    assert_eq!(ours, theirs);
}
