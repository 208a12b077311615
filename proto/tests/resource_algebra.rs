//! The laws of the resource algebra, on every kind of entry mixed, and its forms on the wire.

use meros_proto::resources::{
    Disk, DiskKind, DiskSource, Labels, Name, Ranges, Reservation, ReservationFormat, Resource,
    Resources, Role, Scalar, Set, Value,
};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;

fn role(text: &str) -> Role {
    Role::parse(text).expect("the tests' roles are valid")
}

/// Few names, amounts and roles, so that entries meet.
fn plain() -> impl Strategy<Value = Resource> {
    let scalar = (select(vec!["cpus", "mem", "disk", "gpus", "widgets"]), 0i64..3_000)
        .prop_map(|(name, millis)| Resource::scalar(Name::from(name), Scalar::from_millis(millis)));
    let ranges = btree_set(0u64..40, 0..20)
        .prop_map(|ports| Resource::ranges(Name::Ports, ports.into_iter().collect::<Ranges>()));
    let set = btree_set(select(vec!["a", "b", "c", "d"]), 0..4).prop_map(|items| {
        Resource::new(Name::from("bugs"), Value::Set(items.into_iter().collect::<Set>()))
    });
    prop_oneof![4 => scalar, 1 => ranges, 1 => set]
}

fn reservations() -> impl Strategy<Value = Vec<Reservation>> {
    let labels: Labels = [("k".to_owned(), Some("v".to_owned()))].into_iter().collect();
    let fixed = Reservation::statically(role("a"));
    let dynamic = Reservation::dynamically(role("a"), Some("me"));
    let labelled = Reservation::dynamically(role("a"), Some("me")).with_labels(labels);
    let refining = Reservation::dynamically(role("a/b"), None);
    select(vec![
        vec![],
        vec![],
        vec![fixed.clone()],
        vec![dynamic.clone()],
        vec![labelled],
        vec![fixed, refining.clone()],
        vec![dynamic, refining],
    ])
}

fn disk() -> impl Strategy<Value = Option<Disk>> {
    let raw = DiskSource { id: Some("d1".into()), ..DiskSource::at(DiskKind::Raw, None) };
    select(vec![
        None,
        Some(Disk::persistent("v1", Some("me"))),
        Some(Disk::persistent("v2", None)),
        Some(Disk::of(DiskSource::at(DiskKind::Path, Some("/p")))),
        Some(Disk::of(DiskSource::at(DiskKind::Mount, Some("/m")))),
        Some(Disk::of(DiskSource::at(DiskKind::Block, None))),
        Some(Disk::of(DiskSource::at(DiskKind::Raw, None))),
        Some(Disk::of(raw)),
    ])
}

fn resource() -> impl Strategy<Value = Resource> {
    let allocation = option::of(select(vec![role("a"), role("*")]));
    (plain(), reservations(), disk(), any::<bool>(), 0u8..4, allocation).prop_map(
        |(plain, reservations, disk, shared, revocable, allocation)| {
            let resource = plain.with_reservations(&reservations).with_revocable(revocable == 0);
            let disk = disk.filter(|_| *resource.name() == Name::Disk);
            let resource = resource.with_disk(disk);
            let shared = shared && resource.is_persistent_volume();
            let resource = resource.with_shared(shared);
            match allocation {
                Some(role) => resource.allocated_to(&role),
                None => resource,
            }
        },
    )
}

fn resources() -> impl Strategy<Value = Resources> {
    vec(resource(), 0..10).prop_map(|all| all.into_iter().collect())
}

/// Without ranges and sets: their union forgets what both had.
fn counted() -> impl Strategy<Value = Resources> {
    resources().prop_map(|all| {
        all.filter(|entry| !matches!(entry.value(), Value::Ranges(_) | Value::Set(_)))
    })
}

