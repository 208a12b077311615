//! Ids of apps and groups as clients write them: relative, without a slash, with too many.
//!
//! Inside they are absolute: `/` and segments joined by `/`, nothing else.

use std::sync::LazyLock;

use regex::Regex;

use super::model::reader::{At, Faults, text};

/// What every segment of an id matches, as clients are told.
const SEGMENT: &str = r"^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|(\.|\.\.)$";

/// What the last segment of an id may not be: the paths below an app's own are named so.
const RESERVED: [&str; 5] = ["restart", "tasks", "versions", ".", ".."];

static SEGMENT_FULL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(?:(?:(?:[a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*(?:[a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|\.|\.\.)$",
    )
    .expect("the pattern is a constant")
});

/// The looser pattern that the schema has for an id in JSON.
static IN_JSON: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(/?((\.{2})|([a-z0-9][a-z0-9\-.]*[a-z0-9]+)|([a-z0-9]+))($|/))+$")
        .expect("the pattern is a constant")
});

/// An id in a JSON body, within the schema's bounds.
pub(crate) fn in_json(at: At<'_>) -> Option<String> {
    let id = text(at.clone())?;
    if id.is_empty() {
        at.fault::<()>("error.minLength");
    }
    if IN_JSON.is_match(&id) { Some(id) } else { at.fault("error.pattern") }
}

/// The absolute id that path segments name; empty ones are dropped.
pub(crate) fn from_segments<S: AsRef<str>>(segments: &[S]) -> String {
    let mut id = String::new();
    for segment in segments.iter().map(AsRef::as_ref).filter(|segment| !segment.is_empty()) {
        id.push('/');
        id.push_str(segment);
    }
    if id.is_empty() { "/".to_owned() } else { id }
}

/// Makes `id` absolute: relative ones, `.` and `..` are resolved against the group `base`.
pub(crate) fn absolute(id: &str, base: &str) -> String {
    let start = if id.starts_with('/') { "" } else { base };
    let mut segments: Vec<&str> = Vec::new();
    for segment in start.split('/').chain(id.split('/')) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    from_segments(&segments)
}

/// The group that holds `id`.
pub(crate) fn parent(id: &str) -> &str {
    match id.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &id[..at],
    }
}

/// Notes what is wrong with the absolute id of an app, under `path`.
pub(crate) fn check(id: &str, path: &str, faults: &mut Faults) {
    if id == "/" {
        faults.add(path, "Path must contain at least one path element");
        faults.add(path, "must not be root");
        return;
    }
    let segments: Vec<_> = id.split('/').skip(1).collect();
    if segments.iter().any(|segment| !SEGMENT_FULL.is_match(segment)) {
        faults.add(path, format!("must fully match regular expression '{SEGMENT}'"));
    }
    if segments.last().is_some_and(|last| RESERVED.contains(last)) {
        faults.add(
            path,
            format!(
                "must not end with any of the following reserved keywords: {}",
                RESERVED.join(", ")
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_resolved_against_their_group() {
        for (id, base, absolute_id) in [
            ("/a/b", "/", "/a/b"),
            ("a", "/", "/a"),
            ("a//b/", "/", "/a/b"),
            ("b", "/a", "/a/b"),
            ("../b", "/a/c", "/a/b"),
            ("./b", "/a", "/a/b"),
            ("../../../b", "/a", "/b"),
            ("/", "/a", "/"),
            ("", "/", "/"),
        ] {
            assert_eq!(absolute(id, base), absolute_id, "{id} in {base}");
        }
    }

    #[test]
    fn path_segments_name_the_same_app_with_and_without_extra_slashes() {
        for segments in [&["a", "b"][..], &["", "a", "b"], &["", "a", "", "b", ""]] {
            assert_eq!(from_segments(segments), "/a/b");
        }
    }

    #[test]
    fn the_group_of_an_id_is_told() {
        assert_eq!((parent("/a"), parent("/a/b"), parent("/")), ("/", "/a", "/"));
    }

    #[test]
    fn malformed_and_reserved_ids_are_refused_with_what_they_break() {
        for (id, count) in [
            ("/a", 0),
            ("/a-b.c/d0", 0),
            ("/", 2),
            ("/A", 1),
            ("/a_b", 1),
            ("/-a", 1),
            ("/a-", 1),
            ("/a..b", 1),
            ("/a/tasks", 1),
            ("/tasks/a", 0),
            ("/Restart", 1),
        ] {
            let mut faults = Faults::default();
            check(id, "/id", &mut faults);
            let found: usize = faults.iter().map(|(_, messages)| messages.count()).sum();
            assert_eq!(found, count, "{id}: {faults:?}");
        }
    }

    #[test]
    fn the_schema_lets_relative_ids_in_and_keeps_capitals_out() {
        for (id, ok) in [
            ("a", true),
            ("/a/b-c.d", true),
            ("../a", true),
            ("a/", true),
            ("/", false),
            ("A", false),
            ("a b", false),
        ] {
            assert_eq!(IN_JSON.is_match(id), ok, "{id}");
        }
    }
}
