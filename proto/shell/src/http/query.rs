//! The part of a request's URL after the question mark.

/// The parameters of a request, decoded, in the order in which they came. A name may repeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the text after `?`. Everything is a query: what isn't encoded well stays as it is.
    pub fn parse(raw: &str) -> Self {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(&name.replace('+', " ")), percent_decoded(&value.replace('+', " ")))
        });
        Self(pairs.collect())
    }

    /// The first value of `name`, which may be empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The first value of `name`; an empty one counts as none.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Every value of `name`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether `name` is `true`, in whatever case the client's language prints it; `default` when
    /// it isn't given.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.get(name).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }
}

/// Percent-encoding undone; what isn't such stays as it is, and what isn't text is replaced.
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let pair = (first == b'%').then(|| after.first_chunk::<2>()).flatten();
        let digit = |byte: u8| char::from(byte).to_digit(16);
        match pair.and_then(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?)) {
            Some(value) => {
                bytes.push(u8::try_from(value).expect("two hexadecimal digits make a byte"));
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_may_repeat() {
        let query = Query::parse("embed=apps.tasks&embed=x&label=a%3D%3Db+c&force&bad=%zz%e");
        assert_eq!(query.all("embed").collect::<Vec<_>>(), ["apps.tasks", "x"]);
        assert_eq!(query.get("label"), Some("a==b c"));
        assert_eq!(query.get("force"), Some(""));
        assert_eq!(query.get("bad"), Some("%zz%e"));
        assert_eq!(query.get("none"), None);
    }

    #[test]
    fn odd_queries_do_no_harm() {
        let query = Query::parse("path=%2Fa+b%2fc&offset=-1&flag&=x&&path=2");
        assert_eq!(query.get("path"), Some("/a b/c"));
        assert_eq!(query.get("offset"), Some("-1"));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("none"), None);
        for (text, is) in [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%ff", "\u{fffd}")] {
            assert_eq!(percent_decoded(text), is);
        }
    }

    #[test]
    fn the_first_parameter_of_a_name_counts_and_empty_is_not_filled() {
        let query = Query::parse("limit=5&limit=7&jsonp=");
        assert_eq!(query.filled("limit"), Some("5"));
        assert_eq!(query.filled("jsonp"), None);
        assert_eq!(query.filled("offset"), None);
    }

    #[test]
    fn booleans_are_true_in_any_case_and_false_for_anything_else() {
        for (raw, default, value) in [
            ("force=true", false, true),
            ("force=True", false, true),
            ("force=TRUE", false, true),
            ("force=False", true, false),
            ("force=1", true, false),
            ("force", true, false),
            ("", true, true),
            ("", false, false),
        ] {
            assert_eq!(Query::parse(raw).flag("force", default), value, "{raw}");
        }
    }
}
