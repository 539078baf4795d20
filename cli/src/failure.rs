//! Why a tool could not do what it was asked to, and what the person can do about it.

use std::fmt;
use std::io;

use client::ClientError;
use protocol::ErrorCode;

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Between us and the cluster.
    Client(ClientError),
    /// Reading standard input or writing standard output.
    Io(io::Error),
    /// In what we were given; the text says all.
    Input(String),
    /// In how we were called.
    Usage(String),
    /// It was said already, in the tool's own way.
    Said,
}

/// What every tool answers.
pub(crate) type Outcome = Result<(), Failure>;

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        Failure::Client(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

impl Failure {
    /// Whether the reader of our output went away, as `head` does: nothing that needs words.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Failure::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Everything that a person needs: what happened, at which broker, and what can be done.
    pub(crate) fn explain(&self, bootstrap: &str) -> String {
        let mut text = format!("ottla: {self}");
        if matches!(self, Failure::Client(_)) && !text.contains(bootstrap) {
            text.push_str(&format!(" [broker {bootstrap}]"));
        }
        text.push('\n');
        if let Some(cure) = self.cure() {
            text.push_str(&format!("  {cure}\n"));
        }
        text
    }

    /// What happened and what can be done, in one line.
    pub(crate) fn with_cure(&self) -> String {
        match self.cure() {
            Some(cure) => format!("{self}; {cure}"),
            None => self.to_string(),
        }
    }

    /// What to do about it, if there is something.
    pub(crate) fn cure(&self) -> Option<&'static str> {
        match self {
            Failure::Client(ClientError::NoBroker { .. } | ClientError::Io { .. }) => {
                Some("start a broker with `ottla`, or name another with --bootstrap-server or $OTTLA_BOOTSTRAP_SERVER")
            }
            Failure::Client(ClientError::NoAnswer { .. }) => {
                Some("the broker's log may say why; is the port one without TLS and for the Kafka protocol?")
            }
            Failure::Client(ClientError::Unsupported { .. }) => Some("a newer broker may serve it"),
            Failure::Client(error) => error.code().and_then(cure_of),
            Failure::Io(_) | Failure::Input(_) | Failure::Usage(_) | Failure::Said => None,
        }
    }
}

fn cure_of(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
            "`ottla topic list` shows the topics there are, `ottla topic create NAME` makes one"
        }
        ErrorCode::TOPIC_ALREADY_EXISTS => "choose another name, or accept what is there with --if-not-exists",
        ErrorCode::INVALID_TOPIC_EXCEPTION => {
            "a topic's name has 1 to 249 letters, digits, dots, underscores and hyphens, and is not . or .."
        }
        ErrorCode::INVALID_REPLICATION_FACTOR => {
            "there must be at least as many brokers as replicas; leave --replication-factor out for the default"
        }
        ErrorCode::OFFSET_OUT_OF_RANGE => "`ottla topic describe TOPIC` shows the first and the next offset",
        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => {
            "raise the topic's max.message.bytes, or send smaller records"
        }
        ErrorCode::GROUP_ID_NOT_FOUND => "`ottla group list` shows the groups there are",
        ErrorCode::LEADER_NOT_AVAILABLE | ErrorCode::NOT_LEADER_OR_FOLLOWER => {
            "the broker that leads the partition is not there; `ottla topic describe TOPIC` shows which one it is"
        }
        _ => return None,
    })
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Client(error) => error.fmt(f),
            Failure::Io(error) => error.fmt(f),
            Failure::Input(text) | Failure::Usage(text) => f.write_str(text),
            Failure::Said => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_broker_once_and_the_cure() {
        let unknown = ClientError::check("topic t", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None).unwrap_err();
        let text = Failure::from(unknown).explain("k:1");
        assert!(
            text.starts_with("ottla: topic t: UNKNOWN_TOPIC_OR_PARTITION [broker k:1]\n  `ottla topic list`"),
            "{text}"
        );
        let refused = ClientError::NoBroker { reason: "k:1: Connection refused".into() };
        let text = Failure::from(refused).explain("k:1");
        assert!(text.starts_with("ottla: no broker answers: k:1: Connection refused\n  start a broker"), "{text}");
        assert_eq!(Failure::Input("line 1 is bad".into()).explain("k:1"), "ottla: line 1 is bad\n");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        assert!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).is_closed_pipe());
        assert!(!Failure::from(io::Error::from(io::ErrorKind::NotFound)).is_closed_pipe());
    }
}
