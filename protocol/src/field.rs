//! How each Rust type stands on the wire.

use std::sync::Arc;

use bytes::Bytes;

use crate::wire::{DecodeError, Decoder, Encoder, Records};
use crate::{ErrorCode, Uuid};

/// What decides about a field's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The version of the message.
    pub version: i16,
    /// Whether the version is flexible: compact lengths, tagged fields (KIP-482).
    pub flexible: bool,
    /// Whether the field may be null in this version.
    pub nullable: bool,
}

impl Layout {
    fn never_null(self) -> Layout {
        Layout { nullable: false, ..self }
    }
}

/// The kind of a field, for comparison with Kafka's schemas.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A type without parts, by Kafka's name for it.
    Primitive(&'static str),
    /// Any number of one kind.
    Array(&'static Kind),
    /// A struct of the message.
    Struct(&'static StructInfo),
}

/// A struct as it was declared.
#[derive(Debug)]
pub struct StructInfo {
    /// Its name.
    pub name: &'static str,
    /// Its fields, in wire order.
    pub fields: fn() -> Vec<FieldInfo>,
}

/// A field as it was declared.
#[derive(Clone, Debug)]
pub struct FieldInfo {
    /// Its name in snake case.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Whether Rust can say null.
    pub optional: bool,
    /// Its versions and the rest.
    pub meta: FieldMeta,
    /// Its default as Rust prints it.
    pub default: String,
}

/// In which versions a field is there, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldMeta {
    /// The first version that has it.
    pub since: i16,
    /// The last.
    pub until: i16,
    /// The first version in which it may be null.
    pub nullable_since: i16,
    /// Its tag, if it is a tagged field.
    pub tag: Option<u32>,
    /// The first version in which it is tagged, when it was a plain field before.
    pub tagged_since: i16,
}

impl FieldMeta {
    /// In every version, never null, not tagged.
    pub const fn new() -> FieldMeta {
        FieldMeta { since: 0, until: i16::MAX, nullable_since: i16::MAX, tag: None, tagged_since: 0 }
    }

    /// The first version that has it.
    pub const fn since(self, version: i16) -> FieldMeta {
        FieldMeta { since: version, ..self }
    }

    /// The last version that has it.
    pub const fn until(self, version: i16) -> FieldMeta {
        FieldMeta { until: version, ..self }
    }

    /// The first version in which it may be null.
    pub const fn nullable(self, version: i16) -> FieldMeta {
        FieldMeta { nullable_since: version, ..self }
    }

    /// A tagged field.
    pub const fn tag(self, tag: u32) -> FieldMeta {
        FieldMeta { tag: Some(tag), ..self }
    }

    /// A plain field below this version, and a tagged one from it on.
    pub const fn tagged(self, version: i16) -> FieldMeta {
        FieldMeta { tagged_since: version, ..self }
    }

    /// Whether it stands in its place in this version.
    pub const fn is_plain_in(&self, version: i16) -> bool {
        self.since <= version && version <= self.until && (self.tag.is_none() || version < self.tagged_since)
    }

    /// Whether it is a tagged field in this version.
    pub const fn is_tagged_in(&self, version: i16) -> bool {
        self.since <= version && version <= self.until && self.tag.is_some() && version >= self.tagged_since
    }

    /// Its layout.
    pub const fn layout(&self, version: i16, flexible: bool) -> Layout {
        Layout { version, flexible, nullable: version >= self.nullable_since }
    }
}

impl Default for FieldMeta {
    fn default() -> Self {
        FieldMeta::new()
    }
}

/// A type that can be a field.
pub trait Field: Sized {
    /// What it is to Kafka.
    const KIND: Kind;
    /// Whether it can say null.
    const OPTIONAL: bool = false;

    /// Reads a value.
    fn read(decoder: &mut Decoder, layout: Layout) -> Result<Self, DecodeError>;
    /// Writes a value.
    fn write(&self, encoder: &mut Encoder, layout: Layout);

    /// Reads a value that may be null. Structs have a marker in front (KIP-893); types with a length use it.
    fn read_nullable(decoder: &mut Decoder, layout: Layout) -> Result<Option<Self>, DecodeError> {
        match decoder.i8()? {
            -1 => Ok(None),
            1 => Self::read(decoder, layout.never_null()).map(Some),
            marker => Err(DecodeError::InvalidMarker(marker)),
        }
    }

    /// Writes a value that may be null.
    fn write_nullable(value: Option<&Self>, encoder: &mut Encoder, layout: Layout) {
        match value {
            None => encoder.i8(-1),
            Some(value) => {
                encoder.i8(1);
                value.write(encoder, layout.never_null());
            }
        }
    }

    /// Writes what stands for null in a version that does not know null.
    fn write_absent(encoder: &mut Encoder, layout: Layout);

    /// Shows every error code in it.
    fn visit_errors(&self, _visit: &mut dyn FnMut(ErrorCode)) {}

    /// The field of that name, of a struct that has it.
    fn throttle_time_ms(&mut self) -> Option<&mut i32> {
        None
    }
}

macro_rules! number {
    ($($type:ident $name:literal $read:ident $write:ident $as:ident;)*) => {$(
        impl Field for $type {
            const KIND: Kind = Kind::Primitive($name);

            fn read(decoder: &mut Decoder, _: Layout) -> Result<Self, DecodeError> {
                Ok(decoder.$read()? as $type)
            }

            fn write(&self, encoder: &mut Encoder, _: Layout) {
                encoder.$write(*self as $as);
            }

            fn write_absent(encoder: &mut Encoder, _: Layout) {
                encoder.$write(0);
            }
        }
    )*};
}

number! {
    i8 "int8" i8 i8 i8;
    i16 "int16" i16 i16 i16;
    u16 "uint16" i16 i16 i16;
    i32 "int32" i32 i32 i32;
    u32 "uint32" i32 i32 i32;
    i64 "int64" i64 i64 i64;
}

impl Field for bool {
    const KIND: Kind = Kind::Primitive("bool");

    fn read(decoder: &mut Decoder, _: Layout) -> Result<Self, DecodeError> {
        Ok(decoder.i8()? != 0)
    }

    fn write(&self, encoder: &mut Encoder, _: Layout) {
        encoder.i8(i8::from(*self));
    }

    fn write_absent(encoder: &mut Encoder, _: Layout) {
        encoder.i8(0);
    }
}

impl Field for f64 {
    const KIND: Kind = Kind::Primitive("float64");

    fn read(decoder: &mut Decoder, _: Layout) -> Result<Self, DecodeError> {
        Ok(f64::from_bits(decoder.i64()? as u64))
    }

    fn write(&self, encoder: &mut Encoder, _: Layout) {
        encoder.i64(self.to_bits() as i64);
    }

    fn write_absent(encoder: &mut Encoder, _: Layout) {
        encoder.i64(0);
    }
}

impl Field for ErrorCode {
    const KIND: Kind = Kind::Primitive("int16");

    fn read(decoder: &mut Decoder, _: Layout) -> Result<Self, DecodeError> {
        decoder.i16().map(ErrorCode)
    }

    fn write(&self, encoder: &mut Encoder, _: Layout) {
        encoder.i16(self.0);
    }

    fn write_absent(encoder: &mut Encoder, _: Layout) {
        encoder.i16(0);
    }

    fn visit_errors(&self, visit: &mut dyn FnMut(ErrorCode)) {
        visit(*self);
    }
}

impl Field for Uuid {
    const KIND: Kind = Kind::Primitive("uuid");

    fn read(decoder: &mut Decoder, _: Layout) -> Result<Self, DecodeError> {
        let mut id = [0; 16];
        id.copy_from_slice(&decoder.take(16)?);
        Ok(Uuid(id))
    }

    fn write(&self, encoder: &mut Encoder, _: Layout) {
        encoder.slice(&self.0);
    }

    fn write_absent(encoder: &mut Encoder, _: Layout) {
        encoder.slice(&[0; 16]);
    }
}

impl Field for String {
    const KIND: Kind = Kind::Primitive("string");

    fn read(decoder: &mut Decoder, layout: Layout) -> Result<Self, DecodeError> {
        Self::read_nullable(decoder, layout)?.ok_or(DecodeError::InvalidLength(-1))
    }

    fn write(&self, encoder: &mut Encoder, layout: Layout) {
        Self::write_nullable(Some(self), encoder, layout);
    }

    fn read_nullable(decoder: &mut Decoder, layout: Layout) -> Result<Option<Self>, DecodeError> {
        decoder.length(layout.flexible, false)?.map(|length| decoder.text(length)).transpose()
    }

    fn write_nullable(value: Option<&Self>, encoder: &mut Encoder, layout: Layout) {
        let text = value.map(|text| if layout.flexible { text } else { shortened(text) });
        encoder.length(text.map(str::len), layout.flexible, false);
        encoder.slice(text.unwrap_or_default().as_bytes());
    }

    fn write_absent(encoder: &mut Encoder, layout: Layout) {
        encoder.length(Some(0), layout.flexible, false);
    }
}

/// A text that is kept, or answered again, without a copy.
impl Field for Arc<str> {
    const KIND: Kind = String::KIND;

    fn read(decoder: &mut Decoder, layout: Layout) -> Result<Self, DecodeError> {
        let length = decoder.length(layout.flexible, false)?.ok_or(DecodeError::InvalidLength(-1))?;
        decoder.shared_text(length)
    }

    fn write(&self, encoder: &mut Encoder, layout: Layout) {
        let text = if layout.flexible { self } else { shortened(self) };
        encoder.length(Some(text.len()), layout.flexible, false);
        encoder.slice(text.as_bytes());
    }

    fn write_absent(encoder: &mut Encoder, layout: Layout) {
        String::write_absent(encoder, layout);
    }
}

/// What of a text fits the 16-bit length of older versions. A name that long can only have come in by a newer one.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(i16::MAX as usize)]
}

