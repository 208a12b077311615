//! Which encoding a request is in, and which one its answer may have.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use meros_proto::wire::Encoding;
use meros_shell::http::members;

/// What `Content-Type` says of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentType {
    /// The header is missing.
    Absent,
    /// It names something that no call comes in.
    Other,
    /// It names an encoding of ours.
    Known(Encoding),
}

/// Reads `Content-Type`. Parameters such as a charset are let pass, though Mesos refuses them.
pub(crate) fn content_type(headers: &HeaderMap) -> ContentType {
    let Some(value) = headers.get(CONTENT_TYPE) else { return ContentType::Absent };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    [Encoding::Json, Encoding::Protobuf]
        .into_iter()
        .find(|encoding| essence.eq_ignore_ascii_case(encoding.media_type()))
        .map_or(ContentType::Other, ContentType::Known)
}

/// The encoding of an answer: JSON when `Accept` lets it, or else protobuf when it lets that.
///
/// A missing header accepts everything; one that arrives twice is one list.
pub(crate) fn accepted(headers: &HeaderMap) -> Option<Encoding> {
    let ranges: Vec<_> = members(headers, &ACCEPT).collect();
    [Encoding::Json, Encoding::Protobuf]
        .into_iter()
        .find(|encoding| ranges.is_empty() || allows(&ranges, encoding.media_type()))
}

/// Whether the most specific of `ranges` that speaks of `media_type` allows it.
fn allows(ranges: &[(&str, bool)], media_type: &str) -> bool {
    let any_subtype = media_type.split('/').next().map(|kind| format!("{kind}/*"));
    [Some(media_type), any_subtype.as_deref(), Some("*/*")]
        .into_iter()
        .flatten()
        .find_map(|pattern| ranges.iter().find(|(range, _)| range.eq_ignore_ascii_case(pattern)))
        .is_some_and(|(_, allowed)| *allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, value.parse().expect("the test's header is valid"));
        }
        headers
    }

    #[test]
    fn json_is_tried_first_and_wildcards_and_zero_qualities_count() {
        for (accept, chosen) in [
            (&[][..], Some(Encoding::Json)),
            (&["*/*"], Some(Encoding::Json)),
            (&["application/*"], Some(Encoding::Json)),
            (&["application/json"], Some(Encoding::Json)),
            (&["application/x-protobuf"], Some(Encoding::Protobuf)),
            (&["application/x-protobuf, application/json"], Some(Encoding::Json)),
            (&["application/x-protobuf", "application/x-protobuf"], Some(Encoding::Protobuf)),
            (&["application/json;q=0, */*"], Some(Encoding::Protobuf)),
            (&["*/*;q=0"], None),
            (&["text/html"], None),
            (&["application/json; q=0"], None),
        ] {
            assert_eq!(accepted(&headers(ACCEPT, accept)), chosen, "{accept:?}");
        }
    }

    #[test]
    fn a_body_is_known_by_its_content_type() {
        for (value, known) in [
            ("application/json", ContentType::Known(Encoding::Json)),
            ("application/json; charset=utf-8", ContentType::Known(Encoding::Json)),
            ("application/x-protobuf", ContentType::Known(Encoding::Protobuf)),
            ("application/protobuf", ContentType::Other),
            ("", ContentType::Other),
        ] {
            assert_eq!(content_type(&headers(CONTENT_TYPE, &[value])), known, "{value}");
        }
        assert_eq!(content_type(&HeaderMap::new()), ContentType::Absent);
    }
}
