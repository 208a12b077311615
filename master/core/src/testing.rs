//! A master with made-up frameworks and agents around it, under a clock that the test turns.
//!
//! After every input the books are checked, so that each test also is one of the invariants.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meros_proto::caller::Caller;
use meros_proto::ids::{AgentId, FrameworkId, MasterId, OfferId, StreamId, TaskId};
use meros_proto::machine::{Core, Outputs};
use meros_proto::resources::{Resources, Role};
use meros_proto::time::{Mono, Now, Timestamp};
use meros_proto::v1::framework_info::capability::Type;
use meros_proto::v1::{self, TaskState};
use meros_proto::wire::{self, Encoding};

use crate::registry::{Op, State};
use crate::{
    AgentMessage, AgentRegister, AgentSpec, Answer, Call, Config, Effect, Filters, FrameworkSpec,
    Input, LaunchTask, LinkRef, MadeStatus, Master, Offer, Operation, ReplyTo, SchedulerCall,
    SchedulerEvent, Snapshot, Status, StatusReport, StreamRef, Subscribe, TaskReport, TaskSpec,
    Uuid,
};

/// A master and its surroundings.
pub(crate) struct Cluster {
    pub(crate) master: Master,
    config: Config,
    pub(crate) now: Now,
    last_number: u64,
    /// All operations so far, as a log would hold them.
    pub(crate) log: Vec<Op>,
}

/// A subscribed scheduler.
#[derive(Debug, Clone)]
pub(crate) struct Scheduler {
    pub(crate) id: FrameworkId,
    pub(crate) stream: StreamRef,
    pub(crate) stream_id: StreamId,
}

/// A registered agent.
#[derive(Debug, Clone)]
pub(crate) struct TestAgent {
    pub(crate) id: AgentId,
    pub(crate) link: LinkRef,
}

/// What the master asked for in answer to an input.
#[derive(Debug, Default)]
pub(crate) struct Seen(pub(crate) Vec<Effect>);

pub(crate) fn resources(text: &str) -> Resources {
    Resources::parse(text, &Role::star()).expect("resources of a test")
}

pub(crate) fn role(name: &str) -> Role {
    Role::parse(name).expect("a role of a test")
}

pub(crate) fn config() -> Config {
    Config::new(MasterId::parse("master").expect("a valid id"))
}

