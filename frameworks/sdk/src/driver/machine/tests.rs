//! The machine under a clock of the test: no socket is opened here.

use std::time::Duration;

use bytes::Bytes;
use meros_proto::time::Timestamp;
use meros_proto::v1::scheduler::{call, event};

use super::*;
use crate::driver::event::Event;

mod endings;

const MS: u64 = 1_000_000;

/// A machine, what it did, and the time.
struct Bench {
    machine: Machine,
    now_ms: u64,
    did: Vec<Effect>,
}

impl Bench {
    fn new(masters: &[&str], id: Option<&str>) -> Self {
        let framework = v1::FrameworkInfo {
            id: id.map(|id| v1::FrameworkId { value: Some(id.to_owned()) }),
            ..v1::FrameworkInfo::default()
        };
        let options = Options::new(masters.iter().copied(), framework);
        let machine = Machine::new(options, now(0), 1).expect("the masters are addresses");
        let mut bench = Self { machine, now_ms: 0, did: Vec::new() };
        bench.round();
        bench
    }

    fn round(&mut self) {
        let mut out = Out::default();
        self.machine.round(now(self.now_ms), &mut out);
        self.did.extend(out.effects);
    }

    fn tell(&mut self, input: Input) {
        let mut out = Out::default();
        self.machine.handle(now(self.now_ms), input, &mut out);
        self.machine.round(now(self.now_ms), &mut out);
        self.did.extend(out.effects);
    }

    /// Lets time pass, waking the machine at its deadlines only.
    fn pass(&mut self, span_ms: u64) {
        let end = self.now_ms + span_ms;
        for _ in 0..100_000 {
            let next = self.machine.deadline().map_or(u64::MAX, |at| at.as_nanos().div_ceil(MS));
            if next > end {
                self.now_ms = end;
                return;
            }
            self.now_ms = self.now_ms.max(next);
            self.round();
        }
        panic!("the machine wants to be woken all the time");
    }

    /// Who was asked since the last look, with the attempts' numbers.
    fn asked(&mut self) -> Vec<(u64, String)> {
        self.did
            .drain(..)
            .filter_map(|effect| match effect {
                Effect::Subscribe { attempt, master, .. } => Some((attempt, master.to_string())),
                _ => None,
            })
            .collect()
    }

    /// Everything else that was done since the last look, in words.
    fn told(&mut self) -> Vec<String> {
        self.did
            .drain(..)
            .filter_map(|effect| match effect {
                Effect::Subscribe { .. } => None,
                Effect::Close { attempt } => Some(format!("close {attempt}")),
                Effect::Link(Some(link)) => {
                    Some(format!("link {} {}", link.master, link.stream_id))
                }
                Effect::Link(None) => Some("unlink".to_owned()),
                Effect::Disconnected { why, .. } => Some(format!("disconnected: {why}")),
                Effect::Tell(event) => Some(match *event {
                    Event::Subscribed(s) => {
                        format!("subscribed {} again={}", s.framework_id, s.again)
                    }
                    Event::Error { message } => format!("error: {message}"),
                    Event::Removed { message } => format!("removed: {message}"),
                    Event::Unknown(raw) => format!("unknown: {raw:?}"),
                    other => format!("{other:?}"),
                }),
            })
            .collect()
    }

    fn open(&mut self, attempt: u64) {
        self.tell(Input::Opened { attempt, stream_id: Some(format!("stream-{attempt}")) });
    }

    fn event(&mut self, attempt: u64, event: v1::scheduler::Event) {
        self.tell(Input::Event { attempt, event: Box::new(event), record: Bytes::from("raw") });
    }

    /// Opens the stream of `attempt` and subscribes on it, with heartbeats every second.
    fn subscribe(&mut self, attempt: u64) {
        self.open(attempt);
        self.event(attempt, subscribed("F", Some(1.0)));
        self.did.clear();
    }

