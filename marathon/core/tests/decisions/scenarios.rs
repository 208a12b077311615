//! One promise to the user, one test.

use std::time::Duration;

use meros_marathon_core::events::EventKind;
use meros_marathon_core::input::{Expect, Input, KillMode, KillTargets, PutApp, RootChange};
use meros_marathon_core::instances::Condition;
use meros_marathon_core::offers::explain::NoMatch;
use meros_marathon_core::output::{Answer, ChangeError, KillDone};
use meros_marathon_core::placement::{Constraint, Operator};
use meros_proto::caller::Caller;
use meros_proto::v1::TaskState;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::world::{World, app, changed, id, put};

/// A world in which `/a` runs with `instances` instances.
fn with_app(instances: u32) -> World {
    let mut world = World::new(1, 3);
    world.put(app("/a", instances)).unwrap();
    world.run_until_deployed();
    world.take_events();
    world
}

fn kill(world: &mut World, targets: KillTargets, mode: KillMode) -> Result<KillDone, ChangeError> {
    let caller = Caller::default();
    match world.ask(|reply| Input::Kill { caller, reply, targets, mode }) {
        Answer::Killed(result) => result,
        other => panic!("{other:?}"),
    }
}

fn scale(world: &mut World, instances: u32) {
    world.change(RootChange::ScaleApp { app: id("/a"), instances }, false).unwrap();
}

/// The kinds of events, without those of instances and tasks.
fn deployment_events(world: &mut World) -> Vec<String> {
    let kinds = world.take_events().into_iter().map(|event| event.kind);
    let told = kinds.filter_map(|kind| match kind {
        EventKind::StatusUpdate { .. } | EventKind::InstanceChanged { .. } => None,
        EventKind::DeploymentInfo { step, .. } => Some(format!("info {step}")),
        EventKind::DeploymentStepSuccess { step, .. } => Some(format!("step {step}")),
        EventKind::DeploymentStepFailure { step, .. } => Some(format!("step failure {step}")),
        EventKind::DeploymentSuccess { .. } => Some("success".into()),
        EventKind::DeploymentFailed { .. } => Some("failed".into()),
        EventKind::GroupChangeSuccess { .. } => Some("group success".into()),
        EventKind::GroupChangeFailed { .. } => Some("group failed".into()),
        EventKind::AppTerminated { .. } => Some("terminated".into()),
        other => Some(format!("{other:?}")),
    });
    told.collect()
}

#[test]
fn a_new_app_is_deployed_step_by_step_and_told_of() {
    let mut world = World::new(1, 3);
    world.take_events();
    let done = world.put(app("/a", 3)).unwrap();
    assert!(done.apps[0].created);
    assert_eq!(done.apps[0].spec.ports[0].port, 10_000);
    let view = world.view();
    assert_eq!(view.deployments_of(&id("/a")).count(), 1, "it is listed at once");
    assert_eq!(view.deployments[0].plan.id, done.deployment);
    world.run_until_deployed();
    assert_eq!(world.running("/a").len(), 3);
    assert_eq!(
        deployment_events(&mut world),
        ["group success", "info 0", "step 0", "info 1", "step 1", "success"]
    );
}

#[test]
fn the_instances_of_an_app_come_to_all_agents_that_are_offered_at_once() {
    let mut world = with_app(6);
    let agents: Vec<_> = world
        .running("/a")
        .iter()
        .filter_map(|instance| Some(instance.task.as_ref()?.agent.id.clone()))
        .collect();
    let on = |agent| agents.iter().filter(|other| *other == agent).count();
    assert_eq!(agents.iter().map(on).collect::<Vec<_>>(), [2; 6], "{agents:?}");
}

#[test]
fn scaling_adds_and_removes_the_youngest_without_touching_the_others() {
    let mut world = with_app(2);
    let first: BTreeSet<_> =
        world.running("/a").iter().map(|instance| instance.id.clone()).collect();
    scale(&mut world, 5);
    world.run_until_deployed();
    assert_eq!(world.running("/a").len(), 5);
    scale(&mut world, 2);
    world.run_until_deployed();
    let last: BTreeSet<_> =
        world.running("/a").iter().map(|instance| instance.id.clone()).collect();
    assert_eq!(first, last);
    assert_eq!(world.master.tasks.len(), 2);
}

