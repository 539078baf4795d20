//! Reads topic names out of a consumer's subscription.
//!
//! To the coordinator a member's metadata is opaque, but it must not let offsets expire under a consumer that
//! still reads the topic. All versions begin as version 0 does (a version, then the topics), so that is all we read.

use std::collections::BTreeSet;

use crate::group::config::MAX_SUBSCRIBED_TOPICS;

/// Adds the topics of one subscription. `None` if the bytes are something else.
pub(super) fn topics_of(metadata: &[u8], topics: &mut BTreeSet<String>) -> Option<()> {
    let mut rest = metadata;
    let version = i16::from_be_bytes(take(&mut rest)?);
    let count = usize::try_from(i32::from_be_bytes(take(&mut rest)?)).ok()?;
    if version < 0 || count > MAX_SUBSCRIBED_TOPICS {
        return None;
    }
    for _ in 0..count {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, after) = rest.split_at_checked(length)?;
        rest = after;
        topics.insert(std::str::from_utf8(name).ok()?.to_owned());
    }
    Some(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(metadata: &[u8]) -> Option<Vec<String>> {
        let mut topics = BTreeSet::new();
        topics_of(metadata, &mut topics)?;
        Some(topics.into_iter().collect())
    }

    #[test]
    fn reads_topics_of_any_version_and_ignores_what_follows() {
        let v0 = b"\0\0\0\0\0\x02\0\x01b\0\x03abc\xff\xff\xff\xff";
        assert_eq!(read(v0), Some(vec!["abc".to_owned(), "b".to_owned()]));
        let v3 = b"\0\x03\0\0\0\x01\0\x01b\0\0\0\0 owned partitions, generation, rack";
        assert_eq!(read(v3), Some(vec!["b".to_owned()]));
        assert_eq!(read(b"\0\0\0\0\0\0"), Some(vec![]));
    }

    #[test]
    fn anything_else_is_unreadable() {
        for metadata in [
            &b""[..],
            b"\0",
            b"\0\0\0\0\0",
            b"\xff\xff\0\0\0\0",
            b"\0\0\xff\xff\xff\xff",
            b"\0\0\x7f\xff\xff\xff",
            b"\0\0\0\0\0\x01\0\x05abc",
            b"\0\0\0\0\0\x01\xff\xff",
            b"\0\0\0\0\0\x01\0\x02\xff\xfe",
        ] {
            assert_eq!(read(metadata), None, "{metadata:?}");
        }
    }
}