proptest! {
    #[test]
    fn the_order_of_adding_means_nothing(mut all in vec(resource(), 0..10), turn in 0usize..10) {
        let one: Resources = all.iter().cloned().collect();
        let turn = turn % all.len().max(1);
        all.rotate_left(turn);
        all.reverse();
        let other: Resources = all.into_iter().collect();
        prop_assert_eq!(&one, &other);
        prop_assert!(one.iter().all(|entry| !entry.is_empty()));
    }

    #[test]
    fn addition_is_commutative_and_associative(a in resources(), b in resources(), c in resources()) {
        prop_assert_eq!(a.clone() + &b, b.clone() + &a);
        prop_assert_eq!((a.clone() + &b) + &c, a + &(b + c));
    }

    #[test]
    fn what_was_added_can_be_taken_away_again(a in counted(), b in counted()) {
        let sum = a.clone() + &b;
        prop_assert!(sum.contains(&a) && sum.contains(&b));
        prop_assert_eq!(sum.checked_sub(&b), Some(a.clone()));
        prop_assert_eq!(sum - &a, b);
    }

    #[test]
    fn taking_away_and_giving_back_changes_nothing(all in resources(), keep in any::<u64>()) {
        let part = all.filter(|entry| (keep >> (entry.value().to_string().len() % 64)) & 1 == 1);
        let left = all.checked_sub(&part).expect("a part is contained");
        prop_assert!(all.contains(&left));
        prop_assert_eq!(left + &part, all);
    }

    #[test]
    fn containing_both_ways_is_equality(a in resources(), b in resources()) {
        prop_assert!(a.contains(&a) && a.contains(&Resources::new()));
        prop_assert_eq!(a.contains(&b) && b.contains(&a), a == b);
        prop_assert_eq!(a.contains(&b), a.checked_sub(&b).is_some());
        prop_assert_eq!(Resources::new().contains(&a), a.is_empty());
    }

    #[test]
    fn taking_away_in_place_is_all_or_nothing(a in resources(), b in resources()) {
        let mut left = a.clone();
        let taken = left.try_subtract(&b);
        prop_assert_eq!(taken, a.contains(&b));
        prop_assert_eq!(left, if taken { a - &b } else { a });
    }

    #[test]
    fn a_difference_leads_from_the_older_to_the_newer(a in counted(), b in counted()) {
        let diff = a.diff(&b);
        prop_assert_eq!(a.checked_sub(&diff.removed).map(|rest| rest + diff.added), Some(b));
    }

    #[test]
    fn sums_are_the_sums_of_the_parts(a in counted(), b in counted()) {
        let (a, b) = (a.non_shared(), b.non_shared());
        let mut sum = a.quantities();
        sum += &b.quantities();
        let both = a.clone() + &b;
        prop_assert_eq!(both.quantities(), sum);
        prop_assert_eq!(both.cpus(), a.cpus() + b.cpus());
        prop_assert_eq!(both.scalar("widgets"), a.scalar("widgets") + b.scalar("widgets"));
    }

    #[test]
    fn parts_by_reservation_make_up_the_whole(all in resources()) {
        prop_assert_eq!(&(all.unreserved() + all.reserved()), &all);
        prop_assert_eq!(all.reservations().values().sum::<Resources>(), all.reserved());
        prop_assert_eq!(&(all.revocable() + all.non_revocable()), &all);
        prop_assert_eq!(all.for_role(&role("b")), all.unreserved());
        prop_assert_eq!(all.for_role(&role("a")), all.unreserved() + all.reserved_to(&role("a")));
        prop_assert_eq!(&all.for_role(&role("a/b")), &all);
        prop_assert_eq!(all.reserved_within(&role("a")), all.reserved());
    }

    #[test]
    fn allocating_and_taking_back_leaves_what_there_was(all in resources()) {
        let free = all.unallocated();
        let given = free.allocated_to(&role("z"));
        prop_assert!(given.iter().all(|entry| entry.allocation_role() == Some(&role("z"))));
        prop_assert_eq!(given.unallocated(), free);
    }

    #[test]
    fn all_that_is_there_is_found_whoever_it_is_reserved_to(pool in resources(), most in 1i64..4_000) {
        let at_most = |entry: &Resource| match entry.as_scalar() {
            Some(amount) if !entry.is_indivisible() => {
                let amount = amount.min(Scalar::from_millis(most));
                entry.clone().with_value(Value::Scalar(amount))
            }
            _ => entry.clone(),
        };
        let all = pool.without_reservations().unallocated();
        let want: Resources = all.iter().map(at_most).collect();
        let found = pool.find(&want).expect("it is there");
        prop_assert!(pool.contains(&found), "{pool:?} has no {found:?}");
        prop_assert_eq!(found.without_reservations().unallocated(), want);

        let one_more = Resource::scalar(Name::Cpus, all.unreserved().cpus() + Scalar::from_millis(1));
        prop_assert_eq!(pool.non_revocable().find(&one_more.into()), None);
        let itself = pool.find(&pool);
        prop_assert_eq!(itself, Some(pool));
    }

    #[test]
    fn messages_in_the_new_format_read_back(all in resources()) {
        let messages = all.to_protos(ReservationFormat::Refined);
        prop_assert_eq!(Resources::from_protos(&messages), Ok(all.clone()));
        let json = serde_json::to_string(&messages).expect("messages are JSON");
        prop_assert_eq!(Resources::from_json(&json, &Role::star()), Ok(all));
    }

    #[test]
    fn messages_in_the_old_format_read_back_but_for_refined_reservations(all in resources()) {
        let messages = all.to_protos(ReservationFormat::Legacy);
        let visible = all.filter(|entry| !entry.is_refined());
        prop_assert_eq!(Resources::from_protos(&messages), Ok(visible));
    }

    #[test]
    fn text_reads_back(all in vec((plain(), any::<bool>()), 0..10)) {
        let reserve = |(entry, reserved): (Resource, bool)| match reserved {
            true => entry.with_reservation(Reservation::statically(role("a/b"))),
            false => entry,
        };
        let all: Resources = all.into_iter().map(reserve).collect();
        prop_assert_eq!(Resources::parse(&all.to_string(), &Role::star()), Ok(all));
    }

    #[test]
    fn no_text_panics(text in "[a-c()\\[\\]{}:;,.0-9 -]{0,30}") {
        let _ = Resources::parse(&text, &Role::star());
    }
}

