use super::*;
use crate::testing;

fn at(ms: u64) -> Mono {
    Mono::from_nanos(ms * 1_000_000)
}

fn star() -> Role {
    Role::star()
}

fn id(text: &str) -> OfferId {
    OfferId::parse(text).expect("an id")
}

fn pool() -> Pool {
    let policy = Policy { jitter: 0.0, revive_burst: 1, ..Policy::default() };
    Pool::new(policy, [star()], 1)
}

fn offers(names: &[&str]) -> Vec<v1::Offer> {
    names.iter().map(|name| testing::offer(name, "agent-1", "cpus:4;mem:1024")).collect()
}

fn decline(names: &[&str], seconds: u64) -> Directive {
    Directive::Decline {
        offers: names.iter().map(|name| id(name)).collect(),
        refuse_for: Duration::from_secs(seconds),
    }
}

#[test]
fn an_offer_that_is_dropped_is_declined_and_one_that_is_used_is_not() {
    let mut pool = pool();
    pool.add(at(0), offers(&["o1", "o2"]));
    let used = pool.take(&id("o1")).expect("it is held");
    drop(pool.take(&id("o2")));
    assert_eq!(used.use_up(), Some(id("o1")));
    assert_eq!(pool.round(at(1)), [decline(&["o2"], 5)]);
    assert_eq!(pool.round(at(2)), []);
}

#[test]
fn an_offer_that_nobody_takes_is_declined_in_time() {
    let mut pool = pool();
    pool.add(at(0), offers(&["o1"]));
    assert_eq!(pool.deadline(), Some(at(5_000)));
    assert_eq!(pool.round(at(4_999)), []);
    assert_eq!(pool.round(at(5_000)), [decline(&["o1"], 5)]);
    assert_eq!(pool.deadline(), None);
}

#[test]
fn a_rescinded_offer_cant_be_used_and_isnt_declined() {
    let mut pool = pool();
    pool.add(at(0), offers(&["o1", "o2"]));
    let taken = pool.take(&id("o1")).expect("it is held");
    pool.rescind(&id("o1"));
    pool.rescind(&id("o2"));
    pool.rescind(&id("never offered"));
    assert!(taken.is_void());
    assert_eq!(taken.use_up(), None);
    assert_eq!(pool.round(at(9_000)), []);
}

#[test]
fn offers_of_a_lost_agent_or_an_earlier_subscription_are_void() {
    let mut pool = pool();
    pool.add(at(0), offers(&["o1", "o2"]));
    let taken = pool.take(&id("o1")).expect("it is held");
    pool.agent_lost(taken.agent());
    assert!(taken.is_void() && pool.take(&id("o2")).is_none());

    pool.add(at(0), offers(&["o3", "o4"]));
    let taken = pool.take(&id("o3")).expect("it is held");
    pool.restart(&[]);
    assert!(taken.is_void() && pool.take(&id("o4")).is_none());
    drop(taken);
    assert_eq!(pool.round(at(1)), [], "a new master knows nothing of them");
}

#[test]
fn a_role_that_wants_nothing_is_suppressed_once_and_revived_when_it_does() {
    let mut pool = pool();
    pool.want(&star(), 0);
    assert_eq!(pool.round(at(0)), [Directive::Suppress(star())]);
    assert_eq!(pool.round(at(1)), []);
    pool.add(at(1), offers(&["late"]));
    assert_eq!(pool.take_wanted().len(), 0);
    assert_eq!(pool.round(at(2)), [decline(&["late"], 120)]);
    pool.want(&star(), 2);
    assert_eq!(pool.round(at(3)), [Directive::Revive(star())]);
    assert_eq!(pool.round(at(4)), []);
}

#[test]
fn more_demand_revives_only_after_something_was_refused_and_not_too_often() {
    let mut pool = pool();
    pool.want(&star(), 2);
    assert_eq!(pool.round(at(0)), [], "nothing was refused yet");
    for (now, directives) in [
        (1_000, vec![decline(&["o"], 5), Directive::Revive(star())]),
        (1_500, vec![decline(&["o"], 5)]),
        (2_000, vec![decline(&["o"], 5), Directive::Revive(star())]),
    ] {
        pool.add(at(now), offers(&["o"]));
        drop(pool.take(&id("o")));
        pool.collect();
        pool.want(&star(), now);
        assert_eq!(pool.round(at(now)), directives, "{now}");
    }
    assert_eq!(pool.deadline(), None);
}

#[test]
fn after_a_restart_the_master_is_told_again_what_is_not_wanted() {
    let mut pool = pool();
    pool.want(&star(), 0);
    assert_eq!(pool.round(at(0)), [Directive::Suppress(star())]);
    pool.restart(&[]);
    assert_eq!(pool.round(at(1)), [Directive::Suppress(star())]);
    pool.restart(&[star()]);
    assert_eq!(pool.round(at(2)), [], "the subscription named it");
    pool.want(&star(), 1);
    assert_eq!(pool.round(at(3)), [Directive::Revive(star())]);
}

#[test]
fn an_offer_that_cant_be_read_is_declined() {
    let mut pool = pool();
    let mut message = testing::offer("o1", "agent-1", "cpus:4");
    message.resources[0].scalar = None;
    pool.add(at(0), vec![message]);
    assert_eq!(pool.round(at(0)), [decline(&["o1"], 5)]);
}

#[test]
fn refusals_are_spread_by_a_fifth() {
    let mut pool = Pool::new(Policy::default(), [star()], 7);
    for _ in 0..100 {
        pool.add(at(0), offers(&["o"]));
        drop(pool.take(&id("o")));
        match pool.round(at(0)).as_slice() {
            [Directive::Decline { refuse_for, .. }] => {
                assert!((4.0..=6.0).contains(&refuse_for.as_secs_f64()), "{refuse_for:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}
