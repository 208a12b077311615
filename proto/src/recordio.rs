//! RecordIO: how messages follow each other in the body of a stream.
//!
//! A record is its length in decimal ASCII, a line feed, and that many bytes; nothing stands
//! between records. Chunks of the transport don't align with records, so [`Decoder`] takes bytes as
//! they come. Knows nothing of what is inside a record.
//!
//! Invariant: a decoder never holds more than one chunk beside a record of the greatest length.

use bytes::{Bytes, BytesMut};

/// Digits enough for any length that fits 64 bits.
const LENGTH_DIGITS_MAX: usize = 20;

/// Frames one record.
pub fn encode_record(record: &[u8]) -> Bytes {
    let mut framed = Vec::with_capacity(record.len() + 12);
    append_record(&mut framed, record);
    framed.into()
}

/// Appends one framed record to `out`, for many records in one write.
pub fn append_record(out: &mut Vec<u8>, record: &[u8]) {
    out.extend_from_slice(record.len().to_string().as_bytes());
    out.push(b'\n');
    out.extend_from_slice(record);
}

/// Takes records out of a stream of bytes, however it is cut.
///
/// After an error the stream can't be followed further: the same error comes again.
#[derive(Debug)]
pub struct Decoder {
    buffered: BytesMut,
    record_bytes_max: usize,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Before the line feed that ends a length.
    Length,
    /// The length is known, the record isn't complete.
    Record { bytes: usize },
    /// Cut off.
    Failed(RecordError),
}

impl Decoder {
    /// A decoder that refuses records longer than `record_bytes_max`.
    pub fn new(record_bytes_max: usize) -> Self {
        Self { buffered: BytesMut::new(), record_bytes_max, state: State::Length }
    }

    /// Takes in the next bytes of the stream. Follow it by [`Decoder::next`] until that has none,
    /// or what is buffered grows.
    pub fn push(&mut self, chunk: &[u8]) {
        if !matches!(self.state, State::Failed(_)) {
            self.buffered.extend_from_slice(chunk);
        }
    }

    /// The next complete record, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`RecordError`] when a length is not a number or exceeds the bound.
    #[expect(clippy::should_implement_trait, reason = "`None` here is no end, and it may fail")]
    pub fn next(&mut self) -> Result<Option<Bytes>, RecordError> {
        self.step().inspect_err(|error| {
            self.state = State::Failed(error.clone());
            self.buffered = BytesMut::new();
        })
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// [`RecordError::Truncated`] when it ends inside a record; the error before it, if any.
    pub fn finish(self) -> Result<(), RecordError> {
        match self.state {
            State::Failed(error) => Err(error),
            State::Length if self.buffered.is_empty() => Ok(()),
            _ => Err(RecordError::Truncated),
        }
    }

    fn step(&mut self) -> Result<Option<Bytes>, RecordError> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        if let State::Length = self.state {
            let Some(bytes) = self.take_length()? else { return Ok(None) };
            self.state = State::Record { bytes };
        }
        match self.state {
            State::Record { bytes } if self.buffered.len() >= bytes => {
                self.state = State::Length;
                Ok(Some(self.buffered.split_to(bytes).freeze()))
            }
            _ => Ok(None),
        }
    }

    /// Takes a length and its line feed off the front, once both are there.
    fn take_length(&mut self) -> Result<Option<usize>, RecordError> {
        let seen = &self.buffered[..self.buffered.len().min(LENGTH_DIGITS_MAX + 1)];
        let digits = seen.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > LENGTH_DIGITS_MAX {
            return Err(RecordError::LengthTooLong);
        }
        match seen.get(digits) {
            None => return Ok(None),
            Some(b'\n') if digits > 0 => {}
            Some(b'\n') => return Err(RecordError::EmptyLength),
            Some(&byte) => return Err(RecordError::NotADigit(byte)),
        }
        let length = seen[..digits]
            .iter()
            .try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        match length.and_then(|length| usize::try_from(length).ok()) {
            Some(bytes) if bytes <= self.record_bytes_max => {
                let _ = self.buffered.split_to(digits + 1);
                Ok(Some(bytes))
            }
            _ => Err(RecordError::TooLarge {
                length: String::from_utf8_lossy(&seen[..digits]).into_owned(),
                max: self.record_bytes_max,
            }),
        }
    }
}

/// Why a stream can't be read as records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A length holds something else than digits.
    #[error("a record's length holds the byte 0x{0:02x}, not a digit")]
    NotADigit(u8),
    /// A line feed where a length should be.
    #[error("a record's length is empty")]
    EmptyLength,
    /// More digits than any length has.
    #[error("a record's length has more than {LENGTH_DIGITS_MAX} digits")]
    LengthTooLong,
    /// The record is longer than the decoder was told to take.
    #[error("a record of {length} bytes is longer than the {max} that are allowed")]
    TooLarge {
        /// The length announced, as it stood in the stream.
        length: String,
        /// The greatest length allowed.
        max: usize,
    },
    /// The stream ended inside a record.
    #[error("the stream ended inside a record")]
    Truncated,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(max: usize, stream: &[u8]) -> Result<Vec<Bytes>, RecordError> {
        let mut decoder = Decoder::new(max);
        decoder.push(stream);
        let mut records = Vec::new();
        while let Some(record) = decoder.next()? {
            records.push(record);
        }
        decoder.finish().map(|()| records)
    }

    #[test]
    fn a_record_is_its_length_a_line_feed_and_its_bytes() {
        assert_eq!(&encode_record(b"hello")[..], b"5\nhello");
        assert_eq!(&encode_record(b"")[..], b"0\n");
        assert_eq!(
            decode(10, b"5\nhello0\n2\n\n\n"),
            Ok(vec!["hello".into(), "".into(), "\n\n".into()])
        );
    }

    #[test]
    fn a_length_that_is_no_number_is_refused() {
        for (stream, error) in [
            (&b"\n"[..], RecordError::EmptyLength),
            (b"x\n", RecordError::NotADigit(b'x')),
            (b"1 \n", RecordError::NotADigit(b' ')),
            (b"-1\n", RecordError::NotADigit(b'-')),
            (b"+1\n", RecordError::NotADigit(b'+')),
            (b"5\r\nhello", RecordError::NotADigit(b'\r')),
            (b"{\"type\":1}", RecordError::NotADigit(b'{')),
            (b"111111111111111111111", RecordError::LengthTooLong),
        ] {
            assert_eq!(decode(10, stream), Err(error));
        }
    }

    #[test]
    fn a_record_over_the_bound_is_refused_before_its_bytes_arrive() {
        for length in ["11", "18446744073709551615", "99999999999999999999"] {
            let error = decode(10, format!("{length}\n").as_bytes()).unwrap_err();
            assert_eq!(error, RecordError::TooLarge { length: length.into(), max: 10 });
        }
        assert!(decode(10, b"10\n0123456789").is_ok());
    }

    #[test]
    fn a_refused_stream_stays_refused() {
        let mut decoder = Decoder::new(10);
        decoder.push(b"?");
        let error = decoder.next().unwrap_err();
        decoder.push(b"1\na");
        assert_eq!(decoder.next(), Err(error.clone()));
        assert_eq!(decoder.finish(), Err(error));
    }

    #[test]
    fn a_stream_that_ends_inside_a_record_is_truncated() {
        for stream in [&b"5"[..], b"5\n", b"5\nhell", b"1\na5"] {
            assert_eq!(decode(10, stream), Err(RecordError::Truncated));
        }
    }
}
