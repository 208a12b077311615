//! The driver against a master on a real socket, in both encodings.

use std::time::Duration;

use meros_proto::ids::{OfferId, TaskId};
use meros_proto::v1::scheduler::{Call, Event as WireEvent, call, event};
use meros_proto::v1::{FrameworkInfo, TaskState};
use meros_proto::wire::Encoding;
use meros_sdk::driver::{CallFailure, Calls, Driver, Event, Events, Options, SendError};
use meros_sdk::testing::{self, FakeMaster, SubscribeAnswer};
use tokio::net::TcpListener;

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::Protobuf];

fn options(masters: &[&FakeMaster], encoding: Encoding) -> Options {
    let framework = FrameworkInfo {
        user: Some("nobody".into()),
        name: Some("test".into()),
        ..FrameworkInfo::default()
    };
    let mut options = Options::new(masters.iter().map(|master| master.address()), framework);
    options.encoding = encoding;
    // A subscription shorter than this doesn't count as one that stood.
    options.election_timeout = Duration::from_millis(50);
    options
}

async fn next(events: &mut Events) -> Event {
    let next = tokio::time::timeout(Duration::from_secs(10), events.next());
    next.await.expect("an event within 10 s").expect("the driver goes on")
}

/// Starts a driver and waits until it is subscribed.
async fn subscribe(options: Options) -> (Calls, Events) {
    let (calls, mut events) = Driver::start(options).expect("addresses");
    match next(&mut events).await {
        Event::Subscribed(subscribed) => assert!(!subscribed.again),
        other => panic!("{other:?} instead of a subscription"),
    }
    (calls, events)
}

fn kill(number: usize) -> TaskId {
    TaskId::parse(&format!("task-{number}")).expect("an id")
}

