//! Changing apps: create, replace, update in part, roll back, delete, restart.
//!
//! A partial update is computed here from a snapshot, and the core takes it only if the app still
//! is what it was computed from; if not, it is computed again.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use http::StatusCode;
use meros_marathon_core::apps::AppSpec;
use meros_marathon_core::input::{Expect, PutApp, RootChange};
use meros_marathon_core::output::{ChangeDone, ChangeError};
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::version::Version;
use meros_marathon_core::view::View;
use meros_plugin_api::authz::Action;

use super::apps::no_version;
use super::desk::{Api, app_id, refused};
use super::errors::ApiError;
use super::http::{Reply, Request};
use super::model::app::{AppBody, app, named_app};
use super::model::app_info::AppInfoView;
use super::model::app_view::AppView;
use super::model::deployment_view::{DeploymentResult, Identified};
use super::model::event_view;
use super::model::reader::{At, Faults, list};
use super::{ids, normalise};

/// How often an update is computed again because somebody else changed the app meanwhile.
const RACES_MAX: usize = 32;

/// What absent fields mean, and whether an app may be new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Absent fields keep their value; a missing app is created.
    Update,
    /// Absent fields take their default; a missing app is created.
    Replace,
    /// Absent fields keep their value; the app must exist.
    UpdateOnly,
}

impl Mode {
    fn of_put(request: &Request) -> Self {
        if request.query.flag("partialUpdate", true) { Self::Update } else { Self::Replace }
    }
}

/// POST `/v2/apps`
pub(crate) async fn create(api: &Api, request: &Request) -> Result<Reply, ApiError> {
    let body = read(&request.json()?, named_app)?;
    let id = ids::absolute(body.id.as_deref().unwrap_or_default(), "/");
    api.gate.check(&request.caller, Action::CreateRunSpec, &id)?;
    let spec = Arc::new(normalise::complete(&id, body, &api.config.core.role, None)?);
    let change = RootChange::PutApps(vec![PutApp { spec, expect: Expect::Absent }]);
    let done = api.change(&request.caller, force(request), change).await?.map_err(refused)?;
    announce(api, request, &done);
    let created = done.apps.first().map(|put| Arc::clone(&put.spec));
    let created = created.ok_or_else(|| ApiError::no_app(&id))?;
    let shown = AppInfoView::created(&created, Identified::new(&done.deployment));
    Ok(Reply::json(StatusCode::CREATED, &shown)
        .with_location(request, &id)
        .with_deployment(done.deployment.as_str()))
}

/// PUT `/v2/apps/{id}`
pub(crate) async fn put(api: &Api, request: &Request, id: &str) -> Result<Reply, ApiError> {
    change_one(api, request, id, Mode::of_put(request)).await
}

/// PATCH `/v2/apps/{id}`
pub(crate) async fn patch(api: &Api, request: &Request, id: &str) -> Result<Reply, ApiError> {
    change_one(api, request, id, Mode::UpdateOnly).await
}

/// PUT `/v2/apps`
pub(crate) async fn put_many(api: &Api, request: &Request) -> Result<Reply, ApiError> {
    change_many(api, request, Mode::of_put(request)).await
}

/// PATCH `/v2/apps`
pub(crate) async fn patch_many(api: &Api, request: &Request) -> Result<Reply, ApiError> {
    change_many(api, request, Mode::UpdateOnly).await
}

/// DELETE `/v2/apps/{id}`: forced unless the client says otherwise.
pub(crate) async fn delete(api: &Api, request: &Request, id: &str) -> Result<Reply, ApiError> {
    api.gate.check(&request.caller, Action::DeleteRunSpec, id)?;
    let force = request.query.flag("force", true);
    let change = RootChange::DeleteApp(app_id(id)?);
    let done = api.change(&request.caller, force, change).await?.map_err(refused)?;
    Ok(deployed(StatusCode::OK, &done))
}

/// POST `/v2/apps/{id}/restart`
pub(crate) async fn restart(api: &Api, request: &Request, id: &str) -> Result<Reply, ApiError> {
    api.gate.check(&request.caller, Action::UpdateRunSpec, id)?;
    let change = RootChange::RestartApp(app_id(id)?);
    let done = api.change(&request.caller, force(request), change).await?.map_err(refused)?;
    Ok(deployed(StatusCode::OK, &done))
}

/// The answer to whatever starts a deployment and shows nothing else.
pub(crate) fn deployed(status: StatusCode, done: &ChangeDone) -> Reply {
    Reply::json(status, &DeploymentResult::new(done)).with_deployment(done.deployment.as_str())
}