#[test]
fn a_task_that_fails_is_replaced_after_its_delay_under_the_same_instance() {
    let mut world = with_app(1);
    let before = world.running("/a")[0].clone();
    let task = before.task.as_ref().unwrap().id.clone();
    let (now, failed_at) = (world.now, world.now.mono);
    world.master.becomes(now, &task, TaskState::TaskFailed, None);
    world.run_until("it is scheduled again", |view| !view.queue.is_empty());
    let view = world.view();
    assert_eq!(view.queue[0].count, 1);
    assert_eq!(view.queue[0].delay.unwrap().length, Duration::from_secs(1));
    assert_eq!(view.failures[&id("/a")].task, task);
    world.run_until("it runs again", |view| view.queue.is_empty());
    assert!(world.now.mono.since(failed_at) >= Duration::from_secs(1));
    world.run_until("its next task runs", |view| {
        view.instances_of(&id("/a")).all(|instance| instance.condition() == Condition::Running)
    });
    let after = world.running("/a")[0].clone();
    assert_eq!(after.id, before.id);
    assert_eq!(after.incarnation, 2);
    assert!(after.task.as_ref().unwrap().id.as_str().ends_with("._app.2"));
}

#[test]
fn a_delay_is_reset_on_demand_and_only_where_something_waits() {
    let mut world = with_app(1);
    let caller = Caller::default;
    let ask = |world: &mut World| {
        world.ask(|reply| Input::ResetDelay { caller: caller(), reply, app: id("/a") })
    };
    let Answer::DelayReset(result) = ask(&mut world) else { panic!("another answer") };
    assert_eq!(result, Err(ChangeError::NotQueued(id("/a"))));
    let task = world.running("/a")[0].task.as_ref().unwrap().id.clone();
    let now = world.now;
    world.master.becomes(now, &task, TaskState::TaskFinished, None);
    world.run_until("it is scheduled again", |view| !view.queue.is_empty());
    let Answer::DelayReset(result) = ask(&mut world) else { panic!("another answer") };
    assert_eq!(result, Ok(()));
    let reset_at = world.now.mono;
    world.run_until("it is launched", |view| view.queue.is_empty());
    assert!(world.now.mono.since(reset_at) < Duration::from_millis(100));
}

#[test]
fn a_deleted_app_is_stopped_and_forgotten() {
    let mut world = with_app(2);
    world.change(RootChange::DeleteApp(id("/a")), true).unwrap();
    assert!(world.view().root.apps.is_empty());
    world.run_until_deployed();
    assert_eq!(
        deployment_events(&mut world),
        ["group success", "info 0", "terminated", "step 0", "success"]
    );
    let view = world.view();
    assert!(view.instances.is_empty() && view.versions.is_empty());
    assert!(world.master.tasks.is_empty());
}

#[test]
fn sending_the_same_definition_again_changes_nothing() {
    let mut world = with_app(2);
    let before = world.view();
    let done = world.put(app("/a", 2)).unwrap();
    let after = world.view();
    assert!(after.deployments.is_empty());
    assert_eq!(before.root.apps, after.root.apps);
    assert_eq!(done.version, after.root.version);
    assert_eq!(deployment_events(&mut world), ["group success", "success"]);
}

#[test]
fn a_locked_app_is_changed_only_by_force_and_the_old_deployment_fails() {
    let mut world = World::new(1, 3);
    let mut huge = app("/a", 1);
    huge.cpus = 1_000.0;
    let first = world.put(huge).unwrap();
    world.take_events();
    let locked = world.put(changed(app("/a", 1), 1)).unwrap_err();
    assert_eq!(locked, ChangeError::Locked(vec![first.deployment]));
    assert_eq!(world.view().root.apps[&id("/a")].cpus, 1_000.0, "the root is as it was");
    world.change(put(changed(app("/a", 1), 1)), true).unwrap();
    world.run_until_deployed();
    assert_eq!(world.running("/a").len(), 1);
    let events = deployment_events(&mut world);
    assert_eq!(events[..4], ["group failed", "step failure 1", "failed", "group success"]);
}

