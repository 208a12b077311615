//! Reading apps: lists, one app, its versions, its tasks.

use std::sync::Arc;

use meros_marathon_core::apps::AppSpec;
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::version::Version;
use meros_marathon_core::view::View;
use meros_plugin_api::authz::Action;
use meros_proto::caller::Caller;
use serde::Serialize;

use super::desk::{Api, app_id, render};
use super::embed::Embed;
use super::errors::ApiError;
use super::http::{Reply, Request};
use super::model::app_info::AppInfoView;
use super::model::app_view::AppView;
use super::model::task_view::TaskView;
use super::selector::Selector;

/// `{"apps": [...]}` and its kin.
#[derive(Serialize)]
struct Apps<'a> {
    apps: Vec<AppInfoView<'a>>,
}

#[derive(Serialize)]
struct Star<'a> {
    #[serde(rename = "*")]
    apps: Vec<AppInfoView<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    app: AppInfoView<'a>,
}

#[derive(Serialize)]
struct Tasks<'a> {
    tasks: Vec<TaskView<'a>>,
}

#[derive(Serialize)]
struct Versions<'a> {
    versions: Vec<&'a Version>,
}

/// What a list is narrowed down to.
struct Filter {
    cmd: Option<String>,
    id: Option<String>,
    label: Selector,
}

impl Filter {
    fn parse(request: &Request) -> Result<Self, ApiError> {
        let lower = |name| request.query.get(name).map(str::to_lowercase);
        let label = request.query.get("label").unwrap_or_default();
        let label = Selector::parse(label);
        Ok(Self {
            cmd: lower("cmd"),
            id: lower("id"),
            label: label.map_err(|error| ApiError::unprocessable(error.to_string()))?,
        })
    }

    fn takes(&self, app: &AppSpec) -> bool {
        let holds = |text: &str, part: &String| text.to_lowercase().contains(part);
        self.cmd.as_ref().is_none_or(|cmd| app.cmd.as_deref().is_some_and(|own| holds(own, cmd)))
            && self.id.as_ref().is_none_or(|id| holds(app.id.as_str(), id))
            && self.label.matches(&app.labels)
    }
}

/// GET `/v2/apps`
pub(crate) async fn list(api: Arc<Api>, request: Request) -> Result<Reply, ApiError> {
    let filter = Filter::parse(&request)?;
    let embed = Embed::LIST.and(&request.query);
    let view = api.view().await?;
    render(move || {
        let now = api.now();
        let apps = view.root.apps.values().filter(|app| filter.takes(app));
        let apps = apps.filter(|app| sees(&api, &request.caller, &app.id));
        Ok(Reply::ok(&Apps {
            apps: apps.map(|app| AppInfoView::new(&view, app, embed, now)).collect(),
        }))
    })
    .await
}

/// GET `/v2/apps/{group}/*`
pub(crate) async fn list_group(
    api: Arc<Api>,
    request: Request,
    group: String,
) -> Result<Reply, ApiError> {
    let embed = Embed::ONE.and(&request.query);
    let view = api.view().await?;
    let group = known_group(&view, &group)?;
    render(move || {
        let now = api.now();
        let apps = view.root.apps_within(&group);
        let apps = apps.filter(|app| sees(&api, &request.caller, &app.id));
        Ok(Reply::ok(&Star {
            apps: apps.map(|app| AppInfoView::new(&view, app, embed, now)).collect(),
        }))
    })
    .await
}

/// GET `/v2/apps/{id}`
pub(crate) async fn one(api: &Api, request: &Request, id: &str) -> Result<Reply, ApiError> {
    let embed = Embed::ONE.and(&request.query);
    let view = api.view().await?;
    let app = known_app(api, &view, &request.caller, id)?;
    Ok(Reply::ok(&One { app: AppInfoView::new(&view, app, embed, api.now()) }))
}

/// GET `/v2/apps/{id}/tasks`
pub(crate) async fn tasks(api: &Api, request: &Request, id: &str) -> Result<Reply, ApiError> {
    let view = api.view().await?;
    let app = known_app(api, &view, &request.caller, id)?;
    let instances = view.instances_of(&app.id);
    Ok(Reply::ok(&Tasks {
        tasks: instances.filter_map(|instance| TaskView::new(instance)).collect(),
    }))
}

/// GET `/v2/apps/{group}/*/tasks`
pub(crate) async fn group_tasks(
    api: Arc<Api>,
    request: Request,
    group: String,
) -> Result<Reply, ApiError> {
    let view = api.view().await?;
    let group = known_group(&view, &group)?;
    render(move || {
        let apps = view.root.apps_within(&group);
        let apps = apps.filter(|app| sees(&api, &request.caller, &app.id));
        let instances = apps.flat_map(|app| view.instances_of(&app.id));
        Ok(Reply::ok(&Tasks {
            tasks: instances.filter_map(|instance| TaskView::new(instance)).collect(),
        }))
    })
    .await
}

/// GET `/v2/apps/{id}/versions`: the newest first, since clients slice the list.
pub(crate) async fn versions(api: &Api, request: &Request, id: &str) -> Result<Reply, ApiError> {
    let view = api.view().await?;
    let app = known_app(api, &view, &request.caller, id)?;
    let kept = view.versions.get(&app.id);
    let versions = kept.map(|kept| kept.keys().rev().collect()).unwrap_or_default();
    Ok(Reply::ok(&Versions { versions }))
}

/// GET `/v2/apps/{id}/versions/{ts}`: the bare app.
pub(crate) async fn version(
    api: &Api,
    request: &Request,
    id: &str,
    version: &str,
) -> Result<Reply, ApiError> {
    let view = api.view().await?;
    let app = known_app(api, &view, &request.caller, id)?;
    let spec = Version::parse(version).and_then(|version| view.app_version(&app.id, version));
    let spec = spec.ok_or_else(|| no_version(id, version))?;
    Ok(Reply::ok(&AppView::new(spec)))
}

/// 404: there is no such version of the app `id`.
pub(crate) fn no_version(id: &str, version: &str) -> ApiError {
    ApiError::not_found(format!("App '{id}' does not exist in version {version}"))
}

/// The app `id`, if there is one that `caller` may see.
///
/// # Errors
/// 404, or 403.
pub(crate) fn known_app<'a>(
    api: &Api,
    view: &'a View,
    caller: &Caller,
    id: &str,
) -> Result<&'a Arc<AppSpec>, ApiError> {
    let app = view.root.apps.get(&app_id(id)?).ok_or_else(|| ApiError::no_app(id))?;
    api.gate.check(caller, Action::ViewRunSpec, id)?;
    Ok(app)
}

fn known_group(view: &View, group: &str) -> Result<PathId, ApiError> {
    let known = PathId::parse(group).ok().filter(|group| view.root.groups.contains_key(group));
    known.ok_or_else(|| ApiError::not_found(format!("Group '{group}' does not exist")))
}

/// Whether `caller` may see the run spec `id`.
pub(crate) fn sees(api: &Api, caller: &Caller, id: &PathId) -> bool {
    api.gate.permits(caller, Action::ViewRunSpec, id.as_str())
}
