//! SUBSCRIBE, streams, failover, teardown, and who may call.

use std::time::Duration;

use meros_proto::caller::Caller;
use meros_proto::ids::FrameworkId;
use meros_proto::v1;
use meros_proto::v1::framework_info::capability::Type;

use crate::testing::{Cluster, aware, config, decline, framework_info, spec_of};
use crate::{Answer, Call, Config, Input, Refusal, ReplyTo, SchedulerCall, SchedulerEvent};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_new_framework_gets_an_id_a_heartbeat_at_once_and_one_every_15_seconds() {
    let mut cluster = Cluster::new();
    let (first, seen) = cluster.subscribe(aware());
    let (second, _) = cluster.subscribe(aware());
    assert_eq!(first.id.as_str(), "master-0000");
    assert_eq!(second.id.as_str(), "master-0001");
    assert!(matches!(
        seen.events(first.stream).as_slice(),
        [SchedulerEvent::Subscribed { heartbeat_interval, .. }, SchedulerEvent::Heartbeat]
            if *heartbeat_interval == seconds(15)
    ));
    assert!(cluster.wait(Duration::from_millis(14_999)).events(first.stream).is_empty());
    let beats = cluster.wait(seconds(30)).events(first.stream);
    assert!(matches!(beats.as_slice(), [SchedulerEvent::Heartbeat, SchedulerEvent::Heartbeat]));
}

#[test]
fn the_newest_subscription_wins_and_gets_the_offers_afresh() {
    let mut cluster = Cluster::new();
    cluster.agent("cpus:4;mem:1024");
    let (old, seen) = cluster.subscribe(aware());
    let offer = seen.offer();
    let (new, seen) = cluster.resubscribe(&old.id, aware());
    assert_eq!(new.id, old.id);
    assert_eq!(seen.error(old.stream).as_deref(), Some("Framework failed over"));
    assert!(seen.rescinded().is_empty(), "offers are discarded silently");
    assert_ne!(seen.offer().id, offer.id);
    // The shell notices only now that the old connection is gone.
    cluster.input(Input::StreamClosed { stream: old.stream });
    cluster.wait(seconds(120));
    assert!(cluster.view().frameworks[0].connected);
    assert!(cluster.view().frameworks[0].reregistered.is_some());
}

#[test]
fn refusals_do_not_outlive_a_stream() {
    let mut cluster = Cluster::new();
    cluster.agent("cpus:4;mem:1024");
    let (scheduler, seen) = cluster.subscribe(aware());
    let declined =
        cluster.call(&scheduler, decline(&seen.offers(), crate::testing::refuse(3600.0)));
    assert!(declined.offers().is_empty());
    let (_, seen) = cluster.resubscribe(&scheduler.id, aware());
    assert_eq!(seen.offers().len(), 1);
}

#[test]
fn an_unknown_id_is_accepted_as_it_is() {
    let mut cluster = Cluster::new();
    let id = FrameworkId::parse("another-master-0007").expect("a valid id");
    let (scheduler, seen) = cluster.resubscribe(&id, aware());
    assert_eq!(scheduler.id, id);
    assert_eq!(seen.error(scheduler.stream), None);
}

#[test]
fn what_is_wrong_with_a_subscription_is_told_on_its_stream() {
    let root =
        || spec_of(&v1::FrameworkInfo { user: Some("root".to_owned()), ..framework_info(&[]) });
    let strict = Config { root_submissions: false, ..config() };
    for (config, framework, error) in [
        (config(), Err("no such role".to_owned()), Some("no such role")),
        (config(), Ok(root()), None),
        (strict, Ok(root()), Some("User 'root' is not allowed")),
    ] {
        let mut cluster = Cluster::with(config, Vec::new());
        let (scheduler, seen) = cluster.try_subscribe(None, framework);
        let found = seen.error(scheduler.stream);
        match error {
            Some(error) => assert!(found.is_some_and(|found| found.contains(error)), "{error}"),
            None => assert_eq!(found, None),
        }
        assert_eq!(cluster.view().frameworks.len(), usize::from(error.is_none()));
        // A refused stream is nobody's: its end changes nothing.
        cluster.input(Input::StreamClosed { stream: crate::StreamRef(99) });
    }
}