#[test]
fn a_cancelled_deployment_is_undone_or_only_stopped() {
    let cancel = |world: &mut World, force| {
        let id = world.view().deployments[0].plan.id.clone();
        let caller = Caller::default();
        match world.ask(|reply| Input::CancelDeployment { caller, reply, id, force }) {
            Answer::Changed(result) => result,
            other => panic!("{other:?}"),
        }
    };
    let mut world = with_app(2);
    let mut huge = changed(app("/a", 2), 1);
    huge.cpus = 1_000.0;
    world.put(huge.clone()).unwrap();
    world.run_for(Duration::from_secs(10));
    cancel(&mut world, false).unwrap();
    world.run_until_deployed();
    assert_eq!(world.view().root.apps[&id("/a")].cpus, 0.1);
    assert_eq!(world.running("/a").len(), 2);

    world.put(huge).unwrap();
    world.run_for(Duration::from_secs(10));
    cancel(&mut world, true).unwrap();
    let view = world.view();
    assert!(view.deployments.is_empty());
    assert_eq!(view.root.apps[&id("/a")].cpus, 1_000.0);

    let unknown = meros_marathon_core::deployment::DeploymentId::from_text("nope");
    let (caller, id) = (Caller::default(), unknown.clone());
    let answer = world.ask(|reply| Input::CancelDeployment { caller, reply, id, force: true });
    let Answer::Changed(result) = answer else { panic!("{answer:?}") };
    assert_eq!(result, Err(ChangeError::DeploymentNotFound(unknown)));
}

#[test]
fn killed_tasks_are_replaced_at_once_wiped_ones_by_new_instances() {
    let mut world = with_app(3);
    let before: Vec<_> = world.running("/a");
    let tasks = before.iter().map(|instance| instance.task.as_ref().unwrap().id.clone());
    let target = KillTargets::Tasks(tasks.clone().take(1).collect());
    let done = kill(&mut world, target, KillMode::Relaunch).unwrap();
    assert_eq!(done.instances.len(), 1);
    let relaunched = before[0].id.clone();
    world.run_until("it runs again", |view| {
        view.instances_of(&id("/a")).all(|instance| instance.condition() == Condition::Running)
            && view.instances_of(&id("/a")).any(|instance| instance.incarnation == 2)
    });
    assert!(world.running("/a").iter().any(|instance| instance.id == relaunched));

    let host = Some(before[1].task.as_ref().unwrap().agent.hostname.clone());
    let target = KillTargets::App { app: id("/a"), host };
    let wiped = kill(&mut world, target, KillMode::Wipe).unwrap().instances;
    assert!(!wiped.is_empty());
    world.run_until("others run instead", |view| {
        let mut running = view.instances_of(&id("/a"));
        view.instances_of(&id("/a")).count() == 3
            && running.all(|instance| instance.condition() == Condition::Running)
    });
    let after = world.running("/a");
    assert!(wiped.iter().all(|gone| after.iter().all(|instance| instance.id != gone.id)));
}

#[test]
fn killing_with_scale_is_one_deployment_that_ends_exactly_those() {
    let mut world = with_app(4);
    let before = world.running("/a");
    let victims: Vec<_> =
        before[..2].iter().map(|instance| instance.task.as_ref().unwrap().id.clone()).collect();
    let done =
        kill(&mut world, KillTargets::Tasks(victims), KillMode::Scale { force: false }).unwrap();
    assert!(done.change.is_some());
    assert_eq!(world.view().root.apps[&id("/a")].instances, 2);
    world.run_until_deployed();
    let left: Vec<_> = world.running("/a").iter().map(|instance| instance.id.clone()).collect();
    assert_eq!(left, [before[2].id.clone(), before[3].id.clone()]);
}

#[test]
fn unknown_tasks_are_skipped_and_unknown_apps_refused() {
    let mut world = with_app(1);
    let stranger = meros_proto::ids::TaskId::parse("a.instance-1._app.1").unwrap();
    let targets = KillTargets::Tasks(vec![stranger]);
    assert_eq!(kill(&mut world, targets, KillMode::Relaunch).unwrap().instances, []);
    let targets = KillTargets::App { app: id("/b"), host: None };
    let refused = kill(&mut world, targets, KillMode::Wipe);
    assert_eq!(refused, Err(ChangeError::AppNotFound(id("/b"))));
}

