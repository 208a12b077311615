//! A core on a bench: a virtual clock, a log in memory, and every effect kept to be looked at.

use std::time::Duration;

use bytes::Bytes;
use meros_agent_core::checks::Probe;
use meros_agent_core::effect::{Effect, Registration, StatusUpdate, ToMaster};
use meros_agent_core::exit::Exit;
use meros_agent_core::input::{ContainerEvent, Found, FromMaster, Input, Reply};
use meros_agent_core::task::{FrameworkSpec, TaskKey, TaskSpec};
use meros_agent_core::view::View;
use meros_agent_core::{Agent, Config, Record};
use meros_proto::caller::Caller;
use meros_proto::ids::{AgentId, ContainerId, FrameworkId, TaskId};
use meros_proto::machine::{Core, Outputs};
use meros_proto::time::{Mono, Now, Timestamp};
use meros_proto::v1;
use meros_proto::v1::TaskState;
use meros_proto::v1::framework_info::capability::Type as Capability;
use meros_proto::wire::{self, Encoding};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const BOOT: &str = "boot-1";
pub(crate) const SILENCE: Duration = Duration::from_secs(75);

pub(crate) struct Bench {
    pub(crate) agent: Agent,
    pub(crate) now: Now,
    pub(crate) log: Vec<Record>,
    effects: Vec<Effect>,
}

impl Bench {
    pub(crate) fn fresh() -> Self {
        Self::over(Agent::new(Config::default(), [1; 32]))
    }

    /// An agent that starts on what an earlier one wrote.
    pub(crate) fn restarted(log: Vec<Record>) -> Self {
        Self::recovered(log, Vec::new())
    }

    /// The same, with what is left of its containers.
    pub(crate) fn recovered(log: Vec<Record>, found: Vec<(ContainerId, Found)>) -> Self {
        let mut bench = Self::replayed(log);
        bench.begin(BOOT, found);
        bench
    }

    /// An agent that has read its log and not started yet.
    pub(crate) fn replayed(log: Vec<Record>) -> Self {
        let life = log.len() as u64;
        Self::replayed_as(life, log)
    }

    /// The same for one of many lives: no two of them may draw the same names.
    pub(crate) fn replayed_as(life: u64, log: Vec<Record>) -> Self {
        let mut seed = [2; 32];
        seed[..8].copy_from_slice(&life.to_le_bytes());
        let mut bench = Self::over(Agent::recover(Config::default(), seed, log.clone()));
        bench.log = log;
        bench
    }

    /// A fresh agent that a master took in over session 1.
    pub(crate) fn registered() -> Self {
        let mut bench = Self::fresh();
        bench.begin(BOOT, Vec::new());
        bench.register(1);
        bench.effects.clear();
        bench
    }

    fn over(agent: Agent) -> Self {
        let wall = Timestamp::from_millis(1_700_000_000_000);
        let now = Now { mono: Mono::default() + Duration::from_secs(86_400), wall };
        Self { agent, now, log: Vec::new(), effects: Vec::new() }
    }

    pub(crate) fn tell(&mut self, input: Input) {
        let mut out = Outputs::default();
        self.agent.handle(self.now, input, &mut out);
        self.agent.round(self.now, &mut out);
        self.take(out);
    }

    /// The first input.
    pub(crate) fn begin(&mut self, boot_id: &str, found: Vec<(ContainerId, Found)>) {
        self.tell(Input::Start { boot_id: boot_id.to_owned(), found });
    }

    /// What a master says over session 1.
    pub(crate) fn hear(&mut self, message: FromMaster) {
        self.tell(Input::FromMaster { session: 1, message });
    }

    pub(crate) fn register(&mut self, session: u64) {
        self.tell(Input::LinkUp { session });
        let message = FromMaster::Registered {
            agent: AgentId::parse("m-S0").expect("an id"),
            master: "m".to_owned(),
            silence: SILENCE,
            removed: Vec::new(),
        };
        self.tell(Input::FromMaster { session, message });
    }

