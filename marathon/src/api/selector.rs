//! Label selectors: `key`, `key==v`, `key!=v`, `key in (a,b)`, `key notin (a,b)`, joined by commas.
//!
//! Every operator wants the label to exist, `!=` and `notin` too.

use std::collections::BTreeMap;

/// A list of conditions on labels, all of which must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector(Vec<Condition>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    OneOf(Vec<String>),
    NoneOf(Vec<String>),
}

/// Where a selector stops making sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Can not parse label selector '{text}': {what} expected at position {position}")]
pub(crate) struct SelectorError {
    text: String,
    what: &'static str,
    position: usize,
}

impl Selector {
    /// Parses the text of a `label` query parameter. The empty text selects everything.
    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser { text, rest: text };
        let mut conditions = Vec::new();
        parser.blanks();
        while !parser.rest.is_empty() {
            conditions.push(parser.condition()?);
            parser.blanks();
            if !parser.rest.is_empty() {
                parser.expect(",", "','")?;
                parser.blanks();
                if parser.rest.is_empty() {
                    return Err(parser.error("a label"));
                }
            }
        }
        Ok(Self(conditions))
    }

    /// Whether `labels` fulfil every condition.
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|Condition { key, test }| {
            labels.get(key).is_some_and(|value| match test {
                Test::Exists => true,
                Test::OneOf(values) => values.contains(value),
                Test::NoneOf(values) => !values.contains(value),
            })
        })
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Parser<'_> {
    fn condition(&mut self) -> Result<Condition, SelectorError> {
        let key = self.term("a label")?;
        self.blanks();
        let test = if self.take("==") {
            Test::OneOf(vec![self.value()?])
        } else if self.take("!=") {
            Test::NoneOf(vec![self.value()?])
        } else if self.take_word("notin") {
            Test::NoneOf(self.set()?)
        } else if self.take_word("in") {
            Test::OneOf(self.set()?)
        } else {
            Test::Exists
        };
        Ok(Condition { key, test })
    }

    fn value(&mut self) -> Result<String, SelectorError> {
        self.blanks();
        self.term("a value")
    }

    fn set(&mut self) -> Result<Vec<String>, SelectorError> {
        self.blanks();
        self.expect("(", "'('")?;
        let mut values = vec![self.value()?];
        loop {
            self.blanks();
            if self.take(")") {
                return Ok(values);
            }
            self.expect(",", "',' or ')'")?;
            values.push(self.value()?);
        }
    }

    fn term(&mut self, what: &'static str) -> Result<String, SelectorError> {
        let mut term = String::new();
        let mut chars = self.rest.char_indices();
        let end = loop {
            match chars.next() {
                None => break self.rest.len(),
                Some((at, '\\')) => match chars.next() {
                    Some((_, escaped)) => term.push(escaped),
                    None => break at,
                },
                Some((_, plain)) if plain.is_ascii_alphanumeric() || "._-".contains(plain) => {
                    term.push(plain);
                }
                Some((at, _)) => break at,
            }
        };
        if term.is_empty() {
            return Err(self.error(what));
        }
        self.rest = &self.rest[end..];
        Ok(term)
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        let taken = self.rest.strip_prefix(token);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    /// Takes a word only where it ends: `inside` isn't `in`.
    fn take_word(&mut self, word: &str) -> bool {
        let ends = self.rest.strip_prefix(word).is_some_and(|rest| {
            rest.chars().next().is_none_or(|next| next == '(' || next.is_whitespace())
        });
        ends && self.take(word)
    }

    fn expect(&mut self, token: &str, what: &'static str) -> Result<(), SelectorError> {
        if self.take(token) { Ok(()) } else { Err(self.error(what)) }
    }

    fn error(&self, what: &'static str) -> SelectorError {
        let position = self.text.len() - self.rest.len();
        SelectorError { text: self.text.to_owned(), what, position }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_joined_by_and_and_want_the_label_to_exist() {
        let labels: BTreeMap<_, _> = [("env", "prod"), ("tier", "web"), ("a b", "c,d")]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        for (text, matches) in [
            ("", true),
            ("env", true),
            ("owner", false),
            ("env==prod", true),
            ("env == dev", false),
            ("env!=dev", true),
            ("env!=prod", false),
            ("owner!=x", false),
            ("env in (dev, prod)", true),
            ("env in(dev)", false),
            ("env notin (dev)", true),
            ("owner notin (dev)", false),
            ("env==prod,tier in (web,db)", true),
            ("env==prod, tier==db", false),
            (r"a\ b==c\,d", true),
        ] {
            let selector = Selector::parse(text).expect(text);
            assert_eq!(selector.matches(&labels), matches, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            "=",
            "env=prod",
            "env==",
            "env in",
            "env in ()",
            "env in (a",
            "a,,b",
            "a,",
            "a b",
            "\\",
        ] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
    }
}
