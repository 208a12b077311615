//! What the generated `Deserialize` impls are written in: the lenient readers of each kind of field.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    Deserialize, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};

use super::names::Named;

/// A message, by its fields.
pub(crate) trait Fields: Default {
    const NAME: &'static str;
    /// Reads the value of `key`, or skips it where the message has no such field.
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// A kind of field: how it is read, and what it becomes.
pub(crate) trait Kind: Sized {
    type Out;
    /// `None`: as if the value were not there (an unknown name of an enum).
    fn out(self) -> Option<Self::Out>;
}

/// Reads a message from an object.
pub(crate) fn message<'de, T: Fields, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    struct Message<T>(PhantomData<T>);
    impl<'de, T: Fields> Visitor<'de> for Message<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an object ({})", T::NAME)
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
            let mut message = T::default();
            while let Some(key) = map.next_key::<Key>()? {
                message.field(&key.0, &mut map)?;
            }
            Ok(message)
        }
    }
    from.deserialize_map(Message(PhantomData))
}

/// The key of an object, borrowed from the text where it holds no escapes.
struct Key<'de>(std::borrow::Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(text.into()))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(text.to_owned().into()))
            }
        }
        from.deserialize_str(Text)
    }
}

pub(crate) fn unknown<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

pub(crate) fn one<'de, K, A, T>(map: &mut A) -> Result<Option<T>, A::Error>
where
    K: Kind + Deserialize<'de>,
    A: MapAccess<'de>,
    T: From<K::Out>,
{
    Ok(map.next_value::<Option<K>>()?.and_then(K::out).map(T::from))
}

pub(crate) fn many<'de, K, A, T>(map: &mut A) -> Result<Vec<T>, A::Error>
where
    K: Kind + Deserialize<'de>,
    A: MapAccess<'de>,
    T: From<K::Out>,
{
    let values = map.next_value::<Many<K>>()?.0;
    Ok(values.into_iter().filter_map(K::out).map(T::from).collect())
}

pub(crate) fn table<'de, K, A, T>(map: &mut A) -> Result<BTreeMap<String, T>, A::Error>
where
    K: Kind + Deserialize<'de>,
    A: MapAccess<'de>,
    T: From<K::Out>,
{
    let values = map.next_value::<Option<BTreeMap<String, K>>>()?.unwrap_or_default();
    Ok(values.into_iter().filter_map(|(key, value)| Some((key, T::from(value.out()?)))).collect())
}

/// A list, or a lone value that stands for a list of one, or `null` for an empty one.
struct Many<K>(Vec<K>);

impl<'de, K: Deserialize<'de>> Deserialize<'de> for Many<K> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List<K>(PhantomData<K>);
        impl<'de, K: Deserialize<'de>> List<K> {
            fn lone<E: Error>(value: impl IntoDeserializer<'de, E>) -> Result<Many<K>, E> {
                K::deserialize(value.into_deserializer()).map(|value| Many(vec![value]))
            }
        }
        impl<'de, K: Deserialize<'de>> Visitor<'de> for List<K> {
            type Value = Many<K>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Many<K>, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Many(values))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Many<K>, A::Error> {
                K::deserialize(MapAccessDeserializer::new(map)).map(|value| Many(vec![value]))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Many<K>, E> {
                K::deserialize(StrDeserializer::new(value)).map(|value| Many(vec![value]))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Many<K>, E> {
                Self::lone(value)
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Many<K>, E> {
                Self::lone(value)
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Many<K>, E> {
                Self::lone(value)
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Many<K>, E> {
                Self::lone(value)
            }
            fn visit_unit<E: Error>(self) -> Result<Many<K>, E> {
                Ok(Many(Vec::new()))
            }
        }
        from.deserialize_any(List(PhantomData))
    }
}

/// Any value that is neither an object nor a list.
enum Scalar {
    Text(String),
    Flag(bool),
    Unsigned(u64),
    Signed(i64),
    Double(f64),
}

impl Scalar {
    fn unexpected<E: Error>(&self, expected: &str) -> E {
        let found = match self {
            Self::Text(text) => Unexpected::Str(text),
            Self::Flag(flag) => Unexpected::Bool(*flag),
            Self::Unsigned(number) => Unexpected::Unsigned(*number),
            Self::Signed(number) => Unexpected::Signed(*number),
            Self::Double(number) => Unexpected::Float(*number),
        };
        E::invalid_type(found, &expected)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number or a boolean")
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(value.to_owned()))
            }
            fn visit_string<E: Error>(self, value: String) -> Result<Scalar, E> {
                Ok(Scalar::Text(value))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::Flag(value))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar::Unsigned(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar::Signed(value))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar::Double(value))
            }
        }
        from.deserialize_any(Any)
    }
}