#[test]
fn instances_on_a_lost_agent_are_replaced_and_killed_when_they_return() {
    let mut world = with_app(3);
    world.master.set_reachable(0, false);
    world.run_until("others run instead", |view| {
        let on_lost = |view: &meros_marathon_core::view::View| {
            view.instances_of(&id("/a"))
                .filter_map(|instance| instance.task.as_ref())
                .any(|task| task.agent.id.as_str() == "agent-0")
        };
        !on_lost(view)
            && view.instances_of(&id("/a")).filter(|i| i.condition() == Condition::Running).count()
                == 3
    });
    world.master.set_reachable(0, true);
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.running("/a").len(), 3);
    assert_eq!(world.master.tasks.values().filter(|task| task.is_live()).count(), 3);
}

#[test]
fn a_patient_app_waits_for_a_lost_agent_and_then_replaces_in_time() {
    use meros_marathon_core::apps::UnreachableStrategy;
    let mut world = World::new(1, 3);
    let mut spec = app("/a", 3);
    spec.unreachable = UnreachableStrategy::After {
        inactive: Duration::from_secs(60),
        expunge: Duration::from_secs(120),
    };
    world.put(spec).unwrap();
    world.run_until_deployed();
    // All three on one agent would make no case: lose every agent that has one but the last.
    let count = |world: &mut World, condition: Condition| {
        let view = world.view();
        view.instances_of(&id("/a")).filter(|i| i.condition() == condition).count()
    };
    world.master.set_reachable(0, false);
    world.run_for(Duration::from_secs(59));
    let lost = count(&mut world, Condition::Unreachable);
    assert!(lost > 0, "the seed puts an instance on the first agent");
    assert_eq!(count(&mut world, Condition::Running), 3 - lost);
    world.run_for(Duration::from_secs(10));
    assert_eq!(count(&mut world, Condition::UnreachableInactive), lost);
    assert_eq!(count(&mut world, Condition::Running), 3);
    world.run_for(Duration::from_secs(55));
    assert_eq!(count(&mut world, Condition::UnreachableInactive), 0);
    assert_eq!(world.view().instances_of(&id("/a")).count(), 3);
}

#[test]
fn an_app_that_fits_nowhere_says_why_in_the_queue() {
    let mut world = World::new(1, 3);
    let mut spec = app("/a", 1);
    spec.mem = 100_000.0;
    spec.constraints = vec![Constraint {
        field: "rack".into(),
        operator: Operator::Cluster,
        value: Some("r1".into()),
    }];
    world.put(spec).unwrap();
    world.run_for(Duration::from_secs(1));
    let view = world.view();
    let stats = &view.queue[0].stats;
    assert_eq!((stats.processed, stats.unused), (3, 3));
    let funnel: Vec<_> = stats
        .last_offers()
        .into_iter()
        .filter(|line| line.declined > 0)
        .map(|line| (line.reason, line.declined, line.processed))
        .collect();
    let expected = [(NoMatch::UnfulfilledConstraint, 2, 3), (NoMatch::InsufficientMemory, 1, 1)];
    assert_eq!(funnel, expected);
}

#[test]
fn constraints_hold_over_a_whole_deployment() {
    let mut world = World::new(1, 4);
    let mut spec = app("/a", 4);
    spec.constraints =
        vec![Constraint { field: "hostname".into(), operator: Operator::Unique, value: None }];
    world.put(spec).unwrap();
    world.run_until_deployed();
    let hosts: BTreeSet<_> = world
        .running("/a")
        .iter()
        .map(|instance| instance.task.as_ref().unwrap().agent.hostname.clone())
        .collect();
    assert_eq!(hosts.len(), 4);
}

#[test]
fn a_restarted_marathon_adopts_its_tasks_and_resumes_its_deployments() {
    let mut world = with_app(3);
    world.put(changed(app("/a", 3), 1)).unwrap();
    let deployment = world.view().deployments[0].plan.id.clone();
    world.restart();
    assert_eq!(world.view().deployments[0].plan.id, deployment);
    world.run_until_deployed();
    let tasks: Vec<_> = world.master.tasks.keys().cloned().collect();
    assert_eq!(tasks.len(), 3);
    world.restart();
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.master.tasks.keys().cloned().collect::<Vec<_>>(), tasks, "none is doubled");
    assert_eq!(world.view().framework.as_ref().unwrap().as_str(), "marathon-0001");
}

