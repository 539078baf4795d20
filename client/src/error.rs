//! What can go wrong between a client and a cluster.

use std::io;

use protocol::ErrorCode;
use protocol::wire::DecodeError;

use crate::TopicPartition;

/// Why a request has no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No broker of the bootstrap list answered.
    #[error("no broker answers: {reason}")]
    NoBroker {
        /// What the last one said.
        reason: String,
    },
    /// The connection could not be opened, or broke.
    #[error("{address}: {source}")]
    Io {
        /// The broker.
        address: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The broker closed the connection, or did not answer in time.
    #[error("{address} did not answer: {reason}")]
    NoAnswer {
        /// The broker.
        address: String,
        /// What happened.
        reason: &'static str,
    },
    /// The answer could not be read.
    #[error("{address} gave an answer that cannot be read: {source}")]
    Decode {
        /// The broker.
        address: String,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The broker does not serve the API, or in no version that we know.
    #[error("{address} does not serve {api}")]
    Unsupported {
        /// The broker.
        address: String,
        /// The API.
        api: &'static str,
    },
    /// The broker said no.
    #[error("{what}: {code}{}", message.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Kafka {
        /// What was asked.
        what: String,
        /// Kafka's code.
        code: ErrorCode,
        /// The broker's words, if it had any.
        message: Option<String>,
    },
    /// A group has committed no position, and there is no rule where to begin.
    #[error("Undefined offset with no reset policy for partitions: [{place}] in group {group_id}")]
    NoPosition {
        /// The group.
        group_id: String,
        /// The first partition without one.
        place: TopicPartition,
    },
    /// What a broker or another member sent does not make sense.
    #[error("{what} cannot be read: {reason}")]
    Corrupt {
        /// Which bytes.
        what: String,
        /// What is wrong with them.
        reason: String,
    },
}

impl ClientError {
    /// An error code as an error; success is `Ok`.
    ///
    /// # Errors
    /// When `code` is not NONE.
    pub fn check(what: impl Into<String>, code: ErrorCode, message: Option<String>) -> Result<(), ClientError> {
        if code.is_none() { Ok(()) } else { Err(ClientError::Kafka { what: what.into(), code, message }) }
    }

    /// An answer that should say something about a partition and does not.
    pub(crate) fn silent_about(place: &TopicPartition) -> ClientError {
        ClientError::Corrupt { what: format!("the answer about {place}"), reason: "it says nothing about it".into() }
    }

    /// The code, if the broker gave one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Kafka { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the same request may succeed a little later, perhaps at another broker.
    ///
    /// After a lost connection it is unknown whether a request was carried out.
    pub fn is_retriable(&self) -> bool {
        match self {
            ClientError::NoBroker { .. } | ClientError::Io { .. } | ClientError::NoAnswer { .. } => true,
            ClientError::Kafka { code, .. } => code.is_retriable(),
            ClientError::Decode { .. }
            | ClientError::Unsupported { .. }
            | ClientError::NoPosition { .. }
            | ClientError::Corrupt { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_one_sentence() {
        let refused = ClientError::check("topic t", ErrorCode::INVALID_PARTITIONS, Some("at least 1".into()));
        assert_eq!(refused.unwrap_err().to_string(), "topic t: INVALID_PARTITIONS (at least 1)");
        let refused = ClientError::check("t-0", ErrorCode::NOT_LEADER_OR_FOLLOWER, None).unwrap_err();
        assert_eq!(refused.to_string(), "t-0: NOT_LEADER_OR_FOLLOWER");
        assert!(refused.is_retriable());
        assert!(ClientError::check("t-0", ErrorCode::NONE, None).is_ok());
    }
}