    fn unsubscribe(&mut self, attempt: u64, call: call::Type) {
        self.tell(Input::Unsubscribed { attempt, call, why: "403".into() });
    }

    fn close(&mut self, attempt: u64) {
        self.tell(Input::Closed { attempt, why: "broken".into() });
    }

    /// The framework has this role from now on.
    fn change_role(&mut self, attempt: u64, role: &str, taken: bool) {
        let framework = v1::FrameworkInfo { roles: vec![role.into()], ..Default::default() };
        let update = Box::new(call::UpdateFramework {
            framework_info: Some(framework),
            suppressed_roles: vec![role.into()],
            offer_constraints: None,
        });
        self.tell(Input::FrameworkChanged { attempt, update, taken });
    }

    /// The attempts since the last look with the roles that they name.
    fn asked_for(&mut self) -> Vec<(u64, Vec<String>)> {
        let described = self.did.drain(..).filter_map(|effect| match effect {
            Effect::Subscribe { attempt, call, .. } => Some((attempt, call.subscribe?)),
            _ => None,
        });
        described
            .map(|(attempt, body)| {
                let roles = body.framework_info.unwrap_or_default().roles;
                assert_eq!(roles, body.suppressed_roles);
                (attempt, roles)
            })
            .collect()
    }

    fn fail(&mut self, attempt: u64) {
        self.tell(Input::Failed { attempt, why: "refused".into() });
    }

    fn answer(&mut self, attempt: u64, status: u16, location: Option<&str>) {
        let location = location.map(str::to_owned);
        self.tell(Input::Answered { attempt, status, location, body: format!("says {status}") });
    }
}

fn now(ms: u64) -> Now {
    Now { mono: Mono::from_nanos(ms * MS), wall: Timestamp::default() }
}

fn subscribed(id: &str, heartbeat: Option<f64>) -> v1::scheduler::Event {
    v1::scheduler::Event {
        r#type: Some(event::Type::Subscribed.into()),
        subscribed: Some(event::Subscribed {
            framework_id: Some(v1::FrameworkId { value: Some(id.to_owned()) }),
            heartbeat_interval_seconds: heartbeat,
            master_info: None,
        }),
        ..v1::scheduler::Event::default()
    }
}

