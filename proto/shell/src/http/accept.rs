//! Headers by which a client says what it takes.

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderName};

/// Whether an answer may be compressed by gzip.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings: Vec<_> = members(headers, &ACCEPT_ENCODING).collect();
    let named = codings.iter().find(|(coding, _)| coding.eq_ignore_ascii_case("gzip"));
    let any = codings.iter().find(|(coding, _)| *coding == "*");
    named.or(any).is_some_and(|(_, allowed)| *allowed)
}

/// The members of a list header such as `Accept`, each with whether its `q` is above zero.
///
/// A header that arrives twice is one list.
pub fn members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'a str, bool)> + use<'a> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|member| {
        let mut parts = member.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.trim().parse::<f32>().ok());
        Some((name, quality.is_none_or(|quality| quality > 0.0)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_compressed_only_for_those_who_ask() {
        for (values, allowed) in [
            (&[][..], false),
            (&["gzip"], true),
            (&["GZIP"], true),
            (&["deflate, gzip;q=0.5"], true),
            (&["deflate", "gzip"], true),
            (&["*"], true),
            (&["gzip;q=0, *"], false),
            (&["gzip;q=0"], false),
            (&["identity"], false),
            (&[""], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT_ENCODING, value.parse().expect("a valid header"));
            }
            assert_eq!(accepts_gzip(&headers), allowed, "{values:?}");
        }
    }
}
