//! Declaring messages: the declaration is the code.
//!
//! `api!` takes an API's request and response with one line per field and makes structs that read and write every
//! version. What it was told is kept as data, so that a test can compare it with Kafka's own schemas.

use std::ops::RangeInclusive;

use crate::ErrorCode;
use crate::field::{FieldInfo, StructInfo};
use crate::wire::{DecodeError, Decoder, Encoder};

/// Something with versions that stands alone: a request, a response, the key or value of an internal record.
pub trait Message: Sized {
    /// What was declared.
    const INFO: &'static StructInfo;
    /// The first flexible version (KIP-482), if there is one.
    const FLEXIBLE_FROM: Option<i16>;

    /// Reads one message. What follows it is left alone, as Kafka does.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are no such message.
    fn decode(decoder: &mut Decoder, version: i16) -> Result<Self, DecodeError>;

    /// Writes one message. Fields that the version does not have are left out.
    fn encode(&self, encoder: &mut Encoder, version: i16);

    /// Shows every error code in it, 0 too, wherever it stands but in tagged fields.
    fn visit_errors(&self, visit: &mut dyn FnMut(ErrorCode));

    /// The milliseconds for which a client is told to be silent (KIP-219), of a response that can say so.
    fn throttle_time_ms(&mut self) -> Option<&mut i32>;
}

/// A request, and what answers it.
pub trait Request: Message {
    /// Its API key.
    const KEY: i16;
    /// Its API's name.
    const NAME: &'static str;
    /// Every version that was ever released.
    const VERSIONS: RangeInclusive<i16>;
    /// The answer.
    type Response: Message;
}

/// An API as data, for tests and tables.
pub struct ApiInfo {
    /// Its key.
    pub key: i16,
    /// Its name.
    pub name: &'static str,
    /// Every version that was ever released.
    pub versions: RangeInclusive<i16>,
    /// The first flexible version.
    pub flexible_from: Option<i16>,
    /// The request's fields.
    pub request: &'static StructInfo,
    /// The response's fields.
    pub response: &'static StructInfo,
    /// Reads a request, writes it again; for tests of totality and of round trips.
    pub recode_request: fn(&mut Decoder, i16) -> Result<Encoder, DecodeError>,
    /// The same with a response.
    pub recode_response: fn(&mut Decoder, i16) -> Result<Encoder, DecodeError>,
}

/// What a header needs to know of an API.
pub(crate) struct HeaderInfo {
    pub(crate) key: i16,
    pub(crate) versions: RangeInclusive<i16>,
    pub(crate) flexible_from: Option<i16>,
}

impl HeaderInfo {
    pub(crate) const fn of<R: Request>() -> HeaderInfo {
        HeaderInfo { key: R::KEY, versions: R::VERSIONS, flexible_from: R::FLEXIBLE_FROM }
    }
}

/// Reads a message and writes it again.
pub(crate) fn recode<M: Message>(decoder: &mut Decoder, version: i16) -> Result<Encoder, DecodeError> {
    let message = M::decode(decoder, version)?;
    let mut encoder = Encoder::new();
    message.encode(&mut encoder, version);
    Ok(encoder)
}

impl ApiInfo {
    /// The info of a request's API.
    pub const fn of<R: Request>() -> ApiInfo {
        ApiInfo {
            key: R::KEY,
            name: R::NAME,
            versions: R::VERSIONS,
            flexible_from: R::FLEXIBLE_FROM,
            request: R::INFO,
            response: R::Response::INFO,
            recode_request: recode::<R>,
            recode_response: recode::<R::Response>,
        }
    }
}

/// The fields of a struct, for tests.
pub fn fields(info: &StructInfo) -> Vec<FieldInfo> {
    (info.fields)()
}

