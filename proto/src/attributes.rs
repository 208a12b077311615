//! What an operator says of an agent, for frameworks to choose by: `rack:r1;zone:a;size:4;p:[1-3]`.
//!
//! Kept in the order given; a name may come more than once. Sets are no attributes (as in Mesos).

use std::fmt;
use std::sync::Arc;

use crate::resources::{Ranges, Scalar, TextValue, Value, parse_value};
use crate::v1;
use crate::v1::value::Type as ValueType;

/// The attributes of one agent.
#[derive(Debug, Clone, Default)]
pub struct Attributes(Vec<Attribute>);

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attribute {
    /// What it is called; not empty.
    pub name: Arc<str>,
    /// What it says.
    pub value: AttributeValue,
}

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttributeValue {
    /// A number; may be negative.
    Scalar(Scalar),
    /// Numbers.
    Ranges(Ranges),
    /// Anything else.
    Text(Arc<str>),
}

impl Attributes {
    /// No attribute.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `name:value;name:value`. A number makes a scalar, `[1-3]` ranges, all else text, which
    /// may hold further colons. Empty items mean nothing.
    ///
    /// # Errors
    /// [`AttributeError`] for the first item that isn't an attribute.
    pub fn parse(text: &str) -> Result<Self, AttributeError> {
        text.split([';', '\n'])
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(parse_item)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Reads messages.
    ///
    /// # Errors
    /// [`AttributeError`] for the first that isn't an attribute.
    pub fn from_protos(messages: &[v1::Attribute]) -> Result<Self, AttributeError> {
        messages.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Writes messages, in the order given.
    pub fn to_protos(&self) -> Vec<v1::Attribute> {
        self.0.iter().map(write).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The attributes, in the order given.
    pub fn iter(&self) -> std::slice::Iter<'_, Attribute> {
        self.0.iter()
    }

    /// The value of the first attribute called `name`.
    pub fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.get_all(name).next()
    }

    /// The values of all attributes called `name`.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &AttributeValue> {
        self.0.iter().filter(move |own| &*own.name == name).map(|own| &own.value)
    }
}

/// The order means nothing.
impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        let sorted = |attributes: &Self| {
            let mut all = attributes.0.clone();
            all.sort();
            all
        };
        self.0 == other.0 || (self.len() == other.len() && sorted(self) == sorted(other))
    }
}

impl Eq for Attributes {}

impl<'a> IntoIterator for &'a Attributes {
    type Item = &'a Attribute;
    type IntoIter = std::slice::Iter<'a, Attribute>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Attribute> for Attributes {
    fn from_iter<I: IntoIterator<Item = Attribute>>(attributes: I) -> Self {
        Self(attributes.into_iter().collect())
    }
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(f),
            Self::Ranges(ranges) => fmt::Display::fmt(ranges, f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.value)
    }
}

/// The text form: `rack:r1;size:4`.
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, attribute) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { ";" };
            write!(f, "{separator}{attribute}")?;
        }
        Ok(())
    }
}

/// Why something is not an attribute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// An item without its parts.
    #[error("attribute '{0}' is not of the form name:value")]
    Form(String),
    /// A value that is none.
    #[error("the value of attribute '{name}' {problem}")]
    Value {
        /// The attribute's name.
        name: String,
        /// What is wrong with its value.
        problem: String,
    },
    /// A set.
    #[error("attribute '{0}' is a set, which attributes cannot be")]
    Set(String),
    /// A message without a name.
    #[error("an attribute has no name")]
    NoName,
}

fn parse_item(item: &str) -> Result<Attribute, AttributeError> {
    let form = || AttributeError::Form(item.to_owned());
    let (name, value) = item.split_once(':').ok_or_else(form)?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || value.is_empty() {
        return Err(form());
    }
    let value = match parse_value(value) {
        Ok(TextValue::Resource(Value::Scalar(scalar))) => AttributeValue::Scalar(scalar),
        Ok(TextValue::Resource(Value::Ranges(ranges))) => AttributeValue::Ranges(ranges),
        Ok(TextValue::Resource(Value::Set(_))) => {
            return Err(AttributeError::Set(name.to_owned()));
        }
        Ok(TextValue::Text(text)) => AttributeValue::Text(text.into()),
        Err(problem) => return Err(AttributeError::Value { name: name.to_owned(), problem }),
    };
    Ok(Attribute { name: name.into(), value })
}

