//! Schedulers and commands against a master on a real socket.

use std::sync::Arc;
use std::time::Duration;

use meros_proto::ids::TaskId;
use meros_proto::resources::{Resources, Role};
use meros_proto::v1::scheduler::call;
use meros_proto::v1::{TaskState, TaskStatus};
use meros_sdk::matching::Want;
use meros_sdk::offers::Offer;
use meros_sdk::run_command::{Command, run_command};
use meros_sdk::scheduler::{Cluster, Handler, HandlerResult, RunError, Scheduler, command_task};
use meros_sdk::state::{File, Memory, StateStore, Transaction};
use meros_sdk::testing::{FakeMaster, SubscribeAnswer};
use tokio::sync::mpsc;

const RUN: [TaskState; 3] =
    [TaskState::TaskStarting, TaskState::TaskRunning, TaskState::TaskFinished];

/// Runs a list of tasks, one an offer; tells what it sees; fails at an update when told to.
struct Lines {
    todo: Vec<&'static str>,
    seen: mpsc::UnboundedSender<(String, TaskState)>,
    failures: usize,
    finish_when_done: bool,
}

impl Lines {
    fn new(todo: &[&'static str]) -> (Self, mpsc::UnboundedReceiver<(String, TaskState)>) {
        let (seen, receiver) = mpsc::unbounded_channel();
        (Self { todo: todo.to_vec(), seen, failures: 0, finish_when_done: true }, receiver)
    }
}

impl Handler for Lines {
    async fn offers(&mut self, cluster: &mut Cluster, offers: Vec<Offer>) -> HandlerResult {
        let resources = Resources::parse("cpus:1;mem:64", &Role::star())?;
        let want = Want { resources, ..Want::default() };
        for offer in offers {
            let (Some(name), Ok(fit)) = (self.todo.last(), want.try_offer(&offer, &[])) else {
                continue;
            };
            let task = command_task(&TaskId::parse(name)?, &offer, &fit.resources, "true");
            cluster.launch(offer, vec![task]).await?;
            self.todo.pop();
        }
        cluster.want(self.todo.len() as u64);
        Ok(())
    }

