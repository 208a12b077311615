//! Killing tasks: of an app, on a host, one by one, in bulk; plain, with wipe, with scale.

use std::sync::LazyLock;

use http::StatusCode;
use meros_marathon_core::input::{KillMode, KillTargets};
use meros_marathon_core::instances::InstanceId;
use meros_marathon_core::output::KillDone;
use meros_plugin_api::authz::Action;
use meros_proto::ids::TaskId;
use regex::Regex;
use serde::Serialize;

use super::apps::known_app;
use super::changes::{deployed, force, read};
use super::desk::Api;
use super::errors::ApiError;
use super::http::{Reply, Request};
use super::model::reader::{At, list, text};
use super::model::task_view::TaskView;

/// Anything that ever named a task: today's ids and those of old releases.
static TASK_ID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(.+)[._]([^_.]+)$").expect("the pattern is a constant"));

#[derive(Serialize)]
struct Killed<'a> {
    tasks: Vec<TaskView<'a>>,
}

#[derive(Serialize)]
struct KilledOne<'a> {
    task: TaskView<'a>,
}

/// DELETE `/v2/apps/{id}/tasks`
pub(crate) async fn of_app(api: &Api, request: &Request, id: &str) -> Result<Reply, ApiError> {
    let mode = mode(request)?;
    let view = api.view().await?;
    let app = known_app(api, &view, &request.caller, id)?.id.clone();
    api.gate.check(&request.caller, Action::UpdateRunSpec, id)?;
    let host = request.query.get("host").filter(|host| *host != "*").map(str::to_owned);
    let done = api.kill(&request.caller, KillTargets::App { app, host }, mode).await?;
    Ok(shown(&done))
}

/// DELETE `/v2/apps/{id}/tasks/{taskId}`
pub(crate) async fn one(
    api: &Api,
    request: &Request,
    id: &str,
    task: &str,
) -> Result<Reply, ApiError> {
    let mode = mode(request)?;
    let view = api.view().await?;
    let app = known_app(api, &view, &request.caller, id)?;
    api.gate.check(&request.caller, Action::UpdateRunSpec, id)?;
    let unknown = || ApiError::not_found(format!("Task '{task}' does not exist"));
    let known = view
        .instances_of(&app.id)
        .filter_map(|instance| instance.task.as_ref())
        .find(|known| known.id.as_str() == task)
        .ok_or_else(unknown)?;
    let targets = KillTargets::Tasks(vec![known.id.clone()]);
    let done = api.kill(&request.caller, targets, mode).await?;
    if done.change.is_some() {
        return Ok(shown(&done));
    }
    let killed = done.instances.iter().find_map(|instance| TaskView::new(instance));
    killed.map(|task| Reply::ok(&KilledOne { task })).ok_or_else(unknown)
}

/// POST `/v2/tasks/delete`
pub(crate) async fn many(api: &Api, request: &Request) -> Result<Reply, ApiError> {
    let mode = mode(request)?;
    let names = read(&request.json()?, task_ids)?;
    let mut tasks = Vec::with_capacity(names.len());
    for name in names {
        let task = TaskId::parse(&name).ok().filter(|_| TASK_ID.is_match(&name));
        let task =
            task.ok_or_else(|| ApiError::bad_request(format!("'{name}' is not a valid task id")))?;
        // Only ids of today's form can name a task that is known; others are skipped.
        if let Some(instance) = InstanceId::of_task(&name) {
            api.gate.check(&request.caller, Action::UpdateRunSpec, instance.app().as_str())?;
            tasks.push(task);
        }
    }
    let done = api.kill(&request.caller, KillTargets::Tasks(tasks), mode).await?;
    Ok(shown(&done))
}

fn task_ids(at: At<'_>) -> Option<Vec<String>> {
    at.fields()?.required("ids", list(text))
}

fn mode(request: &Request) -> Result<KillMode, ApiError> {
    let (scale, wipe) = (request.query.flag("scale", false), request.query.flag("wipe", false));
    match (scale, wipe) {
        (true, true) => {
            Err(ApiError::bad_request("You cannot use scale and wipe at the same time."))
        }
        (true, false) => Ok(KillMode::Scale { force: force(request) }),
        (false, true) => Ok(KillMode::Wipe),
        (false, false) => Ok(KillMode::Relaunch),
    }
}

fn shown(done: &KillDone) -> Reply {
    match &done.change {
        Some(change) => deployed(StatusCode::OK, change),
        None => {
            let tasks = done.instances.iter().filter_map(|instance| TaskView::new(instance));
            Reply::ok(&Killed { tasks: tasks.collect() })
        }
    }
}
