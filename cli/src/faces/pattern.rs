//! Names of topics chosen by regular expression, as Kafka's tools take them.

use regex_lite::{Regex, RegexBuilder};

use crate::failure::Failure;

/// A compiled expression may take this many bytes.
const SIZE_MAX_BYTES: usize = 1 << 20;

/// An expression that has to match a whole name. Commas stand for alternatives.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// # Errors
    /// When it is no regular expression.
    pub(crate) fn new(text: &str) -> Result<Pattern, Failure> {
        let text: String = text.trim().trim_matches(['"', '\'']).replace(',', "|").replace(' ', "");
        let regex = RegexBuilder::new(&format!("^(?:{text})$")).size_limit(SIZE_MAX_BYTES).build();
        let regex = regex.map_err(|error| Failure::Input(format!("{text} is an invalid regex: {error}")))?;
        Ok(Pattern { text, regex })
    }

    /// Whether a name matches.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }

    /// Whether a name may be destroyed by it: what the cluster keeps for itself has to be written out, so that `.*` does
    /// not delete the offsets of all groups.
    pub(crate) fn names_outright(&self, name: &str) -> bool {
        self.text.split('|').any(|alternative| alternative.replace('\\', "") == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_name_has_to_match() {
        let pattern = Pattern::new("a.*,b").unwrap();
        assert_eq!(["a", "ab", "b", "bb", "ca"].map(|name| pattern.matches(name)), [true, true, true, false, false]);
        assert!(Pattern::new("(").is_err());
        assert!(!Pattern::new(".*").unwrap().names_outright("__consumer_offsets"));
        assert!(Pattern::new("x,__consumer_offsets").unwrap().names_outright("__consumer_offsets"));
    }
}