    async fn update(&mut self, cluster: &mut Cluster, status: &TaskStatus) -> HandlerResult {
        if self.failures > 0 {
            self.failures -= 1;
            return Err("the database is away".into());
        }
        let task = status.task_id.as_ref().map(|id| id.value().to_owned()).unwrap_or_default();
        let _ = self.seen.send((task, status.state()));
        if self.finish_when_done && status.state() == TaskState::TaskFinished {
            cluster.finish();
        }
        Ok(())
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(15), future).await.expect("it ends within 15 s")
}

#[tokio::test]
async fn a_command_runs_and_its_framework_is_torn_down() {
    let master = Arc::new(FakeMaster::start().await);
    master.run_tasks(&RUN);
    let address = master.address();
    // Also shows that the whole can be spawned.
    let running = tokio::spawn(async move { run_command(&address, Command::new("echo hi")).await });
    master.subscribed().await;
    master.offer("small", "agent-1", "cpus:0.05;mem:8");
    master.offer("large", "agent-2", "cpus:4;mem:1024");
    let outcome = within(running).await.expect("no panic").expect("it runs");
    assert!(outcome.is_success());
    assert_eq!((outcome.exit_code, outcome.hostname.as_str()), (Some(0), "agent-2"));

    let accept = master.next_call(call::Type::Accept).await.accept.expect("a body");
    let launch = accept.operations[0].launch.as_ref().expect("a launch");
    let command = launch.task_infos[0].command.as_ref().expect("a command");
    assert_eq!(command.value(), "echo hi");
    assert_eq!(master.open_offers(), 0, "what wasn't used was declined");
    assert_eq!(master.count(call::Type::Suppress), 1, "nothing is wanted any more");
    assert_eq!(master.count(call::Type::Acknowledge), 3);
    assert_eq!(master.count(call::Type::Teardown), 1);
}

#[tokio::test]
async fn a_command_whose_offer_was_taken_back_is_run_on_the_next() {
    let master = FakeMaster::start().await;
    let address = master.address();
    let running = tokio::spawn(async move { run_command(&address, Command::new("false")).await });
    master.subscribed().await;
    master.offer("gone", "agent-1", "cpus:1;mem:64");
    let accept = master.next_call(call::Type::Accept).await.accept.expect("a body");
    let task = &accept.operations[0].launch.as_ref().expect("a launch").task_infos[0];
    let task = task.task_id.as_ref().expect("an id").value();
    // As if a RESCIND had crossed the ACCEPT.
    master.update_without_uuid(task, "agent-1", TaskState::TaskDropped);
    master.next_call(call::Type::Revive).await;
    master.run_tasks(&[TaskState::TaskFailed]);
    master.offer("next", "agent-1", "cpus:1;mem:64");
    let outcome = within(running).await.expect("no panic").expect("it ran");
    assert_eq!(outcome.state, TaskState::TaskFailed);
    assert!(!outcome.is_success());
}

#[tokio::test]
async fn an_update_is_acknowledged_only_after_the_handler_succeeded() {
    let master = FakeMaster::start().await;
    let (mut lines, mut seen) = Lines::new(&["a"]);
    lines.failures = 2;
    let address = master.address();
    let running =
        tokio::spawn(async move { Scheduler::ephemeral(&address, "test").run(&mut lines).await });
    master.subscribed().await;
    master.run_tasks(&[TaskState::TaskFinished]);
    master.offer("o1", "agent-1", "cpus:1;mem:64");
    master.next_call(call::Type::Accept).await;
    assert_eq!(master.count(call::Type::Acknowledge), 0);
    assert_eq!(within(seen.recv()).await, Some(("a".to_owned(), TaskState::TaskFinished)));
    within(running).await.expect("no panic").expect("it ends well");
    assert_eq!(master.count(call::Type::Acknowledge), 1, "two attempts of three had failed");
}

#[tokio::test]
async fn an_update_whose_acknowledgement_was_lost_is_handled_once() {
    let master = FakeMaster::start().await;
    master.lose_acknowledgements(2);
    let (mut lines, mut seen) = Lines::new(&["a"]);
    lines.finish_when_done = false;
    let address = master.address();
    let running =
        tokio::spawn(async move { Scheduler::ephemeral(&address, "test").run(&mut lines).await });
    master.subscribed().await;
    master.run_tasks(&RUN);
    master.offer("o1", "agent-1", "cpus:1;mem:64");
    for _ in 0..5 {
        within(master.next_call(call::Type::Acknowledge)).await;
    }
    let mut states = Vec::new();
    while let Ok((_, state)) = seen.try_recv() {
        states.push(state);
    }
    assert_eq!(states, RUN);
    running.abort();
}

#[tokio::test]
async fn reconciliation_goes_on_until_every_known_task_is_answered() {
    let master = FakeMaster::start().await;
    let store = Memory::new();
    store
        .commit(
            Transaction::new()
                .put("framework/id", "framework-7")
                .put("task/a", "agent-1")
                .put("task/b", "agent-1"),
        )
        .expect("it is in memory");
    master.ignore_reconciliations(2);
    master.update("a", "agent-1", TaskState::TaskRunning);
    let (mut lines, mut seen) = Lines::new(&[]);
    let mut scheduler = Scheduler::with_store(&master.address(), "test", store);
    scheduler.pace.retry_first = Duration::from_millis(100);
    let running = tokio::spawn(async move { scheduler.run(&mut lines).await });

    let subscribe = master.next_call(call::Type::Subscribe).await;
    assert_eq!(subscribe.framework_id.expect("the stored id").value(), "framework-7");
    let asked = |call: call::Reconcile| -> Vec<String> {
        call.tasks.iter().filter_map(|task| task.task_id.as_ref()?.value.clone()).collect()
    };
    let first = within(master.next_call(call::Type::Reconcile)).await.reconcile.expect("a body");
    assert_eq!(asked(first), ["a", "b"]);
    let mut rounds = 1;
    loop {
        let next = within(master.next_call(call::Type::Reconcile)).await.reconcile.expect("a body");
        rounds += 1;
        if next.tasks.is_empty() {
            break;
        }
    }
    assert!(
        rounds >= 4,
        "two were ignored, one was answered, the last is for everything: {rounds}"
    );
    let mut told = Vec::new();
    while told.iter().all(|(task, _)| task != "b") {
        told.push(within(seen.recv()).await.expect("the handler runs"));
    }
    assert!(told.contains(&("b".to_owned(), TaskState::TaskUnknown)), "{told:?}");
    running.abort();
}

#[tokio::test]
async fn a_scheduler_with_a_file_comes_back_as_itself_and_finds_its_tasks() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("state");
    let master = FakeMaster::start().await;
    master.run_tasks(&[TaskState::TaskRunning]);
    let start = |mut lines: Lines| {
        let store = File::open(&path, "test").expect("it opens");
        let scheduler = Scheduler::with_store(&master.address(), "test", store);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            scheduler.run_until(&mut lines, stopped).await
        });
        (stop, running)
    };

    let (lines, mut seen) = Lines::new(&["a"]);
    let (stop, running) = start(lines);
    master.subscribed().await;
    master.offer("o1", "agent-1", "cpus:1;mem:64");
    assert_eq!(within(seen.recv()).await, Some(("a".to_owned(), TaskState::TaskRunning)));
    drop(stop);
    within(running).await.expect("no panic").expect("it ends well");
    assert_eq!(master.count(call::Type::Teardown), 0, "its tasks run on");

    master.next_call(call::Type::Subscribe).await;
    let (lines, mut seen) = Lines::new(&[]);
    let (_stop, running) = start(lines);
    let subscribe = master.next_call(call::Type::Subscribe).await;
    assert_eq!(subscribe.framework_id.expect("the stored id").value(), "framework-1");
    assert_eq!(within(seen.recv()).await, Some(("a".to_owned(), TaskState::TaskRunning)));
    master.update("a", "agent-1", TaskState::TaskFinished);
    within(running).await.expect("no panic").expect("it ends well");
    let store = File::open(&path, "test").expect("it opens");
    assert_eq!(store.list("task/").expect("it reads"), []);
}

