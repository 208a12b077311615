//! When offers are wanted, and what becomes of those that come.

use std::time::Duration;

use meros_marathon_core::output::Call;

use crate::world::{World, app};

/// The seconds after the start at which offers were asked for, up to `until`.
fn revives(world: &mut World, until: u64) -> Vec<u64> {
    let deadline = world.now.mono + Duration::from_secs(until) - world.since_start();
    let mut at = Vec::new();
    loop {
        let calls = std::mem::take(&mut world.calls);
        let revives = calls.iter().filter(|call| matches!(call, Call::Revive { .. })).count();
        at.extend(std::iter::repeat_n(world.since_start().as_secs(), revives));
        if !world.step(deadline) {
            return at;
        }
    }
}

#[test]
fn a_role_is_revived_at_once_then_at_most_once_an_interval_and_repeated_once() {
    let mut world = World::with(1, 0, |config| config.min_revive_interval = Duration::from_secs(2));
    world.put(app("/a", 1)).unwrap();
    world.put(app("/b", 1)).unwrap();
    // At once; for the second app an interval later; and once more five seconds after that.
    assert_eq!(revives(&mut world, 1_000), [0, 2, 7]);
}

#[test]
fn while_a_pause_lasts_no_offers_are_wanted_and_its_end_asks_for_them() {
    let mut world = World::new(1, 1);
    let mut spec = app("/a", 1);
    spec.backoff.initial = Duration::from_secs(60);
    world.put(spec).unwrap();
    world.run_until_deployed();
    let (now, task) = (world.now, crate::world::task_of(&world.only("/a")));
    world.master.becomes(now, &task, meros_proto::v1::TaskState::TaskFailed, None);
    world.calls.clear();
    world.run_for(Duration::from_secs(50));
    let wanted = |call: &Call| matches!(call, Call::Revive { .. });
    assert!(!world.calls.iter().any(wanted), "{:?}", world.calls);
    world.run_for(Duration::from_secs(15));
    assert!(world.calls.iter().any(wanted));
    assert_eq!(world.only("/a").incarnation, 2);
}

#[test]
fn offers_are_not_turned_off_where_that_is_not_wanted() {
    for suppress in [true, false] {
        let mut world = World::with(1, 1, |config| config.suppress_offers = suppress);
        world.put(app("/a", 1)).unwrap();
        world.run_until_deployed();
        world.run_for(Duration::from_secs(10));
        let suppressed = world.calls.iter().any(|call| matches!(call, Call::Suppress { .. }));
        assert_eq!(suppressed, suppress);
    }
}
