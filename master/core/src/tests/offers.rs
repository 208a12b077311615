//! What is offered to whom and when, refusals, REVIVE and SUPPRESS.

use std::time::Duration;

use meros_proto::resources::Resources;
use meros_proto::v1;
use meros_proto::v1::TaskState;
use meros_proto::v1::framework_info::capability::Type;

use crate::testing::{
    Cluster, Scheduler, accept, aware, config, decline, framework_info, launch, refuse, resources,
    role, spec_in, spec_of, task,
};
use crate::{Config, Filters, Input, SchedulerCall};

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn revive() -> SchedulerCall {
    SchedulerCall::Revive { roles: Vec::new() }
}

fn suppress() -> SchedulerCall {
    SchedulerCall::Suppress { roles: Vec::new() }
}

/// A cluster with one agent, and a scheduler that declined all of it.
fn declined(filters: Filters) -> (Cluster, Scheduler) {
    let mut cluster = Cluster::new();
    cluster.agent("cpus:4;mem:1024");
    let (scheduler, seen) = cluster.subscribe(aware());
    let again = cluster.call(&scheduler, decline(&seen.offers(), filters));
    assert!(again.offers().is_empty());
    (cluster, scheduler)
}

#[test]
fn an_offer_is_all_of_an_agent_allocated_to_the_role() {
    let mut cluster = Cluster::new();
    let (agent, _) = cluster.agent("cpus:4;mem:1024;ports:[31000-32000]");
    let (scheduler, seen) = cluster.subscribe(spec_in("web"));
    let offer = seen.offer();
    assert_eq!(offer.id.as_str(), "master-O0");
    assert_eq!((&offer.framework, &offer.agent), (&scheduler.id, &agent.id));
    assert_eq!(offer.role, role("web"));
    let all = resources("cpus:4;mem:1024;ports:[31000-32000]").allocated_to(&role("web"));
    assert_eq!(offer.resources, all);
}

#[test]
fn declined_resources_are_offered_again_once_the_refusal_expires() {
    for (refuse_s, again_after) in [
        (None, 5_000),
        (Some(0.0), 1_000),
        (Some(0.2), 1_000),
        (Some(2.5), 2_500),
        (Some(-3.0), 5_000),
    ] {
        let (mut cluster, _) = declined(Filters { refuse_seconds: refuse_s });
        let early = cluster.wait(millis(again_after) - Duration::from_nanos(1));
        assert!(early.offers().is_empty(), "refuse {refuse_s:?}");
        assert_eq!(cluster.wait(millis(1)).offers().len(), 1, "refuse {refuse_s:?}");
    }
}

#[test]
fn what_one_declines_is_offered_to_the_other_at_once() {
    let mut cluster = Cluster::new();
    let (first, _) = cluster.subscribe(aware());
    let (second, _) = cluster.subscribe(aware());
    let (_, seen) = cluster.agent("cpus:4;mem:1024");
    let offer = seen.offer();
    assert_eq!(offer.framework, first.id);
    let seen = cluster.call(&first, decline(&[offer], refuse(0.0)));
    let offer = seen.offer();
    assert_eq!(offer.framework, second.id);
    // Both decline for no time at all: the agent isn't passed to and fro at the speed of the wire.
    assert!(cluster.call(&second, decline(&[offer], refuse(0.0))).offers().is_empty());
    assert!(cluster.wait(millis(999)).offers().is_empty());
    assert_eq!(cluster.wait(millis(1)).offers().len(), 1);
}

#[test]
fn a_decline_of_somebody_elses_or_a_gone_offer_changes_nothing() {
    let mut cluster = Cluster::new();
    cluster.agent("cpus:4;mem:1024");
    let (owner, seen) = cluster.subscribe(aware());
    let offers = seen.offers();
    let (thief, _) = cluster.subscribe(aware());
    cluster.call(&thief, decline(&offers, refuse(0.0)));
    assert_eq!(cluster.view().frameworks[0].offers.len(), 1);
    cluster.call(&owner, decline(&offers, refuse(60.0)));
    cluster.call(&owner, decline(&offers, refuse(60.0)));
    let view = cluster.view();
    assert!(view.frameworks.iter().all(|one| one.id == thief.id || one.offers.is_empty()));
}

