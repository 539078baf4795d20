//! Values for tests: any message, filled from a seed.
//!
//! Only with the feature `arbitrary`, which tests and fuzzers turn on; no binary has this.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;

use crate::api::Message;
use crate::field::{Field, Layout};
use crate::wire::Records;
use crate::{ErrorCode, Uuid};

/// Most items of a filled array.
const MAX_ITEMS: u64 = 3;

/// Where filled values come from: the same seed gives the same values on every machine (SplitMix64).
#[derive(Clone, Debug)]
pub struct Source {
    state: u64,
}

impl Source {
    /// A source that starts at `seed`.
    pub fn new(seed: u64) -> Source {
        Source { state: seed }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    /// An integer, often one at the edge of its type or of a variable-length encoding.
    fn integer(&mut self) -> i64 {
        match self.below(8) {
            0 => 0,
            1 => -1,
            2 => i64::MAX >> (8 * self.below(8)),
            3 => i64::MIN >> (8 * self.below(8)),
            4 => 1 << (7 * self.below(9)),
            _ => self.bits() as i64,
        }
    }

    /// Bytes: mostly few, sometimes none, sometimes so many that they travel as a chunk of their own.
    fn bytes(&mut self) -> Vec<u8> {
        let length = if self.below(16) == 0 { 1000 + self.below(200) } else { self.below(40) };
        (0..length).map(|_| self.bits() as u8).collect()
    }
}

/// Something that can be filled with values and fitted to a version.
pub trait Fill {
    /// A value with something in every field, whatever the version.
    fn fill(source: &mut Source) -> Self;

    /// Makes of the value what a reader of the version finds after it was written: fields that the version lacks
    /// have their defaults, and null is empty where null is not allowed.
    fn fit(&mut self, _: Layout) {}
}

/// A whole message that can be filled, compared and printed.
pub trait FillMessage: Message + Fill + Clone + PartialEq + Debug {
    /// A filled message.
    fn filled(source: &mut Source) -> Self {
        Self::fill(source)
    }

    /// What is left of the message in a version.
    fn fitted(&self, version: i16) -> Self {
        let flexible = Self::FLEXIBLE_FROM.is_some_and(|first| version >= first);
        let mut fitted = self.clone();
        fitted.fit(Layout { version, flexible, nullable: false });
        fitted
    }
}

impl<M: Message + Fill + Clone + PartialEq + Debug> FillMessage for M {}

/// Is shown every message.
pub trait Visitor {
    /// One message and the versions that it has.
    fn visit<M: FillMessage>(&mut self, versions: RangeInclusive<i16>);
}

/// Shows every request, response and internal record.
pub fn visit_all(visitor: &mut impl Visitor) {
    crate::messages::visit_all(visitor);
    crate::internal::visit_all(visitor);
}

macro_rules! integers {
    ($($type:ident)*) => {$(
        impl Fill for $type {
            fn fill(source: &mut Source) -> Self {
                source.integer() as $type
            }
        }
    )*};
}

integers! { i8 i16 u16 i32 u32 i64 }

impl Fill for bool {
    fn fill(source: &mut Source) -> Self {
        source.below(2) == 1
    }
}

/// Never not-a-number, which is not equal to itself.
impl Fill for f64 {
    fn fill(source: &mut Source) -> Self {
        source.integer() as f64 / 8.0
    }
}

impl Fill for ErrorCode {
    fn fill(source: &mut Source) -> Self {
        ErrorCode(source.integer() as i16)
    }
}

impl Fill for Uuid {
    fn fill(source: &mut Source) -> Self {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&source.bits().to_be_bytes());
        id[8..].copy_from_slice(&source.bits().to_be_bytes());
        Uuid(id)
    }
}

impl Fill for String {
    fn fill(source: &mut Source) -> Self {
        const LETTERS: [char; 8] = ['a', 'Z', '0', '.', '\0', 'ß', '語', '🦀'];
        let length = if source.below(32) == 0 { 150 } else { source.below(12) };
        (0..length).map(|_| LETTERS[source.below(LETTERS.len() as u64) as usize]).collect()
    }
}

impl Fill for Arc<str> {
    fn fill(source: &mut Source) -> Self {
        String::fill(source).into()
    }
}

impl Fill for Bytes {
    fn fill(source: &mut Source) -> Self {
        source.bytes().into()
    }
}

impl Fill for Records {
    fn fill(source: &mut Source) -> Self {
        Records::from_chunks((0..source.below(3)).map(|_| source.bytes().into()).collect())
    }
}

impl<T: Fill> Fill for Vec<T> {
    fn fill(source: &mut Source) -> Self {
        (0..source.below(MAX_ITEMS + 1)).map(|_| T::fill(source)).collect()
    }

    fn fit(&mut self, layout: Layout) {
        self.iter_mut().for_each(|item| item.fit(Layout { nullable: false, ..layout }));
    }
}

impl<T: Fill + Field + Default> Fill for Option<T> {
    fn fill(source: &mut Source) -> Self {
        (source.below(4) != 0).then(|| T::fill(source))
    }

    fn fit(&mut self, layout: Layout) {
        if self.is_none() && !layout.nullable {
            *self = Some(T::default());
        }
        if let Some(value) = self {
            value.fit(Layout { nullable: false, ..layout });
        }
    }
}