impl Field for Bytes {
    const KIND: Kind = Kind::Primitive("bytes");

    fn read(decoder: &mut Decoder, layout: Layout) -> Result<Self, DecodeError> {
        Self::read_nullable(decoder, layout)?.ok_or(DecodeError::InvalidLength(-1))
    }

    fn write(&self, encoder: &mut Encoder, layout: Layout) {
        Self::write_nullable(Some(self), encoder, layout);
    }

    fn read_nullable(decoder: &mut Decoder, layout: Layout) -> Result<Option<Self>, DecodeError> {
        decoder.length(layout.flexible, true)?.map(|length| decoder.take(length)).transpose()
    }

    fn write_nullable(value: Option<&Self>, encoder: &mut Encoder, layout: Layout) {
        encoder.length(value.map(Bytes::len), layout.flexible, true);
        value.into_iter().for_each(|bytes| encoder.shared(bytes));
    }

    fn write_absent(encoder: &mut Encoder, layout: Layout) {
        encoder.length(Some(0), layout.flexible, true);
    }
}

impl Field for Records {
    const KIND: Kind = Kind::Primitive("records");

    fn read(decoder: &mut Decoder, layout: Layout) -> Result<Self, DecodeError> {
        Bytes::read(decoder, layout).map(Records::from)
    }