fn read(message: &v1::Attribute) -> Result<Attribute, AttributeError> {
    let name = message.name.as_deref().filter(|name| !name.is_empty());
    let name = name.ok_or(AttributeError::NoName)?;
    let wrong = |problem: String| AttributeError::Value { name: name.to_owned(), problem };
    let missing = || wrong("is missing or not of its type".to_owned());
    let value = match message.r#type.and_then(|number| ValueType::try_from(number).ok()) {
        Some(ValueType::Scalar) => {
            let scalar = message.scalar.as_ref().and_then(|scalar| scalar.value);
            let scalar = Scalar::from_f64(scalar.ok_or_else(missing)?);
            AttributeValue::Scalar(scalar.map_err(|error| wrong(error.to_string()))?)
        }
        Some(ValueType::Ranges) => {
            let ranges = &message.ranges.as_ref().ok_or_else(missing)?.range;
            let pairs = ranges
                .iter()
                .map(|range| range.begin.zip(range.end).ok_or_else(missing))
                .collect::<Result<Vec<_>, _>>()?;
            let ranges = Ranges::from_pairs(pairs);
            AttributeValue::Ranges(ranges.map_err(|error| wrong(format!("is wrong: {error}")))?)
        }
        Some(ValueType::Text) => {
            let text = message.text.as_ref().and_then(|text| text.value.as_deref());
            AttributeValue::Text(text.ok_or_else(missing)?.into())
        }
        Some(ValueType::Set) => return Err(AttributeError::Set(name.to_owned())),
        None => return Err(missing()),
    };
    Ok(Attribute { name: name.into(), value })
}

fn write(attribute: &Attribute) -> v1::Attribute {
    let mut message =
        v1::Attribute { name: Some(attribute.name.to_string()), ..v1::Attribute::default() };
    let kind = match &attribute.value {
        AttributeValue::Scalar(scalar) => {
            message.scalar = Some(v1::value::Scalar { value: Some(scalar.as_f64()) });
            ValueType::Scalar
        }
        AttributeValue::Ranges(ranges) => {
            message.ranges = Some(ranges.to_proto());
            ValueType::Ranges
        }
        AttributeValue::Text(text) => {
            message.text = Some(v1::value::Text { value: Some(text.to_string()) });
            ValueType::Text
        }
    };
    message.r#type = Some(kind.into());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_value_makes_its_type() {
        let attributes =
            Attributes::parse("rack:r1; zone : us-1;size:4;half:0.5;p:[1-3];url:http://x:80;n:nan")
                .unwrap();
        let text = |text: &str| AttributeValue::Text(text.into());
        for (name, value) in [
            ("rack", text("r1")),
            ("zone", text("us-1")),
            ("size", AttributeValue::Scalar(Scalar::from(4))),
            ("half", AttributeValue::Scalar(Scalar::from_millis(500))),
            ("p", AttributeValue::Ranges(Ranges::from_pairs([(1, 3)]).unwrap())),
            ("url", text("http://x:80")),
            ("n", text("nan")),
        ] {
            assert_eq!(attributes.get(name), Some(&value), "{name}");
        }
        let printed = "rack:r1;zone:us-1;size:4;half:0.5;p:[1-3];url:http://x:80;n:nan";
        assert_eq!(attributes.to_string(), printed);
        assert_eq!(Attributes::parse(printed), Ok(attributes.clone()));
        assert_eq!(Attributes::from_protos(&attributes.to_protos()), Ok(attributes));
    }

    #[test]
    fn what_is_no_attribute_is_refused_with_the_reason() {
        for (text, message) in [
            ("rack", "attribute 'rack' is not of the form name:value"),
            (":r1", "attribute ':r1' is not of the form name:value"),
            ("rack:", "attribute 'rack:' is not of the form name:value"),
            ("a:{x,y}", "attribute 'a' is a set, which attributes cannot be"),
            ("a:[1-", "the value of attribute 'a' has brackets that do not match"),
            ("a:[3-1]", "the value of attribute 'a' has the range 3-1, which begins after its end"),
        ] {
            assert_eq!(Attributes::parse(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn the_order_of_attributes_means_nothing_and_names_may_repeat() {
        let one = Attributes::parse("a:1;b:x;a:2").unwrap();
        assert_eq!(one, Attributes::parse("b:x;a:2;a:1").unwrap());
        assert_ne!(one, Attributes::parse("a:1;b:x").unwrap());
        assert_eq!(one.get_all("a").count(), 2);
        assert!(Attributes::parse("").unwrap().is_empty());
    }
}
