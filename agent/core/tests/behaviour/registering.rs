//! Who the agent says it is, to whom, and when it gives a master up.

use meros_agent_core::Record;
use meros_agent_core::effect::{Effect, ToMaster};
use meros_agent_core::exit::Exit;
use meros_agent_core::input::{FromMaster, Input};
use meros_proto::ids::AgentId;
use meros_proto::v1::TaskState::*;

use crate::bench::{BOOT, Bench, SECOND, SILENCE, task};

#[test]
fn a_new_agent_has_no_id_and_keeps_the_one_it_is_given() {
    let mut bench = Bench::fresh();
    bench.begin(BOOT, Vec::new());
    bench.register(1);
    assert_eq!(bench.registrations()[0].agent, None);
    let id = AgentId::parse("m-S0").expect("an id");
    assert_eq!(bench.log, [Record::Booted(BOOT.to_owned()), Record::Admitted(id.clone())]);
    let mut bench = Bench::restarted(bench.log);
    bench.register(1);
    assert_eq!(bench.registrations()[0].agent, Some(id));
    assert_eq!(bench.log.len(), 2, "known already");
}

#[test]
fn what_the_agent_holds_is_in_its_registration() {
    let mut bench = Bench::registered();
    let (_, done) = bench.started(task("done"));
    bench.exit(&done, Exit::Code(0));
    bench.started(task("runs"));
    bench.acknowledge_all();
    let (_, failed) = bench.started(task("unheard"));
    bench.exit(&failed, Exit::Code(1));
    bench.tell(Input::LinkDown { session: 1 });
    bench.tell(Input::LinkUp { session: 2 });
    let registration = bench.registrations().remove(0);
    assert_eq!(registration.frameworks.len(), 1);
    let held: Vec<_> = registration
        .tasks
        .iter()
        .map(|held| {
            let latest = held.latest.as_ref().map(|update| update.status.state);
            (held.spec.key.task.to_string(), latest)
        })
        .collect();
    let expected =
        [("runs".to_owned(), Some(TaskRunning)), ("unheard".to_owned(), Some(TaskFailed))];
    assert_eq!(held, expected);
}

#[test]
fn what_an_abandoned_stream_brings_is_ignored() {
    let mut bench = Bench::registered();
    bench.register(2);
    bench.effects();
    bench.run(task("t"));
    assert_eq!(bench.launches(), 0);
    bench.tell(Input::LinkDown { session: 1 });
    assert_eq!(bench.view().master.as_deref(), Some("m"), "session 2 is still up");
}

#[test]
fn a_ping_is_answered_and_silence_ends_the_stream() {
    let mut bench = Bench::registered();
    bench.pass(SILENCE - SECOND);
    bench.hear(FromMaster::Ping { sequence: 7 });
    let pong = bench.effects();
    assert!(matches!(
        pong[..],
        [Effect::ToMaster { session: 1, message: ToMaster::Pong { sequence: 7 } }]
    ));
    bench.pass(SILENCE - SECOND);
    assert!(bench.effects().is_empty(), "the ping was heard");
    bench.pass(SECOND);
    let given_up = bench.effects();
    assert!(matches!(given_up[..], [Effect::Disconnect { session: 1, .. }]), "{given_up:?}");
    bench.pass(10 * SILENCE);
    assert!(bench.effects().is_empty(), "said once");
}

#[test]
fn a_refusal_is_tried_again_unless_it_is_final() {
    let refused = |is_final| FromMaster::Refused { reason: "go away".to_owned(), is_final };
    let mut bench = Bench::registered();
    bench.hear(refused(false));
    assert!(matches!(bench.effects()[..], [Effect::Disconnect { .. }]));
    let (_, container) = bench.started(task("t"));
    bench.hear(refused(true));
    assert_eq!(bench.kills().len(), 1);
    bench.exit(&container, Exit::Signal(15));
    bench.acknowledge_all();
    let outcome = bench.stopped().expect("it ends");
    assert_eq!(outcome, Err("the master refused this agent: go away".to_owned()));
}

#[test]
fn an_agent_that_is_given_another_id_ends() {
    let mut bench = Bench::registered();
    bench.tell(Input::LinkUp { session: 1 });
    bench.hear(FromMaster::Registered {
        agent: AgentId::parse("x-S9").expect("an id"),
        master: "x".to_owned(),
        silence: SILENCE,
        removed: Vec::new(),
    });
    let outcome = bench.stopped().expect("it ends").expect_err("not in order");
    assert!(outcome.contains("x-S9") && outcome.contains("m-S0"), "{outcome}");
}

#[test]
fn frameworks_that_were_removed_meanwhile_are_shut_down_at_registration() {
    let mut bench = Bench::registered();
    let (key, _) = bench.started(task("t"));
    bench.tell(Input::LinkDown { session: 1 });
    bench.tell(Input::LinkUp { session: 1 });
    bench.hear(FromMaster::Registered {
        agent: AgentId::parse("m-S0").expect("an id"),
        master: "m".to_owned(),
        silence: SILENCE,
        removed: vec![key.framework],
    });
    assert_eq!(bench.kills(), [4 * SECOND]);
}