/// Reads a body, or says all that is wrong with its shape.
pub(crate) fn read<T>(
    body: &serde_json::Value,
    read: impl FnOnce(At<'_>) -> Option<T>,
) -> Result<T, ApiError> {
    let faults = RefCell::new(Faults::default());
    let value = read(At::root(body, &faults));
    match (value, faults.into_inner()) {
        (Some(value), faults) if faults.is_empty() => Ok(value),
        (_, faults) => Err(ApiError::WrongShape(faults)),
    }
}

/// Whether locks are to be broken, for everything but deletion.
pub(crate) fn force(request: &Request) -> bool {
    request.query.flag("force", false)
}

async fn change_one(api: &Api, request: &Request, id: &str, mode: Mode) -> Result<Reply, ApiError> {
    let body = read(&request.json()?, app)?;
    let wanted = [Wanted { id: id.to_owned(), body, prefix: String::new() }];
    let done = change_all(api, request, &wanted, mode).await?;
    let created = done.apps.first().is_some_and(|put| put.created);
    if created {
        Ok(deployed(StatusCode::CREATED, &done).with_location(request, id))
    } else {
        Ok(deployed(StatusCode::OK, &done))
    }
}

async fn change_many(api: &Api, request: &Request, mode: Mode) -> Result<Reply, ApiError> {
    let bodies = read(&request.json()?, list(named_app))?;
    let wanted: Vec<_> = bodies
        .into_iter()
        .enumerate()
        .map(|(index, body)| Wanted {
            id: ids::absolute(body.id.as_deref().unwrap_or_default(), "/"),
            body,
            prefix: format!("({index})"),
        })
        .collect();
    let mut seen = BTreeSet::new();
    if let Some(twice) = wanted.iter().find(|wanted| !seen.insert(&wanted.id)) {
        return Err(ApiError::invalid(&format!("{}/id", twice.prefix), "must be unique"));
    }
    let done = change_all(api, request, &wanted, mode).await?;
    Ok(deployed(StatusCode::OK, &done))
}

/// One of the apps that a request changes.
struct Wanted {
    id: String,
    body: AppBody,
    /// Goes before the paths of its faults.
    prefix: String,
}

/// Changes all of `wanted` or none, again as long as somebody else is faster.
async fn change_all(
    api: &Api,
    request: &Request,
    wanted: &[Wanted],
    mode: Mode,
) -> Result<ChangeDone, ApiError> {
    let mut races = 0;
    loop {
        let view = api.view().await?;
        let apps = puts(api, request, &view, wanted, mode)?;
        let change = RootChange::PutApps(apps);
        match api.change(&request.caller, force(request), change).await? {
            Ok(done) => {
                announce(api, request, &done);
                return Ok(done);
            }
            Err(ChangeError::Raced(_) | ChangeError::AppExists(_)) if races < RACES_MAX => {
                races += 1;
            }
            Err(error) => return Err(refused(error)),
        }
    }
}

fn puts(
    api: &Api,
    request: &Request,
    view: &View,
    wanted: &[Wanted],
    mode: Mode,
) -> Result<Vec<PutApp>, ApiError> {
    let mut puts = Vec::with_capacity(wanted.len());
    let mut faults = Faults::default();
    for wanted in wanted {
        let known = PathId::parse(&wanted.id).ok().and_then(|id| view.root.apps.get(&id));
        let action = if known.is_some() { Action::UpdateRunSpec } else { Action::CreateRunSpec };
        api.gate.check(&request.caller, action, &wanted.id)?;
        match put_of(api, view, wanted, known, mode) {
            Ok(put) => puts.push(put),
            Err(ApiError::NotValid(found)) => faults.absorb(&wanted.prefix, found),
            Err(error) => return Err(error),
        }
    }
    if faults.is_empty() { Ok(puts) } else { Err(ApiError::NotValid(faults)) }
}

/// What the core is to be told so that one app becomes what is wanted.
fn put_of(
    api: &Api,
    view: &View,
    wanted: &Wanted,
    known: Option<&Arc<AppSpec>>,
    mode: Mode,
) -> Result<PutApp, ApiError> {
    let role = &api.config.core.role;
    let Wanted { id, body, .. } = wanted;
    let body = body.clone();
    match known {
        Some(old) if mode != Mode::Replace => {
            let expect = Expect::Version(old.version);
            let spec = match &body.version {
                Some(version) => rolled_back(view, id, &body, version)?,
                None => Arc::new(normalise::changed(old, body, role)?),
            };
            Ok(PutApp { spec, expect })
        }
        Some(old) => {
            let spec = normalise::complete(id, body, role, Some(old))?;
            Ok(PutApp { spec: Arc::new(spec), expect: Expect::Any })
        }
        None if mode == Mode::UpdateOnly || (mode == Mode::Update && body.version.is_some()) => {
            Err(ApiError::no_app(id))
        }
        None => {
            let spec = normalise::complete(id, body, role, None)?;
            Ok(PutApp { spec: Arc::new(spec), expect: Expect::Absent })
        }
    }
}

/// The stored version that `body` asks for.
fn rolled_back(
    view: &View,
    id: &str,
    body: &AppBody,
    version: &str,
) -> Result<Arc<AppSpec>, ApiError> {
    if body.has_more_than_version {
        return Err(ApiError::invalid(
            "/",
            "The 'version' field may only be combined with the 'id' field.",
        ));
    }
    let spec = Version::parse(version)
        .and_then(|version| view.app_version(&app_id(id).ok()?, version).cloned());
    spec.ok_or_else(|| no_version(id, version))
}

/// Tells those who listen which apps were posted.
fn announce(api: &Api, request: &Request, done: &ChangeDone) {
    for put in &done.apps {
        let app = AppView::new(&put.spec);
        let body = event_view::api_post(&request.client_ip(), &request.uri, &app);
        api.hub.publish_api("api_post_event", api.now(), body);
    }
}
