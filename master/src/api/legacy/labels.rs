//! Labels, which older objects hold as a plain list.

use serde::Serialize;
use serde::ser::Serializer;

use crate::api::legacy::encoded::{Fields, Value, all_bytes, text};

/// `Labels.labels`.
const LABELS: u32 = 1;
/// `Label.key`.
const KEY: u32 = 1;
/// `Label.value`.
const VALUE: u32 = 2;

/// The labels of an encoded `v1::Labels`, each written as it is found.
#[derive(Clone, Copy, Default)]
pub(super) struct LabelList<'a>(&'a [u8]);

impl<'a> LabelList<'a> {
    pub(super) fn of(labels: &'a [u8]) -> Self {
        Self(labels)
    }

    pub(super) fn is_empty(&self) -> bool {
        all_bytes(self.0, LABELS).next().is_none()
    }
}

#[derive(Serialize)]
struct LabelObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
}

impl Serialize for LabelList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all_bytes(self.0, LABELS).map(label))
    }
}

fn label(encoded: &[u8]) -> LabelObject<'_> {
    let mut label = LabelObject { key: None, value: None };
    for field in Fields::of(encoded) {
        match field {
            (KEY, Value::Bytes(key)) => label.key = Some(text(key)),
            (VALUE, Value::Bytes(value)) => label.value = Some(text(value)),
            _ => {}
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_proto::v1;
    use prost::Message;

    #[test]
    fn labels_look_as_if_they_had_been_decoded() {
        let label = |key: &str, value: Option<&str>| v1::Label {
            key: Some(key.to_owned()),
            value: value.map(str::to_owned),
        };
        for labels in [
            vec![],
            vec![label("a", Some("1"))],
            vec![label("quote\"", None), label("", Some("")), label("ü", Some("\n"))],
        ] {
            let message = v1::Labels { labels: labels.clone() };
            let encoded = message.encode_to_vec();
            let list = LabelList::of(&encoded);
            assert_eq!(list.is_empty(), labels.is_empty());
            let written = serde_json::to_string(&list).expect("texts are JSON");
            assert_eq!(written, serde_json::to_string(&labels).expect("texts are JSON"));
        }
    }
}
