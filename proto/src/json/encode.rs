//! What the generated `Serialize` impls are written in: one function for each kind of field.
//!
//! Each writes the entry when the field is set, and nothing otherwise.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::names::Named;

/// A field that serde writes as it is: text, flag, integer, message.
pub(crate) fn plain<T: Serialize, M: SerializeMap>(
    map: &mut M,
    key: &'static str,
    value: &Option<T>,
) -> Result<(), M::Error> {
    value.as_ref().map_or(Ok(()), |value| map.serialize_entry(key, value))
}

pub(crate) fn plains<T: Serialize, M: SerializeMap>(
    map: &mut M,
    key: &'static str,
    values: &[T],
) -> Result<(), M::Error> {
    if values.is_empty() { Ok(()) } else { map.serialize_entry(key, values) }
}

pub(crate) fn double<M: SerializeMap>(
    map: &mut M,
    key: &'static str,
    value: &Option<f64>,
) -> Result<(), M::Error> {
    plain(map, key, &value.map(Double))
}

pub(crate) fn base64<M: SerializeMap>(
    map: &mut M,
    key: &'static str,
    value: &Option<Bytes>,
) -> Result<(), M::Error> {
    plain(map, key, &value.as_ref().map(|bytes| STANDARD.encode(bytes)))
}

/// A field of an enum. A number that has no name counts as unset.
pub(crate) fn name<E: Named, M: SerializeMap>(
    map: &mut M,
    key: &'static str,
    value: &Option<i32>,
) -> Result<(), M::Error> {
    plain(map, key, &value.and_then(E::name_of))
}

pub(crate) fn names<E: Named, M: SerializeMap>(
    map: &mut M,
    key: &'static str,
    values: &[i32],
) -> Result<(), M::Error> {
    plains(map, key, &values.iter().copied().filter_map(E::name_of).collect::<Vec<_>>())
}

pub(crate) fn table<T: Serialize, M: SerializeMap>(
    map: &mut M,
    key: &'static str,
    values: &BTreeMap<String, T>,
) -> Result<(), M::Error> {
    if values.is_empty() { Ok(()) } else { map.serialize_entry(key, values) }
}

/// A double that is a string where JSON has no number for it.
struct Double(f64);

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_nan() => to.serialize_str("NaN"),
            f64::INFINITY => to.serialize_str("Infinity"),
            f64::NEG_INFINITY => to.serialize_str("-Infinity"),
            value => to.serialize_f64(value),
        }
    }
}
