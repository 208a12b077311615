//! Transcripts: what was asked, as for curl, and what has to come back.
//!
//! ```text
//! # a comment
//! curl -X POST /v2/apps -H 'Accept: application/json' -d '{"id": "a"}'
//! 201
//! Location: http://HOST/a
//! {"id": "/a", "version": "<any>", "...": "..."}
//! ```
//!
//! An exchange ends at an empty line. In an expected body `"<any>"` stands for any value, and a key
//! `"..."` for any further keys; all else must be equal. `HOST` stands for the server's address.
//! `<name=any>` keeps a value, and `<name>` in later exchanges stands for it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::http_client::{self, Answer};

/// One request and its expected answer.
struct Exchange {
    line: usize,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
    expected_headers: Vec<(String, String)>,
    expected_body: String,
}

/// Plays `transcript` against the server at `address`; panics at the first difference.
pub(crate) async fn play(name: &str, transcript: &str, address: &str) {
    let mut kept = BTreeMap::new();
    for exchange in parse(transcript) {
        let place = format!("{name}:{}", exchange.line);
        let path = fill(&exchange.path, address, &kept);
        let body = fill(&exchange.body, address, &kept);
        let answer =
            http_client::send(address, &exchange.method, &path, &exchange.headers, &body).await;
        check(&exchange, &answer, address, &mut kept, &place);
    }
}

fn check(
    exchange: &Exchange,
    answer: &Answer,
    address: &str,
    kept: &mut BTreeMap<String, String>,
    place: &str,
) {
    let came = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, exchange.status, "{place}: {came}");
    for (name, value) in &exchange.expected_headers {
        let found = answer.header(&name.to_ascii_lowercase());
        let found = found.unwrap_or_else(|| panic!("{place}: no header {name}"));
        if let Some(keep) = name_to_keep(value) {
            kept.insert(keep, found.to_owned());
        } else if value != "<any>" {
            assert_eq!(found, fill(value, address, kept), "{place}: {name}");
        }
    }
    let expected = fill(&exchange.expected_body, address, kept);
    if let Ok(expected) = serde_json::from_str::<Value>(&expected) {
        let found = serde_json::from_str(&came);
        let found = found.unwrap_or_else(|_| panic!("{place}: no JSON came: {came}"));
        if let Err(difference) = same(&expected, &found, "", kept) {
            panic!("{place}: {difference}\ncame: {came}");
        }
    } else if exchange.method != "HEAD" {
        assert_eq!(came, expected, "{place}");
    }
}

/// Whether `found` is as `expected`; else the first difference.
fn same(
    expected: &Value,
    found: &Value,
    path: &str,
    kept: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    match (expected, found) {
        (Value::String(any), _) if any == "<any>" => Ok(()),
        (Value::String(text), Value::String(found)) if name_to_keep(text).is_some() => {
            kept.extend(name_to_keep(text).map(|name| (name, found.clone())));
            Ok(())
        }
        (Value::Object(expected), Value::Object(found)) => {
            for (key, value) in expected.iter().filter(|(key, _)| *key != "...") {
                let path = format!("{path}/{key}");
                let found = found.get(key).ok_or_else(|| format!("{path} is missing"))?;
                same(value, found, &path, kept)?;
            }
            let surplus = found.keys().find(|key| !expected.contains_key(*key));
            match surplus.filter(|_| !expected.contains_key("...")) {
                Some(key) => Err(format!("{path}/{key} is too much")),
                None => Ok(()),
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let mut pairs = expected.iter().zip(found).enumerate();
            pairs.try_for_each(|(nth, (e, f))| same(e, f, &format!("{path}({nth})"), kept))
        }
        // 1 and 1.0 differ here.
        _ if expected == found => Ok(()),
        _ => Err(format!("{path} is {found} and not {expected}")),
    }
}

fn name_to_keep(text: &str) -> Option<String> {
    text.strip_prefix('<')?.strip_suffix("=any>").map(str::to_owned)
}

fn fill(text: &str, address: &str, kept: &BTreeMap<String, String>) -> String {
    let mut filled = text.replace("HOST", address);
    for (name, value) in kept {
        filled = filled.replace(&format!("<{name}>"), value);
    }
    filled
}

fn parse(transcript: &str) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    let mut lines = transcript.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let Some(command) = line.strip_prefix("curl ") else {
            assert!(line.is_empty() || line.starts_with('#'), "line {}: {line}", number + 1);
            continue;
        };
        let mut exchange = request(&words(command), number + 1);
        let status = lines.next().map(|(_, status)| status).unwrap_or_default();
        exchange.status = status.parse().unwrap_or_else(|_| panic!("line {}: status", number + 2));
        while let Some((_, line)) = lines.next_if(|(_, line)| !line.is_empty()) {
            match line.split_once(": ") {
                Some((name, value)) if exchange.expected_body.is_empty() && is_name(name) => {
                    exchange.expected_headers.push((name.to_owned(), value.to_owned()));
                }
                _ => exchange.expected_body.push_str(line),
            }
        }
        exchanges.push(exchange);
    }
    exchanges
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn request(words: &[String], line: usize) -> Exchange {
    let mut exchange = Exchange {
        line,
        method: "GET".to_owned(),
        path: String::new(),
        headers: Vec::new(),
        body: String::new(),
        status: 0,
        expected_headers: Vec::new(),
        expected_body: String::new(),
    };
    let mut words = words.iter().cloned();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("line {line}: after {word}"));
        match word.as_str() {
            "-X" => exchange.method = value(),
            "-d" => exchange.body = value(),
            "-H" => {
                let header = value();
                let (name, value) = header.split_once(": ").expect("a header has a value");
                exchange.headers.push((name.to_owned(), value.to_owned()));
            }
            _ => exchange.path = word,
        }
    }
    exchange
}

/// Splits at blanks, but not within single quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in command.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("there is always one").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
