//! Operators' calls and views.

use meros_proto::caller::Caller;
use meros_proto::ids::FrameworkId;

use crate::testing::{Cluster, aware, config, role, spec_in};
use crate::{Answer, Input, ReplyTo};

fn answer(cluster: &mut Cluster, make: impl FnOnce(Caller, ReplyTo) -> Input) -> Answer {
    let reply = ReplyTo(cluster.number());
    let seen = cluster.input(make(Caller::default(), reply));
    seen.answer(reply).expect("an operator's call is answered")
}

#[test]
fn an_operator_tears_down_a_framework_that_is_there() {
    let mut cluster = Cluster::new();
    let (scheduler, _) = cluster.running(aware());
    let unknown = FrameworkId::parse("nobody").expect("a valid id");
    for (framework, found) in [(unknown, false), (scheduler.id, true)] {
        let answer = answer(&mut cluster, |caller, reply| Input::OperatorTeardown {
            caller,
            reply,
            framework,
        });
        match (answer, found) {
            (Answer::Done, true) => {}
            (Answer::Refused(refusal), false) => assert_eq!(refusal.status(), 400),
            (other, _) => panic!("{other:?}"),
        }
    }
    assert!(cluster.view().frameworks.is_empty());
}

#[test]
fn weights_are_positive_shift_offers_and_survive_a_restart() {
    let mut cluster = Cluster::new();
    cluster.agent("cpus:4;mem:1024");
    let (_, seen) = cluster.subscribe(spec_in("web"));
    let offer = seen.offer();
    for (weights, valid) in [
        (vec![(role("web"), 0.0)], false),
        (vec![(role("web"), 2.0), (role("db"), f64::NAN)], false),
        (vec![(role("web"), -1.0)], false),
        (vec![(role("idle"), 3.0)], true),
        (vec![(role("web"), 2.0)], true),
    ] {
        let felt = valid && weights[0].0 == role("web");
        let weights = weights.into_iter().collect();
        let reply = ReplyTo(cluster.number());
        let caller = Caller::default();
        let seen = cluster.input(Input::UpdateWeights { caller, reply, weights });
        assert_eq!(matches!(seen.answer(reply), Some(Answer::Done)), valid);
        assert_eq!(seen.rescinded(), if felt { vec![offer.id.clone()] } else { vec![] });
    }
    let mut restarted = Cluster::with(config(), cluster.log.clone());
    for cluster in [&mut cluster, &mut restarted] {
        let weight = |name: &str, view: &crate::Snapshot| {
            view.roles.iter().find(|one| one.role == role(name)).map(|one| one.weight)
        };
        let view = cluster.view();
        assert_eq!((weight("web", &view), weight("idle", &view)), (Some(2.0), Some(3.0)));
    }
}

#[test]
fn a_view_shows_roles_with_what_they_hold() {
    let mut cluster = Cluster::new();
    cluster.running(aware());
    let view = cluster.view();
    assert_eq!(view.roles.len(), 1);
    assert_eq!(view.roles[0].role, role("*"));
    assert!((view.roles[0].share - 0.25).abs() < 1e-9);
    assert_eq!(view.counters.calls.accept, 1);
    assert_eq!(view.counters.offers_made, 1);
    assert_eq!(view.master, config().master_id);
}