#[test]
fn revive_voids_refusals_and_a_second_one_waits_for_the_interval() {
    let (mut cluster, scheduler) = declined(refuse(3600.0));
    let seen = cluster.call(&scheduler, revive());
    let again = cluster.call(&scheduler, decline(&[seen.offer()], refuse(3600.0)));
    assert!(again.offers().is_empty());
    assert!(cluster.call(&scheduler, revive()).offers().is_empty());
    assert!(cluster.wait(millis(999)).offers().is_empty());
    let offer = cluster.wait(millis(1)).offer();
    cluster.call(&scheduler, decline(&[offer], refuse(3600.0)));
    cluster.wait(millis(1_000));
    assert_eq!(cluster.call(&scheduler, revive()).offers().len(), 1);
}

#[test]
fn a_suppressed_role_gets_no_offers_until_it_is_revived() {
    let mut cluster = Cluster::new();
    let (scheduler, _) = cluster.subscribe(aware());
    cluster.call(&scheduler, suppress());
    let (_, seen) = cluster.agent("cpus:4;mem:1024");
    assert!(seen.offers().is_empty());
    assert!(cluster.wait(millis(60_000)).offers().is_empty());
    let offer = cluster.call(&scheduler, revive()).offer();
    // Offers that are out stay.
    assert!(cluster.call(&scheduler, suppress()).rescinded().is_empty());
    // The second revival within the interval unsuppresses at once, and what comes is offered.
    assert!(cluster.call(&scheduler, revive()).offers().is_empty());
    let (_, seen) = cluster.agent("cpus:1;mem:64");
    assert_ne!(seen.offer().id, offer.id);
}

#[test]
fn a_call_that_names_a_role_not_subscribed_to_is_void() {
    let (mut cluster, scheduler) = declined(refuse(3600.0));
    for roles in [vec!["web".to_owned()], vec!["*".to_owned(), "web".to_owned()]] {
        let call = SchedulerCall::Revive { roles };
        assert!(cluster.call(&scheduler, call).offers().is_empty());
    }
    let call = SchedulerCall::Revive { roles: vec!["*".to_owned()] };
    assert_eq!(cluster.call(&scheduler, call).offers().len(), 1);
}

#[test]
fn a_framework_of_two_roles_suppresses_them_apart() {
    let mut cluster = Cluster::new();
    let info = v1::FrameworkInfo {
        roles: vec!["a".to_owned(), "b".to_owned()],
        ..framework_info(&[Type::MultiRole])
    };
    let spec = crate::FrameworkSpec::from_proto(&info, &["a".to_owned()]).expect("it is valid");
    let (scheduler, _) = cluster.subscribe(spec);
    let (_, seen) = cluster.agent("cpus:4;mem:1024");
    assert_eq!(seen.offer().role, role("b"));
    cluster.call(&scheduler, SchedulerCall::Suppress { roles: vec!["b".to_owned()] });
    let (_, seen) = cluster.agent("cpus:4;mem:1024");
    assert!(seen.offers().is_empty());
    let seen = cluster.call(&scheduler, SchedulerCall::Revive { roles: vec!["a".to_owned()] });
    assert_eq!(seen.offer().role, role("a"));
}

#[test]
fn tasks_that_end_together_give_one_offer_back() {
    let mut cluster = Cluster::new();
    let (agent, _) = cluster.agent("cpus:4;mem:1024");
    let (scheduler, seen) = cluster.subscribe(aware());
    let tasks = ["a", "b", "c", "d"].map(|id| task(id, &agent.id, "cpus:1;mem:256"));
    cluster.call(&scheduler, accept(&seen.offers(), vec![launch(tasks.to_vec())], refuse(0.0)));
    for (id, pause) in [("a", 4), ("b", 4), ("c", 3), ("d", 0)] {
        let seen = cluster.update(&agent, &scheduler.id, id, TaskState::TaskFinished);
        assert!(seen.offers().is_empty());
        assert!(cluster.wait(millis(pause)).offers().is_empty());
    }
    assert!(cluster.wait(Duration::from_micros(4_999)).offers().is_empty());
    let offer = cluster.wait(millis(1)).offer();
    assert_eq!(offer.resources.unallocated(), resources("cpus:4;mem:1024"));
}