#[tokio::test]
async fn events_of_each_kind_arrive_typed_in_both_encodings() {
    for encoding in BOTH {
        let master = FakeMaster::start().await;
        let (_calls, mut events) = subscribe(options(&[&master], encoding)).await;
        master.offer("o1", "agent-1", "cpus:4;mem:1024");
        master.rescind("o1");
        master.update("task-1", "agent-1", TaskState::TaskRunning);
        master.update_without_uuid("task-2", "agent-1", TaskState::TaskLost);
        master.send(&testing::event(event::Type::Unknown));

        match next(&mut events).await {
            Event::Offers(offers) => assert_eq!(offers[0].hostname(), "agent-1", "{encoding}"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(next(&mut events).await, Event::Rescind(id) if id.as_str() == "o1"));
        match next(&mut events).await {
            Event::Update(update) => {
                assert_eq!(update.state(), TaskState::TaskRunning);
                assert!(update.ack.is_some());
            }
            other => panic!("{other:?}"),
        }
        let without = loop {
            match next(&mut events).await {
                // The first comes again and again: nobody acknowledges it.
                Event::Update(update) if update.state() == TaskState::TaskRunning => {}
                Event::Update(update) => break update,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(without.ack, None, "there is nothing to acknowledge without a uuid");
        loop {
            match next(&mut events).await {
                Event::Update(_) => {}
                Event::Unknown(_) => break,
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn calls_arrive_in_order_with_the_ids_filled_in() {
    for encoding in BOTH {
        let master = FakeMaster::start().await;
        let (calls, _events) = subscribe(options(&[&master], encoding)).await;
        for number in 0..200 {
            calls.kill(&kill(number), None, None).expect("there is room");
        }
        calls.revive(vec!["a".into()]).expect("there is room");
        calls.suppress(vec![]).expect("there is room");
        calls
            .decline([OfferId::parse("o9").expect("an id")], Duration::from_secs(7))
            .expect("room");
        let decline = master.next_call(call::Type::Decline).await;
        let filters = decline.decline.and_then(|body| body.filters).expect("filters");
        assert_eq!(filters.refuse_seconds(), 7.0);

        let all = master.calls();
        let killed: Vec<String> = all
            .iter()
            .filter_map(|call| call.kill.as_ref()?.task_id.as_ref()?.value.clone())
            .collect();
        let sent: Vec<String> = (0..200).map(|number| kill(number).to_string()).collect();
        assert_eq!(killed, sent, "{encoding}");
        assert!(all[1..].iter().all(|call| {
            call.framework_id.as_ref().is_some_and(|id| id.value() == "framework-1")
        }));
        assert_eq!(all[201].r#type(), call::Type::Revive);
        assert_eq!(all[202].r#type(), call::Type::Suppress);
    }
}

#[tokio::test]
async fn an_update_that_isnt_acknowledged_comes_again_and_one_that_is_doesnt() {
    let master = FakeMaster::start().await;
    let (calls, mut events) = subscribe(options(&[&master], Encoding::Json)).await;
    master.lose_acknowledgements(1);
    master.update("task-1", "agent-1", TaskState::TaskRunning);
    let mut uuids = Vec::new();
    for _ in 0..3 {
        let Event::Update(update) = next(&mut events).await else { panic!("an update") };
        uuids.push(update.status.uuid.clone());
        if uuids.len() > 1 {
            calls.acknowledge(update.ack.expect("it has a uuid")).expect("there is room");
            // The first of these is lost on its way.
        }
    }
    assert!(uuids.windows(2).all(|pair| pair[0] == pair[1]), "it is the same update");
    master.next_call(call::Type::Acknowledge).await;
    master.next_call(call::Type::Acknowledge).await;
    let quiet = tokio::time::timeout(Duration::from_millis(400), events.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test]
async fn redirects_busy_masters_and_dead_ones_lead_to_the_leader() {
    let (leader, standby) = (FakeMaster::start().await, FakeMaster::start().await);
    standby.answer_subscribe(SubscribeAnswer::Status(503, "No leader elected".into()));
    let location = format!("//{}/api/v1/scheduler", leader.address());
    standby.answer_subscribe(SubscribeAnswer::Redirect(location));
    let dead = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let dead_address = dead.local_addr().expect("it is bound").to_string();
    drop(dead);

    let mut options = options(&[&standby], Encoding::Json);
    options.masters.insert(0, dead_address);
    let (calls, _events) = subscribe(options).await;
    assert_eq!(calls.link().expect("it is subscribed").master.as_str(), leader.address());
    assert_eq!(standby.count(call::Type::Subscribe), 2);
}

#[tokio::test]
async fn a_lost_leader_is_replaced_with_the_same_framework_id() {
    for cut in [FakeMaster::close_stream, FakeMaster::cut_connections] {
        let (first, second) = (FakeMaster::start().await, FakeMaster::start().await);
        let (calls, mut events) = subscribe(options(&[&first, &second], Encoding::Protobuf)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        first.answer_subscribe(SubscribeAnswer::Status(503, "gone".into()));
        cut(&first);
        assert!(matches!(next(&mut events).await, Event::Disconnected { .. }));
        let Event::Subscribed(again) = next(&mut events).await else { panic!("a subscription") };
        assert!(again.again);
        assert_eq!(again.framework_id.as_str(), "framework-1");
        assert_eq!(again.master, second.address());
        let subscribe = second.next_call(call::Type::Subscribe).await;
        assert_eq!(subscribe.framework_id.as_ref().map(|id| id.value()), Some("framework-1"));
        let info = subscribe.subscribe.and_then(|body| body.framework_info).expect("a framework");
        assert_eq!(info.id, subscribe.framework_id);
        calls.revive(vec![]).expect("there is room");
        second.next_call(call::Type::Revive).await;
    }
}

#[tokio::test]
async fn a_silent_master_is_given_up() {
    let master = FakeMaster::start().await;
    let (_calls, mut events) = subscribe(options(&[&master], Encoding::Json)).await;
    master.fall_silent();
    let Event::Disconnected { why, .. } = next(&mut events).await else { panic!("it is lost") };
    assert_eq!(why, "the master was silent for 400ms");
    assert!(matches!(next(&mut events).await, Event::Subscribed(_)));
}

#[tokio::test]
async fn garbage_on_the_stream_ends_it_and_nothing_else() {
    for garbage in [&b"x\n"[..], b"5\nhello", b"99999999999\n", b"-1\n"] {
        let master = FakeMaster::start().await;
        let (_calls, mut events) = subscribe(options(&[&master], Encoding::Json)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        master.send_raw(garbage);
        let event = next(&mut events).await;
        let Event::Disconnected { why, .. } = event else { panic!("{event:?}") };
        assert!(why.contains("can't be read"), "{why}");
        assert!(matches!(next(&mut events).await, Event::Subscribed(_)));
    }
}

#[tokio::test]
async fn a_refusal_is_told_once_and_is_the_end() {
    for (answer, message) in [
        (SubscribeAnswer::Status(403, "Not authorized".into()), "Not authorized"),
        (SubscribeAnswer::Error("Role 'x' is not valid".into()), "Role 'x' is not valid"),
    ] {
        let master = FakeMaster::start().await;
        master.answer_subscribe(answer);
        let (calls, mut events) =
            Driver::start(options(&[&master], Encoding::Protobuf)).expect("addresses");
        match next(&mut events).await {
            Event::Error { message: told } => assert_eq!(told, message),
            other => panic!("{other:?}"),
        }
        assert!(events.next().await.is_none());
        assert_eq!(calls.revive(vec![]), Err(SendError::Ended));
    }
}

#[tokio::test]
async fn a_removed_framework_is_told_apart_from_a_refused_one() {
    let master = FakeMaster::start().await;
    master.answer_subscribe(SubscribeAnswer::Error("Framework has been removed".into()));
    let (_calls, mut events) =
        Driver::start(options(&[&master], Encoding::Json)).expect("addresses");
    assert!(matches!(next(&mut events).await, Event::Removed { .. }));
}

#[tokio::test]
async fn a_call_without_a_subscription_is_refused_at_once() {
    let master = FakeMaster::start().await;
    master.answer_subscribe(SubscribeAnswer::Silence);
    let (calls, _events) = Driver::start(options(&[&master], Encoding::Json)).expect("addresses");
    assert_eq!(calls.revive(vec![]), Err(SendError::Disconnected));
    assert!(SendError::Disconnected.is_retryable());
}

#[tokio::test]
async fn a_full_queue_refuses_calls_but_not_acknowledgements() {
    let master = FakeMaster::start().await;
    let mut options = options(&[&master], Encoding::Json);
    options.call_queue = 4;
    let (calls, mut events) = subscribe(options).await;
    master.update("task-1", "agent-1", TaskState::TaskRunning);
    let Event::Update(update) = next(&mut events).await else { panic!("an update") };
    // The runtime of this test has one thread: nothing is sent until it is awaited on.
    let taken = (0..10).filter(|n| calls.kill(&kill(*n), None, None).is_ok()).count();
    assert_eq!(taken, 4);
    assert_eq!(calls.kill(&kill(9), None, None), Err(SendError::Full));
    calls.acknowledge(update.ack.expect("it has a uuid")).expect("they have room of their own");
    master.next_call(call::Type::Acknowledge).await;
}

#[tokio::test]
async fn a_call_that_is_turned_down_is_told_and_the_next_is_sent() {
    let master = FakeMaster::start().await;
    let (calls, mut events) = subscribe(options(&[&master], Encoding::Json)).await;
    master.answer_call(400, "Failed to validate scheduler::Call: no");
    calls.send(Call { r#type: Some(call::Type::Request.into()), ..Call::default() }).expect("room");
    calls.revive(vec![]).expect("there is room");
    let Event::CallFailed(failed) = next(&mut events).await else { panic!("it is refused") };
    let message = "Failed to validate scheduler::Call: no".to_owned();
    assert_eq!(failed.why, CallFailure::Refused { status: 400, message });
    master.next_call(call::Type::Revive).await;
}

#[tokio::test]
async fn a_busy_master_gets_the_same_call_again() {
    let master = FakeMaster::start().await;
    let (calls, _events) = subscribe(options(&[&master], Encoding::Json)).await;
    master.answer_call(503, "the inbox is full");
    master.answer_call(503, "the inbox is full");
    calls.launch([], vec![], Duration::from_secs(5)).expect("there is room");
    calls.revive(vec![]).expect("there is room");
    master.next_call(call::Type::Revive).await;
    assert_eq!(
        master.count(call::Type::Accept),
        3,
        "it took nothing in: also an ACCEPT goes again"
    );
}

#[tokio::test]
async fn a_master_that_forgot_the_subscription_gets_a_new_one() {
    let master = FakeMaster::start().await;
    let (calls, mut events) = subscribe(options(&[&master], Encoding::Json)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    master.answer_call(403, "Framework is not subscribed");
    calls.revive(vec![]).expect("there is room");
    assert!(matches!(next(&mut events).await, Event::Disconnected { .. }));
    assert!(matches!(next(&mut events).await, Event::Subscribed(_)));
}

#[tokio::test]
async fn a_stop_sends_what_is_queued_and_closes_the_stream() {
    let master = FakeMaster::start().await;
    let (calls, mut events) = subscribe(options(&[&master], Encoding::Json)).await;
    for number in 0..50 {
        calls.kill(&kill(number), None, None).expect("there is room");
    }
    calls.stop();
    while events.next().await.is_some() {}
    assert_eq!(master.count(call::Type::Kill), 50);
    master.unsubscribed().await;
    assert_eq!(calls.revive(vec![]), Err(SendError::Ended));
}

#[tokio::test]
async fn a_teardown_ends_the_driver_once_the_master_took_it() {
    let master = FakeMaster::start().await;
    let (calls, mut events) = subscribe(options(&[&master], Encoding::Json)).await;
    calls.teardown().expect("there is room");
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::Disconnected { .. }), "it is no loss");
    }
    assert_eq!(master.count(call::Type::Teardown), 1);
    assert_eq!(master.count(call::Type::Subscribe), 1);
}

/// The roles that a SUBSCRIBE or an UPDATE_FRAMEWORK names.
fn roles(call: Call) -> Vec<String> {
    let subscribed = call.subscribe.and_then(|body| body.framework_info);
    let updated = call.update_framework.and_then(|body| body.framework_info);
    subscribed.or(updated).expect("a framework").roles
}

#[tokio::test]
async fn new_roles_reach_a_master_that_knows_the_call_and_by_a_new_subscription_one_that_does_not()
{
    for (status, subscriptions) in [(202, 1), (501, 2)] {
        let master = FakeMaster::start().await;
        let options = options(&[&master], Encoding::Protobuf);
        let mut framework = options.framework.clone();
        let (calls, mut events) = subscribe(options).await;
        assert!(roles(master.next_call(call::Type::Subscribe).await).is_empty());
        master.answer_call(status, "");
        framework.roles = vec!["*".into(), "team".into()];
        calls.update_framework(framework.clone(), vec!["*".into()]).expect("a subscription stands");
        let told = master.next_call(call::Type::UpdateFramework).await;
        let info = told.update_framework.as_ref().and_then(|body| body.framework_info.as_ref());
        assert_eq!(info.and_then(|info| info.id.as_ref()), told.framework_id.as_ref());
        assert_eq!(roles(told), framework.roles);
        if status == 501 {
            let left = next(&mut events).await;
            assert!(matches!(left, Event::Disconnected { renewing: true, .. }), "{left:?}");
            assert!(matches!(next(&mut events).await, Event::Subscribed(again) if again.again));
            let again = master.next_call(call::Type::Subscribe).await;
            assert!(again.framework_id.is_some());
            assert_eq!(roles(again), framework.roles);
        }
        // Calls go the new way, and the roles are remembered.
        calls.revive(vec![]).expect("a subscription stands");
        master.next_call(call::Type::Revive).await;
        assert_eq!(master.count(call::Type::Subscribe), subscriptions);
        master.close_stream();
        assert_eq!(roles(master.next_call(call::Type::Subscribe).await), framework.roles);
    }
}

#[tokio::test]
async fn dropping_the_events_ends_the_driver() {
    let master = FakeMaster::start().await;
    let (calls, events) = subscribe(options(&[&master], Encoding::Json)).await;
    drop(events);
    master.unsubscribed().await;
    assert_eq!(calls.revive(vec![]), Err(SendError::Ended));
}

#[tokio::test]
async fn a_framework_that_reads_slowly_loses_no_event() {
    let master = FakeMaster::start().await;
    let mut options = options(&[&master], Encoding::Protobuf);
    options.event_queue = 1;
    let (_calls, mut events) = subscribe(options).await;
    for number in 0..1_000 {
        master.send(&WireEvent {
            failure: Some(event::Failure { status: Some(number), ..event::Failure::default() }),
            ..testing::event(event::Type::Failure)
        });
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    for number in 0..1_000 {
        match next(&mut events).await {
            Event::Failure { status, .. } => assert_eq!(status, Some(number)),
            other => panic!("{other:?} instead of failure {number}"),
        }
    }
}
