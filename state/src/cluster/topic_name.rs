//! Which names a topic may have: Kafka's rules, because tools and clients check them too.

use protocol::ErrorCode;

use super::command::Refusal;

/// The longest name, in bytes. A log directory appends the partition and must stay a file name.
pub const MAX_TOPIC_NAME_LENGTH: usize = 249;

/// Topics that coordinators keep their state in.
const INTERNAL_TOPICS: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Whether the cluster keeps its own state in a topic of that name.
pub fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// Whether a topic may have that name: INVALID_TOPIC_EXCEPTION and a reason if not.
pub fn check_topic_name(name: &str) -> Result<(), Refusal> {
    let invalid = |reason: String| Err(Refusal::new(ErrorCode::INVALID_TOPIC_EXCEPTION, reason));
    if name.is_empty() {
        return invalid("A topic name cannot be empty.".to_owned());
    }
    if name == "." || name == ".." {
        return invalid(format!("'{name}' cannot be a topic name, because it means a directory."));
    }
    if name.len() > MAX_TOPIC_NAME_LENGTH {
        return invalid(format!(
            "A topic name has at most {MAX_TOPIC_NAME_LENGTH} characters, this one has {}.",
            name.chars().count()
        ));
    }
    match name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-')) {
        None => Ok(()),
        Some(other) => invalid(format!(
            "Topic name {name:?} holds {other:?}; only ASCII letters and digits, '.', '_' and '-' are allowed."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kafkas_rules() {
        for good in ["a", "...", "A-b_c.9", "-", "__consumer_offsets", &"x".repeat(249)] {
            assert_eq!(check_topic_name(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "ä", "a\0", "a:b", &"x".repeat(250)] {
            let refusal = check_topic_name(bad).unwrap_err();
            assert_eq!(refusal.error, ErrorCode::INVALID_TOPIC_EXCEPTION, "{bad}");
        }
    }
}
