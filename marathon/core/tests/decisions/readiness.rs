//! Readiness: asked while a deployment waits for it, and never after.

use std::time::Duration;

use meros_marathon_core::apps::AppSpec;
use meros_marathon_core::health::{ReadinessCheck, ReadinessResponse};
use meros_marathon_core::input::RootChange;
use meros_proto::ids::TaskId;

use crate::world::{World, app, changed, id, put};

pub(crate) fn ready_check() -> ReadinessCheck {
    ReadinessCheck {
        name: "ready".into(),
        https: false,
        path: "/ready".into(),
        port_name: "http".into(),
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
        ready_statuses: [200].into(),
        preserve_last_response: true,
    }
}

fn with_readiness(name: &str, instances: u32) -> AppSpec {
    let mut spec = app(name, instances);
    spec.readiness_checks = vec![ready_check()];
    spec
}

/// What is shown of the readiness of `/a`: tasks, whether ready, and what they answered.
fn shown(world: &mut World) -> Vec<(TaskId, bool, Option<ReadinessResponse>)> {
    let view = world.view();
    let results = view.readiness_of(&id("/a"));
    results.map(|r| (r.task.clone(), r.ready, r.last_response.clone())).collect()
}

#[test]
fn a_deployment_waits_for_readiness_which_is_asked_at_once_and_then_each_interval() {
    let mut world = World::new(1, 3);
    world.services.manners.unready = 1.0;
    world.put(with_readiness("/a", 1)).unwrap();
    world.run_until("it was asked", |view| view.readiness_of(&id("/a")).next().is_some());
    let (_, ready, response) = shown(&mut world)[0].clone();
    assert!(!ready);
    let body = "hello".to_owned();
    let content_type = "text/plain".to_owned();
    assert_eq!(response, Some(ReadinessResponse { status: 503, content_type, body }));
    world.run_for(Duration::from_secs(95));
    let asked: Vec<_> = world.services.asked.iter().map(|(at, _)| *at).collect();
    assert_eq!(asked.len(), 4, "at once, and thrice an interval later");
    let pauses = asked.windows(2).map(|pair| pair[1].since(pair[0]));
    assert!(pauses.clone().all(|pause| pause >= Duration::from_secs(30)), "after its answer");
    assert_eq!(world.view().deployments.len(), 1);
    world.services.manners.unready = 0.0;
    world.run_until_deployed();
    assert!(shown(&mut world).is_empty(), "it is over");
    let asked = world.services.asked.len();
    world.run_for(Duration::from_secs(1_000));
    assert_eq!(world.services.asked.len(), asked, "nobody asks any more");
}

#[test]
fn no_answer_counts_as_a_gateway_timeout() {
    let mut world = World::new(1, 3);
    world.services.manners.silent = 1.0;
    world.put(with_readiness("/a", 1)).unwrap();
    world.run_until("it was asked", |view| view.readiness_of(&id("/a")).next().is_some());
    let (_, ready, response) = shown(&mut world)[0].clone();
    let response = response.unwrap();
    assert_eq!((ready, response.status, &*response.content_type), (false, 504, "text/plain"));
}

#[test]
fn the_last_answer_is_kept_only_where_that_is_wanted() {
    let mut world = World::new(1, 3);
    let mut spec = with_readiness("/a", 1);
    spec.readiness_checks[0].preserve_last_response = false;
    world.services.manners.unready = 1.0;
    world.put(spec).unwrap();
    world.run_until("it was asked", |view| view.readiness_of(&id("/a")).next().is_some());
    assert_eq!(shown(&mut world)[0].2, None);
}

#[test]
fn an_upgrade_kills_no_old_instance_for_a_new_one_that_is_not_ready() {
    let mut world = World::new(1, 3);
    let mut spec = with_readiness("/a", 3);
    spec.upgrade.maximum_over_capacity = 0.0;
    world.put(spec.clone()).unwrap();
    world.run_until_deployed();
    world.services.manners.unready = 1.0;
    world.services.asked.clear();
    let done = world.change(put(changed(spec, 1)), false).unwrap();
    world.run_for(Duration::from_secs(100));
    let running = world.running("/a");
    let old = running.iter().filter(|instance| instance.spec.version < done.version).count();
    assert_eq!((old, running.len()), (3, 4));
    assert_eq!(shown(&mut world).iter().filter(|(_, ready, _)| !ready).count(), 1);
    let asked = world.services.asked.len();
    assert_eq!(asked, 4, "only the new one is asked");
    world.services.manners.unready = 0.0;
    world.run_until_deployed();
}

#[test]
fn a_scaled_app_asks_the_new_instances_and_takes_the_old_ones_word() {
    let mut world = World::new(1, 3);
    world.put(with_readiness("/a", 2)).unwrap();
    world.run_until_deployed();
    let before = world.services.asked.len();
    world.change(RootChange::ScaleApp { app: id("/a"), instances: 3 }, false).unwrap();
    world.run_until_deployed();
    assert_eq!(world.services.asked.len(), before + 1);
}

#[test]
fn a_restarted_marathon_asks_again_while_the_deployment_goes_on() {
    let mut world = World::new(1, 3);
    world.services.manners.unready = 1.0;
    world.put(with_readiness("/a", 2)).unwrap();
    world.run_for(Duration::from_secs(10));
    world.restart();
    world.services.asked.clear();
    world.services.manners.unready = 0.0;
    world.run_until_deployed();
    assert_eq!(world.services.asked.len(), 2);
}

#[test]
fn readiness_is_not_asked_outside_of_deployments() {
    let mut world = World::new(1, 3);
    world.put(with_readiness("/a", 1)).unwrap();
    world.run_until_deployed();
    world.services.asked.clear();
    let task = world.running("/a")[0].task.as_ref().unwrap().id.clone();
    let now = world.now;
    world.master.becomes(now, &task, meros_proto::v1::TaskState::TaskFailed, None);
    world.run_for(Duration::from_secs(100));
    assert_eq!(world.running("/a")[0].incarnation, 2);
    assert!(world.services.asked.is_empty());
}
