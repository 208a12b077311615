//! Frames and fields: the bytes beneath [`wire`](super::wire).
//!
//! A frame is a little-endian `u32` length and so many bytes. Numbers are little-endian, byte
//! strings and lists carry a `u32` count.

/// The longest frame either end accepts: arguments and environment of one start, with room.
pub(crate) const FRAME_MAX: usize = 8 << 20;

/// Why bytes aren't a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// A length says more than [`FRAME_MAX`].
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// The frame ends within a field.
    #[error("a frame ends too early")]
    Short,
    /// No message has this tag.
    #[error("unknown message {0}")]
    UnknownTag(u8),
    /// A field holds what it can't.
    #[error("a field is invalid")]
    Invalid,
}

/// Cuts a stream of bytes into frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    /// What lies before is taken already.
    taken: usize,
}

impl Frames {
    /// Takes in bytes as they came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The inside of the next frame, if it is all there.
    ///
    /// # Errors
    /// [`WireError::TooLong`]: the stream is of no use any more.
    pub(crate) fn take(&mut self) -> Result<Option<&[u8]>, WireError> {
        let rest = &self.buffer[self.taken..];
        let Some((length, rest)) = rest.split_first_chunk() else {
            self.release();
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > FRAME_MAX {
            return Err(WireError::TooLong(length));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let begin = self.taken + 4;
        self.taken = begin + length;
        Ok(Some(&self.buffer[begin..begin + length]))
    }

    /// What is not taken yet.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// Gives a buffer back that a burst made large: the launcher is to stay small.
    fn release(&mut self) {
        if self.taken == self.buffer.len() && self.buffer.capacity() > 64 << 10 {
            *self = Self::default();
        }
    }
}

pub(crate) struct Writer<'a>(&'a mut Vec<u8>);

/// Appends a frame with what `body` writes.
pub(crate) fn frame(out: &mut Vec<u8>, body: impl FnOnce(&mut Writer<'_>)) {
    let begin = out.len();
    out.extend_from_slice(&[0; 4]);
    body(&mut Writer(out));
    let length = u32::try_from(out.len() - begin - 4).unwrap_or(u32::MAX);
    out[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
}

impl<'a> Writer<'a> {
    /// Writes fields without a frame around them.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self(out)
    }
}

impl Writer<'_> {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A length beyond `u32` makes a frame that the peer refuses by its own length.
    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(value);
    }

    pub(crate) fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        self.u32(u32::try_from(items.len()).unwrap_or(u32::MAX));
        for each in items {
            item(self, each);
        }
    }

    pub(crate) fn option<T>(&mut self, value: Option<&T>, item: impl FnOnce(&mut Self, &T)) {
        self.u8(u8::from(value.is_some()));
        if let Some(value) = value {
            item(self, value);
        }
    }
}

pub(crate) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    /// Whether nothing more is to be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, WireError> {
        self.take().map(i32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, WireError> {
        let length = self.u32()? as usize;
        let (head, rest) = self.0.split_at_checked(length).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(head.to_vec())
    }

    pub(crate) fn text(&mut self) -> Result<String, WireError> {
        String::from_utf8(self.bytes()?).map_err(|_| WireError::Invalid)
    }

    /// Grows as it reads: a count is not believed before its items were seen.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let count = self.u32()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    pub(crate) fn option<T>(
        &mut self,
        item: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        match self.u8()? {
            0 => Ok(None),
            1 => item(self).map(Some),
            _ => Err(WireError::Invalid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_beyond_the_bound_ends_the_stream() {
        let mut frames = Frames::default();
        frames.push(&u32::MAX.to_le_bytes());
        assert_eq!(frames.take(), Err(WireError::TooLong(u32::MAX as usize)));
    }

    #[test]
    fn a_large_buffer_is_given_back_once_it_was_read() {
        let mut frames = Frames::default();
        let mut bytes = Vec::new();
        frame(&mut bytes, |w| w.bytes(&[7; 1 << 20]));
        frames.push(&bytes);
        assert_eq!(frames.take().map(|frame| frame.map(<[u8]>::len)), Ok(Some((1 << 20) + 4)));
        assert_eq!(frames.take(), Ok(None));
        assert_eq!(frames.buffer.capacity(), 0);
    }

    #[test]
    fn a_count_is_not_believed_before_its_items_were_seen() {
        let mut reader = Reader(&[255, 255, 255, 255, 1]);
        assert_eq!(reader.list(Reader::u8), Err(WireError::Short));
    }
}
