//! Reads a JSON document by hand, and finds everything that is wrong with it in one go.
//!
//! Marathon's clients are shown *all* faults of a document, each with its path and with the keys of
//! the framework that Marathon was built on (`error.expected.jsnumber`): a derived deserialiser
//! stops at the first and has its own words. So a body is parsed to a [`serde_json::Value`] and then
//! read field by field through [`At`], by functions that note a fault and give `None` where the
//! value isn't theirs.
//!
//! `null` equals absent, everywhere. Unknown fields are not looked at.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};

/// The greatest whole number of Marathon's schema.
pub(crate) const MAX_INT: i64 = i32::MAX as i64;

/// Everything found wrong with a document: the messages of each path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Faults(BTreeMap<String, BTreeSet<String>>);

impl Faults {
    /// Notes `message` for `path` (`/cpus`, `/constraints(0)`, `/`), once.
    pub(crate) fn add(&mut self, path: &str, message: impl Into<String>) {
        let path = if path.is_empty() { "/" } else { path };
        self.0.entry(path.to_owned()).or_default().insert(message.into());
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The paths in their order, each with its messages.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.0.iter().map(|(path, messages)| (path.as_str(), messages.iter().map(String::as_str)))
    }

    /// Takes over what was found under another root: `prefix` goes before each path.
    pub(crate) fn absorb(&mut self, prefix: &str, other: Self) {
        for (path, messages) in other.0 {
            let path = if path == "/" { prefix.to_owned() } else { format!("{prefix}{path}") };
            let path = if path.is_empty() { "/".to_owned() } else { path };
            self.0.entry(path).or_default().extend(messages);
        }
    }
}

/// A place in a document: the value there, its path, and where faults are noted.
#[derive(Clone)]
pub(crate) struct At<'a> {
    value: &'a Value,
    path: String,
    faults: &'a RefCell<Faults>,
}

impl<'a> At<'a> {
    /// The top of a document.
    pub(crate) fn root(value: &'a Value, faults: &'a RefCell<Faults>) -> Self {
        Self { value, path: String::new(), faults }
    }

    /// The value itself, as it was sent.
    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// Notes `message` for this place and gives nothing.
    pub(crate) fn fault<T>(&self, message: &str) -> Option<T> {
        self.faults.borrow_mut().add(&self.path, message);
        None
    }

    /// The object here.
    pub(crate) fn fields(&self) -> Option<Fields<'a>> {
        match self.value {
            Value::Object(map) => {
                Some(Fields { map, path: self.path.clone(), faults: self.faults })
            }
            _ => self.fault("error.expected.jsobject"),
        }
    }

    /// The elements of the array here.
    pub(crate) fn elements(&self) -> Option<Vec<At<'a>>> {
        let Value::Array(items) = self.value else { return self.fault("error.expected.jsarray") };
        let at = |(index, value)| At {
            value,
            path: format!("{}({index})", self.path),
            faults: self.faults,
        };
        Some(items.iter().enumerate().map(at).collect())
    }
}

/// An object being read.
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
    faults: &'a RefCell<Faults>,
}

impl<'a> Fields<'a> {
    /// The place of field `name`, unless it is absent or null.
    pub(crate) fn at(&self, name: &str) -> Option<At<'a>> {
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        Some(At { value, path: format!("{}/{name}", self.path), faults: self.faults })
    }

    /// Field `name`, if it is there.
    pub(crate) fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(At<'a>) -> Option<T>,
    ) -> Option<T> {
        self.at(name).and_then(read)
    }

    /// Field `name`, which must be there.
    pub(crate) fn required<T>(
        &self,
        name: &str,
        read: impl FnOnce(At<'a>) -> Option<T>,
    ) -> Option<T> {
        if let Some(at) = self.at(name) {
            return read(at);
        }
        self.faults.borrow_mut().add(&format!("{}/{name}", self.path), "error.path.missing");
        None
    }

    /// Every entry with its key, for maps; null values are left out.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, At<'a>)> {
        self.map.keys().filter_map(|key| Some((key.as_str(), self.at(key)?)))
    }
}

/// Any string.
pub(crate) fn text(at: At<'_>) -> Option<String> {
    match at.value() {
        Value::String(text) => Some(text.clone()),
        _ => at.fault("error.expected.jsstring"),
    }
}

/// A string of at least one character.
pub(crate) fn nonempty_text(at: At<'_>) -> Option<String> {
    text(at.clone())
        .and_then(|text| if text.is_empty() { at.fault("error.minLength") } else { Some(text) })
}

/// `true` or `false`.
pub(crate) fn boolean(at: At<'_>) -> Option<bool> {
    at.value().as_bool().or_else(|| at.fault("error.expected.jsboolean"))
}

