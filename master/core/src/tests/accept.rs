//! ACCEPT: launches, and all that can be wrong with them.

use std::sync::Arc;

use meros_proto::resources::Resources;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::{Reason, Source};

use crate::testing::{
    Cluster, Scheduler, TestAgent, accept, agent_spec, aware, framework_info, launch, refuse,
    resources, role, spec_in, spec_of, task, task_id,
};
use crate::{
    AgentMessage, Filters, LaunchTask, Offer, Operation, SchedulerCall, SchedulerEvent, Status,
    TaskSpec,
};

fn offered(spec: crate::FrameworkSpec) -> (Cluster, TestAgent, Scheduler, Arc<Offer>) {
    let mut cluster = Cluster::new();
    let (agent, _) = cluster.agent("cpus:4;mem:1024");
    let (scheduler, seen) = cluster.subscribe(spec);
    let offer = seen.offer();
    (cluster, agent, scheduler, offer)
}

fn changed(task: LaunchTask, change: impl FnOnce(&mut TaskSpec)) -> LaunchTask {
    let mut spec = task.spec.expect("a valid task");
    change(&mut spec);
    LaunchTask { id: task.id, spec: Ok(spec) }
}

#[test]
fn a_launched_task_is_sent_to_its_agent_and_counts_as_used() {
    let (mut cluster, agent, scheduler, offer) = offered(spec_in("web"));
    let task = task("t", &agent.id, "cpus:1;mem:256");
    let raw = task.spec.as_ref().expect("a valid task").raw.clone();
    let call = accept(&[offer], vec![launch(vec![task])], Filters::default());
    let seen = cluster.call(&scheduler, call);
    assert!(seen.statuses().is_empty(), "staging is not told");
    match seen.to_agent(agent.link).as_slice() {
        [AgentMessage::RunTask { framework, task, role: allocated, .. }] => {
            assert_eq!((framework, task), (&scheduler.id, &raw));
            assert_eq!(*allocated, role("web"));
        }
        other => panic!("one RunTask, not {other:?}"),
    }
    let view = cluster.view();
    let used: Resources = resources("cpus:1;mem:256").allocated_to(&role("web"));
    assert_eq!((&view.agents[0].used, &view.frameworks[0].used), (&used, &used));
    assert!(view.frameworks[0].offers.is_empty());
    assert_eq!(
        view.frameworks[0].tasks.iter().next().expect("a task").state,
        TaskState::TaskStaging
    );
}

#[test]
fn an_invalid_task_gets_an_error_and_the_others_run() {
    let (mut cluster, agent, scheduler, offer) = offered(aware());
    let other_agent = meros_proto::ids::AgentId::parse("master-S9").expect("a valid id");
    let good = |id: &str| task(id, &agent.id, "cpus:1;mem:256");
    let executor = meros_proto::ids::ExecutorId::parse("e").expect("a valid id");
    let unparsed = LaunchTask { id: Arc::from("a/b"), spec: Err("no id".to_owned()) };
    let allocated = |task: &mut TaskSpec| {
        task.resources = task.resources.allocated_to(&role("web"));
    };
    let cases = [
        (unparsed, "no id"),
        (task("elsewhere", &other_agent, "cpus:1;mem:1"), "agent master-S9"),
        (changed(good("custom"), |task| task.executor = Some(executor)), "not supported"),
        (changed(good("limited"), |task| task.has_limits = true), "'limits'"),
        (changed(good("role"), allocated), "role 'web'"),
        (task("big", &agent.id, "cpus:4.001;mem:1"), "more than available"),
        (task("odd", &agent.id, "cpus:1;frogs:1"), "more than available"),
        (good("first"), "duplicate ID"),
        (task("rest", &agent.id, "cpus:3.001;mem:1"), "more than available cpus:3; mem:768"),
    ];
    let mut tasks = vec![good("first")];
    tasks.extend(cases.iter().map(|(task, _)| task.clone()));
    tasks.push(good("last"));
    let seen = cluster.call(&scheduler, accept(&[offer], vec![launch(tasks)], refuse(0.0)));
    let statuses = seen.statuses();
    assert_eq!(statuses.len(), cases.len());
    for (status, (task, text)) in statuses.iter().zip(&cases) {
        let Status::Made(made) = status else { panic!("made by the master: {status:?}") };
        assert_eq!((&made.task, made.state), (&task.id, TaskState::TaskError));
        assert_eq!((made.source, made.reason), (Source::Master, Some(Reason::TaskInvalid)));
        assert!(made.message.contains(text), "'{}' should say '{text}'", made.message);
        assert_eq!(made.agent.as_ref(), Some(&agent.id));
    }
    let live: Vec<_> =
        cluster.view().frameworks[0].tasks.iter().map(|task| task.id.clone()).collect();
    assert_eq!(live, [task_id("first"), task_id("last")]);
    assert_eq!(cluster.view().counters.tasks_error, cases.len() as u64);
}

