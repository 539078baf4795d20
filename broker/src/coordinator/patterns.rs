//! Regular expressions in subscriptions.
//!
//! Kafka understands RE2's syntax (KIP-848). Topics are named in ASCII, so that of the classes of characters only those
//! of ASCII make a difference, which `regex-lite` has; like RE2 it takes time linear in the name. It lets a repetition of a repetition pass (`a**`), which
//! RE2 refuses.

use regex_lite::RegexBuilder;
use state::group::TopicMatcher;

/// What a compiled expression may take, bytes: a client chooses it.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// A matcher of whole names.
///
/// # Errors
/// What is wrong with the expression.
pub(super) fn compile(pattern: &str) -> Result<TopicMatcher, String> {
    // By itself first: what is around it must not make a broken one whole.
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
    build(pattern).map_err(|error| error.to_string())?;
    let whole = build(&format!("^(?:{pattern})$")).map_err(|error| error.to_string())?;
    Ok(Box::new(move |name| whole.is_match(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_match_or_do_not() {
        let matches = |pattern: &str, name: &str| compile(pattern).unwrap()(name);
        assert!(matches("foo|bar", "foo") && matches("foo|bar", "bar"));
        assert!(!matches("foo|bar", "foot") && !matches("foo|bar", "abar"));
        assert!(matches(r"\w+-[0-9]{2,}(?i:X)?", "topic-07x"));
        assert!(matches("", "") && !matches("", "t"));
    }

    #[test]
    fn what_re2_does_not_know_is_refused() {
        for pattern in ["(", "a)(b", "[", "*", r"(a)\1", "(?=a)", "(?<!a)b", "(a{1000}){1000}"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