/// A number of at least `min` and at most `max`.
pub(crate) fn number(min: f64, max: f64) -> impl Fn(At<'_>) -> Option<f64> {
    move |at| match at.value().as_f64() {
        None => at.fault("error.expected.jsnumber"),
        Some(number) if number < min => at.fault("error.min"),
        Some(number) if number > max => at.fault("error.max"),
        Some(number) => Some(number),
    }
}

/// A whole number of at least `min` and at most `max`. `3.0` is whole, as in Marathon.
pub(crate) fn integer(min: i64, max: i64) -> impl Fn(At<'_>) -> Option<i64> {
    move |at| {
        let Value::Number(number) = at.value() else {
            return at.fault("error.expected.jsnumber");
        };
        let whole = number.as_i64().or_else(|| {
            let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
            (float.abs() <= f64::from(i32::MAX)).then_some(float as i64)
        });
        match whole.filter(|whole| i32::try_from(*whole).is_ok()) {
            None => at.fault("error.expected.int"),
            Some(whole) if whole < min => at.fault("error.min"),
            Some(whole) if whole > max => at.fault("error.max"),
            Some(whole) => Some(whole),
        }
    }
}

/// A count that [`integer`] has let through; it is within 0 and [`MAX_INT`].
pub(crate) fn count(given: i64) -> u32 {
    u32::try_from(given).unwrap_or(u32::MAX)
}

/// A span from a number of seconds that [`integer`] has let through.
pub(crate) fn seconds(given: i64) -> Duration {
    Duration::from_secs(given.unsigned_abs())
}

/// One of a closed set of words.
pub(crate) fn one_of<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(At<'_>) -> Option<T> {
    move |at| {
        let Value::String(word) = at.value() else { return at.fault("error.expected.jsstring") };
        let found = words.iter().find(|(name, _)| name == word);
        found.map(|(_, value)| *value).or_else(|| at.fault("error.unknown.enum.literal"))
    }
}

/// An array of what `item` reads.
pub(crate) fn list<T>(item: impl Fn(At<'_>) -> Option<T>) -> impl Fn(At<'_>) -> Option<Vec<T>> {
    move |at| {
        let elements = at.elements()?;
        let read: Vec<_> = elements.into_iter().map(&item).collect();
        read.into_iter().collect()
    }
}

/// An object used as a map, its values read by `item`.
pub(crate) fn map<T>(
    item: impl Fn(At<'_>) -> Option<T>,
) -> impl Fn(At<'_>) -> Option<BTreeMap<String, T>> {
    move |at| {
        let fields = at.fields()?;
        let read: Vec<_> =
            fields.entries().map(|(key, at)| Some((key.to_owned(), item(at)?))).collect();
        read.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: std::fmt::Debug + PartialEq>(
        document: &str,
        read: impl FnOnce(At<'_>) -> Option<T>,
        expected: Result<T, &[(&str, &str)]>,
    ) {
        let value: Value = serde_json::from_str(document).expect("the test's document is JSON");
        let faults = RefCell::new(Faults::default());
        let got = read(At::root(&value, &faults));
        let faults = faults.into_inner();
        let flat: Vec<_> = faults
            .iter()
            .flat_map(|(path, messages)| messages.map(move |message| (path, message)))
            .collect();
        match expected {
            Ok(expected) => assert_eq!((got, &flat[..]), (Some(expected), &[][..]), "{document}"),
            Err(expected) => assert_eq!(flat, expected, "{document}"),
        }
    }

    #[test]
    fn scalars_are_read_within_their_bounds_or_named_by_their_fault() {
        check("1", number(0.001, f64::MAX), Ok(1.0));
        check("0", number(0.001, f64::MAX), Err(&[("/", "error.min")]));
        check("2", number(0.0, 1.0), Err(&[("/", "error.max")]));
        check("\"1\"", number(0.0, 1.0), Err(&[("/", "error.expected.jsnumber")]));
        check("3.0", integer(0, 10), Ok(3));
        check("3.5", integer(0, 10), Err(&[("/", "error.expected.int")]));
        check("5000000000", integer(0, i64::MAX), Err(&[("/", "error.expected.int")]));
        check("-1", integer(0, 10), Err(&[("/", "error.min")]));
        check("{}", text, Err(&[("/", "error.expected.jsstring")]));
        check("\"\"", nonempty_text, Err(&[("/", "error.minLength")]));
        check("1", boolean, Err(&[("/", "error.expected.jsboolean")]));
        check("\"b\"", one_of(&[("a", 1), ("b", 2)]), Ok(2));
        check("\"c\"", one_of(&[("a", 1)]), Err(&[("/", "error.unknown.enum.literal")]));
    }

    #[test]
    fn every_faulty_element_and_entry_is_named_with_its_path() {
        check(
            r#"["a", 1, null]"#,
            list(text),
            Err(&[("(1)", "error.expected.jsstring"), ("(2)", "error.expected.jsstring")]),
        );
        check(
            r#"{"a": "x", "b": 2, "c": null}"#,
            map(text),
            Err(&[("/b", "error.expected.jsstring")]),
        );
    }
}
