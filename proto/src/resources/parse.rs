//! Resources from text, as in `--resources`, and from a JSON array.

use super::{
    Name, ParseError, Range, Ranges, Reservation, Resource, ResourceError, ResourceProblem,
    Resources, Role, Scalar, ScalarError, Set, Value,
};
use crate::v1;

impl Resources {
    /// Reads `cpus:4;mem:2048;ports:[31000-32000];disk(role):100;bugs(r):{a,b}`, or a JSON array of
    /// resources. What names no role is reserved to `default_role`, unless that is `*`.
    ///
    /// Entries of one kind add up. Spaces and empty items mean nothing.
    ///
    /// # Errors
    /// [`ParseError`] for the first item that isn't a resource, for one name with two types, and
    /// for what only operations make: persistent volumes, revocable resources and dynamic
    /// reservations.
    pub fn parse(text: &str, default_role: &Role) -> Result<Self, ParseError> {
        let all = match text.trim_start().starts_with('[') {
            true => Self::from_json(text, default_role)?,
            false => parse_items(text, default_role)?,
        };
        check_specifiable(&all)?;
        Ok(all)
    }

    /// Reads a JSON array of resources, of any kind. What names no role is reserved to
    /// `default_role`, unless that is `*`.
    ///
    /// # Errors
    /// [`ParseError`] when it isn't such an array, or a resource in it breaks a rule.
    pub fn from_json(text: &str, default_role: &Role) -> Result<Self, ParseError> {
        let mut messages: Vec<v1::Resource> =
            serde_json::from_str(text).map_err(|error| ParseError::Json(error.to_string()))?;
        for message in &mut messages {
            if message.role.is_none() && message.reservations.is_empty() {
                message.role = Some(default_role.to_string());
            }
        }
        Ok(Self::from_protos(&messages)?)
    }
}

/// A value in text, whatever it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TextValue {
    /// What resources can have.
    Resource(Value),
    /// Any other text: attributes can have it.
    Text(String),
}

/// Reads a value by its form: `[1-2,4-5]` ranges, `{a,b}` a set, a number a scalar, else text.
///
/// # Errors
/// What is wrong with it, to stand after the thing it is the value of.
pub(crate) fn parse_value(text: &str) -> Result<TextValue, String> {
    let text = text.trim();
    let value = match text.chars().next() {
        None => return Err("is empty".to_owned()),
        Some('[') => Value::Ranges(parse_ranges(inside(text, ']')?)?),
        Some('{') => Value::Set(parse_set(inside(text, '}')?)?),
        Some(_) if text.contains(['[', ']', '{', '}']) => {
            return Err("has a bracket that is not around all of it".to_owned());
        }
        Some(_) => match parse_scalar(text)? {
            Some(amount) => Value::Scalar(amount),
            None => return Ok(TextValue::Text(text.to_owned())),
        },
    };
    Ok(TextValue::Resource(value))
}

fn parse_items(text: &str, default_role: &Role) -> Result<Resources, ParseError> {
    let mut all = Resources::new();
    for item in text.split([';', '\n']).map(str::trim).filter(|item| !item.is_empty()) {
        let resource = parse_item(item, default_role)?;
        if let Some(own) = all.iter().find(|own| own.name() == resource.name())
            && std::mem::discriminant(own.value()) != std::mem::discriminant(resource.value())
        {
            return Err(ParseError::TwoTypes(resource.name().to_string()));
        }
        all.add(resource);
    }
    Ok(all)
}

fn parse_item(item: &str, default_role: &Role) -> Result<Resource, ParseError> {
    let form = || ParseError::Form(item.to_owned());
    let (head, value) = item.split_once(':').ok_or_else(form)?;
    let (name, role) = match head.split_once('(') {
        None if head.contains(')') => return Err(form()),
        None => (head, default_role.clone()),
        Some((name, rest)) => {
            let role = rest.trim_end().strip_suffix(')').ok_or_else(form)?;
            (name, Role::parse(role.trim())?)
        }
    };
    let name = name.trim();
    if name.is_empty() {
        return Err(form());
    }
    let wrong = |problem: String| ParseError::Value { item: item.to_owned(), problem };
    let value = match parse_value(value).map_err(wrong)? {
        TextValue::Resource(value) => value,
        TextValue::Text(_) => return Err(wrong("is not a number, ranges or a set".to_owned())),
    };
    let invalid = |problem| ParseError::from(ResourceError { name: name.to_owned(), problem });
    if matches!(&value, Value::Scalar(amount) if amount.is_negative()) {
        return Err(invalid(ResourceProblem::Negative));
    }
    let resource = Resource::new(Name::from(name), value);
    super::convert::check_usual_type(&resource).map_err(invalid)?;
    Ok(match role.is_star() {
        true => resource,
        false => resource.with_reservation(Reservation::statically(role)),
    })
}

fn check_specifiable(all: &Resources) -> Result<(), ParseError> {
    all.iter().try_for_each(|resource| {
        if resource.is_persistent_volume() {
            Err(ParseError::MadeByOperations("persistent volumes"))
        } else if resource.is_revocable() {
            Err(ParseError::MadeByOperations("revocable resources"))
        } else if resource.is_dynamically_reserved() {
            Err(ParseError::MadeByOperations("dynamic reservations"))
        } else {
            Ok(())
        }
    })
}

/// What is between the bracket in front and `close` at the end.
fn inside(text: &str, close: char) -> Result<&str, String> {
    let inside = text[1..].strip_suffix(close);
    match inside.filter(|inside| !inside.contains(['[', ']', '{', '}'])) {
        Some(inside) => Ok(inside),
        None => Err("has brackets that do not match".to_owned()),
    }
}

