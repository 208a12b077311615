//! Users, tasks, agents and the process itself do what they do at random; Marathon must keep its
//! promises, and settle once they stop.

use std::time::Duration;

use meros_marathon_core::health::HealthCheck;
use meros_marathon_core::input::{Input, KillMode, KillTargets, RootChange};
use meros_marathon_core::instances::{Condition, Instance};
use meros_proto::caller::Caller;
use meros_proto::ids::TaskId;
use meros_proto::time::Mono;
use meros_proto::v1::TaskState;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;

use crate::health::{command, http};
use crate::invariants;
use crate::master::Behaviour;
use crate::readiness::ready_check;
use crate::services::Manners;
use crate::world::{Crash, World, app, changed, id, put};

const APPS: [&str; 4] = ["/a", "/b", "/g/c", "/g/d"];
const AGENTS: usize = 4;
const STEPS: usize = 250;

#[test]
fn no_history_breaks_an_invariant_and_every_one_settles() {
    for seed in seeds() {
        let mut world = rough_times(seed);
        settle(&mut world);
    }
}

#[test]
fn two_runs_of_a_seed_are_alike() {
    for seed in [3, 1_000] {
        let (mut first, mut second) = (rough_times(seed), rough_times(seed));
        settle(&mut first);
        settle(&mut second);
        assert!(first.trace == second.trace, "seed {seed}: the traces differ");
        assert!(first.trace.len() > 100, "seed {seed}: something happened");
    }
}

/// Those of `MEROS_SIM_SEED_START` and `MEROS_SIM_SEEDS`, or a few.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let start = number("MEROS_SIM_SEED_START").unwrap_or(0);
    start..start + number("MEROS_SIM_SEEDS").unwrap_or(60)
}

/// A world after many steps of changes and faults.
fn rough_times(seed: u64) -> World {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::new(seed, AGENTS);
    world.master.behaviour =
        Behaviour { failing: 0.2, lost_kills: 0.2, sick: 0.1, sluggish: Duration::from_secs(2) };
    world.services.manners =
        Manners { failing: 0.1, unready: 0.3, silent: 0.1, sluggish: Duration::from_secs(4) };
    for step in 0..STEPS {
        let before = world.view();
        let orderly = match rng.random_range(0..100) {
            0..30 => user(&mut world, &mut rng),
            30..45 => {
                fault(&mut world, &mut rng);
                false
            }
            _ => {
                let until = world.now.mono + Duration::from_millis(rng.random_range(0..5_000));
                world.step(until);
                true
            }
        };
        invariants::check(&mut world, step);
        if orderly {
            invariants::check_upgrades(&mut world, step, &before);
        }
        world.events.clear();
        world.calls.clear();
    }
    world
}

/// Something that a user does. What is refused is refused. Returns whether nothing was killed.
fn user(world: &mut World, rng: &mut StdRng) -> bool {
    let name = APPS[rng.random_range(0..APPS.len())];
    let instances = rng.random_range(0..6);
    let force = rng.random_bool(0.4);
    let caller = Caller::default();
    let what = rng.random_range(0..10);
    match what {
        0..4 => {
            let mut spec = changed(app(name, instances), rng.random_range(0..3));
            spec.health_checks = some_checks(rng);
            if rng.random_bool(0.3) {
                spec.readiness_checks = vec![ready_check()];
            }
            spec.upgrade.minimum_health_capacity = f64::from(rng.random_range(0..=4)) / 4.0;
            spec.upgrade.maximum_over_capacity = f64::from(rng.random_range(0..=4)) / 4.0;
            if name == "/b" {
                spec.dependencies.insert(id("/a"));
            }
            let result = world.change(put(spec), force);
            if let Ok(done) = result {
                // What was answered as stored is found again, whatever happens then.
                let view = world.view();
                assert_eq!(view.root.apps[&id(name)], done.apps[0].spec);
            }
        }
        4 => drop(world.change(RootChange::ScaleApp { app: id(name), instances }, force)),
        5 => drop(world.change(RootChange::RestartApp(id(name)), force)),
        6 => drop(world.change(RootChange::DeleteApp(id(name)), force)),
        7 => {
            let mode = match rng.random_range(0..3) {
                0 => KillMode::Relaunch,
                1 => KillMode::Wipe,
                _ => KillMode::Scale { force },
            };
            let targets = match rng.random_bool(0.5) {
                true => KillTargets::App { app: id(name), host: None },
                false => KillTargets::Tasks(some_task(world, rng).into_iter().collect()),
            };
            world.ask(|reply| Input::Kill { caller, reply, targets, mode });
        }
        8 => {
            let view = world.view();
            if let Some(deployment) = view.deployments.first() {
                let id = deployment.plan.id.clone();
                world.ask(|reply| Input::CancelDeployment { caller, reply, id, force });
            }
        }
        _ => {
            let app = id(name);
            world.ask(|reply| Input::ResetDelay { caller, reply, app });
        }
    }
    what != 7
}