#[test]
fn several_offers_of_one_agent_are_one_pool() {
    let mut cluster = Cluster::new();
    let (agent, _) = cluster.agent("cpus:2;mem:512");
    let (scheduler, seen) = cluster.subscribe(aware());
    let half = task("a", &agent.id, "cpus:1;mem:256");
    cluster.call(&scheduler, accept(&seen.offers(), vec![launch(vec![half])], refuse(0.0)));
    let first = cluster.wait(std::time::Duration::from_secs(1)).offer();
    cluster.update(&agent, &scheduler.id, "a", TaskState::TaskFinished);
    let second = cluster.wait(std::time::Duration::from_secs(1)).offer();
    let whole = task("b", &agent.id, "cpus:2;mem:512");
    let call = accept(&[first, second], vec![launch(vec![whole])], refuse(0.0));
    let seen = cluster.call(&scheduler, call);
    assert!(matches!(seen.to_agent(agent.link).as_slice(), [AgentMessage::RunTask { .. }]));
}

#[test]
fn an_accept_without_tasks_is_a_decline() {
    for operations in [vec![], vec![launch(vec![])]] {
        let (mut cluster, _, scheduler, offer) = offered(aware());
        let seen = cluster.call(&scheduler, accept(&[offer], operations, refuse(30.0)));
        assert!(seen.offers().is_empty());
        assert!(cluster.wait(std::time::Duration::from_secs(29)).offers().is_empty());
        assert_eq!(cluster.wait(std::time::Duration::from_secs(1)).offers().len(), 1);
    }
}

/// Offers that can't be used together, and what is said of them.
fn unusable(cluster: &mut Cluster, near: &Arc<Offer>) -> Vec<(Vec<Arc<Offer>>, &'static str)> {
    let far = cluster.agent("cpus:4;mem:1024").1.offer();
    let gone = Arc::new(Offer {
        id: meros_proto::ids::OfferId::parse("master-O77").expect("a valid id"),
        ..Offer::clone(near)
    });
    let near = || Arc::clone(near);
    vec![
        (vec![], "No offers specified"),
        (vec![near(), gone], "Offer master-O77 is no longer valid"),
        (vec![near(), near()], "Duplicate offer"),
        (vec![near(), far], "one single agent"),
    ]
}

#[test]
fn invalid_offers_launch_nothing_and_the_valid_ones_come_back() {
    let (dropped, lost) = (TaskState::TaskDropped, TaskState::TaskLost);
    for (case, state) in [0, 1, 2, 3].into_iter().zip([dropped, lost].into_iter().cycle()) {
        let unaware = spec_of(&framework_info(&[]));
        let spec = if state == dropped { aware() } else { unaware };
        let (mut cluster, agent, scheduler, near) = offered(spec);
        let (offers, text) = unusable(&mut cluster, &near).swap_remove(case);
        let tasks = vec![task("t", &agent.id, "cpus:1;mem:1")];
        let operations = vec![
            launch(tasks.clone()),
            Operation::LaunchGroup { id: None, tasks },
            Operation::Unbuilt { name: "RESERVE", id: Some("op".to_owned()) },
            Operation::Unbuilt { name: "RESERVE", id: None },
        ];
        let seen = cluster.call(&scheduler, accept(&offers, operations, refuse(0.0)));
        assert!(seen.to_agent(agent.link).is_empty(), "{text}");
        assert!(seen.offers().is_empty(), "held, so that a repeated mistake can't spin");
        assert_eq!(seen.statuses().len(), 2, "{text}");
        for status in seen.statuses() {
            let Status::Made(made) = status else { panic!("made by the master") };
            assert_eq!((made.state, made.reason), (state, Some(Reason::InvalidOffers)));
            assert!(made.message.starts_with("Task launched with invalid offers: "));
            assert!(made.message.contains(text), "'{}' should say '{text}'", made.message);
        }
        let failed = |event: &SchedulerEvent| {
            matches!(event, SchedulerEvent::OperationError { operation, message, .. }
                if operation == "op" && message.contains(text))
        };
        assert_eq!(seen.events(scheduler.stream).iter().filter(|one| failed(one)).count(), 1);
        let left = cluster.view().frameworks[0].offers.len();
        let listed: std::collections::BTreeSet<_> =
            offers.iter().map(|one| &one.id).filter(|id| id.as_str() != "master-O77").collect();
        assert_eq!(left, 2 - listed.len(), "{text}");
    }
}