fn parse_ranges(inside: &str) -> Result<Ranges, String> {
    inside.split(',').filter(|part| !part.trim().is_empty()).map(parse_range).collect()
}

fn parse_range(text: &str) -> Result<Range, String> {
    let number = |text: &str| {
        let digits = text.trim();
        let wrong = || format!("has '{digits}' where a number should be");
        match digits.starts_with('+') {
            true => Err(wrong()),
            false => digits.parse::<u64>().map_err(|_| wrong()),
        }
    };
    let (begin, end) = text
        .split_once('-')
        .ok_or_else(|| format!("has '{}', not a range begin-end", text.trim()))?;
    let (begin, end) = (number(begin)?, number(end)?);
    Range::new(begin, end)
        .ok_or_else(|| format!("has the range {begin}-{end}, which begins after its end"))
}

fn parse_set(inside: &str) -> Result<Set, String> {
    let mut set = Set::new();
    for item in inside.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        if !set.insert(item) {
            return Err(format!("has '{item}' twice"));
        }
    }
    Ok(set)
}

/// `None`: not a number. Words that a float parser takes (`inf`, `nan`) are words here.
fn parse_scalar(text: &str) -> Result<Option<Scalar>, String> {
    match text.parse::<f64>().map(Scalar::from_f64) {
        Ok(Ok(amount)) => Ok(Some(amount)),
        Ok(Err(error @ ScalarError::TooLarge)) => Err(error.to_string()),
        Ok(Err(ScalarError::NotFinite)) | Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Resources, String> {
        Resources::parse(text, &Role::star()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_form_of_a_value_makes_its_type() {
        let text = "cpus:4; mem:2048.5;ports:[31000-32000, 33000-33000];disk(role):100;\
                    bugs(a/b):{x, y};gpus:0;cpus : 0.5 ;";
        let printed = "cpus:4.5; mem:2048.5; disk(role):100; \
                       ports:[31000-32000, 33000-33000]; bugs(a/b):{x, y}";
        let all = parse(text).unwrap();
        assert_eq!(all.to_string(), printed);
        assert_eq!(parse(printed), Ok(all));
        assert_eq!(parse(""), Ok(Resources::new()));
        assert_eq!(parse(" ; "), Ok(Resources::new()));
    }

    #[test]
    fn what_names_no_role_is_reserved_to_the_default() {
        let role = Role::parse("prod").unwrap();
        let all = Resources::parse("cpus:4;mem(dev):1;disk(*):5", &role).unwrap();
        assert_eq!(all.to_string(), "cpus(prod):4; mem(dev):1; disk:5");
        let json = r#"[
            {"name":"cpus","type":"SCALAR","scalar":{"value":4}},
            {"name":"mem","type":"SCALAR","scalar":{"value":1},"role":"dev"},
            {"name":"disk","type":"SCALAR","scalar":{"value":5},"role":"*"}
        ]"#;
        assert_eq!(Resources::parse(json, &role), Ok(all));
    }

    #[test]
    fn what_is_no_resource_is_refused_with_the_reason() {
        for (text, message) in [
            ("cpus", "'cpus' is not of the form name:value or name(role):value"),
            (":4", "':4' is not of the form name:value or name(role):value"),
            ("cpus(r:4", "'cpus(r:4' is not of the form name:value or name(role):value"),
            ("cpus)r(:4", "'cpus)r(:4' is not of the form name:value or name(role):value"),
            ("cpus(a b):4", "role 'a b' must not contain whitespace or backspace"),
            ("cpus():4", "role '' is empty"),
            ("cpus:", "the value of 'cpus:' is empty"),
            ("cpus:x", "the value of 'cpus:x' is not a number, ranges or a set"),
            ("cpus:1:2", "the value of 'cpus:1:2' is not a number, ranges or a set"),
            ("cpus:nan", "the value of 'cpus:nan' is not a number, ranges or a set"),
            ("mem:1e99", "the value of 'mem:1e99' is larger than 1125899906842.624"),
            ("cpus:-1", "resource 'cpus' is invalid: its amount is negative"),
            ("cpus:[1-2]", "resource 'cpus' is invalid: it must be of type SCALAR"),
            ("ports:5", "resource 'ports' is invalid: it must be of type RANGES"),
            ("ports:[1-2", "the value of 'ports:[1-2' has brackets that do not match"),
            ("ports:[1]", "the value of 'ports:[1]' has '1', not a range begin-end"),
            ("ports:[a-2]", "the value of 'ports:[a-2]' has 'a' where a number should be"),
            (
                "ports:[2-1]",
                "the value of 'ports:[2-1]' has the range 2-1, which begins after its end",
            ),
            ("x:{a,a}", "the value of 'x:{a,a}' has 'a' twice"),
            ("x:a{b}", "the value of 'x:a{b}' has a bracket that is not around all of it"),
            ("x:1;x:{a}", "resources of the same name ('x') but different types are not allowed"),
        ] {
            assert_eq!(parse(text), Err(message.to_owned()));
        }
    }

    #[test]
    fn what_only_operations_make_is_refused_on_the_command_line() {
        for (fields, what) in [
            (r#""revocable":{}"#, "revocable resources"),
            (r#""role":"r","disk":{"persistence":{"id":"v"}}"#, "persistent volumes"),
            (r#""reservations":[{"type":"DYNAMIC","role":"r"}]"#, "dynamic reservations"),
        ] {
            let json =
                format!(r#"[{{"name":"disk","type":"SCALAR","scalar":{{"value":1}},{fields}}}]"#);
            let message = format!("{what} cannot be specified in a list of resources");
            assert_eq!(parse(&json), Err(message));
            assert!(Resources::from_json(&json, &Role::star()).is_ok());
        }
        assert!(parse("[{]").unwrap_err().starts_with("not a JSON array of resources: "));
    }
}
