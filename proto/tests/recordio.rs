//! RecordIO under any cut of the stream, and any garbage in it.

use bytes::Bytes;
use meros_proto::recordio::{Decoder, RecordError, append_record, encode_record};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;

const RECORD_BYTES_MAX: usize = 300;

/// Feeds `stream`, cut at `cuts`, and takes out records as soon as they are there.
fn decode(stream: &[u8], cuts: &[Index]) -> Result<Vec<Bytes>, RecordError> {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    ends.push(stream.len());
    ends.sort_unstable();

    let mut decoder = Decoder::new(RECORD_BYTES_MAX);
    let mut records = Vec::new();
    let mut fed = 0;
    for end in ends {
        decoder.push(&stream[fed..end]);
        fed = end;
        while let Some(record) = decoder.next()? {
            records.push(record);
        }
    }
    decoder.finish().map(|()| records)
}

proptest! {
    #[test]
    fn any_cut_of_the_stream_decodes_to_the_same_records(
        records in vec(vec(any::<u8>(), 0..RECORD_BYTES_MAX), 0..8),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let mut stream = Vec::new();
        records.iter().for_each(|record| append_record(&mut stream, record));
        prop_assert_eq!(&stream, &records.iter().flat_map(|r| encode_record(r)).collect::<Vec<_>>());

        let decoded = decode(&stream, &cuts);
        prop_assert_eq!(decoded, Ok(records.into_iter().map(Bytes::from).collect()));
    }

    #[test]
    fn a_stream_cut_short_is_never_taken_for_a_whole_one(
        record in vec(any::<u8>(), 1..RECORD_BYTES_MAX),
        at in any::<Index>(),
    ) {
        let stream = encode_record(&record);
        let short = &stream[..at.index(stream.len() - 1) + 1];
        if short.len() < stream.len() {
            prop_assert_eq!(decode(short, &[]), Err(RecordError::Truncated));
        }
    }

    #[test]
    fn garbage_ends_in_an_error_wherever_it_is_cut(
        before in vec(vec(any::<u8>(), 0..20), 0..3),
        garbage in "[^0-9\\n]{1,20}",
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let mut stream = Vec::new();
        before.iter().for_each(|record| append_record(&mut stream, record));
        stream.extend_from_slice(garbage.as_bytes());
        prop_assert_eq!(decode(&stream, &cuts), Err(RecordError::NotADigit(garbage.as_bytes()[0])));
    }

    #[test]
    fn a_length_over_the_bound_is_refused_wherever_it_is_cut(
        length in RECORD_BYTES_MAX as u64 + 1..,
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let refused = decode(format!("{length}\n").as_bytes(), &cuts);
        prop_assert_eq!(
            refused,
            Err(RecordError::TooLarge { length: length.to_string(), max: RECORD_BYTES_MAX })
        );
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_yield_more_than_came_in(
        stream in vec(any::<u8>(), 0..400),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        if let Ok(records) = decode(&stream, &cuts) {
            prop_assert!(records.iter().map(Bytes::len).sum::<usize>() <= stream.len());
        }
    }
}