    pub(crate) fn run(&mut self, task: v1::TaskInfo) -> TaskKey {
        self.run_for(framework(&[Capability::PartitionAware]), task)
    }

    pub(crate) fn run_for(&mut self, framework: FrameworkSpec, task: v1::TaskInfo) -> TaskKey {
        let encoded = Bytes::from(wire::encode(Encoding::Protobuf, &task));
        let task = TaskSpec::parse(framework.id.clone(), encoded).expect("a valid task");
        let key = task.key.clone();
        self.hear(FromMaster::Run { framework, task });
        key
    }

    /// Runs a task and has its container start.
    pub(crate) fn started(&mut self, task: v1::TaskInfo) -> (TaskKey, ContainerId) {
        let key = self.run(task);
        let container = self.launched();
        self.start(&container);
        (key, container)
    }

    pub(crate) fn start(&mut self, container: &ContainerId) {
        self.tell(Input::Container(container.clone(), ContainerEvent::Started { pid: 42 }));
    }

    pub(crate) fn exit(&mut self, container: &ContainerId, exit: Exit) {
        let event = ContainerEvent::Exited { exit, overrun: None };
        self.tell(Input::Container(container.clone(), event));
    }

    pub(crate) fn kill(&mut self, task: &TaskKey, grace: Option<Duration>) {
        self.hear(FromMaster::Kill { task: task.clone(), grace });
    }

    /// Acknowledges what was sent last, again and again until nothing more comes of it; what was
    /// sent, first to last.
    pub(crate) fn acknowledge_all(&mut self) -> Vec<StatusUpdate> {
        let mut heard = Vec::new();
        loop {
            let sent = self.sent();
            if sent.is_empty() {
                return heard;
            }
            for update in sent {
                let uuid = Bytes::copy_from_slice(&update.update.uuid);
                self.hear(FromMaster::Acknowledge { task: update.task.clone(), uuid });
                heard.push(update);
            }
        }
    }

    pub(crate) fn acknowledge(&mut self, update: &StatusUpdate) {
        let uuid = Bytes::copy_from_slice(&update.update.uuid);
        self.hear(FromMaster::Acknowledge { task: update.task.clone(), uuid });
    }

    /// Lets time pass, waking the core whenever it asked for it.
    pub(crate) fn pass(&mut self, span: Duration) {
        let until = self.now.mono + span;
        while let Some(deadline) = self.agent.deadline().filter(|deadline| *deadline <= until) {
            self.set_clock(deadline);
            let mut out = Outputs::default();
            self.agent.round(self.now, &mut out);
            self.take(out);
        }
        self.set_clock(until);
    }

    /// The same with a master that pings.
    pub(crate) fn pass_in_touch(&mut self, span: Duration) {
        let until = self.now.mono + span;
        while self.now.mono < until {
            self.hear(FromMaster::Ping { sequence: 0 });
            self.pass(until.since(self.now.mono).min(15 * SECOND));
        }
    }

    /// Updates that were sent since they were last asked for.
    pub(crate) fn sent(&mut self) -> Vec<StatusUpdate> {
        self.pick(|effect| match effect {
            Effect::ToMaster { message: ToMaster::Update(update), .. } => Ok(update),
            other => Err(Box::new(other)),
        })
    }

    /// The states in those.
    pub(crate) fn states(&mut self) -> Vec<TaskState> {
        self.sent().iter().map(|update| update.update.status.state).collect()
    }

    /// The container that was asked for last.
    pub(crate) fn launched(&mut self) -> ContainerId {
        let launches = self.pick(|effect| match effect {
            Effect::Launch(launch) => Ok(launch.container),
            other => Err(Box::new(other)),
        });
        launches.into_iter().next_back().expect("a launch")
    }

    pub(crate) fn launches(&mut self) -> usize {
        let launches = self.pick(|effect| match effect {
            Effect::Launch(launch) => Ok(launch),
            other => Err(Box::new(other)),
        });
        launches.len()
    }