fn of_type(kind: event::Type) -> v1::scheduler::Event {
    v1::scheduler::Event { r#type: Some(kind.into()), ..v1::scheduler::Event::default() }
}

fn error(message: &str) -> v1::scheduler::Event {
    v1::scheduler::Event {
        error: Some(event::Error { message: Some(message.to_owned()) }),
        ..of_type(event::Type::Error)
    }
}

#[test]
fn without_an_id_one_master_is_asked_at_a_time() {
    let mut bench = Bench::new(&["a:1", "b:1"], None);
    assert_eq!(bench.asked(), [(1, "a:1".to_owned())]);
    bench.pass(10_000);
    assert_eq!(bench.asked(), [], "the first hasn't answered: two frameworks might be made");
    bench.fail(1);
    assert_eq!(bench.asked(), [(2, "b:1".to_owned())]);
}

#[test]
fn with_an_id_all_are_asked_at_once_and_the_first_stream_wins() {
    let mut bench = Bench::new(&["a:1", "b:1", "c:1", "a:1"], Some("F"));
    assert_eq!(bench.asked().len(), 3, "a master named twice is asked once");
    bench.open(2);
    assert_eq!(bench.told(), ["close 1", "close 3"]);
    bench.event(2, subscribed("F", None));
    assert_eq!(bench.told(), ["link b:1 stream-2", "subscribed F again=false"]);
}

#[test]
fn a_redirect_is_followed_to_where_it_points() {
    let mut bench = Bench::new(&["a:1"], None);
    bench.did.clear();
    bench.answer(1, 307, Some("//leader:5050/api/v1/scheduler"));
    assert_eq!(bench.asked(), [(2, "leader:5050".to_owned())]);
    bench.subscribe(2);
    bench.pass(1_500);
    bench.tell(Input::Closed { attempt: 2, why: "broken".into() });
    let asked: Vec<String> = bench.asked().into_iter().map(|(_, master)| master).collect();
    assert_eq!(asked, ["leader:5050", "a:1"], "the last leader and those configured");
}

#[test]
fn a_circle_of_redirects_is_left() {
    let mut bench = Bench::new(&["a:1"], None);
    for attempt in 1..=6 {
        assert_eq!(bench.asked().len(), 1, "attempt {attempt}");
        let leader = if attempt % 2 == 1 { "//b:1" } else { "//a:1" };
        bench.answer(attempt, 307, Some(leader));
    }
    assert_eq!(bench.asked(), [], "it waits for its back-off");
    bench.pass(2_000);
    assert!(!bench.asked().is_empty());
}

#[test]
fn what_is_no_leader_is_asked_again_with_back_off() {
    for (status, location) in [(503, None), (500, None), (404, None), (307, None), (307, Some("/"))]
    {
        let mut bench = Bench::new(&["a:1"], None);
        bench.did.clear();
        bench.answer(1, status, location);
        assert_eq!(bench.told(), [] as [&str; 0], "{status} {location:?}");
        bench.pass(1_100);
        assert!(bench.asked().iter().any(|(attempt, _)| *attempt == 2), "{status} {location:?}");
    }
}

#[test]
fn attempts_grow_rarer_until_they_are_fifteen_seconds_apart_at_most() {
    let mut bench = Bench::new(&["a:1"], None);
    let mut times = Vec::new();
    while bench.now_ms < 600_000 {
        for (attempt, _) in bench.asked() {
            times.push(bench.now_ms);
            bench.tell(Input::Failed { attempt, why: "refused".into() });
        }
        bench.pass(10);
    }
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| *gap <= 15_020), "{gaps:?}");
    assert!(gaps[0] <= 1_020 && gaps[1] <= 2_020 && gaps[2] <= 4_020, "{gaps:?}");
    let late = &gaps[5..];
    let mean = late.iter().sum::<u64>() / late.len() as u64;
    assert!((5_500..9_500).contains(&mean), "full jitter: half of 15 s on average, not {mean} ms");
}

#[test]
fn a_refusal_is_the_end_whether_it_is_a_status_or_an_event() {
    for status in [400, 401, 403, 415] {
        let mut bench = Bench::new(&["a:1"], None);
        bench.answer(1, status, None);
        assert_eq!(bench.told(), [format!("error: says {status}")]);
        assert!(bench.machine.is_ended() && bench.machine.deadline().is_none());
    }
    let mut bench = Bench::new(&["a:1"], None);
    bench.open(1);
    bench.event(1, error("Role 'x y' is invalid"));
    assert_eq!(bench.told(), ["close 1", "error: Role 'x y' is invalid"]);
    assert!(bench.machine.is_ended());
}

#[test]
fn a_removed_framework_is_told_that_its_id_is_void() {
    let mut bench = Bench::new(&["a:1"], Some("F"));
    bench.open(1);
    bench.event(1, error("Framework has been removed"));
    assert_eq!(bench.told(), ["close 1", "removed: Framework has been removed"]);
}

#[test]
fn a_silent_master_is_lost_after_two_intervals() {
    let mut bench = Bench::new(&["a:1"], None);
    bench.subscribe(1);
    bench.pass(1_999);
    assert_eq!(bench.told(), [] as [&str; 0]);
    bench.event(1, of_type(event::Type::Heartbeat));
    bench.pass(1_999);
    assert_eq!(bench.told(), [] as [&str; 0], "a heartbeat is enough");
    bench.pass(1);
    let silent = "disconnected: the master was silent for 2s";
    assert_eq!(bench.told(), ["close 1", "unlink", silent]);
}