#[tokio::test]
async fn a_framework_that_was_removed_forgets_its_id() {
    let master = FakeMaster::start().await;
    master.answer_subscribe(SubscribeAnswer::Error("Framework has been removed".into()));
    let store: Arc<dyn StateStore> = Arc::new(Memory::new());
    store
        .commit(Transaction::new().put("framework/id", "old").put("task/a", "agent-1"))
        .expect("it is in memory");
    let (mut lines, _seen) = Lines::new(&[]);
    let scheduler = Scheduler::with_store(&master.address(), "test", Arc::clone(&store));
    let error = within(scheduler.run(&mut lines)).await.expect_err("it is removed");
    assert!(matches!(error, RunError::Removed(_)), "{error}");
    assert_eq!(store.list("").expect("it reads"), []);
}

#[tokio::test]
async fn offers_are_declined_when_the_handler_drops_them_or_fails() {
    let master = FakeMaster::start().await;
    let (mut lines, _seen) = Lines::new(&["a/b is no id"]);
    let address = master.address();
    let running =
        tokio::spawn(async move { Scheduler::ephemeral(&address, "test").run(&mut lines).await });
    master.subscribed().await;
    master.offer("small", "agent-1", "cpus:0.1;mem:8");
    within(master.next_call(call::Type::Decline)).await;
    master.offer("large", "agent-1", "cpus:8;mem:512");
    within(master.next_call(call::Type::Decline)).await;
    assert_eq!((master.open_offers(), master.count(call::Type::Accept)), (0, 0));
    running.abort();
}

#[tokio::test]
async fn bad_addresses_and_amounts_are_one_line_and_reach_no_master() {
    let master = FakeMaster::start().await;
    for (address, cpus, message) in [
        ("nowhere", 1.0, "\"nowhere\" is not the address of a master"),
        ("", 1.0, "no master was named"),
        (&master.address(), -1.0, "-1 is not an amount of cpus"),
        (&master.address(), 0.0, "0 is not an amount of cpus"),
        (&master.address(), f64::NAN, "NaN is not an amount of cpus"),
    ] {
        let command = Command { cpus, ..Command::new("true") };
        let error = within(run_command(address, command)).await.expect_err(message).to_string();
        assert!(error.starts_with(message), "{error}");
        assert!(!error.contains('\n'));
    }
    assert_eq!(master.count(call::Type::Subscribe), 0);
}
