//! From what is and what is wanted to the steps between: a pure function.
//!
//! First everything that goes is stopped, then everything new is started with no instances, then
//! apps are scaled and restarted, those first on which others depend. Nothing here acts:
//! `progress` carries a plan out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::apps::AppSpec;
use crate::groups::Root;
use crate::instances::InstanceId;
use crate::path_id::PathId;
use crate::version::Version;

/// Names a deployment: a UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeploymentId(Arc<str>);

impl DeploymentId {
    /// An id, unique by `bits`.
    pub(crate) fn new(bits: u128) -> Self {
        Self(crate::instances::instance_id::uuid(bits).into())
    }

    /// Takes a text for an id. Whether there is such a deployment is another question.
    pub fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The way from one root to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Names the deployment.
    pub id: DeploymentId,
    /// The version of the root that it leads to.
    pub version: Version,
    /// What is done, one step after another.
    pub steps: Vec<Step>,
    /// The apps that it changes: these are locked while it runs.
    pub affected: BTreeMap<PathId, Affected>,
    /// Groups that came into being with this change: a revert removes those still empty.
    pub added_groups: BTreeSet<PathId>,
}

/// An app that a plan changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Affected {
    /// Its definition before. `None`: it is new.
    pub before: Option<Arc<AppSpec>>,
    /// Its definition afterwards. `None`: it goes.
    pub after: Option<Arc<AppSpec>>,
}

/// Actions that are carried out side by side. The next step waits for all of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// One for each app.
    pub actions: Vec<Action>,
}

/// What is done to one app.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// The app.
    pub app: PathId,
    /// What is done to it.
    pub kind: ActionKind,
}

/// A kind of action.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionKind {
    /// The app comes into being, with no instances yet.
    Start,
    /// All its instances end, and it goes.
    Stop,
    /// It gets as many instances as its definition says.
    Scale {
        /// Instances that go in any case.
        victims: Vec<InstanceId>,
    },
    /// Its instances are replaced by those of the new definition.
    Restart,
}

impl ActionKind {
    /// As Marathon writes it for an app.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Start => "StartApplication",
            Self::Stop => "StopApplication",
            Self::Scale { .. } => "ScaleApplication",
            Self::Restart => "RestartApplication",
        }
    }
}

impl Plan {
    /// The plan that leads from one root to another.
    ///
    /// `victims` are instances that are to go in any case: their apps are scaled.
    pub fn between(
        current: &Root,
        target: &Root,
        id: DeploymentId,
        mut victims: BTreeMap<PathId, Vec<InstanceId>>,
        added_groups: BTreeSet<PathId>,
    ) -> Self {
        let mut affected = BTreeMap::new();
        let gone = current.apps.iter().filter(|(id, _)| !target.apps.contains_key(id));
        let mut stop = Step::default();
        for (app, before) in gone {
            stop.add(app, ActionKind::Stop);
            let change = Affected { before: Some(Arc::clone(before)), after: None };
            affected.insert(app.clone(), change);
        }
        let mut start = Step::default();
        let mut layers: BTreeMap<usize, Step> = BTreeMap::new();
        let depths = target.layers().unwrap_or_default();
        for (app, after) in &target.apps {
            let before = current.apps.get(app);
            let victims = victims.remove(app).unwrap_or_default();
            let Some(kind) = kind_of(before, after, victims) else { continue };
            if before.is_none() {
                start.add(app, ActionKind::Start);
            }
            layers.entry(depths.get(app).copied().unwrap_or(1)).or_default().add(app, kind);
            let change = Affected { before: before.cloned(), after: Some(Arc::clone(after)) };
            affected.insert(app.clone(), change);
        }
        let steps = [stop, start].into_iter().chain(layers.into_values());
        Self {
            id,
            version: target.version,
            steps: steps.filter(|step| !step.actions.is_empty()).collect(),
            affected,
            added_groups,
        }
    }
}

impl Step {
    fn add(&mut self, app: &PathId, kind: ActionKind) {
        self.actions.push(Action { app: app.clone(), kind });
    }
}

