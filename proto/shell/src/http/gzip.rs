//! Compression of answers.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// `body`, compressed for speed. Takes milliseconds a megabyte: large ones are for another thread.
pub fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).expect("a vector takes all that is written to it");
    encoder.finish().expect("a vector takes all that is written to it").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_was_compressed_comes_back() {
        let body = b"abc".repeat(1_000);
        let compressed = gzip(&body);
        assert!(compressed.len() < body.len() / 10);
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut back).expect("it is gzip");
        assert_eq!(back, body);
    }
}
