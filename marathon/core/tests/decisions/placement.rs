//! Where instances go, how offers are used, and why they aren't.

use std::collections::BTreeMap;
use std::time::Duration;

use meros_marathon_core::config::GpuScheduling;
use meros_marathon_core::input::{Input, RootChange};
use meros_marathon_core::offers::Offer;
use meros_marathon_core::offers::explain::NoMatch;
use meros_marathon_core::output::Call;
use meros_marathon_core::placement::{Constraint, Operator};
use meros_proto::ids::{FrameworkId, OfferId};
use meros_proto::resources::{ReservationFormat, Resources, Role};
use meros_proto::v1;

use crate::world::{World, app, changed, id, put};

fn constraint(field: &str, operator: Operator, value: Option<&str>) -> Constraint {
    Constraint { field: field.into(), operator, value: value.map(str::to_owned) }
}

/// How many instances of `/a` run on each value of `by`.
fn spread(
    world: &mut World,
    by: impl Fn(&meros_marathon_core::instances::Agent) -> String,
) -> Vec<usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for instance in world.running("/a") {
        *counts.entry(by(&instance.task.as_ref().unwrap().agent)).or_default() += 1;
    }
    counts.into_values().collect()
}

fn racks(world: &mut World) -> Vec<usize> {
    spread(world, |agent| agent.attributes["rack"].clone())
}

fn hosts(world: &mut World) -> Vec<usize> {
    spread(world, |agent| agent.hostname.clone())
}

/// An offer of an agent that the pretended master knows nothing of.
fn offer(resources: &str, adjust: impl FnOnce(&mut v1::Offer)) -> Offer {
    let role = Role::star();
    let resources = Resources::parse(resources, &role).unwrap().allocated_to(&role);
    let mut offer = v1::Offer {
        id: Some(v1::OfferId { value: Some("foreign".into()) }),
        agent_id: Some(v1::AgentId { value: Some("foreign-agent".into()) }),
        hostname: Some("foreign.local".into()),
        resources: resources.to_protos(ReservationFormat::Refined),
        allocation_info: Some(v1::resource::AllocationInfo { role: Some("*".into()) }),
        ..Default::default()
    };
    adjust(&mut offer);
    Offer::parse(&offer).unwrap()
}

/// What becomes of one offer for one waiting instance: used, or why not.
fn fate(world: &mut World, offer: Offer) -> Result<(), Vec<NoMatch>> {
    world.calls.clear();
    world.batch(vec![Input::Offers(vec![offer])]);
    let foreign = OfferId::parse("foreign").unwrap();
    let used = |call: &Call| matches!(call, Call::Accept { offer, .. } if *offer == foreign);
    if world.calls.iter().any(used) {
        return Ok(());
    }
    let view = world.view();
    let unused = view.queue[0].stats.last_unused.values().next().unwrap();
    Err(unused.reasons.clone())
}

fn in_region(region: &str) -> impl FnOnce(&mut v1::Offer) {
    let region = v1::domain_info::fault_domain::RegionInfo { name: Some(region.into()) };
    let zone = v1::domain_info::fault_domain::ZoneInfo { name: Some("z1".into()) };
    let domain = v1::domain_info::FaultDomain { region: Some(region), zone: Some(zone) };
    move |offer| offer.domain = Some(v1::DomainInfo { fault_domain: Some(domain) })
}

fn in_maintenance(world: &World, after: Duration, lasts: Duration) -> impl FnOnce(&mut v1::Offer) {
    let nanos = |nanos: u64| Some(i64::try_from(nanos).unwrap());
    let start = nanos((world.now.wall + after).as_nanos());
    let duration = nanos(u64::try_from(lasts.as_nanos()).unwrap());
    move |offer| {
        offer.unavailability = Some(v1::Unavailability {
            start: Some(v1::TimeInfo { nanoseconds: start }),
            duration: Some(v1::DurationInfo { nanoseconds: duration }),
        });
    }
}

