//! Reading groups. Changing them isn't built.

use std::sync::Arc;

use meros_marathon_core::groups::Root;
use meros_marathon_core::path_id::PathId;
use meros_marathon_core::version::Version;
use meros_marathon_core::view::View;
use meros_proto::caller::Caller;
use meros_proto::time::Timestamp;
use meros_shell::http::Query;
use serde::Serialize;

use super::apps::sees;
use super::desk::{Api, render};
use super::embed::Embed;
use super::errors::ApiError;
use super::http::{Reply, Request};
use super::model::app_info::AppInfoView;

/// A group and, as asked for, what is in it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupView<'a> {
    id: &'a PathId,
    #[serde(skip_serializing_if = "Option::is_none")]
    apps: Option<Vec<AppInfoView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pods: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<GroupView<'a>>>,
    dependencies: Vec<&'a PathId>,
    version: Version,
    enforce_role: bool,
}

/// Which parts of a group are shown: all three, unless some are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts {
    groups: bool,
    apps: bool,
    pods: bool,
    of_apps: Embed,
}

impl Parts {
    fn parse(query: &Query) -> Self {
        let named = |name: &str| {
            query.all("embed").any(|embed| embed.strip_prefix("group.").unwrap_or(embed) == name)
        };
        let (groups, apps, pods) = (named("groups"), named("apps"), named("pods"));
        let inside = query.all("embed").any(|embed| embed.starts_with("group.apps."));
        let all = !(groups || apps || pods || inside);
        Self {
            groups: groups || all,
            apps: apps || inside || all,
            pods: pods || all,
            of_apps: Embed::default().and(query),
        }
    }
}

/// GET `/v2/groups`, GET `/v2/groups/{id}`
pub(crate) async fn one(api: Arc<Api>, request: Request, id: String) -> Result<Reply, ApiError> {
    let parts = Parts::parse(&request.query);
    let view = api.view().await?;
    render(move || {
        let unknown = || ApiError::not_found(format!("Group '{id}' does not exist"));
        let id = PathId::parse(&id).map_err(|_| unknown())?;
        let shown = Shown {
            view: &view,
            root: &view.root,
            parts,
            now: api.now(),
            sees: &|app| sees(&api, &request.caller, app),
        };
        let group = shown.group(&id).ok_or_else(unknown)?;
        Ok(Reply::ok(&group))
    })
    .await
}

/// GET `/v2/groups/{id}/apps`: all apps within a group.
pub(crate) async fn apps(api: Arc<Api>, request: Request, id: String) -> Result<Reply, ApiError> {
    let embed = Embed::LIST.and(&request.query);
    let view = api.view().await?;
    render(move || {
        let id = PathId::parse(&id).ok().filter(|id| view.root.groups.contains_key(id));
        let id = id.ok_or_else(|| ApiError::not_found("Group does not exist"))?;
        let now = api.now();
        let caller: &Caller = &request.caller;
        let apps = view.root.apps_within(&id).filter(|app| sees(&api, caller, &app.id));
        let apps: Vec<_> = apps.map(|app| AppInfoView::new(&view, app, embed, now)).collect();
        Ok(Reply::ok(&serde_json::json!({"apps": apps})))
    })
    .await
}

struct Shown<'a> {
    view: &'a View,
    root: &'a Root,
    parts: Parts,
    now: Timestamp,
    sees: &'a dyn Fn(&PathId) -> bool,
}

impl<'a> Shown<'a> {
    fn group(&self, id: &PathId) -> Option<GroupView<'a>> {
        let (id, group) = self.root.groups.get_key_value(id)?;
        let directly_in = |other: &PathId| other.parent().as_ref() == Some(id);
        let apps = self.parts.apps.then(|| {
            let apps = self.root.apps.values().filter(|app| directly_in(&app.id));
            apps.filter(|app| (self.sees)(&app.id))
                .map(|app| AppInfoView::new(self.view, app, self.parts.of_apps, self.now))
                .collect()
        });
        let groups = self.parts.groups.then(|| {
            let groups = self.root.groups.keys().filter(|other| directly_in(other));
            groups.filter_map(|group| self.group(group)).collect()
        });
        Some(GroupView {
            id,
            apps,
            pods: self.parts.pods.then_some([]),
            groups,
            dependencies: group.dependencies.iter().collect(),
            version: if id.is_root() { self.root.version } else { group.version },
            enforce_role: group.enforce_role,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_shown_unless_parts_are_named() {
        for (raw, groups, apps, pods, counts) in [
            ("", true, true, true, false),
            ("embed=group.groups", true, false, false, false),
            ("embed=group.apps&embed=group.apps.counts", false, true, false, true),
            ("embed=group.apps.counts", false, true, false, true),
        ] {
            let parts = Parts::parse(&Query::parse(raw));
            let of_apps = Embed { counts, ..Embed::default() };
            assert_eq!(parts, Parts { groups, apps, pods, of_apps }, "{raw}");
        }
    }
}