#[test]
fn another_frameworks_offer_is_no_use_and_stays_its_own() {
    let (mut cluster, agent, owner, offer) = offered(aware());
    let (thief, _) = cluster.subscribe(aware());
    let call =
        accept(&[offer], vec![launch(vec![task("t", &agent.id, "cpus:1;mem:1")])], refuse(0.0));
    let seen = cluster.call(&thief, call);
    assert_eq!(seen.made().reason, Some(Reason::InvalidOffers));
    let view = cluster.view();
    let owned = view.frameworks.iter().find(|one| one.id == owner.id).map(|one| one.offers.len());
    assert_eq!(owned, Some(1));
}

#[test]
fn what_is_not_built_fails_as_the_contract_says() {
    let (mut cluster, agent, scheduler, offer) = offered(aware());
    let member = task("member", &agent.id, "cpus:1;mem:1");
    let fine = task("fine", &agent.id, "cpus:1;mem:1");
    let operations = vec![
        Operation::LaunchGroup { id: None, tasks: vec![member] },
        Operation::Unbuilt { name: "RESERVE", id: Some("op-1".to_owned()) },
        Operation::Unbuilt { name: "CREATE", id: None },
        Operation::Launch {
            id: Some("op-2".to_owned()),
            tasks: vec![task("t", &agent.id, "cpus:1")],
        },
        launch(vec![fine]),
    ];
    let seen = cluster.call(&scheduler, accept(&[offer], operations, refuse(0.0)));
    let reasons: Vec<_> = seen
        .statuses()
        .iter()
        .map(|status| match status {
            Status::Made(made) => (made.task.to_string(), made.state, made.reason),
            Status::Forwarded { .. } => panic!("made by the master"),
        })
        .collect();
    let error = TaskState::TaskError;
    assert_eq!(
        reasons,
        [
            ("member".to_owned(), error, Some(Reason::TaskGroupInvalid)),
            ("t".to_owned(), error, Some(Reason::TaskInvalid)),
        ]
    );
    let failed = seen.events(scheduler.stream).into_iter().find_map(|event| match event {
        SchedulerEvent::OperationError { operation, message, agent } => {
            Some((operation, message, agent))
        }
        _ => None,
    });
    let (operation, message, on) = failed.expect("an operation with an id is answered");
    assert_eq!((operation.as_str(), on.as_ref()), ("op-1", Some(&agent.id)));
    assert!(message.contains("RESERVE is not supported"));
    assert_eq!(cluster.view().frameworks[0].tasks.len(), 1, "the next operation is still tried");
}

#[test]
fn limits_need_an_agent_that_enforces_them() {
    let mut cluster = Cluster::new();
    let mut spec = agent_spec("cpus:4;mem:1024");
    spec.capabilities.push("TASK_RESOURCE_LIMITS".to_owned());
    let (agent, _) = cluster.register(None, spec, Vec::new(), Vec::new());
    let (scheduler, seen) = cluster.subscribe(aware());
    let task = changed(task("t", &agent.id, "cpus:1;mem:1"), |task| task.has_limits = true);
    let call = accept(&seen.offers(), vec![launch(vec![task])], refuse(0.0));
    assert!(cluster.call(&scheduler, call).statuses().is_empty());
}

#[test]
fn an_id_is_free_again_once_its_task_is_done() {
    let mut cluster = Cluster::new();
    let (scheduler, agent) = cluster.running(aware());
    cluster.update(&agent, &scheduler.id, "t", TaskState::TaskFinished);
    let offer = cluster.wait(std::time::Duration::from_secs(1)).offer();
    let again = || launch(vec![task("t", &agent.id, "cpus:1;mem:1")]);
    let seen = cluster.call(&scheduler, accept(&[offer], vec![again()], refuse(0.0)));
    assert!(seen.made().message.contains("duplicate ID"), "not acknowledged yet");
    let acknowledge = SchedulerCall::Acknowledge {
        agent: agent.id.clone(),
        task: task_id("t"),
        uuid: crate::testing::uuid(TaskState::TaskFinished),
    };
    cluster.call(&scheduler, acknowledge);
    let offer = cluster.wait(std::time::Duration::from_secs(1)).offer();
    let seen = cluster.call(&scheduler, accept(&[offer], vec![again()], refuse(0.0)));
    assert!(seen.statuses().is_empty());
}
