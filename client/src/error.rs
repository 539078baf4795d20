//! What can go wrong between a client and a cluster.

use std::io;

use protocol::ErrorCode;
use protocol::wire::DecodeError;

/// Why a request has no answer, or a bad one.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No broker of the bootstrap list answered.
    #[error("no broker answers at {addresses}: {reason}")]
    NoBroker {
        /// The list as given.
        addresses: String,
        /// What the last one said.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection to {address} broke: {source}")]
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
    /// A record batch could not be read.
    #[error("a record batch cannot be read: {0}")]
    Records(#[from] protocol::records::BatchError),
}

impl ClientError {
    /// An error code as an error; success is `Ok`.
    ///
    /// # Errors
    /// When `code` is not NONE.
    pub fn check(what: impl Into<String>, code: ErrorCode, message: Option<String>) -> Result<(), ClientError> {
        if code.is_none() { Ok(()) } else { Err(ClientError::Kafka { what: what.into(), code, message }) }
    }

    /// The code, if the broker gave one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Kafka { code, .. } => Some(*code),
            _ => None,
        }
    }
}