#[test]
fn what_was_to_end_ends_after_a_restart() {
    let mut world = with_app(3);
    let wiped = world.running("/a")[0].clone();
    world.master.behaviour.lost_kills = 1.0;
    let targets = KillTargets::Tasks(vec![wiped.task.as_ref().unwrap().id.clone()]);
    kill(&mut world, targets, KillMode::Wipe).unwrap();
    world.master.behaviour.lost_kills = 0.0;
    world.restart();
    world.run_for(Duration::from_secs(5));
    let running = world.running("/a");
    assert_eq!(running.len(), 3);
    assert!(running.iter().all(|instance| instance.id != wiped.id));
}

#[test]
fn no_version_is_given_out_twice_even_by_a_restarted_marathon() {
    let mut world = with_app(1);
    let versions = [
        world.put(changed(app("/a", 1), 1)).unwrap().version,
        world.change(RootChange::DeleteApp(id("/a")), true).unwrap().version,
        world.change(put(app("/b", 1)), true).unwrap().version,
        world.change(RootChange::DeleteApp(id("/b")), true).unwrap().version,
    ];
    world.restart();
    let next = world.put(app("/c", 1)).unwrap().version;
    assert!(versions.is_sorted() && versions.iter().all(|version| *version < next));
}

#[test]
fn a_step_waits_for_all_its_actions() {
    let mut world = World::new(1, 3);
    let mut front = app("/front", 1);
    front.dependencies.insert(id("/back"));
    let mut huge = app("/huge", 1);
    huge.cpus = 1_000.0;
    let all = [front, app("/back", 1), huge]
        .map(|spec| PutApp { spec: Arc::new(spec), expect: Expect::Any });
    world.change(RootChange::PutApps(all.into()), false).unwrap();
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.running("/back").len(), 1);
    let view = world.view();
    assert_eq!(view.instances_of(&id("/front")).count(), 0, "its turn has not come");
    assert_eq!(view.deployments[0].step, Some(1));
}

#[test]
fn kills_that_a_broken_connection_swallowed_are_sent_again_at_once() {
    let mut world = with_app(1);
    world.master.behaviour.lost_kills = 1.0;
    scale(&mut world, 0);
    world.run_for(Duration::from_secs(1));
    world.master.behaviour.lost_kills = 0.0;
    world.disconnect();
    world.connect();
    world.run_for(Duration::from_secs(1));
    assert!(world.master.tasks.is_empty());
    assert!(world.view().deployments.is_empty());
}

#[test]
fn a_change_based_on_an_older_version_is_refused() {
    let mut world = with_app(1);
    let read = world.view().root.apps[&id("/a")].version;
    scale(&mut world, 2);
    world.run_until_deployed();
    let spec = Arc::new(changed(app("/a", 1), 1));
    let late = RootChange::PutApps(vec![PutApp { spec, expect: Expect::Version(read) }]);
    assert_eq!(world.change(late, false), Err(ChangeError::Raced(id("/a"))));
}

#[test]
fn too_many_deployments_are_refused() {
    let mut world = World::new(1, 0);
    for nth in 0..world.config.max_running_deployments {
        world.put(app(&format!("/a{nth}"), 1)).unwrap();
    }
    let refused = world.put(app("/b", 1));
    assert_eq!(refused, Err(ChangeError::TooManyDeployments(100)));
}

#[test]
fn offers_are_wanted_only_while_something_waits() {
    let mut world = with_app(3);
    let revives = world.master.revives;
    world.run_for(Duration::from_secs(3_600));
    assert_eq!(world.master.revives, revives, "nothing waits");
    assert_eq!(
        world.master.next_at().map(|at| at > world.now.mono),
        None,
        "no offer is on its way"
    );
}

#[test]
fn dependents_wait_for_what_they_depend_on() {
    let mut world = World::new(1, 3);
    let mut front = app("/front", 2);
    front.dependencies.insert(id("/back"));
    let both =
        [front, app("/back", 2)].map(|spec| PutApp { spec: Arc::new(spec), expect: Expect::Any });
    world.change(RootChange::PutApps(both.into()), false).unwrap();
    world.run_until("something of the front is there", |view| {
        view.instances_of(&id("/front")).next().is_some()
    });
    assert_eq!(world.running("/back").len(), 2);
    world.run_until_deployed();
    assert_eq!(world.running("/front").len(), 2);
}
