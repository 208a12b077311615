//! `/files/browse`, `/files/read`, `/files/download`: what lies in sandboxes.
//!
//! A sandbox is named by its absolute path, as `/state` shows it, or by
//! `/framework/<id>/executor/<id>/latest`, the newest run of an executor.

use http::StatusCode;
use meros_plugin_api::authz::{Action, Object};
use serde_json::{Value, json};

use super::answer::Answer;
use super::{Api, Request};
use crate::sandbox::browse::{Entry, Files, FilesError, mode_text};
use crate::work_dir::SANDBOXES;

impl Api {
    pub(super) async fn browse(&self, request: &Request) -> Answer {
        self.with_path(request, |files, path, request| {
            let entries = files.browse(path)?;
            let listing: Vec<Value> = entries.iter().map(entry).collect();
            Ok(Answer::json(&Value::Array(listing), request.jsonp.as_deref()))
        })
        .await
    }

    pub(super) async fn read(&self, request: &Request) -> Answer {
        self.with_path(request, |files, path, request| {
            let chunk = files.read(path, request.offset, request.length)?;
            let data = String::from_utf8_lossy(whole_letters(&chunk.data));
            let answer = json!({ "data": data, "offset": chunk.offset });
            Ok(Answer::json(&answer, request.jsonp.as_deref()))
        })
        .await
    }

    pub(super) async fn download(&self, request: &Request) -> Answer {
        self.with_path(request, |files, path, _| Ok(Answer::file(files.download(path)?))).await
    }

    /// Checks what all three have in common, and does the work where it may block.
    async fn with_path(
        &self,
        request: &Request,
        work: impl FnOnce(&Files, &str, &Asked) -> Result<Answer, FilesError> + Send + 'static,
    ) -> Answer {
        let asked = match Asked::of(request) {
            Ok(asked) => asked,
            Err(refusal) => return Answer::text(StatusCode::BAD_REQUEST, refusal),
        };
        if !self.may(request, Action::AccessSandbox, &Object::Path(&asked.path)) {
            return Answer::empty(StatusCode::FORBIDDEN);
        }
        let path = match latest_run(&asked.path) {
            None => asked.path.clone(),
            Some(run) => match self.view(request).await {
                Err(busy) => return busy,
                Ok(view) => match view.agent {
                    None => return Answer::empty(StatusCode::NOT_FOUND),
                    Some(agent) => {
                        format!("{}/{SANDBOXES}/{agent}/{run}", self.host.work_dir.display())
                    }
                },
            },
        };
        let files = self.files.clone();
        let done = tokio::task::spawn_blocking(move || work(&files, &path, &asked)).await;
        match done {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => refusal(&error),
            Err(_) => Answer::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// The bytes without a letter that is cut off at their end: it comes with the next piece, since
/// clients go on from as many bytes as they got.
fn whole_letters(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
            &bytes[..error.valid_up_to()]
        }
        Ok(_) | Err(_) => bytes,
    }
}

/// What a query asks for.
struct Asked {
    path: String,
    offset: Option<i64>,
    length: Option<i64>,
    jsonp: Option<String>,
}

impl Asked {
    fn of(request: &Request) -> Result<Self, String> {
        let query = &request.query;
        let number = |name: &str| {
            let text = query.filled(name);
            text.map(|text| text.parse().map_err(|_| format!("Failed to parse {name}: '{text}'")))
                .transpose()
        };
        let path = query.filled("path");
        Ok(Self {
            path: path.ok_or("Expecting 'path=value' in query.")?.to_owned(),
            offset: number("offset")?,
            length: number("length")?,
            jsonp: query.filled("jsonp").map(str::to_owned),
        })
    }
}

/// `/framework/F/executor/E/latest/x` as a path below the agent's directory.
fn latest_run(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["framework", framework, "executor", executor, "latest", rest @ ..] => {
            let below = rest.iter().map(|part| format!("/{part}")).collect::<String>();
            Some(format!("frameworks/{framework}/executors/{executor}/runs/latest{below}"))
        }
        _ => None,
    }
}

fn entry(entry: &Entry) -> Value {
    json!({
        "path": entry.path,
        "mode": mode_text(entry.mode),
        "nlink": entry.nlink,
        "uid": entry.uid,
        "gid": entry.gid,
        "size": entry.size,
        "mtime": entry.mtime,
    })
}

fn refusal(error: &FilesError) -> Answer {
    let status = match error {
        FilesError::NotFound(_) => return Answer::empty(StatusCode::NOT_FOUND),
        FilesError::ReadDirectory
        | FilesError::DownloadDirectory
        | FilesError::Special(_)
        | FilesError::NegativeOffset(_)
        | FilesError::NegativeLength(_) => StatusCode::BAD_REQUEST,
        FilesError::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    };
    // Mesos's sentences begin with a capital.
    let mut text = error.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Answer::text(status, format!("{text}.\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_run_of_an_executor_has_a_name_of_its_own() {
        let run = "frameworks/f-1/executors/e.2/runs/latest";
        for (path, below) in [
            ("/framework/f-1/executor/e.2/latest", Some("")),
            ("/framework/f-1/executor/e.2/latest/", Some("")),
            ("/framework/f-1/executor/e.2/latest/a/b", Some("/a/b")),
            ("/framework/f-1/executor/e.2", None),
            ("/var/lib/slaves/s/frameworks/f-1", None),
        ] {
            assert_eq!(latest_run(path), below.map(|below| format!("{run}{below}")), "{path}");
        }
    }

    #[test]
    fn a_letter_that_is_cut_off_waits_for_the_next_piece() {
        let cut = "aé".as_bytes();
        for (bytes, whole) in [
            (cut, cut),
            (&cut[..2], &cut[..1]),
            (&cut[1..2], &cut[1..2]),
            (b"\xffa", b"\xffa"),
            (b"", b""),
        ] {
            assert_eq!(whole_letters(bytes), whole, "{bytes:?}");
        }
    }
}