/// Declares a kind whose value is made of a [`Scalar`] by a function.
macro_rules! scalar_kind {
    ($(#[$doc:meta])* $name:ident($out:ty) from $read:ident) => {
        $(#[$doc])*
        pub(crate) struct $name($out);

        impl Kind for $name {
            type Out = $out;
            fn out(self) -> Option<$out> {
                Some(self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $read(Scalar::deserialize(from)?).map(Self)
            }
        }
    };
}

scalar_kind! {
    /// A string.
    Text(String) from text
}
scalar_kind! {
    /// A boolean, or its name as a string.
    Flag(bool) from flag
}
scalar_kind! {
    /// A number, or one as a string, infinities included.
    Double(f64) from double
}
scalar_kind! {
    /// Bytes as base64, with or without padding.
    Base64(Bytes) from base64
}

fn text<E: Error>(value: Scalar) -> Result<String, E> {
    match value {
        Scalar::Text(text) => Ok(text),
        other => Err(other.unexpected("a string")),
    }
}

fn flag<E: Error>(value: Scalar) -> Result<bool, E> {
    match value {
        Scalar::Flag(flag) => Ok(flag),
        Scalar::Text(text) if text == "true" => Ok(true),
        Scalar::Text(text) if text == "false" => Ok(false),
        other => Err(other.unexpected("a boolean")),
    }
}

fn double<E: Error>(value: Scalar) -> Result<f64, E> {
    match &value {
        Scalar::Double(number) => Ok(*number),
        Scalar::Unsigned(number) => Ok(*number as f64),
        Scalar::Signed(number) => Ok(*number as f64),
        Scalar::Text(text) => text.parse().map_err(|_| value.unexpected("a number")),
        Scalar::Flag(_) => Err(value.unexpected("a number")),
    }
}

fn base64<E: Error>(value: Scalar) -> Result<Bytes, E> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &ALPHABET,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    match ENGINE.decode(text::<E>(value)?) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => Err(E::custom(format_args!("not base64: {error}"))),
    }
}

/// A whole number in the range of `T`, or one as a string.
pub(crate) struct Integer<T>(T);

impl<T> Kind for Integer<T> {
    type Out = T;
    fn out(self) -> Option<T> {
        Some(self.0)
    }
}

impl<'de, T: TryFrom<i128>> Deserialize<'de> for Integer<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Scalar::deserialize(from)?;
        let whole = match &value {
            Scalar::Unsigned(number) => Some(i128::from(*number)),
            Scalar::Signed(number) => Some(i128::from(*number)),
            Scalar::Double(number) if number.fract() == 0.0 => Some(*number as i128),
            Scalar::Text(text) => text.parse().ok(),
            Scalar::Double(_) | Scalar::Flag(_) => None,
        };
        let whole = whole.ok_or_else(|| value.unexpected("a whole number"))?;
        T::try_from(whole)
            .map(Self)
            .map_err(|_| D::Error::custom(format_args!("{whole} is out of the field's range")))
    }
}

/// The name of a value of an enum. An unknown name is as if there were none, a number is an error.
pub(crate) struct Name<E>(Option<i32>, PhantomData<E>);

impl<E> Kind for Name<E> {
    type Out = i32;
    fn out(self) -> Option<i32> {
        self.0
    }
}

impl<'de, E: Named> Deserialize<'de> for Name<E> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = text::<D::Error>(Scalar::deserialize(from)?)?;
        Ok(Self(E::number_of(&name), PhantomData))
    }
}
