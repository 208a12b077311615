//! Undoing a deployment: stopping it, and changing back what it changed.
//!
//! Only that: what others changed since stays. The revert is a deployment of its own.

use std::sync::Arc;

use meros_proto::time::Now;

use super::{DeploymentId, Plan};
use crate::changes::Draft;
use crate::groups::Root;
use crate::output::{ChangeDone, ChangeError};
use crate::path_id::PathId;
use crate::state::{Marathon, Out};

impl Marathon {
    /// Ends a deployment: with `force` it is only stopped, otherwise undone, too.
    pub(crate) fn cancel_deployment(
        &mut self,
        now: Now,
        id: &DeploymentId,
        force: bool,
        out: &mut Out,
    ) -> Result<ChangeDone, ChangeError> {
        let plan = self
            .deployments
            .plan(id)
            .map(Arc::clone)
            .ok_or_else(|| ChangeError::DeploymentNotFound(id.clone()))?;
        if force {
            self.stop_deployment(now, id, out);
            let version = self.root.version;
            return Ok(ChangeDone { version, deployment: id.clone(), apps: Vec::new() });
        }
        let mut draft = revert(&self.root, &plan);
        draft.undoes = Some(id.clone());
        self.carry_out(now, Ok(draft), PathId::root(), true, out)
    }
}

/// The root without what `plan` changed.
fn revert(root: &Root, plan: &Plan) -> Draft {
    let mut draft = Draft::new(root);
    for (app, change) in &plan.affected {
        match &change.before {
            Some(before) => draft.put_app(Arc::clone(before)),
            None => {
                draft.root.apps.remove(app);
            }
        }
    }
    for group in plan.added_groups.iter().rev() {
        if draft.root.is_empty_group(group) {
            draft.root.groups.remove(group);
        }
    }
    draft
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::deployment::plan::tests::root;
    use crate::groups::tests::id;

    #[test]
    fn a_revert_undoes_what_the_plan_changed_and_nothing_else() {
        let before = root(&[("/a", 1, 1, ""), ("/b", 1, 1, ""), ("/c", 1, 1, "")]);
        let after = root(&[("/b", 5, 1, ""), ("/c", 1, 1, ""), ("/new/d", 1, 2, "")]);
        let added = BTreeSet::from([id("/new")]);
        let plan = Plan::between(&before, &after, DeploymentId::new(1), BTreeMap::new(), added);
        // Meanwhile somebody scaled `/c`, and put `/e` in.
        let current =
            root(&[("/b", 5, 1, ""), ("/c", 9, 1, ""), ("/new/d", 1, 2, ""), ("/e", 1, 3, "")]);
        let reverted = revert(&current, &plan).root;
        let apps: Vec<_> =
            reverted.apps.iter().map(|(id, spec)| (id.as_str(), spec.instances)).collect();
        assert_eq!(apps, [("/a", 1), ("/b", 1), ("/c", 9), ("/e", 1)]);
        assert!(!reverted.groups.contains_key(&id("/new")));
    }

    #[test]
    fn a_group_that_others_put_something_into_stays() {
        let before = root(&[]);
        let after = root(&[("/new/d", 1, 2, "")]);
        let added = BTreeSet::from([id("/new")]);
        let plan = Plan::between(&before, &after, DeploymentId::new(1), BTreeMap::new(), added);
        let current = root(&[("/new/d", 1, 2, ""), ("/new/e", 1, 3, "")]);
        assert!(revert(&current, &plan).root.groups.contains_key(&id("/new")));
    }
}