    fn write(&self, encoder: &mut Encoder, layout: Layout) {
        Self::write_nullable(Some(self), encoder, layout);
    }

    fn read_nullable(decoder: &mut Decoder, layout: Layout) -> Result<Option<Self>, DecodeError> {
        Ok(Bytes::read_nullable(decoder, layout)?.map(Records::from))
    }

    fn write_nullable(value: Option<&Self>, encoder: &mut Encoder, layout: Layout) {
        encoder.length(value.map(Records::len), layout.flexible, true);
        value.into_iter().flat_map(Records::chunks).for_each(|chunk| encoder.shared(chunk));
    }

    fn write_absent(encoder: &mut Encoder, layout: Layout) {
        encoder.length(Some(0), layout.flexible, true);
    }
}

impl<T: Field> Field for Vec<T> {
    const KIND: Kind = Kind::Array(&T::KIND);

    fn read(decoder: &mut Decoder, layout: Layout) -> Result<Self, DecodeError> {
        Self::read_nullable(decoder, layout)?.ok_or(DecodeError::InvalidLength(-1))
    }

    fn write(&self, encoder: &mut Encoder, layout: Layout) {
        Self::write_nullable(Some(self), encoder, layout);
    }

    fn read_nullable(decoder: &mut Decoder, layout: Layout) -> Result<Option<Self>, DecodeError> {
        let Some(count) = decoder.length(layout.flexible, true)? else { return Ok(None) };
        decoder.charge(count.saturating_mul(size_of::<T>()))?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(T::read(decoder, layout.never_null())?);
        }
        Ok(Some(items))
    }

    fn write_nullable(value: Option<&Self>, encoder: &mut Encoder, layout: Layout) {
        encoder.length(value.map(Vec::len), layout.flexible, true);
        value.into_iter().flatten().for_each(|item| item.write(encoder, layout.never_null()));
    }

    fn write_absent(encoder: &mut Encoder, layout: Layout) {
        encoder.length(Some(0), layout.flexible, true);
    }

    fn visit_errors(&self, visit: &mut dyn FnMut(ErrorCode)) {
        self.iter().for_each(|item| item.visit_errors(visit));
    }
}

impl<T: Field> Field for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;

    fn read(decoder: &mut Decoder, layout: Layout) -> Result<Self, DecodeError> {
        if layout.nullable { T::read_nullable(decoder, layout) } else { T::read(decoder, layout).map(Some) }
    }

    fn write(&self, encoder: &mut Encoder, layout: Layout) {
        match self {
            value if layout.nullable => T::write_nullable(value.as_ref(), encoder, layout),
            Some(value) => value.write(encoder, layout),
            None => T::write_absent(encoder, layout),
        }
    }

    fn write_absent(encoder: &mut Encoder, layout: Layout) {
        T::write_absent(encoder, layout);
    }

    fn visit_errors(&self, visit: &mut dyn FnMut(ErrorCode)) {
        self.iter().for_each(|value| value.visit_errors(visit));
    }
}
