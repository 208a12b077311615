//! Subscriptions that end because somebody wished it: taken over, stopped, torn down, or left for
//! one that describes the framework anew.

use meros_proto::v1;
use meros_proto::v1::scheduler::{call, event};

use super::{Bench, error, of_type, subscribed};
use crate::driver::event::{CallFailed, CallFailure};
use crate::driver::machine::{Effect, Input};

#[test]
fn another_instance_that_took_over_is_the_end_but_a_rival_request_of_our_own_is_not() {
    let mut bench = Bench::new(&["a:1"], Some("F"));
    bench.subscribe(1);
    bench.event(1, error("Framework failed over"));
    assert_eq!(bench.told(), ["close 1", "unlink", "error: Framework failed over"]);

    let mut bench = Bench::new(&["a:1", "localhost:1"], Some("F"));
    bench.subscribe(1);
    bench.event(1, error("Framework failed over"));
    let told = bench.told();
    assert_eq!(told, ["close 1", "unlink", "disconnected: Framework failed over"]);
}

#[test]
fn a_teardown_and_a_stop_are_the_end() {
    for input in [Input::TornDown { attempt: 1 }, Input::Stop] {
        let mut bench = Bench::new(&["a:1"], None);
        bench.subscribe(1);
        bench.tell(input);
        assert_eq!(bench.told(), ["close 1", "unlink"]);
        assert!(bench.machine.is_ended());
        bench.event(1, of_type(event::Type::Heartbeat));
        bench.pass(100_000);
        assert_eq!(bench.did.len(), 0);
    }
}

#[test]
fn a_stream_that_ends_before_teardown_is_answered_is_not_looked_for() {
    let mut bench = Bench::new(&["a:1"], None);
    bench.subscribe(1);
    bench.tell(Input::TearingDown { attempt: 1 });
    bench.close(1);
    // The other lane was answered first.
    bench.unsubscribe(1, call::Type::Acknowledge);
    bench.pass(14_999);
    assert_eq!(bench.told(), ["close 1", "unlink"]);
    bench.tell(Input::TornDown { attempt: 1 });
    assert!(bench.machine.is_ended() && bench.did.is_empty());
}

#[test]
fn a_teardown_that_came_to_nothing_leaves_a_subscription_that_is_looked_for() {
    let refused = || {
        let why = CallFailure::Refused { status: 400, message: String::new() };
        let r#type = Some(call::Type::Teardown.into());
        let call = v1::scheduler::Call { r#type, ..Default::default() };
        Input::CallFailed { failed: Box::new(CallFailed { call, why }) }
    };
    let unsubscribed =
        || Input::Unsubscribed { attempt: 1, call: call::Type::Teardown, why: "403".into() };
    for (answer, wait) in [(Some(refused()), 0), (Some(unsubscribed()), 0), (None, 15_000)] {
        let mut bench = Bench::new(&["a:1"], None);
        bench.subscribe(1);
        bench.pass(1_500);
        bench.did.clear();
        bench.tell(Input::TearingDown { attempt: 1 });
        bench.close(1);
        assert_eq!(bench.told(), ["close 1", "unlink"]);
        bench.pass(wait);
        answer.into_iter().for_each(|answer| bench.tell(answer));
        let asks = |effect: &Effect| matches!(effect, Effect::Subscribe { attempt: 2, .. });
        assert!(bench.did.iter().any(asks), "{:?}", bench.did);
        assert!(bench.told().contains(&"disconnected: broken".to_owned()));
    }
    for answer in [refused(), unsubscribed()] {
        let mut bench = Bench::new(&["a:1"], None);
        bench.subscribe(1);
        bench.tell(Input::TearingDown { attempt: 1 });
        bench.tell(answer);
        bench.close(1);
        assert!(bench.told().iter().any(|did| did.starts_with("disconnected")));
    }
}

#[test]
fn a_change_that_the_master_has_taken_is_told_to_the_next_one_only() {
    let mut bench = Bench::new(&["a:1"], None);
    bench.subscribe(1);
    bench.change_role(1, "new", true);
    bench.pass(1_500);
    assert_eq!(bench.asked_for(), []);
    bench.close(1);
    assert_eq!(bench.asked_for(), [(2, vec!["new".to_owned()])]);
}

#[test]
fn a_change_that_the_master_has_not_taken_needs_a_new_stream_before_the_old_one_is_closed() {
    let mut bench = Bench::new(&["a:1"], None);
    bench.subscribe(1);
    bench.change_role(1, "new", false);
    assert!(matches!(
        &bench.did[..],
        [Effect::Link(None), Effect::Disconnected { renewing: true, .. }, _]
    ));
    assert_eq!(bench.asked_for(), [(2, vec!["new".to_owned()])]);
    bench.event(1, error("Framework failed over"));
    bench.close(1);
    bench.open(2);
    bench.event(2, subscribed("F", None));
    assert_eq!(bench.told(), ["close 1", "link a:1 stream-2", "subscribed F again=true"]);
    bench.pass(10_000);
    assert_eq!(bench.asked_for(), [], "once is enough");
}

#[test]
fn a_stream_that_was_left_is_closed_in_time_though_nobody_opens_another() {
    let mut bench = Bench::new(&["a:1"], None);
    bench.subscribe(1);
    bench.change_role(1, "new", false);
    bench.pass(14_999);
    assert!(!bench.told().contains(&"close 1".to_owned()));
    bench.pass(1);
    assert!(bench.told().contains(&"close 1".to_owned()));
}

#[test]
fn a_change_is_told_though_it_comes_while_a_master_is_asked() {
    let mut bench = Bench::new(&["a:1"], None);
    assert_eq!(bench.asked_for(), [(1, vec![])]);
    for taken in [true, false] {
        bench.change_role(0, "new", taken);
    }
    bench.subscribe(1);
    bench.round();
    bench.pass(1);
    let asked = bench.machine.attempts.keys().copied().collect::<Vec<_>>();
    assert_eq!(asked, [2]);
    bench.subscribe(2);
    bench.pass(500);
    assert_eq!(bench.asked_for(), []);
}
