//! A change of the root, from what a user wants to a deployment under way.
//!
//! All or nothing: a [`Draft`] is made from the newest root, completed, validated and planned, and
//! only when nothing speaks against it does it become the root. So two changes never see the same
//! root, and a refused one leaves no trace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meros_proto::time::Now;
use rand::Rng;

use crate::apps::{AppSpec, VersionInfo};
use crate::deployment::{DeploymentId, Plan};
use crate::events::EventKind;
use crate::groups::Root;
use crate::input::{Expect, RootChange};
use crate::instances::InstanceId;
use crate::output::{ChangeDone, ChangeError, PutDone};
use crate::path_id::PathId;
use crate::records::Record;
use crate::state::{Marathon, Out};
use crate::version::Version;

mod service_ports;
mod validate;

/// A root in the making.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) root: Root,
    /// Apps that were put, and whether they are new, in the order in which they were put.
    put: Vec<(PathId, bool)>,
    /// Apps whose instances are to be replaced though nothing changed.
    restart: BTreeSet<PathId>,
    /// Instances that are to go with this change.
    victims: BTreeMap<PathId, Vec<InstanceId>>,
    added_groups: BTreeSet<PathId>,
    /// The deployment that this change undoes: it ends with the change, and only with it.
    pub(crate) undoes: Option<DeploymentId>,
}

impl Draft {
    /// The root as it is.
    pub(crate) fn new(root: &Root) -> Self {
        Self {
            root: root.clone(),
            put: Vec::new(),
            restart: BTreeSet::new(),
            victims: BTreeMap::new(),
            added_groups: BTreeSet::new(),
            undoes: None,
        }
    }

    /// Puts an app in, or in the place of another.
    pub(crate) fn put_app(&mut self, spec: Arc<AppSpec>) {
        let created = !self.root.apps.contains_key(&spec.id);
        self.put.push((spec.id.clone(), created));
        self.added_groups.append(&mut self.root.put_app(spec));
    }

    /// Applies a change, if what it expects is true.
    fn apply(&mut self, change: &RootChange) -> Result<(), ChangeError> {
        match change {
            RootChange::PutApps(apps) => {
                for put in apps {
                    let id = &put.spec.id;
                    match (self.root.apps.get(id), put.expect) {
                        (Some(_), Expect::Absent) => {
                            return Err(ChangeError::AppExists(id.clone()));
                        }
                        (None, Expect::Present | Expect::Version(_)) => {
                            return Err(ChangeError::AppNotFound(id.clone()));
                        }
                        (Some(app), Expect::Version(version)) if app.version != version => {
                            return Err(ChangeError::Raced(id.clone()));
                        }
                        _ => self.put_app(Arc::clone(&put.spec)),
                    }
                }
            }
            RootChange::DeleteApp(id) => {
                if self.root.apps.remove(id).is_none() {
                    return Err(ChangeError::AppNotFound(id.clone()));
                }
            }
            RootChange::ScaleApp { app, instances } => {
                let mut spec = AppSpec::clone(self.app(app)?);
                spec.instances = *instances;
                self.put_app(Arc::new(spec));
            }
            RootChange::RestartApp(app) => {
                let spec = Arc::clone(self.app(app)?);
                self.restart.insert(app.clone());
                self.put_app(spec);
            }
        }
        Ok(())
    }

    fn app(&self, id: &PathId) -> Result<&Arc<AppSpec>, ChangeError> {
        self.root.apps.get(id).ok_or_else(|| ChangeError::AppNotFound(id.clone()))
    }

    /// Stamps what changed: apps with the versions of their last changes, groups with the last
    /// change within them.
    fn stamp(&mut self, old: &Root, version: Version) {
        for (id, spec) in &mut self.root.apps {
            let before = old.apps.get(id);
            if before.is_some_and(|before| Arc::ptr_eq(before, spec)) && !self.restart.contains(id)
            {
                continue;
            }
            *spec = stamped(spec, before, self.restart.contains(id), version);
        }
        self.root.version = version;
        let changed = |id: &&PathId| match (old.apps.get(*id), self.root.apps.get(*id)) {
            (Some(before), Some(after)) => !Arc::ptr_eq(before, after),
            _ => true,
        };
        let all: BTreeSet<&PathId> = old.apps.keys().chain(self.root.apps.keys()).collect();
        for group in all.into_iter().filter(changed).flat_map(PathId::ancestors) {
            if let Some(group) = self.root.groups.get_mut(&group) {
                group.version = version;
            }
        }
    }
}

