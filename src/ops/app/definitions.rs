//! App definitions from JSON files and folders.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::ops::Failure;

/// Apps as they were written, with ids.
#[derive(Debug)]
pub(crate) struct Definitions {
    apps: Vec<Value>,
}

impl Definitions {
    /// Reads files, the `*.json` of folders, and standard input for `-`.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut apps = Vec::new();
        for path in paths {
            for file in files_of(path)? {
                apps.extend(apps_of(&file)?);
            }
        }
        Ok(Self { apps })
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }

    /// The apps' ids, with a leading slash.
    pub(crate) fn ids(&self) -> Vec<String> {
        let ids = self.apps.iter().filter_map(|app| app["id"].as_str());
        ids.map(|id| format!("/{}", id.trim_start_matches('/'))).collect()
    }

    /// As Marathon takes them: one deployment for all.
    pub(crate) fn into_body(self) -> Value {
        Value::Array(self.apps)
    }
}

fn files_of(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |error| Failure::new(format!("read {}: {error}", path.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|extension| extension == "json") {
            files.push(file);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(Failure::new(format!("{} holds no .json file", path.display()))),
        false => Ok(files),
    }
}

fn apps_of(file: &Path) -> Result<Vec<Value>, Failure> {
    let failed = |why: String| Failure::new(format!("{}: {why}", file.display()));
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text),
        false => fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.map_err(|error| failed(error.to_string()))?;
    let value = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
    let apps = match value {
        Value::Array(apps) => apps,
        app @ Value::Object(_) => vec![app],
        _ => return Err(failed("an app, or a list of apps, is expected".to_owned())),
    };
    match apps.iter().position(|app| !app["id"].is_string()) {
        Some(index) => Err(failed(format!("app {} has no id", index + 1))),
        None => Ok(apps),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)], paths: &[&str]) -> Result<Definitions, String> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            fs::write(dir.path().join(name), text).expect("it is written");
        }
        let paths: Vec<PathBuf> = paths.iter().map(|path| dir.path().join(path)).collect();
        Definitions::read(&paths).map_err(|failure| failure.to_string())
    }

    #[test]
    fn files_lists_and_folders_are_read_in_order() {
        let files = [
            ("b.json", r#"[{"id":"/b"},{"id":"c"}]"#),
            ("a.json", r#"{"id":"a"}"#),
            ("notes.txt", "no json"),
        ];
        assert_eq!(read(&files, &[""]).expect("readable").ids(), ["/a", "/b", "/c"]);
        assert_eq!(
            read(&files, &["b.json", "a.json"]).expect("readable").ids(),
            ["/b", "/c", "/a"]
        );
    }

    #[test]
    fn what_holds_no_app_is_refused_with_the_files_name() {
        for (text, says) in [
            ("{", "a.json: EOF while parsing"),
            ("7", "a.json: an app, or a list of apps, is expected"),
            (r#"[{"id":"a"},{"cmd":"x"}]"#, "a.json: app 2 has no id"),
        ] {
            let error = read(&[("a.json", text)], &["a.json"]).expect_err(text);
            assert!(error.contains(says), "{error}");
        }
        assert!(read(&[], &[""]).expect_err("an empty folder").contains("holds no .json file"));
        assert!(
            read(&[], &["gone.json"]).expect_err("no such file").contains("gone.json: No such")
        );
    }
}