#[test]
fn a_group_by_spreads_instances_evenly_while_they_come_and_while_they_go() {
    for seed in 0..10 {
        let mut world = World::new(seed, 5);
        let mut spec = app("/a", 6);
        spec.constraints = vec![constraint("rack", Operator::GroupBy, None)];
        world.put(spec).unwrap();
        world.run_until_deployed();
        assert_eq!(racks(&mut world), [3, 3], "seed {seed}");
        let scale = RootChange::ScaleApp { app: id("/a"), instances: 4 };
        world.change(scale, false).unwrap();
        world.run_until_deployed();
        assert_eq!(racks(&mut world), [2, 2], "seed {seed}");
    }
}

#[test]
fn several_group_bys_are_all_kept_even_when_an_app_shrinks() {
    for seed in 0..10 {
        let mut world = World::new(seed, 4);
        let mut spec = app("/a", 8);
        spec.constraints = vec![
            constraint("rack", Operator::GroupBy, None),
            constraint("hostname", Operator::GroupBy, None),
        ];
        world.put(spec).unwrap();
        world.run_until_deployed();
        assert_eq!(hosts(&mut world), [2; 4], "seed {seed}");
        let scale = RootChange::ScaleApp { app: id("/a"), instances: 4 };
        world.change(scale, false).unwrap();
        world.run_until_deployed();
        assert_eq!((racks(&mut world), hosts(&mut world)), (vec![2; 2], vec![1; 4]), "seed {seed}");
    }
}

#[test]
fn no_value_gets_more_instances_than_max_per_allows() {
    let mut world = World::new(1, 2);
    let mut spec = app("/a", 5);
    spec.constraints = vec![constraint("hostname", Operator::MaxPer, Some("2"))];
    world.put(spec).unwrap();
    world.run_for(Duration::from_secs(60));
    assert_eq!(hosts(&mut world), [2, 2]);
    assert_eq!(world.view().queue[0].count, 1);
}

#[test]
fn instances_of_an_older_configuration_do_not_keep_new_ones_off_their_agents() {
    let mut world = World::new(1, 3);
    let mut spec = app("/a", 3);
    spec.constraints = vec![constraint("hostname", Operator::Unique, None)];
    world.put(spec.clone()).unwrap();
    world.run_until_deployed();
    world.put(changed(spec, 1)).unwrap();
    world.run_until_deployed();
    assert_eq!(hosts(&mut world), [1, 1, 1]);
}

#[test]
fn a_scaled_app_still_minds_where_its_instances_are() {
    let mut world = World::new(1, 3);
    let mut spec = app("/a", 2);
    spec.constraints = vec![constraint("hostname", Operator::Unique, None)];
    world.put(spec).unwrap();
    world.run_until_deployed();
    world.change(RootChange::ScaleApp { app: id("/a"), instances: 4 }, false).unwrap();
    world.run_for(Duration::from_secs(60));
    assert_eq!(hosts(&mut world), [1, 1, 1]);
    assert_eq!(world.view().queue[0].count, 1, "there is no fourth agent");
}

#[test]
fn an_offer_starts_no_more_instances_than_allowed() {
    let mut world = World::with(1, 1, |config| config.max_instances_per_offer = 2);
    world.put(app("/a", 5)).unwrap();
    world.run_until_deployed();
    let launches = world.calls.iter().filter_map(|call| match call {
        Call::Accept { launches, .. } => Some(launches.len()),
        _ => None,
    });
    assert_eq!(launches.collect::<Vec<_>>(), [2, 2, 1]);
}

#[test]
fn an_agent_in_another_region_is_used_only_by_apps_that_speak_of_regions() {
    let mut world = World::new(1, 0);
    let framework = FrameworkId::parse("marathon-0001").unwrap();
    let region = Some("home".to_owned());
    world.batch(vec![Input::Registered { framework, master: "m".into(), region }]);
    world.put(app("/a", 1)).unwrap();
    let room = "cpus:1;mem:64;ports:[31000-31000]";
    let refused = fate(&mut world, offer(room, in_region("away")));
    assert_eq!(refused, Err(vec![NoMatch::UnfulfilledConstraint]));
    assert_eq!(fate(&mut world, offer(room, in_region("home"))), Ok(()));
    let mut travelling = app("/b", 1);
    travelling.constraints = vec![constraint("@region", Operator::Is, Some("away"))];
    world.put(travelling).unwrap();
    assert_eq!(fate(&mut world, offer(room, in_region("away"))), Ok(()));
}