    /// The graces of the kills that were asked for.
    pub(crate) fn kills(&mut self) -> Vec<Duration> {
        self.pick(|effect| match effect {
            Effect::Kill { grace, .. } => Ok(grace),
            other => Err(Box::new(other)),
        })
    }

    /// The looks at tasks that were asked for.
    pub(crate) fn looks(&mut self) -> Vec<Probe> {
        self.pick(|effect| match effect {
            Effect::Check(probe) => Ok(probe),
            other => Err(Box::new(other)),
        })
    }

    /// Containers of which nothing need be kept.
    pub(crate) fn forgotten(&mut self) -> Vec<ContainerId> {
        self.pick(|effect| match effect {
            Effect::Forget(container) => Ok(container),
            other => Err(Box::new(other)),
        })
    }

    pub(crate) fn registrations(&mut self) -> Vec<Registration> {
        self.pick(|effect| match effect {
            Effect::ToMaster { message: ToMaster::Register(registration), .. } => Ok(registration),
            other => Err(Box::new(other)),
        })
    }

    pub(crate) fn stopped(&mut self) -> Option<Result<(), String>> {
        let stopped = self.pick(|effect| match effect {
            Effect::Stopped(outcome) => Ok(outcome),
            other => Err(Box::new(other)),
        });
        stopped.into_iter().next()
    }

    /// Everything not yet looked at.
    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(crate) fn view(&mut self) -> View {
        let (sender, receiver) = std::sync::mpsc::channel();
        let reply = Reply::new(move |view| sender.send(view).expect("somebody waits"));
        self.tell(Input::View { caller: Caller::default(), reply });
        let replies = self.pick(|effect| match effect {
            Effect::Reply(reply, view) => Ok((reply, view)),
            other => Err(Box::new(other)),
        });
        replies.into_iter().for_each(|(reply, view)| reply.send(view));
        receiver.recv().expect("an answer")
    }

    fn set_clock(&mut self, mono: Mono) {
        self.now.wall = self.now.wall + mono.since(self.now.mono);
        self.now.mono = mono;
    }

    fn take(&mut self, out: Outputs<Record, Effect>) {
        self.log.extend(out.records);
        self.effects.extend(out.effects);
        if let Some(broken) = self.agent.broken_invariant() {
            panic!("{broken}");
        }
    }

    fn pick<T>(&mut self, take: impl Fn(Effect) -> Result<T, Box<Effect>>) -> Vec<T> {
        let mut taken = Vec::new();
        for effect in std::mem::take(&mut self.effects) {
            match take(effect) {
                Ok(wanted) => taken.push(wanted),
                Err(other) => self.effects.push(*other),
            }
        }
        taken
    }
}

pub(crate) fn framework(capabilities: &[Capability]) -> FrameworkSpec {
    let capabilities = capabilities
        .iter()
        .map(|capability| v1::framework_info::Capability { r#type: Some(*capability as i32) });
    let info = v1::FrameworkInfo {
        user: Some("root".to_owned()),
        name: Some("test".to_owned()),
        capabilities: capabilities.collect(),
        ..v1::FrameworkInfo::default()
    };
    let encoded = Bytes::from(wire::encode(Encoding::Protobuf, &info));
    FrameworkSpec::parse(FrameworkId::parse("m-0000").expect("an id"), encoded).expect("valid")
}

pub(crate) fn task(id: &str) -> v1::TaskInfo {
    let command = v1::CommandInfo { value: Some("sleep 9".to_owned()), ..Default::default() };
    v1::TaskInfo {
        name: Some("web".to_owned()),
        task_id: Some(TaskId::parse(id).expect("an id").to_proto()),
        agent_id: Some(AgentId::parse("m-S0").expect("an id").to_proto()),
        command: Some(command),
        ..v1::TaskInfo::default()
    }
}

pub(crate) fn span(span: Duration) -> v1::DurationInfo {
    v1::DurationInfo { nanoseconds: i64::try_from(span.as_nanos()).ok() }
}
