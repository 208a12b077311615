//! The root: every group and every app, by path.
//!
//! Kept flat and ordered, so that what lies within a group is one range. A group comes into being
//! with the first thing put into it. Which app depends on which, groups expanded, is
//! [`Root::dependencies`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::apps::AppSpec;
use crate::path_id::PathId;
use crate::version::Version;

/// All that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Root {
    /// The version of the last change.
    pub version: Version,
    /// The groups; the root group `/` is always among them.
    pub groups: BTreeMap<PathId, Group>,
    /// The apps.
    pub apps: BTreeMap<PathId, Arc<AppSpec>>,
}

/// A group, apart from what lies within it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Group {
    /// The version that last changed it or something within it.
    pub version: Version,
    /// Apps and groups that must be there before anything within it.
    #[serde(default)]
    pub dependencies: BTreeSet<PathId>,
    /// Whether what lies within it runs under its name as role. For top-level groups only.
    #[serde(default)]
    pub enforce_role: bool,
}

impl Default for Root {
    fn default() -> Self {
        Self {
            version: Version::default(),
            groups: BTreeMap::from([(PathId::root(), Group::default())]),
            apps: BTreeMap::new(),
        }
    }
}

impl Root {
    /// Puts an app in, and the groups above it that are missing. Returns those.
    pub(crate) fn put_app(&mut self, spec: Arc<AppSpec>) -> BTreeSet<PathId> {
        let above = spec.id.ancestors();
        let added = above
            .into_iter()
            .filter(|group| !self.groups.contains_key(group))
            .collect::<BTreeSet<_>>();
        for group in &added {
            self.groups.insert(group.clone(), Group::default());
        }
        self.apps.insert(spec.id.clone(), spec);
        added
    }

    /// The apps somewhere within a group.
    pub fn apps_within(&self, group: &PathId) -> impl Iterator<Item = &Arc<AppSpec>> + use<'_> {
        let group = group.clone();
        self.apps
            .range(group.first_within()..)
            .take_while(move |(id, _)| id.is_within(&group))
            .map(|(_, spec)| spec)
    }

    /// Whether nothing lies within a group.
    pub fn is_empty_group(&self, group: &PathId) -> bool {
        self.apps_within(group).next().is_none()
            && !self.groups.keys().any(|other| other.is_within(group))
    }

    /// Whether what lies at `id` runs under its top-level group's name as role.
    pub fn enforces_role(&self, id: &PathId) -> bool {
        let top = id.ancestors().into_iter().nth(1);
        top.and_then(|top| self.groups.get(&top)).is_some_and(|group| group.enforce_role)
    }

    /// The apps that each app depends on, groups expanded to all that lies within them. Names of
    /// nothing are left out.
    pub fn dependencies(&self) -> BTreeMap<&PathId, BTreeSet<&PathId>> {
        let mut edges: BTreeMap<&PathId, BTreeSet<&PathId>> =
            self.apps.keys().map(|id| (id, BTreeSet::new())).collect();
        for (id, spec) in &self.apps {
            let on = spec.dependencies.iter().flat_map(|name| self.members(name));
            edges.entry(id).or_default().extend(on);
        }
        for (group, definition) in &self.groups {
            for name in &definition.dependencies {
                let on: BTreeSet<_> = self.members(name).into_iter().collect();
                for member in self.apps_within(group) {
                    edges.entry(&member.id).or_default().extend(on.iter().copied());
                }
            }
        }
        edges
    }

    /// The app called `name`, or the apps within the group of that name.
    fn members<'a>(&'a self, name: &PathId) -> Vec<&'a PathId> {
        match self.apps.get_key_value(name) {
            Some((id, _)) => vec![id],
            None => self.apps_within(name).map(|spec| &spec.id).collect(),
        }
    }

    /// How deep each app stands: 1 when it depends on nothing, else one more than the deepest that
    /// it depends on. `None` when apps depend on each other in a circle.
    pub fn layers(&self) -> Option<BTreeMap<&PathId, usize>> {
        let edges = self.dependencies();
        let mut open: BTreeMap<&PathId, usize> =
            edges.iter().map(|(id, on)| (*id, on.len())).collect();
        let mut needed_by: BTreeMap<&PathId, Vec<&PathId>> = BTreeMap::new();
        for (id, on) in &edges {
            for other in on {
                needed_by.entry(other).or_default().push(id);
            }
        }
        let mut layers: BTreeMap<&PathId, usize> = BTreeMap::new();
        let mut ready: Vec<_> =
            open.iter().filter(|(_, count)| **count == 0).map(|(id, _)| *id).collect();
        while let Some(id) = ready.pop() {
            let below = edges[id].iter().map(|on| layers[on]).max();
            layers.insert(id, below.unwrap_or(0) + 1);
            for next in needed_by.remove(id).unwrap_or_default() {
                let count = open.get_mut(next).expect("every edge starts at an app");
                *count -= 1;
                if *count == 0 {
                    ready.push(next);
                }
            }
        }
        (layers.len() == edges.len()).then_some(layers)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::apps::tests::app;

    pub(crate) fn id(text: &str) -> PathId {
        PathId::parse(text).unwrap()
    }

    /// A root of apps given as `(id, what it depends on)`.
    fn root(apps: &[(&str, &[&str])]) -> Root {
        let mut root = Root::default();
        for (name, on) in apps {
            let mut spec = app(name, 1);
            spec.dependencies = on.iter().map(|name| id(name)).collect();
            root.put_app(Arc::new(spec));
        }
        root
    }

    #[test]
    fn an_app_brings_its_groups_with_it_and_is_found_within_them() {
        let mut root = root(&[("/a/b/c", &[]), ("/a-b/c", &[]), ("/a", &[]), ("/a.b", &[])]);
        let added = root.put_app(Arc::new(app("/x/y", 1)));
        assert_eq!(added, BTreeSet::from([id("/x")]));
        let within = |group: &str| {
            root.apps_within(&id(group)).map(|spec| spec.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(within("/a"), ["/a/b/c"]);
        assert_eq!(within("/").len(), 5);
        assert!(within("/a/b/c").is_empty());
        assert!(!root.is_empty_group(&id("/a")));
    }

    #[test]
    fn layers_follow_the_longest_way_and_expand_groups() {
        let mut root = root(&[
            ("/shop/app", &["/shop/db"]),
            ("/shop/db", &["/nothing"]),
            ("/web/front", &["/shop"]),
            ("/alone", &[]),
        ]);
        let depth = |root: &Root, name: &str| root.layers().unwrap()[&id(name)];
        for (name, layer) in [("/shop/db", 1), ("/shop/app", 2), ("/web/front", 3), ("/alone", 1)] {
            assert_eq!(depth(&root, name), layer, "{name}");
        }
        root.groups.get_mut(&id("/shop")).unwrap().dependencies.insert(id("/alone"));
        assert_eq!(depth(&root, "/web/front"), 4);
    }

    #[test]
    fn a_circle_has_no_layers() {
        assert!(root(&[("/a", &["/b"]), ("/b", &["/c"]), ("/c", &["/a"])]).layers().is_none());
        assert!(root(&[("/a", &["/a"])]).layers().is_none());
        assert!(root(&[("/g/a", &["/g"])]).layers().is_none());
    }
}
