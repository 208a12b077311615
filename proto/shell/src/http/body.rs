//! Reading the body of a request.

use std::fmt::Display;
use std::pin::pin;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It has more bytes than this.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// It broke off.
    #[error("{0}")]
    Broken(String),
}

/// Reads a whole body that comes in pieces, `bytes_max` of it at most.
///
/// # Errors
/// [`BodyError::TooLarge`] as soon as it is known, [`BodyError::Broken`].
pub async fn read_body<B: Buf, E: Display>(
    pieces: impl Stream<Item = Result<B, E>>,
    bytes_max: usize,
) -> Result<Bytes, BodyError> {
    let mut pieces = pin!(pieces);
    let mut whole = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| BodyError::Broken(error.to_string()))?;
        if whole.len() + piece.remaining() > bytes_max {
            return Err(BodyError::TooLarge(bytes_max));
        }
        whole.put(piece);
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_while_it_is_read() {
        for (pieces, accepted) in [
            (vec![&b"abcd"[..]], true),
            (vec![&b"ab"[..], b"cd"], true),
            (vec![&b"abcd"[..], b"e"], false),
            (vec![], true),
        ] {
            let pieces: Vec<_> = pieces.into_iter().map(Ok::<_, String>).collect();
            assert_eq!(read_body(stream::iter(pieces), 4).await.is_ok(), accepted);
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_no_body() {
        let pieces = stream::iter([Ok(&b"ab"[..]), Err("connection reset")]);
        let error = read_body(pieces, 4).await.expect_err("it broke off");
        assert_eq!(error, BodyError::Broken("connection reset".to_owned()));
    }
}