/// `spec` with the stamps that it deserves: those of `before` where nothing changed.
fn stamped(
    spec: &Arc<AppSpec>,
    before: Option<&Arc<AppSpec>>,
    restart: bool,
    version: Version,
) -> Arc<AppSpec> {
    let fresh = VersionInfo { last_scaling: version, last_config_change: version };
    let (version, version_info) = match before {
        None => (version, fresh),
        Some(before) if spec.config_differs(before) => (version, fresh),
        Some(before) => {
            let mut info = before.version_info;
            if restart {
                info.last_config_change = version;
            }
            if spec.instances != before.instances {
                info.last_scaling = version;
            }
            match info == before.version_info {
                true => return Arc::clone(before),
                false => (version, info),
            }
        }
    };
    Arc::new(AppSpec { version, version_info, ..AppSpec::clone(spec) })
}

impl Marathon {
    /// Takes or refuses a change of the root.
    pub(crate) fn change(
        &mut self,
        now: Now,
        change: &RootChange,
        force: bool,
        out: &mut Out,
    ) -> Result<ChangeDone, ChangeError> {
        let mut draft = Draft::new(&self.root);
        let result = draft.apply(change);
        self.carry_out(now, result.map(|()| draft), group_of(change), force, out)
    }

    /// Scales apps down, each by instances that are named.
    pub(crate) fn scale_with_victims(
        &mut self,
        now: Now,
        changes: &[RootChange],
        victims: BTreeMap<PathId, Vec<InstanceId>>,
        force: bool,
        out: &mut Out,
    ) -> Result<ChangeDone, ChangeError> {
        let mut draft = Draft::new(&self.root);
        let result = changes.iter().try_for_each(|change| draft.apply(change));
        draft.victims = victims;
        self.carry_out(now, result.map(|()| draft), PathId::root(), force, out)
    }

    /// Makes a draft the root and begins its deployment, and tells how that went.
    pub(crate) fn carry_out(
        &mut self,
        now: Now,
        draft: Result<Draft, ChangeError>,
        group: PathId,
        force: bool,
        out: &mut Out,
    ) -> Result<ChangeDone, ChangeError> {
        let result = draft.and_then(|draft| self.adopt(now, draft, &group, force, out));
        if let Err(error) = &result {
            let (version, reason) = (self.root.version, error.to_string());
            self.publish(now, EventKind::GroupChangeFailed { group, version, reason }, out);
        }
        result
    }

    fn adopt(
        &mut self,
        now: Now,
        mut draft: Draft,
        group: &PathId,
        force: bool,
        out: &mut Out,
    ) -> Result<ChangeDone, ChangeError> {
        let others = self.deployments.len() - usize::from(draft.undoes.is_some());
        if others >= self.config.max_running_deployments {
            return Err(ChangeError::TooManyDeployments(self.config.max_running_deployments));
        }
        draft.assign_service_ports(&self.root, self.config.service_ports.clone())?;
        let version = self.versions.next(now.wall);
        draft.stamp(&self.root, version);
        validate::root(&draft.root).map_err(ChangeError::Invalid)?;

        let id = DeploymentId::new(
            u128::from(self.chance.deployments.next_u64()) << 64
                | u128::from(self.chance.deployments.next_u64()),
        );
        let Draft { root, put, victims, added_groups, undoes, .. } = draft;
        let plan = Plan::between(&self.root, &root, id, victims, added_groups);
        let in_the_way = self.deployments.conflicting(&plan);
        if !in_the_way.is_empty() && !force {
            return Err(ChangeError::Locked(in_the_way));
        }
        for deployment in undoes.into_iter().chain(in_the_way) {
            self.stop_deployment(now, &deployment, out);
        }
        self.make_root(root, out);
        let apps = put.into_iter().filter_map(|(id, created)| {
            let spec = Arc::clone(self.root.apps.get(&id)?);
            Some(PutDone { spec, created })
        });
        let done = ChangeDone { version, deployment: plan.id.clone(), apps: apps.collect() };
        self.announce_roles(out);
        let event = EventKind::GroupChangeSuccess { group: group.clone(), version };
        self.publish(now, event, out);
        self.start_deployment(now, plan, out);
        Ok(done)
    }