/// Health checks of all kinds, often none.
fn some_checks(rng: &mut StdRng) -> Vec<HealthCheck> {
    let mut checks = Vec::new();
    if rng.random_bool(0.4) {
        checks.push(http());
    }
    if rng.random_bool(0.3) {
        checks.push(command());
    }
    checks
}

/// Something that goes wrong.
fn fault(world: &mut World, rng: &mut StdRng) {
    match rng.random_range(0..7) {
        0 | 1 => {
            if let Some(task) = some_task(world, rng) {
                let now = world.now;
                world.master.becomes(now, &task, TaskState::TaskFailed, None);
            }
        }
        2 => world.master.set_reachable(rng.random_range(0..AGENTS), false),
        3 => world.master.set_reachable(rng.random_range(0..AGENTS), true),
        4 => {
            world.disconnect();
            let until = world.now.mono + Duration::from_millis(rng.random_range(0..20_000));
            while world.step(until) {}
            world.connect();
        }
        5 => {
            let before = world.view();
            world.restart();
            let after = world.view();
            assert_eq!(before.root.apps, after.root.apps, "seed {}: apps were lost", world.seed);
            assert_eq!(before.instances.keys().len(), after.instances.keys().len());
        }
        _ => {
            world.crash = Some(match rng.random_bool(0.5) {
                true => Crash::BeforeStoring,
                false => Crash::AfterStoring,
            });
            let heard = world.hear();
            world.batch(heard);
        }
    }
}

fn some_task(world: &World, rng: &mut StdRng) -> Option<TaskId> {
    let tasks: Vec<&TaskId> = world.master.tasks.keys().collect();
    (!tasks.is_empty()).then(|| tasks[rng.random_range(0..tasks.len())].clone())
}

/// Lets all faults stop, and checks that everything comes to rest as it should.
fn settle(world: &mut World) {
    let seed = world.seed;
    world.master.behaviour = Behaviour::GOOD;
    world.services.manners = Manners::GOOD;
    (0..AGENTS).for_each(|agent| world.master.set_reachable(agent, true));
    let deadline = world.now.mono + Duration::from_secs(30 * 60);
    let mut step = 0;
    while world.now.mono < deadline && !is_at_rest(world) {
        let before = world.view();
        advance(world, deadline);
        step += 1;
        assert!(step < 100_000, "seed {seed}: it goes round in circles");
        invariants::check(world, STEPS + step);
        invariants::check_upgrades(world, STEPS + step, &before);
    }
    let view = world.view();
    assert!(
        is_at_rest(world),
        "seed {seed}: not at rest\nlive: {:?}\ninstances: {:#?}\ndeployments: {:#?}",
        world.master.tasks,
        view.instances,
        view.deployments,
    );
    // Tasks that were to fail when they were launched have done so by then.
    world.run_for(Duration::from_secs(120));
    // Nothing begins again once all is at rest.
    let launched = world.master.launched.len();
    world.run_for(Duration::from_secs(60));
    assert!(is_at_rest(world), "seed {seed}: the rest was not one");
    let unheard = world.master.unacknowledged();
    assert_eq!(unheard, [""; 0], "seed {seed}: news that were never acknowledged");
    assert_eq!(world.master.launched.len(), launched, "seed {seed}: something is launched at rest");
}

fn advance(world: &mut World, deadline: Mono) {
    let until = deadline.min(world.now.mono + Duration::from_secs(10));
    world.step(until);
}

/// Every app runs as it should, and nothing else does.
fn is_at_rest(world: &mut World) -> bool {
    let view = world.view();
    let good =
        |instance: &&Arc<Instance>| instance.counts() && instance.condition() == Condition::Running;
    let instances = || view.instances.values().flat_map(|instances| instances.values());
    let wanted: usize = view.root.apps.values().map(|spec| spec.instances as usize).sum();
    let live = world.master.tasks.values().filter(|task| task.is_live()).count();
    view.deployments.is_empty()
        && instances().all(|instance| good(&instance))
        && instances().count() == wanted
        && live == wanted
        && instances().all(|instance| {
            let task = instance.task.as_ref().map(|task| &task.id);
            task.is_some_and(|task| world.master.tasks.contains_key(task))
        })
}
