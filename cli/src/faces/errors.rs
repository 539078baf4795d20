//! Errors as Kafka's tools write them.

use client::ClientError;
use protocol::ErrorCode;

use crate::failure::Failure;

/// What goes to standard error: the message itself, since scripts look at its beginning, and then what helps people.
pub(crate) fn explain(failure: &Failure, face: &str) -> String {
    match failure {
        Failure::Said => String::new(),
        Failure::Usage(text) => format!("{text}\n{face} --help lists the flags\n"),
        Failure::Input(_) | Failure::Io(_) => format!("{failure}\n"),
        Failure::Client(_) => {
            let cure = failure.cure().map(|cure| format!("  {cure}\n")).unwrap_or_default();
            format!("{}\n{cure}", words(failure))
        }
    }
}

/// The broker's own words where it has any.
pub(crate) fn words(failure: &Failure) -> String {
    match failure {
        Failure::Client(error) => client_words(error),
        other => other.to_string(),
    }
}

/// As [`words`].
pub(crate) fn client_words(error: &ClientError) -> String {
    match error {
        ClientError::Kafka { message: Some(message), .. } => message.clone(),
        other => other.to_string(),
    }
}

/// As a Java tool prints the exception it got: the name of its class, and the words.
pub(crate) fn exception(error: &ClientError) -> String {
    let words = client_words(error);
    match error.code() {
        Some(code) => format!("org.apache.kafka.common.errors.{}: {words}", class_of(code)),
        None => words,
    }
}

/// The class of the exception that Kafka's producer gets.
pub(crate) fn send_exception(error: &ClientError) -> String {
    let class = match error.code() {
        Some(ErrorCode::MESSAGE_TOO_LARGE) => "RecordTooLargeException".into(),
        Some(ErrorCode::RECORD_LIST_TOO_LARGE) => "RecordBatchTooLargeException".into(),
        Some(ErrorCode::CORRUPT_MESSAGE) => "CorruptRecordException".into(),
        Some(ErrorCode::REQUEST_TIMED_OUT) => "TimeoutException".into(),
        Some(ErrorCode::UNKNOWN_SERVER_ERROR) => "UnknownServerException".into(),
        Some(code) => class_of(code),
        None => "NetworkException".into(),
    };
    format!("org.apache.kafka.common.errors.{class}")
}

/// Kafka names its exceptions after the codes, nearly always.
fn class_of(code: ErrorCode) -> String {
    let name = match code {
        ErrorCode::NON_EMPTY_GROUP => "GROUP_NOT_EMPTY",
        ErrorCode::TOPIC_ALREADY_EXISTS => "TOPIC_EXISTS",
        ErrorCode::INVALID_CONFIG => "INVALID_CONFIGURATION",
        ErrorCode::INVALID_TOPIC_EXCEPTION => "INVALID_TOPIC",
        code => code.name().unwrap_or("UNKNOWN_SERVER"),
    };
    let mut class: String = name
        .split('_')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            format!("{first}{}", rest.to_lowercase())
        })
        .collect();
    class.push_str("Exception");
    class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_named_after_codes() {
        assert_eq!(class_of(ErrorCode::GROUP_ID_NOT_FOUND), "GroupIdNotFoundException");
        assert_eq!(class_of(ErrorCode::OFFSET_OUT_OF_RANGE), "OffsetOutOfRangeException");
        assert_eq!(class_of(ErrorCode::NON_EMPTY_GROUP), "GroupNotEmptyException");
    }
}