    /// Puts a root in the place of the present one, on record.
    fn make_root(&mut self, root: Root, out: &mut Out) {
        self.snapshot = None;
        let old = std::mem::replace(&mut self.root, Arc::new(root));
        let new = Arc::clone(&self.root);
        for (id, spec) in &new.apps {
            if old.apps.get(id).is_some_and(|before| Arc::ptr_eq(before, spec)) {
                continue;
            }
            self.remember(spec, out);
            out.persist(Record::Current(id.clone(), spec.version));
        }
        for id in old.apps.keys().filter(|id| !new.apps.contains_key(id)) {
            out.persist(Record::CurrentGone(id.clone()));
        }
        out.persist(Record::Root(new));
    }
}

/// The group that a change is told as a change of.
fn group_of(change: &RootChange) -> PathId {
    let app = match change {
        RootChange::PutApps(apps) => match &apps[..] {
            [put] => &put.spec.id,
            _ => return PathId::root(),
        },
        RootChange::DeleteApp(app) | RootChange::RestartApp(app) => app,
        RootChange::ScaleApp { app, .. } => app,
    };
    app.parent().unwrap_or_else(PathId::root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::tests::app;
    use crate::groups::tests::id;
    use crate::input::PutApp;

    fn put(spec: AppSpec, expect: Expect) -> RootChange {
        RootChange::PutApps(vec![PutApp { spec: Arc::new(spec), expect }])
    }

    /// The root that a change leads to at `version`.
    fn changed(root: &Root, change: &RootChange, version: u64) -> Result<Root, ChangeError> {
        let mut draft = Draft::new(root);
        draft.apply(change)?;
        draft.stamp(root, Version::from_millis(version));
        Ok(draft.root)
    }

    fn stamps(root: &Root) -> (u64, u64, u64) {
        let spec = &root.apps[&id("/g/a")];
        let info = spec.version_info;
        (
            spec.version.as_millis(),
            info.last_scaling.as_millis(),
            info.last_config_change.as_millis(),
        )
    }

    #[test]
    fn stamps_tell_what_kind_of_change_was_last() {
        let root = changed(&Root::default(), &put(app("/g/a", 1), Expect::Absent), 1).unwrap();
        assert_eq!(stamps(&root), (1, 1, 1));
        assert_eq!(root.groups[&id("/g")].version.as_millis(), 1);

        let root = changed(&root, &put(app("/g/a", 1), Expect::Any), 2).unwrap();
        assert_eq!(stamps(&root), (1, 1, 1), "nothing changed");
        assert_eq!(root.version.as_millis(), 2);
        assert_eq!(root.groups[&id("/g")].version.as_millis(), 1);

        let scale = RootChange::ScaleApp { app: id("/g/a"), instances: 4 };
        let root = changed(&root, &scale, 3).unwrap();
        assert_eq!(stamps(&root), (3, 3, 1));

        let root = changed(&root, &RootChange::RestartApp(id("/g/a")), 4).unwrap();
        assert_eq!(stamps(&root), (4, 3, 4));

        let mut other = app("/g/a", 4);
        other.cmd = Some("true".into());
        let root = changed(&root, &put(other, Expect::Present), 5).unwrap();
        assert_eq!(stamps(&root), (5, 5, 5));
    }

    #[test]
    fn a_change_is_refused_when_what_it_expects_is_not_true() {
        let root = changed(&Root::default(), &put(app("/a", 1), Expect::Any), 7).unwrap();
        for (name, expect, refused) in [
            ("/a", Expect::Absent, Some(ChangeError::AppExists(id("/a")))),
            ("/b", Expect::Absent, None),
            ("/a", Expect::Present, None),
            ("/b", Expect::Present, Some(ChangeError::AppNotFound(id("/b")))),
            ("/a", Expect::Version(Version::from_millis(7)), None),
            ("/a", Expect::Version(Version::from_millis(6)), Some(ChangeError::Raced(id("/a")))),
            (
                "/b",
                Expect::Version(Version::from_millis(7)),
                Some(ChangeError::AppNotFound(id("/b"))),
            ),
        ] {
            let result = changed(&root, &put(app(name, 2), expect), 8);
            assert_eq!(result.err(), refused, "{name} {expect:?}");
        }
        for change in [
            RootChange::DeleteApp(id("/b")),
            RootChange::RestartApp(id("/b")),
            RootChange::ScaleApp { app: id("/b"), instances: 1 },
        ] {
            assert_eq!(changed(&root, &change, 8), Err(ChangeError::AppNotFound(id("/b"))));
        }
    }
}