/// Declares an API: `Name = key, versions a..=b, flexible c..;` and its request, response and structs.
///
/// A field is `name: Type [since v, until v, nullable v, tag n, tagged v] = default`, all but name and type optional:
/// the versions that have it, the first in which null is allowed (the type is then an `Option`), its tag, the first
/// version in which it is tagged if older ones have it in its place, and a default other than Rust's.
///
/// Defaults are Kafka's, with one exception: a text that may be null is null until somebody sets it. Kafka's generated
/// classes start with an empty text unless told otherwise, which as an error message or a transactional id is a trap.
macro_rules! api {
    (
        $(#[$api_meta:meta])*
        $api:ident = $key:literal, versions $min:literal ..= $max:literal $(, flexible $flexible:literal ..)?;
        request $request:ident $request_body:tt
        response $response:ident $response_body:tt
        $( struct $name:ident $body:tt )*
    ) => {
        message! { $(#[$api_meta])* $request $(, flexible $flexible ..)?; $request_body }
        message! {
            #[doc = concat!("The answer to [`", stringify!($request), "`].")]
            $response $(, flexible $flexible ..)?; $response_body
        }
        $( wire_struct! { #[doc = concat!("A part of ", stringify!($api), ".")] $name $body } )*

        impl $crate::api::Request for $request {
            const KEY: i16 = $key;
            const NAME: &'static str = stringify!($api);
            const VERSIONS: std::ops::RangeInclusive<i16> = $min..=$max;
            type Response = $response;
        }
    };
}

/// Declares a message that is no request.
macro_rules! message {
    ( $(#[$meta:meta])* $name:ident $(, flexible $flexible:literal ..)?; $body:tt ) => {
        wire_struct! { $(#[$meta])* $name $body }

        impl $crate::api::Message for $name {
            const INFO: &'static $crate::field::StructInfo =
                &$crate::field::StructInfo { name: stringify!($name), fields: $name::field_infos };
            const FLEXIBLE_FROM: Option<i16> = flexible_from!($($flexible)?);

            fn decode(
                decoder: &mut $crate::wire::Decoder,
                version: i16,
            ) -> Result<Self, $crate::wire::DecodeError> {
                let flexible = Self::FLEXIBLE_FROM.is_some_and(|first| version >= first);
                let layout = $crate::field::Layout { version, flexible, nullable: false };
                $crate::field::Field::read(decoder, layout)
            }

            fn encode(&self, encoder: &mut $crate::wire::Encoder, version: i16) {
                let flexible = Self::FLEXIBLE_FROM.is_some_and(|first| version >= first);
                let layout = $crate::field::Layout { version, flexible, nullable: false };
                $crate::field::Field::write(self, encoder, layout);
            }

            fn visit_errors(&self, visit: &mut dyn FnMut($crate::ErrorCode)) {
                $crate::field::Field::visit_errors(self, visit);
            }

            fn throttle_time_ms(&mut self) -> Option<&mut i32> {
                $crate::field::Field::throttle_time_ms(self)
            }
        }
    };
}

macro_rules! flexible_from {
    () => {
        None
    };
    ($first:literal) => {
        Some($first)
    };
}

macro_rules! default_of {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

macro_rules! field_meta {
    ($($key:ident $value:literal),*) => { $crate::field::FieldMeta::new()$(.$key($value))* };
}

/// Declares a struct that is a field of something.
macro_rules! wire_struct {
    ( $(#[$meta:meta])* $name:ident { $(
        $(#[$field_meta:meta])*
        $field:ident : $type:ty $([ $($key:ident $value:literal),* ])? $(= $default:expr)?
    ),* $(,)? } ) => {
        $(#[$meta])*
        #[allow(missing_docs)]
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $( $(#[$field_meta])* pub $field: $type ),* }

        impl Default for $name {
            fn default() -> Self {
                $name { $( $field: default_of!($($default)?) ),* }
            }
        }

        impl $name {
            fn field_infos() -> Vec<$crate::field::FieldInfo> {
                let default = Self::default();
                vec![$( $crate::field::FieldInfo {
                    name: stringify!($field),
                    kind: <$type as $crate::field::Field>::KIND,
                    optional: <$type as $crate::field::Field>::OPTIONAL,
                    meta: field_meta!($($($key $value),*)?),
                    default: format!("{:?}", default.$field),
                } ),*]
            }
        }

        impl $crate::field::Field for $name {
            const KIND: $crate::field::Kind = $crate::field::Kind::Struct(
                &$crate::field::StructInfo { name: stringify!($name), fields: $name::field_infos },
            );

            fn read(
                decoder: &mut $crate::wire::Decoder,
                layout: $crate::field::Layout,
            ) -> Result<Self, $crate::wire::DecodeError> {
                let (version, flexible) = (layout.version, layout.flexible);
                let mut value = Self::default();
                $({
                    const META: $crate::field::FieldMeta = field_meta!($($($key $value),*)?);
                    if META.is_plain_in(version) {
                        value.$field = $crate::field::Field::read(decoder, META.layout(version, flexible))?;
                    }
                })*
                if flexible {
                    for _ in 0..decoder.uvarint()? {
                        let (tag, size) = (decoder.uvarint()?, decoder.uvarint()? as usize);
                        $({
                            const META: $crate::field::FieldMeta = field_meta!($($($key $value),*)?);
                            if META.tag == Some(tag) && META.is_tagged_in(version) {
                                decoder.tagged(size, |field| {
                                    let layout = META.layout(version, flexible);
                                    value.$field = $crate::field::Field::read(field, layout)?;
                                    Ok(())
                                })?;
                                continue;
                            }
                        })*
                        // A newer peer's, or one that is not there in this version.
                        decoder.take(size)?;
                    }
                }
                Ok(value)
            }

            fn write(&self, encoder: &mut $crate::wire::Encoder, layout: $crate::field::Layout) {
                let (version, flexible) = (layout.version, layout.flexible);
                $({
                    const META: $crate::field::FieldMeta = field_meta!($($($key $value),*)?);
                    if META.is_plain_in(version) {
                        $crate::field::Field::write(&self.$field, encoder, META.layout(version, flexible));
                    }
                })*
                if flexible {
                    #[allow(unused_mut)]
                    let mut tags = $crate::wire::Tags::default();
                    $({
                        const META: $crate::field::FieldMeta = field_meta!($($($key $value),*)?);
                        if let Some(tag) = META.tag
                            && META.is_tagged_in(version)
                        {
                            let default: $type = default_of!($($default)?);
                            if self.$field != default {
                                let layout = META.layout(version, flexible);
                                $crate::field::Field::write(&self.$field, tags.field(tag), layout);
                            }
                        }
                    })*
                    tags.write(encoder);
                }
            }

            fn write_absent(encoder: &mut $crate::wire::Encoder, layout: $crate::field::Layout) {
                Self::default().write(encoder, layout);
            }

            fn visit_errors(&self, visit: &mut dyn FnMut($crate::ErrorCode)) {
                let _ = &visit;
                $({
                    const META: $crate::field::FieldMeta = field_meta!($($($key $value),*)?);
                    // What is tagged adds to something that has its own code.
                    if META.tag.is_none() {
                        $crate::field::Field::visit_errors(&self.$field, visit);
                    }
                })*
            }

            fn throttle_time_ms(&mut self) -> Option<&mut i32> {
                $(
                    if stringify!($field) == "throttle_time_ms" {
                        return (&mut self.$field as &mut dyn std::any::Any).downcast_mut();
                    }
                )*
                None
            }
        }

        #[cfg(feature = "arbitrary")]
        impl $crate::fill::Fill for $name {
            fn fill(source: &mut $crate::fill::Source) -> Self {
                $name { $( $field: $crate::fill::Fill::fill(source) ),* }
            }

            fn fit(&mut self, layout: $crate::field::Layout) {
                let (version, flexible) = (layout.version, layout.flexible);
                let default = Self::default();
                $({
                    const META: $crate::field::FieldMeta = field_meta!($($($key $value),*)?);
                    let is_tagged = flexible && META.is_tagged_in(version);
                    if META.is_plain_in(version) || is_tagged && self.$field != default.$field {
                        $crate::fill::Fill::fit(&mut self.$field, META.layout(version, flexible));
                    } else {
                        self.$field = default.$field;
                    }
                })*
            }
        }
    };
}

pub(crate) use {api, default_of, field_meta, flexible_from, message, wire_struct};
