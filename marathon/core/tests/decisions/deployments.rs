//! Deployments: locks, force, cancelling, undoing, and going on after a restart.

use std::time::Duration;

use meros_marathon_core::deployment::DeploymentId;
use meros_marathon_core::input::{Expect, Input, PutApp, RootChange};
use meros_marathon_core::output::{Answer, ChangeDone, ChangeError};
use meros_proto::caller::Caller;
use meros_proto::v1::TaskState;
use std::sync::Arc;

use crate::world::{World, app, changed, id, put, task_of};

fn cancel(world: &mut World, id: DeploymentId, force: bool) -> Result<ChangeDone, ChangeError> {
    let caller = Caller::default();
    match world.ask(|reply| Input::CancelDeployment { caller, reply, id, force }) {
        Answer::Changed(result) => result,
        other => panic!("{other:?}"),
    }
}

/// An app that no agent has room for: its deployment never ends.
fn huge(name: &str) -> meros_marathon_core::apps::AppSpec {
    let mut spec = app(name, 1);
    spec.cpus = 1_000.0;
    spec
}

fn put_all(specs: Vec<meros_marathon_core::apps::AppSpec>) -> RootChange {
    let put = |spec| PutApp { spec: Arc::new(spec), expect: Expect::Any };
    RootChange::PutApps(specs.into_iter().map(put).collect())
}

#[test]
fn a_conflict_names_every_deployment_in_the_way_and_force_ends_them_all() {
    let mut world = World::new(1, 3);
    let first = world.put(huge("/a")).unwrap().deployment;
    let second = world.put(huge("/b")).unwrap().deployment;
    let other = world.put(huge("/c")).unwrap().deployment;
    let both = || put_all(vec![app("/a", 1), app("/b", 1)]);
    let root = world.view().root.version;
    let refused = world.change(both(), false);
    assert_eq!(refused, Err(ChangeError::Locked(vec![first, second])));
    assert_eq!(world.view().root.version, root);
    world.change(both(), true).unwrap();
    world.run_for(Duration::from_secs(10));
    let view = world.view();
    let left: Vec<_> = view.deployments.iter().map(|d| d.plan.id.clone()).collect();
    assert_eq!(left, [other], "the others went, and what replaced them is done");
}

#[test]
fn a_revert_undoes_only_what_its_deployment_changed_and_what_was_killed_stays_dead() {
    let mut world = World::new(1, 3);
    world.put(app("/a", 2)).unwrap();
    world.put(app("/b", 1)).unwrap();
    world.run_until_deployed();
    let mut stuck = changed(app("/a", 2), 1);
    stuck.cpus = 1_000.0;
    stuck.upgrade.minimum_health_capacity = 0.0;
    let deployment = world.put(stuck).unwrap().deployment;
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.running("/a").len(), 0, "all may go");
    world.change(RootChange::ScaleApp { app: id("/b"), instances: 2 }, false).unwrap();
    world.run_for(Duration::from_secs(5));
    let done = cancel(&mut world, deployment.clone(), false).unwrap();
    assert_ne!(done.deployment, deployment);
    world.run_until_deployed();
    let view = world.view();
    assert_eq!(view.root.apps[&id("/a")].cpus, 0.1);
    assert_eq!(view.root.apps[&id("/b")].instances, 2, "somebody else's change stays");
    assert_eq!(world.running("/a").len(), 2);
}

#[test]
fn a_revert_that_is_refused_leaves_the_deployment_as_it_is() {
    let mut world = World::new(1, 3);
    world.put(app("/x", 1)).unwrap();
    world.run_until_deployed();
    world.master.behaviour.lost_kills = 1.0;
    let deployment = world.change(RootChange::DeleteApp(id("/x")), true).unwrap().deployment;
    // The place of the app is taken by a group meanwhile.
    world.put(app("/x/y", 0)).unwrap();
    let refused = cancel(&mut world, deployment.clone(), false);
    assert!(matches!(refused, Err(ChangeError::Invalid(_))), "{refused:?}");
    assert_eq!(world.view().deployments[0].plan.id, deployment);
}

#[test]
fn undoing_a_deployment_is_possible_when_no_more_of_them_may_run() {
    let mut world = World::with(1, 3, |config| config.max_running_deployments = 1);
    let deployment = world.put(huge("/a")).unwrap().deployment;
    let refused = world.put(app("/b", 1));
    assert_eq!(refused, Err(ChangeError::TooManyDeployments(1)));
    cancel(&mut world, deployment, false).unwrap();
    world.run_until_deployed();
    assert!(world.view().root.apps.is_empty());
}

#[test]
fn every_step_is_taken_again_after_a_restart_and_what_is_done_is_found_done() {
    let mut world = World::new(1, 3);
    let mut front = app("/front", 2);
    front.dependencies.insert(id("/back"));
    world.change(put_all(vec![front, app("/back", 2)]), false).unwrap();
    for _ in 0..5 {
        world.run_for(Duration::from_millis(150));
        world.restart();
    }
    world.run_until_deployed();
    assert_eq!((world.running("/front").len(), world.running("/back").len()), (2, 2));
    assert_eq!(world.master.launched.len(), 4, "nothing was launched twice");
}

#[test]
fn an_app_of_an_earlier_step_is_kept_while_later_ones_are_waited_for() {
    let mut world = World::new(1, 3);
    let mut front = huge("/front");
    front.dependencies.insert(id("/back"));
    world.change(put_all(vec![front, app("/back", 2)]), false).unwrap();
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.view().deployments[0].step, Some(2));
    let (now, task) = (world.now, task_of(&world.running("/back")[0]));
    world.master.becomes(now, &task, TaskState::TaskFailed, None);
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.running("/back").len(), 2);
}

#[test]
fn a_change_of_something_else_is_no_reason_to_touch_an_app() {
    let mut world = World::new(1, 3);
    world.change(put_all(vec![app("/a", 2), app("/b", 2)]), false).unwrap();
    world.run_until_deployed();
    let before: Vec<_> = world.running("/b").iter().map(|instance| task_of(instance)).collect();
    world.change(put(changed(app("/a", 2), 1)), false).unwrap();
    world.run_until_deployed();
    let after: Vec<_> = world.running("/b").iter().map(|instance| task_of(instance)).collect();
    assert_eq!(before, after);
}

#[test]
fn a_deployment_of_many_apps_is_done_when_the_last_of_them_is() {
    let mut world = World::new(1, 4);
    let specs: Vec<_> = (0..40).map(|nth| app(&format!("/g/app-{nth}"), 2)).collect();
    let done = world.change(put_all(specs), false).unwrap();
    assert_eq!(done.apps.len(), 40);
    world.run_until_deployed();
    let view = world.view();
    let running = view.instances.values().flat_map(|of_app| of_app.values());
    assert_eq!(running.filter(|instance| instance.counts()).count(), 80);
}