pub(crate) fn framework_info(capabilities: &[Type]) -> v1::FrameworkInfo {
    let capability = |kind: &Type| v1::framework_info::Capability { r#type: Some((*kind).into()) };
    v1::FrameworkInfo {
        user: Some("nobody".to_owned()),
        name: Some("test".to_owned()),
        failover_timeout: Some(60.0),
        capabilities: capabilities.iter().map(capability).collect(),
        ..Default::default()
    }
}

pub(crate) fn spec_of(info: &v1::FrameworkInfo) -> FrameworkSpec {
    FrameworkSpec::from_proto(info, &[]).expect("a framework of a test")
}

/// A framework of one role.
pub(crate) fn spec_in(role: &str) -> FrameworkSpec {
    let info = v1::FrameworkInfo { role: Some(role.to_owned()), ..framework_info(&[]) };
    spec_of(&info)
}

pub(crate) fn aware() -> FrameworkSpec {
    spec_of(&framework_info(&[Type::PartitionAware]))
}

pub(crate) fn agent_spec(text: &str) -> AgentSpec {
    let all = ["MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT"];
    let info = v1::AgentInfo { hostname: Some("host".to_owned()), ..Default::default() };
    let capabilities = all.map(str::to_owned).to_vec();
    let spec = AgentSpec::from_proto(&info, "slave(1)@127.0.0.1:5051", "1.11.0", capabilities);
    AgentSpec { resources: resources(text), ..spec.expect("an agent of a test") }
}

/// A task that is valid by itself.
pub(crate) fn task(id: &str, agent: &AgentId, text: &str) -> LaunchTask {
    let info = v1::TaskInfo {
        name: Some(id.to_owned()),
        task_id: Some(v1::TaskId { value: Some(id.to_owned()) }),
        ..Default::default()
    };
    let spec = TaskSpec {
        id: task_id(id),
        name: Arc::from(id),
        agent: agent.clone(),
        resources: resources(text),
        executor: None,
        has_limits: false,
        raw: wire::encode(Encoding::Protobuf, &info).into(),
    };
    LaunchTask { id: Arc::from(id), spec: Ok(Box::new(spec)) }
}

pub(crate) fn task_id(id: &str) -> TaskId {
    TaskId::parse(id).expect("a task id of a test")
}

pub(crate) fn launch(tasks: Vec<LaunchTask>) -> Operation {
    Operation::Launch { id: None, tasks }
}

pub(crate) fn refuse(seconds: f64) -> Filters {
    Filters { refuse_seconds: Some(seconds) }
}

/// The uuid that a test's update of this state carries.
pub(crate) fn uuid(state: TaskState) -> Uuid {
    Uuid([i32::from(state) as u8; 16])
}

pub(crate) fn report(id: &str, state: TaskState) -> StatusReport {
    let status = v1::TaskStatus {
        task_id: Some(v1::TaskId { value: Some(id.to_owned()) }),
        state: Some(state.into()),
        uuid: Some(Bytes::copy_from_slice(&uuid(state).0)),
        healthy: Some(true),
        ..Default::default()
    };
    let raw = Bytes::from(wire::encode(Encoding::Protobuf, &status));
    StatusReport::from_proto(&status, raw).expect("a status of a test")
}

/// A task as an agent reports it when it registers.
pub(crate) fn reported(
    framework: &FrameworkId,
    id: &str,
    text: &str,
    state: TaskState,
) -> TaskReport {
    TaskReport {
        framework: framework.clone(),
        id: task_id(id),
        name: Arc::from(id),
        executor: None,
        resources: resources(text).allocated_to(&Role::star()),
        state,
        status: None,
        raw: Bytes::new(),
    }
}

pub(crate) fn accept(
    offers: &[Arc<Offer>],
    operations: Vec<Operation>,
    filters: Filters,
) -> SchedulerCall {
    SchedulerCall::Accept { offers: ids(offers), operations, filters }
}

pub(crate) fn decline(offers: &[Arc<Offer>], filters: Filters) -> SchedulerCall {
    SchedulerCall::Decline { offers: ids(offers), filters }
}

pub(crate) fn ids(offers: &[Arc<Offer>]) -> Vec<OfferId> {
    offers.iter().map(|offer| offer.id.clone()).collect()
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self::with(config(), Vec::new())
    }

    pub(crate) fn with(config: Config, log: Vec<Op>) -> Self {
        let now = Now {
            mono: Mono::from_nanos(1_000_000_000),
            wall: Timestamp::from_millis(1_700_000_000_000),
        };
        let registry = State::fold(&log).expect("the log of a master");
        let master = Master::new(now, config.clone(), 42, registry);
        Self { master, config, now, last_number: 0, log }
    }

    /// Kills the master and starts another on what its log holds: all else is lost.
    pub(crate) fn restart(&mut self) {
        let registry = State::fold(&self.log).expect("the log of a master");
        let id = MasterId::parse(&format!("master-{}", self.number())).expect("a valid id");
        let config = Config { master_id: id, ..self.config.clone() };
        self.master = Master::new(self.now, config, 42, registry);
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// One input, and the round after it.
    #[track_caller]
    pub(crate) fn input(&mut self, input: Input) -> Seen {
        let mut out = Outputs::default();
        self.master.handle(self.now, input, &mut out);
        self.checked(out)
    }

    /// Lets time pass, waking the master when it wants to be woken.
    #[track_caller]
    pub(crate) fn wait(&mut self, time: Duration) -> Seen {
        let end = self.now.mono + time;
        let mut seen = Seen::default();
        loop {
            let until = self.master.deadline().map_or(end, |due| due.min(end));
            let step = until.since(self.now.mono);
            self.now = Now { mono: self.now.mono + step, wall: self.now.wall + step };
            seen.0.extend(self.checked(Outputs::default()).0);
            if self.now.mono >= end {
                return seen;
            }
        }
    }

    #[track_caller]
    fn checked(&mut self, mut out: Outputs<Op, Effect>) -> Seen {
        self.master.round(self.now, &mut out);
        if let Some(broken) = self.master.broken_invariant() {
            panic!("{broken}");
        }
        let due = self.master.deadline();
        assert!(due.is_none_or(|due| due > self.now.mono), "{due:?} is not after the round");
        self.log.extend(out.records);
        let rejected = |effect: &Effect| {
            matches!(effect, Effect::Notice(crate::Notice::OperationRejected { .. }))
        };
        assert!(!out.effects.iter().any(rejected), "the registry refused an operation");
        Seen(out.effects)
    }

    pub(crate) fn try_subscribe(
        &mut self,
        id: Option<&FrameworkId>,
        framework: Result<FrameworkSpec, String>,
    ) -> (Scheduler, Seen) {
        let number = self.number();
        let stream_id = StreamId::parse(&format!("stream-{number}")).expect("a valid id");
        let seen = self.input(Input::Subscribe(Box::new(Subscribe {
            caller: Caller::default(),
            stream: StreamRef(number),
            stream_id: stream_id.clone(),
            framework_id: id.cloned(),
            framework,
        })));
        let id = seen.events(StreamRef(number)).into_iter().find_map(|event| match event {
            SchedulerEvent::Subscribed { framework, .. } => Some(framework),
            _ => None,
        });
        let id = id.unwrap_or_else(|| FrameworkId::parse("none").expect("a valid id"));
        (Scheduler { id, stream: StreamRef(number), stream_id }, seen)
    }

    pub(crate) fn subscribe(&mut self, spec: FrameworkSpec) -> (Scheduler, Seen) {
        self.try_subscribe(None, Ok(spec))
    }

    pub(crate) fn resubscribe(
        &mut self,
        id: &FrameworkId,
        spec: FrameworkSpec,
    ) -> (Scheduler, Seen) {
        self.try_subscribe(Some(id), Ok(spec))
    }

    #[track_caller]
    pub(crate) fn call(&mut self, scheduler: &Scheduler, call: SchedulerCall) -> Seen {
        let reply = ReplyTo(self.number());
        let stream_id = Some(scheduler.stream_id.to_string());
        let seen = self.input(Input::Call(Box::new(Call {
            caller: Caller::default(),
            reply,
            framework: scheduler.id.clone(),
            stream_id,
            call,
        })));
        assert!(matches!(seen.answer(reply), Some(Answer::Accepted)), "{seen:?}");
        seen
    }

    /// A new agent.
    pub(crate) fn agent(&mut self, text: &str) -> (TestAgent, Seen) {
        self.register(None, agent_spec(text), Vec::new(), Vec::new())
    }

    pub(crate) fn register(
        &mut self,
        id: Option<&AgentId>,
        spec: AgentSpec,
        tasks: Vec<TaskReport>,
        frameworks: Vec<crate::FrameworkReport>,
    ) -> (TestAgent, Seen) {
        let link = LinkRef(self.number());
        let seen = self.input(Input::AgentRegister(Box::new(AgentRegister {
            caller: Caller::default(),
            link,
            agent_id: id.cloned(),
            spec,
            boot_id: String::new(),
            incarnation: String::new(),
            tasks,
            frameworks,
        })));
        let id = seen.to_agent(link).into_iter().find_map(|message| match message {
            AgentMessage::Registered { agent, .. } => Some(agent),
            _ => None,
        });
        (TestAgent { id: id.expect("the agent is registered"), link }, seen)
    }

    #[track_caller]
    pub(crate) fn update(
        &mut self,
        agent: &TestAgent,
        framework: &FrameworkId,
        id: &str,
        state: TaskState,
    ) -> Seen {
        self.input(Input::AgentUpdate {
            link: agent.link,
            framework: framework.clone(),
            status: Box::new(report(id, state)),
            latest_state: state,
        })
    }

    pub(crate) fn view(&mut self) -> Arc<Snapshot> {
        let reply = ReplyTo(self.number());
        match self.input(Input::View { reply }).answer(reply) {
            Some(Answer::View(snapshot)) => snapshot,
            other => panic!("a view is always answered, not by {other:?}"),
        }
    }

    /// An agent, a framework, and a task of it that runs there.
    pub(crate) fn running(&mut self, spec: FrameworkSpec) -> (Scheduler, TestAgent) {
        let (agent, _) = self.agent("cpus:4;mem:1024");
        let (scheduler, seen) = self.subscribe(spec);
        let task = task("t", &agent.id, "cpus:1;mem:128");
        self.call(&scheduler, accept(&seen.offers(), vec![launch(vec![task])], refuse(600.0)));
        self.update(&agent, &scheduler.id, "t", TaskState::TaskRunning);
        (scheduler, agent)
    }
}

impl Seen {
    /// All offers, to whomever.
    pub(crate) fn offers(&self) -> Vec<Arc<Offer>> {
        self.all_events()
            .flat_map(|(_, event)| match event {
                SchedulerEvent::Offers(offers) => offers.clone(),
                _ => Vec::new(),
            })
            .collect()
    }

    /// The only offer.
    #[track_caller]
    pub(crate) fn offer(&self) -> Arc<Offer> {
        let offers = self.offers();
        assert_eq!(offers.len(), 1, "{offers:#?}");
        Arc::clone(&offers[0])
    }

    pub(crate) fn rescinded(&self) -> Vec<OfferId> {
        self.all_events()
            .filter_map(|(_, event)| match event {
                SchedulerEvent::Rescind(offer) => Some(offer.clone()),
                _ => None,
            })
            .collect()
    }

    /// The statuses, to whomever.
    pub(crate) fn statuses(&self) -> Vec<Status> {
        self.all_events()
            .filter_map(|(_, event)| match event {
                SchedulerEvent::Update(status) => Some(status.clone()),
                _ => None,
            })
            .collect()
    }

    /// The only status, made by the master.
    #[track_caller]
    pub(crate) fn made(&self) -> MadeStatus {
        match self.statuses().as_slice() {
            [Status::Made(made)] => MadeStatus::clone(made),
            other => panic!("one status by the master, not {other:?}"),
        }
    }

    pub(crate) fn events(&self, stream: StreamRef) -> Vec<SchedulerEvent> {
        self.all_events().filter(|(to, _)| *to == stream).map(|(_, event)| event.clone()).collect()
    }

    pub(crate) fn to_agent(&self, link: LinkRef) -> Vec<AgentMessage> {
        self.0
            .iter()
            .filter_map(|effect| match effect {
                Effect::ToAgent { link: to, message } if *to == link => Some(message.clone()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn answer(&self, reply: ReplyTo) -> Option<Answer> {
        self.0.iter().find_map(|effect| match effect {
            Effect::Reply { to, answer } if *to == reply => Some(answer.clone()),
            _ => None,
        })
    }

    pub(crate) fn closed(&self, stream: StreamRef) -> bool {
        self.0
            .iter()
            .any(|effect| matches!(effect, Effect::CloseStream { stream: one } if *one == stream))
    }

    /// The text of the ERROR on a stream that was then closed.
    pub(crate) fn error(&self, stream: StreamRef) -> Option<String> {
        let message = self.events(stream).into_iter().find_map(|event| match event {
            SchedulerEvent::Error { message } => Some(message),
            _ => None,
        });
        message.filter(|_| self.closed(stream))
    }

    fn all_events(&self) -> impl Iterator<Item = (StreamRef, &SchedulerEvent)> {
        self.0.iter().filter_map(|effect| match effect {
            Effect::Event { stream, event } => Some((*stream, event)),
            _ => None,
        })
    }
}
