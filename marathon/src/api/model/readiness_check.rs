//! `readinessChecks`: read, completed and shown.

use std::collections::BTreeSet;

use meros_marathon_core::health::{ReadinessCheck, ReadinessResult};
use serde::Serialize;

use super::reader::{At, MAX_INT, boolean, integer, list, one_of, seconds, text};

/// Reads one check; what is absent takes its default.
pub(crate) fn readiness_check(at: At<'_>) -> Option<ReadinessCheck> {
    let fields = at.fields()?;
    let span =
        |name, default| seconds(fields.optional(name, integer(1, MAX_INT)).unwrap_or(default));
    let statuses = fields.optional("httpStatusCodesForReady", list(integer(100, 999)));
    let statuses: BTreeSet<u16> =
        statuses.into_iter().flatten().filter_map(|status| u16::try_from(status).ok()).collect();
    Some(ReadinessCheck {
        name: fields.optional("name", text).unwrap_or_else(|| "readinessCheck".to_owned()),
        https: fields
            .optional("protocol", one_of(&[("HTTP", false), ("HTTPS", true)]))
            .unwrap_or(false),
        path: fields.optional("path", text).unwrap_or_else(|| "/".to_owned()),
        port_name: fields.optional("portName", port_name).unwrap_or_else(|| "http-api".to_owned()),
        interval: span("intervalSeconds", 30),
        timeout: span("timeoutSeconds", 10),
        // Of none at all, no task would ever be ready.
        ready_statuses: if statuses.is_empty() { BTreeSet::from([200]) } else { statuses },
        preserve_last_response: fields.optional("preserveLastResponse", boolean).unwrap_or(false),
    })
}

/// A letter, then letters, digits and dashes; all small.
fn port_name(at: At<'_>) -> Option<String> {
    let name = text(at.clone())?;
    let fits = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits { Some(name) } else { at.fault("error.pattern") }
}

/// A check as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadinessCheckView<'a> {
    name: &'a str,
    protocol: &'static str,
    path: &'a str,
    port_name: &'a str,
    interval_seconds: u64,
    timeout_seconds: u64,
    http_status_codes_for_ready: &'a BTreeSet<u16>,
    preserve_last_response: bool,
}

impl<'a> ReadinessCheckView<'a> {
    /// Shows one check.
    pub(crate) fn new(check: &'a ReadinessCheck) -> Self {
        Self {
            name: &check.name,
            protocol: if check.https { "HTTPS" } else { "HTTP" },
            path: &check.path,
            port_name: &check.port_name,
            interval_seconds: check.interval.as_secs(),
            timeout_seconds: check.timeout.as_secs(),
            http_status_codes_for_ready: &check.ready_statuses,
            preserve_last_response: check.preserve_last_response,
        }
    }
}

/// What is known of one check of a task.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadinessResultView<'a> {
    name: &'a str,
    task_id: &'a str,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_response: Option<ResponseView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseView<'a> {
    status: u16,
    content_type: &'a str,
    body: &'a str,
}

impl<'a> ReadinessResultView<'a> {
    /// Shows one result.
    pub(crate) fn new(result: &'a ReadinessResult) -> Self {
        Self {
            name: &result.name,
            task_id: result.task.as_str(),
            ready: result.ready,
            last_response: result.last_response.as_ref().map(|response| ResponseView {
                status: response.status,
                content_type: &response.content_type,
                body: &response.body,
            }),
        }
    }
}