/// What has to be done to an app, if anything.
fn kind_of(
    before: Option<&Arc<AppSpec>>,
    after: &Arc<AppSpec>,
    victims: Vec<InstanceId>,
) -> Option<ActionKind> {
    let Some(before) = before else { return Some(ActionKind::Scale { victims }) };
    let replaced = before.version_info.last_config_change != after.version_info.last_config_change;
    if replaced && after.instances > 0 {
        return Some(ActionKind::Restart);
    }
    let scaled = replaced || before.instances != after.instances || !victims.is_empty();
    scaled.then_some(ActionKind::Scale { victims })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::apps::VersionInfo;
    use crate::apps::tests::app;

    /// A root of apps given as `(id, instances, configuration, what it depends on)`.
    pub(crate) fn root(apps: &[(&str, u32, u64, &str)]) -> Root {
        let mut root = Root::default();
        for (name, instances, config, on) in apps {
            let mut spec = app(name, *instances);
            let version = Version::from_millis(*config);
            spec.version = version;
            spec.version_info = VersionInfo { last_scaling: version, last_config_change: version };
            spec.dependencies =
                on.split_whitespace().map(|on| PathId::parse(on).unwrap()).collect();
            root.put_app(Arc::new(spec));
        }
        root
    }

    fn plan(current: &Root, target: &Root) -> Plan {
        let id = DeploymentId::new(1);
        Plan::between(current, target, id, BTreeMap::new(), BTreeSet::new())
    }

    /// The steps, one line each: `Kind /app, Kind /app`.
    fn lines(plan: &Plan) -> Vec<String> {
        let line = |step: &Step| {
            let actions = step.actions.iter().map(|action| {
                format!("{} {}", action.kind.as_str().trim_end_matches("Application"), action.app)
            });
            actions.collect::<Vec<_>>().join(", ")
        };
        plan.steps.iter().map(line).collect()
    }

    #[test]
    fn plans_follow_from_the_two_roots() {
        type Apps<'a> = &'a [(&'a str, u32, u64, &'a str)];
        let db = ("/shop/db", 1, 1, "");
        let shop = ("/shop/app", 2, 1, "/shop/db");
        let cases: [(&str, Apps<'_>, Apps<'_>, &[&str]); 8] = [
            (
                "new apps start together and scale layer by layer",
                &[],
                &[db, shop],
                &["Start /shop/app, Start /shop/db", "Scale /shop/db", "Scale /shop/app"],
            ),
            ("nothing to do", &[db, shop], &[db, shop], &[]),
            ("scaled", &[db, shop], &[db, ("/shop/app", 3, 1, "/shop/db")], &["Scale /shop/app"]),
            (
                "both changed, one by one",
                &[db, shop],
                &[("/shop/db", 1, 2, ""), ("/shop/app", 2, 2, "/shop/db")],
                &["Restart /shop/db", "Restart /shop/app"],
            ),
            (
                "changed and scaled to nothing",
                &[db],
                &[("/shop/db", 0, 2, "")],
                &["Scale /shop/db"],
            ),
            ("removed in one step", &[db, shop], &[], &["Stop /shop/app, Stop /shop/db"]),
            (
                "all kinds at once",
                &[("/a", 1, 1, ""), ("/b", 1, 1, ""), ("/c", 1, 1, "")],
                &[("/b", 2, 1, ""), ("/c", 1, 9, ""), ("/d", 1, 9, "/b")],
                &["Stop /a", "Start /d", "Scale /b, Restart /c", "Scale /d"],
            ),
            (
                "depth counts the whole graph, also through apps that stay",
                &[("/a", 1, 1, ""), ("/b", 1, 1, "/a"), ("/c", 1, 1, "/b"), ("/x", 1, 1, "")],
                &[("/a", 1, 1, ""), ("/b", 1, 1, "/a"), ("/c", 2, 1, "/b"), ("/x", 2, 1, "")],
                &["Scale /x", "Scale /c"],
            ),
        ];
        for (name, current, target, expected) in cases {
            assert_eq!(lines(&plan(&root(current), &root(target))), expected, "{name}");
        }
    }

    #[test]
    fn a_plan_knows_the_apps_that_it_changes_before_and_after() {
        let current = root(&[("/a", 1, 1, ""), ("/b", 1, 1, ""), ("/c", 1, 1, "")]);
        let target = root(&[("/b", 1, 1, ""), ("/c", 1, 2, ""), ("/d", 1, 2, "")]);
        let plan = plan(&current, &target);
        let known: Vec<_> = plan
            .affected
            .iter()
            .map(|(id, app)| (id.as_str(), app.before.is_some(), app.after.is_some()))
            .collect();
        assert_eq!(known, [("/a", true, false), ("/c", true, true), ("/d", false, true)]);
    }

    #[test]
    fn victims_are_a_reason_to_scale() {
        let current = root(&[("/a", 1, 1, "")]);
        let victim = InstanceId::new(PathId::parse("/a").unwrap(), 1);
        let victims = BTreeMap::from([(victim.app().clone(), vec![victim.clone()])]);
        let plan =
            Plan::between(&current, &current, DeploymentId::new(1), victims, BTreeSet::new());
        let action = &plan.steps[0].actions[0];
        assert_eq!(action.kind, ActionKind::Scale { victims: vec![victim] });
    }
}