#[test]
fn any_event_is_a_sign_of_life_and_an_odd_interval_is_mended() {
    for (interval, silence_ms) in
        [(None, 30_000), (Some(f64::NAN), 30_000), (Some(-1.0), 30_000), (Some(1e300), 30_000)]
    {
        let mut bench = Bench::new(&["a:1"], None);
        bench.open(1);
        bench.event(1, subscribed("F", interval));
        bench.did.clear();
        bench.pass(silence_ms - 1);
        bench.event(1, of_type(event::Type::Unknown));
        assert_eq!(bench.told(), ["unknown: b\"raw\""], "{interval:?}");
        bench.pass(silence_ms - 1);
        assert_eq!(bench.told(), [] as [&str; 0], "{interval:?}");
        bench.pass(1);
        assert_eq!(bench.told().len(), 3, "{interval:?}");
    }
}

#[test]
fn after_a_lost_leader_all_are_asked_at_once_then_one_every_tenth_of_a_second() {
    let mut bench = Bench::new(&["a:1", "b:1", "c:1"], None);
    bench.subscribe(1);
    bench.pass(1_500);
    bench.tell(Input::Closed { attempt: 1, why: "broken".into() });
    let at_once = bench.asked();
    assert_eq!(at_once.len(), 3);
    for (attempt, _) in at_once {
        bench.fail(attempt);
    }
    for tenth in 1..=19 {
        bench.pass(100);
        let asked = bench.asked();
        assert_eq!(asked.len(), 1, "after {tenth}00 ms");
        bench.fail(asked[0].0);
    }
    bench.pass(100);
    assert_eq!(bench.asked(), [], "two election time-outs are over");
}

#[test]
fn a_master_in_flight_is_not_asked_twice() {
    let mut bench = Bench::new(&["a:1", "b:1"], None);
    bench.subscribe(1);
    bench.pass(1_500);
    bench.tell(Input::Closed { attempt: 1, why: "broken".into() });
    let at_once = bench.asked();
    bench.fail(at_once[1].0);
    bench.pass(1_000);
    assert!(bench.asked().iter().all(|(_, master)| master == "b:1"), "a:1 holds its request");
}

#[test]
fn a_held_request_is_given_up_in_time_and_its_late_answer_ignored() {
    let mut bench = Bench::new(&["a:1"], None);
    bench.did.clear();
    bench.pass(15_000);
    assert_eq!(bench.told()[0], "close 1");
    bench.open(1);
    bench.event(1, subscribed("F", None));
    assert_eq!(bench.told(), [] as [&str; 0]);
}

#[test]
fn a_stream_without_subscribed_is_given_up() {
    let mut bench = Bench::new(&["a:1"], None);
    bench.open(1);
    bench.event(1, of_type(event::Type::Heartbeat));
    bench.pass(14_999);
    assert_eq!(bench.told(), [] as [&str; 0]);
    bench.pass(1);
    assert_eq!(bench.told(), ["close 1"]);
}

#[test]
fn an_answer_without_a_stream_id_and_events_before_subscribed_are_no_subscription() {
    let mut bench = Bench::new(&["a:1"], None);
    bench.tell(Input::Opened { attempt: 1, stream_id: None });
    assert_eq!(bench.told(), ["close 1"]);
    let mut bench = Bench::new(&["a:1"], None);
    bench.open(1);
    bench.event(
        1,
        v1::scheduler::Event {
            offers: Some(event::Offers::default()),
            ..of_type(event::Type::Offers)
        },
    );
    assert_eq!(bench.told(), ["close 1"]);
}

#[test]
fn a_master_that_drops_every_stream_is_not_hammered() {
    let mut bench = Bench::new(&["a:1"], None);
    let mut attempts = 0;
    while bench.now_ms < 60_000 {
        for (attempt, _) in bench.asked() {
            attempts += 1;
            bench.subscribe(attempt);
            bench.tell(Input::Closed { attempt, why: "broken".into() });
        }
        bench.pass(10);
    }
    assert!((8..40).contains(&attempts), "{attempts} subscriptions in a minute");
}

