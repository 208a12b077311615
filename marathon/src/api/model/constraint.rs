//! Constraints: `["rack", "GROUP_BY", "3"]`, read and shown.

use meros_marathon_core::placement::{Constraint, Operator, pattern};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::reader::Faults;

/// A constraint as it is shown: a list of two or three strings.
pub(crate) struct ConstraintView<'a>(&'a Constraint);

impl<'a> ConstraintView<'a> {
    /// Shows one.
    pub(crate) fn new(constraint: &'a Constraint) -> Self {
        Self(constraint)
    }
}

impl Serialize for ConstraintView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Constraint { field, operator, value } = self.0;
        let mut list = serializer.serialize_seq(None)?;
        list.serialize_element(field)?;
        list.serialize_element(operator.as_str())?;
        if let Some(value) = value {
            list.serialize_element(value)?;
        }
        list.end()
    }
}

/// Reads all of an app's, each once; those that break a rule are noted under `/constraints(N)`.
pub(crate) fn parse_all(given: &[Vec<String>], faults: &mut Faults) -> Vec<Constraint> {
    let mut constraints = Vec::with_capacity(given.len());
    for (index, parts) in given.iter().enumerate() {
        match parse(parts) {
            Ok(constraint) if constraints.contains(&constraint) => {}
            Ok(constraint) => constraints.push(constraint),
            Err(why) => faults.add(&format!("/constraints({index})"), why),
        }
    }
    constraints
}

fn parse(parts: &[String]) -> Result<Constraint, String> {
    let (field, operator, value) = match parts {
        [field, operator] => (field, operator, None),
        [field, operator, value] => (field, operator, Some(value.as_str())),
        _ => return Err("Each constraint must have either 2 or 3 fields".to_owned()),
    };
    if field.is_empty() {
        return Err("Missing field".to_owned());
    }
    let operator = Operator::parse(&operator.to_ascii_uppercase()).ok_or_else(|| {
        format!(
            "Unknown operator '{operator}': it must be one of UNIQUE, CLUSTER, GROUP_BY, LIKE, \
             UNLIKE, MAX_PER, IS"
        )
    })?;
    check_value(operator, value)?;
    Ok(Constraint { field: field.clone(), operator, value: value.map(str::to_owned) })
}

fn check_value(operator: Operator, value: Option<&str>) -> Result<(), String> {
    let name = operator.as_str();
    let number = |value: &str| value.parse::<u32>().is_ok();
    match (operator, value) {
        (Operator::Unique, Some(_)) => Err(format!("{name} does not accept a value")),
        (Operator::Unique | Operator::Cluster, _) => Ok(()),
        (Operator::GroupBy, value)
            if value.is_none_or(|value| value.is_empty() || number(value)) =>
        {
            Ok(())
        }
        (Operator::GroupBy, _) => Err(format!("{name} may only have a number as value")),
        (Operator::MaxPer, Some(value)) if number(value) => Ok(()),
        (Operator::MaxPer, _) => Err(format!("{name} needs a number as value")),
        (Operator::Like | Operator::Unlike, Some(text)) => match pattern(text) {
            Ok(_) => Ok(()),
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                Err(format!("'{text}' is not a valid regular expression: {why}"))
            }
        },
        (Operator::Like | Operator::Unlike, None) => {
            Err(format!("{name} needs a regular expression as value"))
        }
        (Operator::Is, Some(text)) if is_plain(text) => Ok(()),
        (Operator::Is, _) => Err(format!("{name} needs a text or a number as value")),
    }
}

/// What an attribute may hold to be compared: no ranges, no sets.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_/.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_read_or_refused_by_their_operator() {
        for (parts, ok) in [
            (&["rack", "UNIQUE"][..], true),
            (&["rack", "UNIQUE", "a"], false),
            (&["rack", "unique"], true),
            (&["rack", "CLUSTER"], true),
            (&["rack", "CLUSTER", "r1"], true),
            (&["rack", "GROUP_BY"], true),
            (&["rack", "GROUP_BY", "3"], true),
            (&["rack", "GROUP_BY", ""], true),
            (&["rack", "GROUP_BY", "x"], false),
            (&["rack", "MAX_PER", "2"], true),
            (&["rack", "MAX_PER"], false),
            (&["rack", "LIKE", "r[1-3]"], true),
            (&["rack", "LIKE", "r["], false),
            (&["rack", "UNLIKE"], false),
            (&["rack", "IS", "r1"], true),
            (&["rack", "IS", "{a}"], false),
            (&["rack", "IS"], false),
            (&["", "UNIQUE"], false),
            (&["rack", "NEAR"], false),
        ] {
            let parts: Vec<_> = parts.iter().map(ToString::to_string).collect();
            assert_eq!(parse(&parts).is_ok(), ok, "{parts:?}: {:?}", parse(&parts));
        }
    }

    #[test]
    fn faults_carry_the_position_and_doubles_are_dropped() {
        let parts = |parts: &[&str]| parts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut faults = Faults::default();
        let unique = parts(&["a", "UNIQUE"]);
        let read = parse_all(&[unique.clone(), parts(&["a", "NEAR"]), unique], &mut faults);
        assert_eq!(read.len(), 1);
        let paths: Vec<_> = faults.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["/constraints(1)"]);
    }
}
