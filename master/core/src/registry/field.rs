//! How operations and snapshots are written: field after field, nothing between them.
//!
//! Numbers are little-endian; texts, bytes and lists have their length before them, in 32 bits. What
//! is read is checked: a length that isn't there, a text that is no id, a map that isn't sorted are
//! refused with what is wrong, never taken for something else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use meros_proto::ids::{AgentId, ClusterId, FrameworkId};
use meros_proto::record::{BadRecord, RecordKind};
use meros_proto::resources::Role;
use meros_proto::time::Timestamp;

/// Something that is written and read.
pub(super) trait Field: Sized {
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads what was appended.
    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord>;
}

/// Writes and reads a struct by its fields, in the order in which they are named.
macro_rules! field_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::registry::field::Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::registry::field::Field::put(&self.$field, out);)*
            }

            fn take(
                fields: &mut $crate::registry::field::Fields<'_>,
            ) -> Result<Self, meros_proto::record::BadRecord> {
                Ok(Self { $($field: $crate::registry::field::Field::take(fields)?,)* })
            }
        }
    };
}
pub(super) use field_struct;

/// What is left to be read of a body.
pub(super) struct Fields<'a> {
    kind: RecordKind,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(kind: RecordKind, body: &'a [u8]) -> Self {
        Self { kind, rest: body }
    }

    /// The error for a body in which `why` is wrong.
    pub(super) fn bad(&self, why: impl Into<String>) -> BadRecord {
        BadRecord::Body { kind: self.kind, why: why.into() }
    }

    /// Reads a text that `parse` takes.
    pub(super) fn text<T, E: ToString>(
        &mut self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, BadRecord> {
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(bytes).map_err(|error| self.bad(error.to_string()))?;
        parse(text).map_err(|error| self.bad(error.to_string()))
    }

    /// Checks that all was read.
    pub(super) fn finish(self) -> Result<(), BadRecord> {
        match self.rest {
            [] => Ok(()),
            rest => Err(self.bad(format!("{} bytes too many", rest.len()))),
        }
    }

    fn bytes(&mut self) -> Result<&'a [u8], BadRecord> {
        let length = u32::take(self)?;
        let length = usize::try_from(length).map_err(|_| self.bad("it ends too early"))?;
        self.raw(length)
    }

    fn raw(&mut self, length: usize) -> Result<&'a [u8], BadRecord> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or_else(|| self.bad("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadRecord> {
        Ok(self.raw(N)?.try_into().expect("so many bytes were taken"))
    }
}

/// Appends a length or a count.
fn put_length(length: usize, out: &mut Vec<u8>) {
    u32::try_from(length).expect("messages and lists are limited to a few million").put(out);
}

impl Field for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        Ok(u8::from_le_bytes(fields.array()?))
    }
}

impl Field for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(self.to_le_bytes());
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        Ok(u32::from_le_bytes(fields.array()?))
    }
}

impl Field for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(self.to_le_bytes());
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        Ok(u64::from_le_bytes(fields.array()?))
    }
}

impl Field for f64 {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_bits().put(out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        u64::take(fields).map(f64::from_bits)
    }
}

impl Field for bool {
    fn put(&self, out: &mut Vec<u8>) {
        u8::from(*self).put(out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        match u8::take(fields)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(fields.bad(format!("{other} is neither yes nor no"))),
        }
    }
}

impl Field for Timestamp {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_nanos().put(out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        u64::take(fields).map(Self::from_nanos)
    }
}

/// In nanoseconds; what doesn't fit is as good as for ever.
impl Field for Duration {
    fn put(&self, out: &mut Vec<u8>) {
        u64::try_from(self.as_nanos()).unwrap_or(u64::MAX).put(out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        u64::take(fields).map(Self::from_nanos)
    }
}

impl Field for Bytes {
    fn put(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        out.extend_from_slice(self);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        fields.bytes().map(Bytes::copy_from_slice)
    }
}

impl Field for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        fields.text(|text| Ok::<_, &str>(text.to_owned()))
    }
}

/// Appends a text.
pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    put_length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

macro_rules! parsed_text {
    ($($name:ident),*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                put_text(self.as_str(), out);
            }

            fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
                fields.text($name::parse)
            }
        }
    )*};
}

parsed_text!(AgentId, ClusterId, FrameworkId, Role);

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        match bool::take(fields)? {
            true => T::take(fields).map(Some),
            false => Ok(None),
        }
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        Ok((A::take(fields)?, B::take(fields)?))
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        self.iter().for_each(|item| item.put(out));
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        let count = u32::take(fields)?;
        // Nothing is set aside by a count: what isn't there can't be read either.
        (0..count).map(|_| T::take(fields)).collect()
    }
}

impl<K: Field + Ord, V: Field> Field for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        let count = u32::take(fields)?;
        let mut map = Self::new();
        for _ in 0..count {
            let key = K::take(fields)?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(fields.bad("a map is not sorted"));
            }
            let value = V::take(fields)?;
            map.insert(key, value);
        }
        Ok(map)
    }
}

impl<T: Field + Ord> Field for BTreeSet<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        self.iter().for_each(|item| item.put(out));
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, BadRecord> {
        let count = u32::take(fields)?;
        let mut set = Self::new();
        for _ in 0..count {
            let item = T::take(fields)?;
            if set.last().is_some_and(|last| *last >= item) {
                return Err(fields.bad("a set is not sorted"));
            }
            set.insert(item);
        }
        Ok(set)
    }
}