#[test]
fn a_resubscription_can_change_anything_but_user_checkpoint_and_principal() {
    let mut cluster = Cluster::new();
    let (scheduler, _) = cluster.subscribe(aware());
    let changed = v1::FrameworkInfo {
        user: Some("other".to_owned()),
        checkpoint: Some(true),
        name: Some("renamed".to_owned()),
        ..framework_info(&[Type::GpuResources])
    };
    cluster.resubscribe(&scheduler.id, spec_of(&changed));
    let spec = cluster.view().frameworks[0].spec.clone();
    assert_eq!((&*spec.user, spec.checkpoint, &*spec.name), ("nobody", false, "renamed"));
    assert!(spec.capabilities.gpu_resources);

    let foreign = v1::FrameworkInfo { principal: Some("eve".to_owned()), ..framework_info(&[]) };
    let (eve, seen) = cluster.resubscribe(&scheduler.id, spec_of(&foreign));
    let error = seen.error(eve.stream).expect("it is refused");
    assert!(error.contains("principal"), "{error}");
    assert!(cluster.view().frameworks[0].connected, "the old stream stays");
}

#[test]
fn calls_are_refused_in_the_order_of_the_contract() {
    let mut cluster = Cluster::new();
    let owned = v1::FrameworkInfo { principal: Some("ann".to_owned()), ..framework_info(&[]) };
    let (scheduler, _) = cluster.subscribe(spec_of(&owned));
    let (gone, _) = cluster.subscribe(aware());
    cluster.input(Input::StreamClosed { stream: gone.stream });
    let unknown = FrameworkId::parse("nobody").expect("a valid id");
    let stream_id = scheduler.stream_id.to_string();
    let unbuilt = SchedulerCall::Unbuilt { name: "UPDATE_FRAMEWORK" };
    for (framework, principal, stream, call, status, text) in [
        (&unknown, None, None, unbuilt.clone(), 400, "Framework cannot be found"),
        (&scheduler.id, Some("bob"), None, unbuilt.clone(), 400, "principal 'bob'"),
        (&gone.id, None, None, unbuilt.clone(), 403, "Framework is not subscribed"),
        (&scheduler.id, Some("ann"), None, unbuilt.clone(), 400, "'Mesos-Stream-Id' header"),
        (&scheduler.id, None, Some("other"), unbuilt.clone(), 400, "didn't match the stream ID"),
        (&scheduler.id, None, Some(&*stream_id), unbuilt, 501, "UPDATE_FRAMEWORK"),
        (&scheduler.id, Some("ann"), Some(&*stream_id), SchedulerCall::Request, 202, ""),
    ] {
        let reply = ReplyTo(cluster.number());
        let principal = principal.map(str::to_owned);
        let seen = cluster.input(Input::Call(Box::new(Call {
            caller: Caller { principal, ..Caller::default() },
            reply,
            framework: framework.clone(),
            stream_id: stream.map(str::to_owned),
            call,
        })));
        let (found, body) = match seen.answer(reply) {
            Some(Answer::Accepted) => (202, String::new()),
            Some(Answer::Refused(refusal)) => (refusal.status(), refusal.to_string()),
            other => panic!("no answer to a call: {other:?}"),
        };
        assert_eq!(found, status, "{body}");
        assert!(body.contains(text), "{body} should say {text}");
    }
    assert_eq!(Refusal::FrameworkNotFound.to_string(), "Framework cannot be found");
}

#[test]
fn teardown_removes_the_framework_for_good() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    let seen = cluster.call(&scheduler, SchedulerCall::Teardown);
    assert!(seen.closed(scheduler.stream));
    assert!(seen.events(scheduler.stream).is_empty(), "nobody is left to hear of it");
    assert!(matches!(
        seen.to_agent(agent.link).as_slice(),
        [crate::AgentMessage::ShutdownFramework { framework }] if *framework == scheduler.id
    ));
    let view = cluster.view();
    assert!(view.frameworks.is_empty());
    let task = &view.completed_frameworks[0].completed_tasks[0];
    assert_eq!(task.state, v1::TaskState::TaskKilled);
    assert!(view.agents[0].used.is_empty());
    let (again, seen) = cluster.resubscribe(&scheduler.id, aware());
    assert_eq!(seen.error(again.stream).as_deref(), Some("Framework has been removed"));
    // The id stays unusable over a restart of the master.
    let mut restarted = Cluster::with(config(), cluster.log.clone());
    let (again, seen) = restarted.resubscribe(&scheduler.id, aware());
    assert_eq!(seen.error(again.stream).as_deref(), Some("Framework has been removed"));
}