#[test]
fn resources_that_grew_from_elsewhere_end_a_hold() {
    let mut cluster = Cluster::new();
    let (agent, _) = cluster.agent("cpus:4;mem:1024");
    let (scheduler, seen) = cluster.subscribe(aware());
    let half = task("t", &agent.id, "cpus:2;mem:512");
    let seen =
        cluster.call(&scheduler, accept(&seen.offers(), vec![launch(vec![half])], refuse(0.0)));
    assert!(seen.offers().is_empty(), "the half that was left over is held");
    cluster.update(&agent, &scheduler.id, "t", TaskState::TaskFinished);
    let offer = cluster.wait(millis(5)).offer();
    assert_eq!(offer.resources.unallocated(), resources("cpus:4;mem:1024"));
}

#[test]
fn crumbs_are_not_offered() {
    for (total, offered) in [
        ("cpus:0.009;mem:31", false),
        ("cpus:0.01", true),
        ("mem:32", true),
        ("disk:1000;ports:[1-9]", false),
    ] {
        let mut cluster = Cluster::new();
        cluster.subscribe(aware());
        let (_, seen) = cluster.agent(total);
        assert_eq!(seen.offers().len(), usize::from(offered), "{total}");
    }
}

#[test]
fn agents_with_gpus_are_for_frameworks_that_know_gpus() {
    let mut cluster = Cluster::new();
    cluster.subscribe(aware());
    let (_, seen) = cluster.agent("cpus:4;mem:1024;gpus:1");
    assert!(seen.offers().is_empty());
    let (_, seen) = cluster.subscribe(spec_of(&framework_info(&[Type::GpuResources])));
    assert_eq!(seen.offers().len(), 1);
}

#[test]
fn reserved_resources_are_offered_to_their_role_and_those_below_it() {
    let total = "cpus:1;mem:64;cpus(eng):2;mem(eng):128";
    for (name, offered) in [
        ("*", "cpus:1;mem:64"),
        ("ops", "cpus:1;mem:64"),
        ("eng", total),
        ("eng/web", total),
        ("engine", "cpus:1;mem:64"),
    ] {
        let mut cluster = Cluster::new();
        cluster.subscribe(spec_in(name));
        let (_, seen) = cluster.agent(total);
        let found: Resources = seen.offer().resources.unallocated();
        assert_eq!(found, resources(offered), "{name}");
    }
    let mut cluster = Cluster::new();
    cluster.subscribe(spec_in("a"));
    cluster.subscribe(spec_in("eng"));
    let (_, seen) = cluster.agent(total);
    let offers = seen.offers();
    assert_eq!(offers.len(), 2, "what is unreserved goes to one, the reservation to its role");
}

#[test]
fn an_offer_that_is_not_used_in_time_is_rescinded_and_made_again() {
    let config = Config { offer_timeout: Some(millis(10_000)), ..config() };
    let mut cluster = Cluster::with(config, Vec::new());
    cluster.agent("cpus:4;mem:1024");
    let (_, seen) = cluster.subscribe(aware());
    let offer = seen.offer();
    assert!(cluster.wait(millis(9_999)).rescinded().is_empty());
    let seen = cluster.wait(millis(1));
    assert_eq!(seen.rescinded().as_slice(), std::slice::from_ref(&offer.id));
    assert_ne!(seen.offer().id, offer.id);
}

#[test]
fn a_broken_link_rescinds_the_offers_of_the_agent() {
    let mut cluster = Cluster::new();
    let (agent, _) = cluster.agent("cpus:4;mem:1024");
    let (_, seen) = cluster.subscribe(aware());
    let offer = seen.offer();
    let seen = cluster.input(Input::AgentLinkClosed { link: agent.link });
    assert_eq!(seen.rescinded().as_slice(), std::slice::from_ref(&offer.id));
    assert!(cluster.wait(millis(30_000)).offers().is_empty());
}
