//! Reads encoded messages without making anything of what isn't shown.
//!
//! The core keeps messages as they came; `/state` shows a few of their fields, a hundred thousand
//! times. What is looked for here is borrowed from the bytes: no text is copied, and nothing is
//! decoded that nobody asked for. The bytes were checked on their way in; were they broken all the
//! same, reading ends there.

/// The fields of an encoded message, in the order in which they lie.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(&'a [u8]);

/// What a field holds. Fixed-width numbers aren't shown anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number, a flag or an enum.
    Number(u64),
    /// A text, bytes or a message.
    Bytes(&'a [u8]),
    /// Something else.
    Other,
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for at in 0..10 {
            let byte = *self.0.get(at)?;
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = u32::try_from(self.varint()?).ok()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

/// The last field of this number that holds bytes.
pub(super) fn bytes(message: &[u8], number: u32) -> Option<&[u8]> {
    all_bytes(message, number).last()
}

/// All fields of this number that hold bytes.
pub(super) fn all_bytes(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> + Clone {
    Fields::of(message).filter_map(move |(one, value)| match value {
        Value::Bytes(bytes) if one == number => Some(bytes),
        _ => None,
    })
}

/// Bytes that are to be text, as those of a checked message are.
pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use meros_proto::v1;
    use meros_proto::wire::{self, Encoding};

    #[test]
    fn fields_are_found_where_they_were_encoded() {
        let status = v1::TaskStatus {
            task_id: Some(v1::TaskId { value: Some("t".repeat(200)) }),
            state: Some(300),
            timestamp: Some(1.5),
            data: Some(Bytes::from_static(b"data")),
            ..Default::default()
        };
        let encoded = wire::encode(Encoding::Protobuf, &status);
        let fields: Vec<_> = Fields::of(&encoded).collect();
        assert_eq!(fields.len(), 4);
        assert_eq!(fields[1], (2, Value::Number(300)));
        assert_eq!(fields[2], (3, Value::Bytes(b"data")));
        assert_eq!(fields[3], (6, Value::Other));
        let id = bytes(&encoded, 1).and_then(|id| bytes(id, 1)).map(text);
        assert_eq!(id, status.task_id.as_ref().and_then(|id| id.value.as_deref()));
        assert_eq!(bytes(&encoded, 2), None, "a number is no text");
    }

    #[test]
    fn broken_bytes_end_the_reading() {
        for broken in [
            &b"\x0a"[..],
            b"\x0a\x05abc",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x0b",
            b"\x09\0",
        ] {
            assert_eq!(Fields::of(broken).next(), None, "{broken:?}");
        }
    }
}