#[test]
fn a_stream_that_was_closed_for_being_slow_is_opened_again() {
    let mut bench = Bench::new(&["a:1"], None);
    bench.subscribe(1);
    bench.event(1, error("The event stream was closed because it was read too slowly"));
    assert_eq!(bench.told()[1], "unlink");
    assert!(!bench.machine.is_ended());
}

#[test]
fn the_id_is_kept_and_sent_in_both_places() {
    let mut bench = Bench::new(&["a:1"], None);
    bench.subscribe(1);
    bench.unsubscribe(1, call::Type::Kill);
    let call = bench.did.iter().find_map(|effect| match effect {
        Effect::Subscribe { call, .. } => Some(call.clone()),
        _ => None,
    });
    let call = call.expect("it asks again at once");
    assert_eq!(call.framework_id.as_ref().map(|id| id.value()), Some("F"));
    let info = call.subscribe.and_then(|body| body.framework_info).expect("a framework");
    assert_eq!(info.id, call.framework_id);
}

#[test]
fn what_concerns_an_earlier_subscription_is_ignored() {
    let mut bench = Bench::new(&["a:1"], None);
    bench.subscribe(1);
    bench.pass(1_500);
    bench.tell(Input::Closed { attempt: 1, why: "broken".into() });
    bench.subscribe(2);
    bench.tell(Input::Closed { attempt: 1, why: "late".into() });
    bench.unsubscribe(1, call::Type::Kill);
    bench.tell(Input::TornDown { attempt: 1 });
    bench.event(1, error("late"));
    assert_eq!(bench.told(), [] as [&str; 0]);
}

#[test]
fn options_that_name_no_master_are_refused() {
    let framework = v1::FrameworkInfo::default();
    for masters in [vec![], vec!["nonsense"]] {
        let options = Options::new(masters, framework.clone());
        assert!(Machine::new(options, now(0), 1).is_err());
    }
}

#[test]
fn no_history_of_answers_wakes_the_machine_all_the_time_or_forgets_an_attempt() {
    use rand::RngExt;
    for seed in 0..300 {
        let mut rng = StdRng::seed_from_u64(seed);
        let id = (seed % 2 == 0).then_some("F");
        let mut bench = Bench::new(&["a:1", "b:1", "c:1"], id);
        let mut newest = 3;
        for step in 0..200 {
            let attempt = rng.random_range(1..=newest);
            match rng.random_range(0..12) {
                0 => bench.open(attempt),
                1 => bench.event(attempt, subscribed("F", Some(1.0))),
                2 => bench.fail(attempt),
                3 => bench.answer(attempt, 307, Some("//b:1")),
                4 => bench.answer(attempt, 503, None),
                5 => bench.tell(Input::Closed { attempt, why: "broken".into() }),
                6 => bench.event(attempt, of_type(event::Type::Offers)),
                7 => bench.event(attempt, of_type(event::Type::Heartbeat)),
                8 => bench.change_role(attempt, "new", rng.random()),
                9 => bench.tell(Input::TearingDown { attempt }),
                10 => bench.unsubscribe(attempt, call::Type::Teardown),
                _ => bench.pass(rng.random_range(0..3_000)),
            }
            for effect in bench.did.drain(..) {
                if let Effect::Subscribe { attempt, .. } = effect {
                    newest = newest.max(attempt);
                }
            }
            let machine = &bench.machine;
            assert!(machine.deadline().is_some(), "seed={seed} step={step}: nothing to wait for");
            let one = id.is_some() || machine.framework_id.is_some();
            assert!(one || machine.attempts.len() <= 1, "seed={seed} step={step}");
        }
        bench.pass(Duration::from_secs(60).as_millis() as u64);
    }
}
