//! Labels on reservations and disks: part of what keeps entries apart.

use std::fmt;

use crate::v1;

/// Key and value pairs, sorted: their order on the wire means nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(Vec<(String, Option<String>)>);

impl Labels {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    /// The message for these labels; `None` when there is none.
    pub fn to_proto(&self) -> Option<v1::Labels> {
        let label = |(key, value): &(String, Option<String>)| v1::Label {
            key: Some(key.clone()),
            value: value.clone(),
        };
        (!self.is_empty()).then(|| v1::Labels { labels: self.0.iter().map(label).collect() })
    }

    /// The labels of a message field; a label without a key counts as one with an empty key.
    pub fn from_proto(labels: Option<&v1::Labels>) -> Self {
        labels
            .into_iter()
            .flat_map(|labels| &labels.labels)
            .map(|label| (label.key.clone().unwrap_or_default(), label.value.clone()))
            .collect()
    }
}

impl FromIterator<(String, Option<String>)> for Labels {
    fn from_iter<I: IntoIterator<Item = (String, Option<String>)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_unstable();
        Self(pairs)
    }
}

/// `{key: value, lone}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (key, value)) in self.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            match value {
                Some(value) => write!(f, "{key}: {value}")?,
                None => f.write_str(key)?,
            }
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_labels_means_nothing() {
        let pair = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        let one: Labels =
            [pair("b", "2"), pair("a", "1"), ("c".into(), None)].into_iter().collect();
        let other: Labels =
            [("c".into(), None), pair("a", "1"), pair("b", "2")].into_iter().collect();
        assert_eq!(one, other);
        assert_eq!(one.to_string(), "{a: 1, b: 2, c}");
        assert_eq!(Labels::from_proto(one.to_proto().as_ref()), one);
        assert_eq!(Labels::default().to_proto(), None);
    }
}
