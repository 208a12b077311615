//! What must be true of a whole root, whatever each app looks like.

use crate::apps::{AppSpec, Limit};
use crate::groups::Root;
use crate::output::Violation;
use crate::path_id::PathId;

/// The longest safe id of an app: its task ids must not be longer than a file name.
const SAFE_ID_MAX: usize = 190;

/// Finds all that is wrong with a root.
pub(super) fn root(root: &Root) -> Result<(), Vec<Violation>> {
    let mut violations = Vec::new();
    for (id, spec) in &root.apps {
        let mut refuse = |message: String| {
            violations.push(Violation { path: "/id".into(), message });
        };
        if id.is_root() {
            refuse("Path must contain at least one path element".into());
        }
        if root.groups.contains_key(id) {
            refuse("Groups and Applications may not have the same identifier.".into());
        }
        if too_long(id) {
            refuse(format!("must not be longer than {SAFE_ID_MAX} characters"));
        }
        for (path, number) in numbers(spec) {
            // No others can be stored, and read again.
            if !(number.is_finite() && number >= 0.0) {
                let message = "must be a number, and not less than 0".into();
                violations.push(Violation { path: path.into(), message });
            }
        }
    }
    if root.layers().is_none() {
        violations.push(Violation {
            path: "/".into(),
            message: "Dependency graph has cyclic dependencies.".into(),
        });
    }
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

/// All fractional numbers of an app.
fn numbers(spec: &AppSpec) -> Vec<(&'static str, f64)> {
    let limit = |path, limit| match limit {
        Some(Limit::Amount(amount)) => Some((path, amount)),
        Some(Limit::Unlimited) | None => None,
    };
    let always = [
        ("/cpus", spec.cpus),
        ("/mem", spec.mem),
        ("/disk", spec.disk),
        ("/backoffFactor", spec.backoff.factor),
        ("/upgradeStrategy/minimumHealthCapacity", spec.upgrade.minimum_health_capacity),
        ("/upgradeStrategy/maximumOverCapacity", spec.upgrade.maximum_over_capacity),
    ];
    let limits = [
        limit("/resourceLimits/cpus", spec.limits.cpus),
        limit("/resourceLimits/mem", spec.limits.mem),
    ];
    always.into_iter().chain(limits.into_iter().flatten()).collect()
}

fn too_long(id: &PathId) -> bool {
    // Without its leading slash, the path is as long as its safe form.
    id.as_str().len() > SAFE_ID_MAX + 1
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::apps::tests::app;
    use crate::groups::tests::id;

    fn messages(apps: &[(&str, &str)]) -> Vec<String> {
        let mut all = Root::default();
        for (name, on) in apps {
            let mut spec = app(name, 1);
            spec.dependencies = [id(on)].into();
            all.put_app(Arc::new(spec));
        }
        let violations = root(&all).err().unwrap_or_default();
        violations.into_iter().map(|violation| violation.message).collect()
    }

    #[test]
    fn numbers_that_could_not_be_read_again_are_refused() {
        for cpus in [f64::NAN, f64::INFINITY, -1.0] {
            let mut all = Root::default();
            let mut spec = app("/a", 1);
            spec.cpus = cpus;
            spec.limits.mem = Some(Limit::Amount(cpus));
            all.put_app(Arc::new(spec));
            let violations = root(&all).unwrap_err();
            let paths: Vec<_> = violations.iter().map(|violation| &*violation.path).collect();
            assert_eq!(paths, ["/cpus", "/resourceLimits/mem"]);
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let long = format!("/{}", "a".repeat(191));
        let just_right = format!("/{}", "a".repeat(190));
        for (apps, expected) in [
            (&[("/a", "/b"), ("/b", "/c")][..], None),
            (&[("/a", "/b"), ("/b", "/a")][..], Some("cyclic dependencies")),
            (&[("/a", "/x"), ("/a/b", "/x")][..], Some("same identifier")),
            (&[(&*long, "/x")][..], Some("longer than 190")),
            (&[(&*just_right, "/x")][..], None),
        ] {
            let messages = messages(apps);
            match expected {
                None => assert!(messages.is_empty(), "{messages:?}"),
                Some(text) => assert!(messages.iter().any(|m| m.contains(text)), "{messages:?}"),
            }
        }
    }
}