#[test]
fn an_agent_in_maintenance_or_about_to_be_is_avoided_unless_told_otherwise() {
    let room = "cpus:1;mem:64;ports:[31000-31000]";
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
    let avoided = Err(vec![NoMatch::AgentMaintenance]);
    for (mode, draining, begins_in, fate_is) in [
        (true, Duration::ZERO, Duration::ZERO, avoided.clone()),
        (true, Duration::ZERO, minute, Ok(())),
        (true, hour, minute, avoided),
        (false, hour, minute, Ok(())),
    ] {
        let mut world = World::with(1, 0, |config| {
            config.maintenance_mode = mode;
            config.draining = draining;
        });
        world.put(app("/a", 1)).unwrap();
        let offer = offer(room, in_maintenance(&world, begins_in, hour));
        assert_eq!(fate(&mut world, offer), fate_is, "{mode} {draining:?} {begins_in:?}");
    }
}

#[test]
fn agents_with_gpus_are_kept_for_apps_that_need_them() {
    let room = "cpus:1;mem:64;gpus:2;ports:[31000-31000]";
    for (gpus, label, scheduling, used) in [
        (0, None, GpuScheduling::Restricted, false),
        (1, None, GpuScheduling::Restricted, true),
        (0, Some("unrestricted"), GpuScheduling::Restricted, true),
        (0, None, GpuScheduling::Unrestricted, true),
    ] {
        let mut world = World::with(1, 0, |config| config.gpu_scheduling = scheduling);
        let mut spec = app("/a", 1);
        spec.gpus = gpus;
        let label = label.map(|how| ("GPU_SCHEDULING_BEHAVIOR".to_owned(), how.to_owned()));
        spec.labels.extend(label);
        world.put(spec).unwrap();
        let fate = fate(&mut world, offer(room, |_| {}));
        assert_eq!(fate.is_ok(), used, "{gpus} {scheduling:?}: {fate:?}");
        if !used {
            assert_eq!(fate, Err(vec![NoMatch::DeclinedScarceResources]));
        }
    }
}

#[test]
fn each_offer_counts_by_its_first_reason_and_is_remembered_with_all() {
    let mut world = World::new(1, 0);
    let mut spec = app("/a", 1);
    spec.constraints = vec![constraint("hostname", Operator::Is, Some("elsewhere"))];
    spec.mem = 1_000.0;
    world.put(spec).unwrap();
    for _ in 0..3 {
        let reasons = fate(&mut world, offer("cpus:1;mem:64", |_| {}));
        let all = vec![
            NoMatch::UnfulfilledConstraint,
            NoMatch::InsufficientMemory,
            NoMatch::InsufficientPorts,
        ];
        assert_eq!(reasons, Err(all));
    }
    let view = world.view();
    let stats = &view.queue[0].stats;
    assert_eq!((stats.processed, stats.unused, stats.last_unused.len()), (3, 3, 1));
    let declined = |lines: [meros_marathon_core::offers::explain::Reject; 10]| {
        lines
            .into_iter()
            .filter(|line| line.declined > 0)
            .map(|l| (l.reason, l.declined))
            .collect::<Vec<_>>()
    };
    assert_eq!(declined(stats.since_start()), [(NoMatch::UnfulfilledConstraint, 3)]);
    assert_eq!(declined(stats.last_offers()), [(NoMatch::UnfulfilledConstraint, 1)]);
    // Once nothing waits, what is known of offers begins anew.
    world.change(put(app("/a", 0)), true).unwrap();
    world.change(put(app("/a", 1)), true).unwrap();
    assert_eq!(world.view().queue[0].stats.processed, 0);
}

#[test]
fn what_nobody_needs_is_refused_for_long() {
    let mut world = World::new(1, 0);
    let mut spec = app("/a", 1);
    spec.mem = 1_000_000.0;
    world.put(spec).unwrap();
    fate(&mut world, offer("cpus:1;mem:64", |_| {})).unwrap_err();
    let refused = world.calls.iter().find_map(|call| match call {
        Call::Decline { refuse, .. } => Some(*refuse),
        _ => None,
    });
    assert_eq!(refused, Some(Some(Duration::from_secs(120))));
}
