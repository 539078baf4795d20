//! What is written inside records: the keys and values of internal topics, and what consumers tell each other.
//!
//! Each is two bytes of version, and then a message in that version. Nobody negotiates here: a reader meets whatever
//! some broker or client once wrote.

mod consumer_group;
mod consumer_offsets;
mod consumer_protocol;
mod transaction_state;

use std::ops::RangeInclusive;

use bytes::Bytes;

pub use consumer_group::{
    ClassicMemberMetadata, ClassicProtocol, ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey, ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadata,
    ConsumerGroupPartitionMetadataKey, ConsumerGroupPartitionMetadataValue, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, ConsumerGroupTopicMetadata, CurrentTopicPartitions,
    TargetTopicPartition,
};
pub use consumer_offsets::{GroupMetadataKey, GroupMetadataValue, MemberMetadata, OffsetCommitKey, OffsetCommitValue};
pub use consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition};
pub use transaction_state::{PartitionsSchema, TransactionLogKey, TransactionLogValue};

use crate::api::{Message, recode};
use crate::field::StructInfo;
use crate::wire::{DecodeError, Decoder, Encoder};

/// A message with its version in front.
pub trait Versioned: Message {
    /// Every version that was ever written.
    const VERSIONS: RangeInclusive<i16>;
}

/// The version that stands in front. In a key it also says what kind of record it is.
pub fn version_of(bytes: &[u8]) -> Option<i16> {
    bytes.first_chunk().map(|version| i16::from_be_bytes(*version))
}

/// Version and message as bytes.
pub fn encode<V: Versioned>(message: &V, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    encoder.i16(version);
    message.encode(&mut encoder, version);
    encoder.into_bytes()
}

/// Reads the version and then the message. Bytes behind it are left alone.
///
/// # Errors
/// [`DecodeError`]; of a version that is not known here nothing can be said.
pub fn decode<V: Versioned>(bytes: Bytes) -> Result<V, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let version = decoder.i16()?;
    if !V::VERSIONS.contains(&version) {
        return Err(DecodeError::UnknownVersion(version));
    }
    V::decode(&mut decoder, version)
}

/// Like [`decode`], but reads a newer version as the newest that is known here. Only for messages whose makers
/// promised to add fields at the end and nowhere else: those of the consumer protocol.
///
/// # Errors
/// [`DecodeError`]; a negative version is unknown.
pub fn decode_or_newer<V: Versioned>(bytes: Bytes) -> Result<V, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let version = decoder.i16()?;
    if version < *V::VERSIONS.start() {
        return Err(DecodeError::UnknownVersion(version));
    }
    V::decode(&mut decoder, version.min(*V::VERSIONS.end()))
}

/// A kind of message as data, for tests.
pub struct VersionedInfo {
    /// Every version that was ever written.
    pub versions: RangeInclusive<i16>,
    /// The first flexible version.
    pub flexible_from: Option<i16>,
    /// Its name and fields.
    pub fields: &'static StructInfo,
    /// Reads one without its version, and writes it again.
    pub recode: fn(&mut Decoder, i16) -> Result<Encoder, DecodeError>,
}

impl VersionedInfo {
    const fn of<V: Versioned>() -> VersionedInfo {
        VersionedInfo { versions: V::VERSIONS, flexible_from: V::FLEXIBLE_FROM, fields: V::INFO, recode: recode::<V> }
    }
}

macro_rules! all {
    ($($name:ident)*) => {
        /// Every kind of message in this module.
        pub static ALL: &[VersionedInfo] = &[$(VersionedInfo::of::<$name>()),*];

        /// Shows every kind of message.
        #[cfg(feature = "arbitrary")]
        pub(crate) fn visit_all(visitor: &mut impl crate::fill::Visitor) {
            $(visitor.visit::<$name>($name::VERSIONS);)*
        }
    };
}

all! {
    OffsetCommitKey
    OffsetCommitValue
    GroupMetadataKey
    GroupMetadataValue
    ConsumerGroupCurrentMemberAssignmentKey
    ConsumerGroupCurrentMemberAssignmentValue
    ConsumerGroupMemberMetadataKey
    ConsumerGroupMemberMetadataValue
    ConsumerGroupMetadataKey
    ConsumerGroupMetadataValue
    ConsumerGroupPartitionMetadataKey
    ConsumerGroupPartitionMetadataValue
    ConsumerGroupRegularExpressionKey
    ConsumerGroupRegularExpressionValue
    ConsumerGroupTargetAssignmentMemberKey
    ConsumerGroupTargetAssignmentMemberValue
    ConsumerGroupTargetAssignmentMetadataKey
    ConsumerGroupTargetAssignmentMetadataValue
    ConsumerProtocolSubscription
    ConsumerProtocolAssignment
    TransactionLogKey
    TransactionLogValue
}

/// Declares such a message, as `api!` declares a request.
macro_rules! versioned {
    (
        $(#[$meta:meta])*
        $name:ident, versions $min:literal ..= $max:literal $(, flexible $flexible:literal ..)?; $body:tt
    ) => {
        $crate::api::message! { $(#[$meta])* $name $(, flexible $flexible ..)?; $body }

        impl $crate::internal::Versioned for $name {
            const VERSIONS: std::ops::RangeInclusive<i16> = $min..=$max;
        }
    };
}

use versioned;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_stands_in_front() {
        let key = OffsetCommitKey { group: "g".into(), topic: "t".into(), partition: 3 };
        let bytes = encode(&key, 1);
        assert_eq!(bytes[..], *b"\0\x01\0\x01g\0\x01t\0\0\0\x03");
        assert_eq!(version_of(&bytes), Some(1));
        assert_eq!(decode(bytes), Ok(key));
        assert_eq!(version_of(b"\0"), None);
    }

    #[test]
    fn unknown_versions_are_told_apart_from_broken_bytes() {
        let unknown = |version| Err::<GroupMetadataKey, _>(DecodeError::UnknownVersion(version));
        assert_eq!(decode::<GroupMetadataKey>(Bytes::from_static(b"\0\x03\0\x01g")), unknown(3));
        assert_eq!(decode::<GroupMetadataKey>(Bytes::from_static(b"\xff\xff")), unknown(-1));
        assert_eq!(decode::<GroupMetadataKey>(Bytes::from_static(b"\0")), Err(DecodeError::Truncated));
    }

    #[test]
    fn newer_subscriptions_are_read_as_the_newest_known() {
        let subscription =
            ConsumerProtocolSubscription { topics: vec!["t".into()], rack_id: Some("r".into()), ..Default::default() };
        let mut newer = encode(&subscription, 3).to_vec();
        newer[1] = 9;
        newer.extend_from_slice(b"more");
        assert_eq!(decode_or_newer(newer.clone().into()), Ok(subscription));
        assert_eq!(decode::<ConsumerProtocolSubscription>(newer.into()), Err(DecodeError::UnknownVersion(9)));
        let negative = decode_or_newer::<ConsumerProtocolSubscription>(Bytes::from_static(b"\xff\xff\0\0\0\0"));
        assert_eq!(negative, Err(DecodeError::UnknownVersion(-1)));
    }
}