#[test]
fn entries_add_up_only_when_all_that_qualifies_them_agrees() {
    let base = Resource::scalar(Name::Disk, Scalar::from(1));
    let path = |root| Disk::of(DiskSource::at(DiskKind::Path, Some(root)));
    let labels: Labels = [("k".to_owned(), None)].into_iter().collect();
    let dynamic = Reservation::dynamically(role("a"), Some("me"));
    let variants = [
        base.clone(),
        Resource::scalar(Name::Mem, Scalar::from(1)),
        base.clone().allocated_to(&role("a")),
        base.clone().with_reservation(Reservation::statically(role("a"))),
        base.clone().with_reservation(dynamic.clone()),
        base.clone().with_reservation(Reservation::dynamically(role("a"), None)),
        base.clone().with_reservation(dynamic.with_labels(labels)),
        base.clone().with_revocable(true),
        base.clone().with_disk(Some(path("/a"))),
        base.clone().with_disk(Some(path("/b"))),
        base.with_provider("p".parse().ok()),
    ];
    let once: Resources = variants.iter().cloned().collect();
    assert_eq!(once.len(), variants.len(), "{once}");
    let twice = once.clone() + &once;
    assert_eq!(twice.len(), variants.len());
    assert!(twice.iter().all(|entry| entry.as_scalar() == Some(Scalar::from(2))));
}

#[test]
fn whole_disks_and_volumes_never_merge_or_split() {
    let with_id = DiskSource { id: Some("d".into()), ..DiskSource::at(DiskKind::Raw, None) };
    for (disk, whole) in [
        (Disk::persistent("v", None), true),
        (Disk::of(DiskSource::at(DiskKind::Mount, Some("/m"))), true),
        (Disk::of(DiskSource::at(DiskKind::Block, None)), true),
        (Disk::of(with_id), true),
        (Disk::of(DiskSource::at(DiskKind::Path, Some("/p"))), false),
        (Disk::of(DiskSource::at(DiskKind::Raw, None)), false),
    ] {
        let of_size = |size: u32| {
            let resource = Resource::scalar(Name::Disk, Scalar::from(size));
            Resources::from(resource.with_disk(Some(disk.clone())))
        };
        let pool = of_size(10);
        assert_eq!(pool.contains(&of_size(4)), !whole, "{pool}");
        assert_eq!(pool.find(&of_size(4)).is_some(), !whole, "{pool}");
        assert_eq!((pool.clone() + of_size(4)).len(), if whole { 2 } else { 1 }, "{pool}");
        assert_eq!((pool.clone() + &pool).disk(), Scalar::from(20));
        assert_eq!(pool.checked_sub(&of_size(10)), Some(Resources::new()));
        assert_eq!(pool.clone() - &of_size(4), if whole { pool } else { of_size(6) });
    }
}

#[test]
fn a_shared_volume_is_there_once_for_each_consumer() {
    let volume = Resource::scalar(Name::Disk, Scalar::from(10))
        .with_disk(Some(Disk::persistent("v", None)))
        .with_shared(true);
    let once = Resources::from(volume);
    let twice = once.clone() + &once;
    assert!(twice.contains(&once) && !once.contains(&twice));
    assert_eq!(twice.iter().map(Resource::copies).collect::<Vec<_>>(), [2]);
    assert_eq!(twice.disk(), Scalar::from(10));
    assert_eq!(twice.to_protos(ReservationFormat::Refined).len(), 2);
    assert_eq!(twice.checked_sub(&once), Some(once.clone()));
    assert_eq!(once.checked_sub(&twice), None);
}

#[test]
fn how_a_volume_is_used_does_not_tell_it_from_another() {
    let json = |path: &str, principal: &str| {
        format!(
            r#"[{{"name":"disk","type":"SCALAR","scalar":{{"value":10}},"role":"r","disk":{{
                "persistence":{{"id":"v","principal":"{principal}"}},
                "volume":{{"container_path":"{path}","mode":"RW"}}}}}}]"#
        )
    };
    let read = |text: &str| Resources::from_json(text, &Role::star()).expect("valid");
    let (one, other) = (read(&json("data", "a")), read(&json("store", "b")));
    assert_eq!(one, other);
    assert!(one.contains(&other));
    assert_eq!(one.to_string(), "disk(r)[v:data]:10");
}
