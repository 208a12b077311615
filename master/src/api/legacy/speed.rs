//! How long a large cluster's `/state` takes to render, and how much memory it takes to hold.
//!
//! `cargo test --release -p meros-master speed -- --ignored --nocapture` prints both, each beside
//! what it is measured against: the bare encoding of the same JSON, and its length.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meros_master_core::registry::State;
use meros_master_core::{
    AgentMessage, AgentRegister, AgentSpec, Answer, Call, Config, Effect, Filters, FrameworkSpec,
    Input, LaunchTask, LinkRef, Master, Offer, Operation, ReplyTo, SchedulerCall, SchedulerEvent,
    Snapshot, StatusReport, StreamRef, Subscribe,
};
use meros_plugin_api::authz::PermitAll;
use meros_proto::caller::Caller;
use meros_proto::ids::{AgentId, FrameworkId, MasterId, StreamId};
use meros_proto::machine::{Core, Outputs};
use meros_proto::resources::{ReservationFormat, Resources, Role};
use meros_proto::time::{Mono, Now, Timestamp};
use meros_proto::v1;
use meros_proto::wire::{self, Encoding};
use serde::Serialize;
use serde::ser::Serializer;

use crate::Flags;
use crate::api::Authorization;
use crate::api::legacy::state;
use crate::api::legacy::view::{Viewer, json_into};
use crate::identity::Identity;

const AGENTS: u64 = 10_000;
const FRAMEWORKS: u64 = 100;
const TASKS_PER_AGENT: usize = 10;
const LABELS: usize = 10;

/// A master without a shell.
struct Cluster {
    master: Master,
    now: Now,
    tasks: usize,
}

impl Cluster {
    fn new() -> Self {
        let now =
            Now { mono: Mono::from_nanos(1), wall: Timestamp::from_millis(1_700_000_000_000) };
        let id = MasterId::parse("5f6b2a0e-8d5a-4f0e-9a39-0c1f8f6a2d11").expect("a valid id");
        let master = Master::new(now, Config::new(id), 1, State::default());
        Self { master, now, tasks: 0 }
    }

    fn input(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Outputs::default();
        self.master.handle(self.now, input, &mut out);
        out.effects
    }

    fn round(&mut self) -> Vec<Effect> {
        let mut out = Outputs::default();
        self.now.mono = self.now.mono + Duration::from_millis(1);
        self.master.round(self.now, &mut out);
        out.effects
    }

    fn add_agents(&mut self) {
        for number in 0..AGENTS {
            let resources =
                Resources::parse("cpus:4;mem:8192;disk:1000;ports:[31000-32000]", &Role::star());
            let info = v1::AgentInfo {
                hostname: Some(format!("agent-{number}.example.org")),
                port: Some(5051),
                resources: resources.expect("valid").to_protos(ReservationFormat::Refined),
                ..Default::default()
            };
            let pid = format!("slave(1)@10.0.{}.{}:5051", number / 256, number % 256);
            let capabilities = ["MULTI_ROLE", "HIERARCHICAL_ROLE"].map(str::to_owned).to_vec();
            let spec = AgentSpec::from_proto(&info, &pid, "1.11.0", capabilities);
            self.input(Input::AgentRegister(Box::new(AgentRegister {
                caller: Caller::default(),
                link: LinkRef(number),
                agent_id: None,
                spec: spec.expect("a valid agent"),
                boot_id: String::new(),
                incarnation: String::new(),
                tasks: Vec::new(),
                frameworks: Vec::new(),
            })));
        }
    }

    fn subscribe(&mut self) -> Vec<FrameworkId> {
        let mut ids = Vec::new();
        for number in 0..FRAMEWORKS {
            let info = v1::FrameworkInfo {
                user: Some("nobody".to_owned()),
                name: Some(format!("framework-{number}")),
                ..Default::default()
            };
            let effects = self.input(Input::Subscribe(Box::new(Subscribe {
                caller: Caller::default(),
                stream: StreamRef(number),
                stream_id: StreamId::parse("stream").expect("a valid id"),
                framework_id: None,
                framework: Ok(FrameworkSpec::from_proto(&info, &[]).expect("valid")),
            })));
            ids.extend(effects.into_iter().find_map(|effect| match effect {
                Effect::Event { event: SchedulerEvent::Subscribed { framework, .. }, .. } => {
                    Some(framework)
                }
                _ => None,
            }));
        }
        ids
    }

    /// Uses an offer for tasks, which start and run.
    fn launch(&mut self, offer: &Offer) {
        let tasks: Vec<_> = (0..TASKS_PER_AGENT)
            .map(|_| {
                self.tasks += 1;
                format!("task-{:06}.5f6b2a0e-8d5a-4f0e", self.tasks)
            })
            .collect();
        let infos = tasks.iter().map(|task| LaunchTask::from_proto(&task_info(task, &offer.agent)));
        let call = SchedulerCall::Accept {
            offers: vec![offer.id.clone()],
            operations: vec![Operation::Launch { id: None, tasks: infos.collect() }],
            filters: Filters { refuse_seconds: Some(1e6) },
        };
        let effects = self.input(Input::Call(Box::new(Call {
            caller: Caller::default(),
            reply: ReplyTo(1),
            framework: offer.framework.clone(),
            stream_id: Some("stream".to_owned()),
            call,
        })));
        let link = effects.iter().find_map(|effect| match effect {
            Effect::ToAgent { link, message: AgentMessage::RunTask { .. } } => Some(*link),
            _ => None,
        });
        for task in &tasks {
            for state in [v1::TaskState::TaskStarting, v1::TaskState::TaskRunning] {
                let status = status(task, &offer.agent, state);
                let raw = Bytes::from(wire::encode(Encoding::Protobuf, &status));
                self.input(Input::AgentUpdate {
                    link: link.expect("the tasks were started"),
                    framework: offer.framework.clone(),
                    status: Box::new(StatusReport::from_proto(&status, raw).expect("valid")),
                    latest_state: state,
                });
            }
        }
    }

    fn snapshot(&mut self) -> Arc<Snapshot> {
        let effects = self.input(Input::View { reply: ReplyTo(2) });
        let view = effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { answer: Answer::View(snapshot), .. } => Some(snapshot),
            _ => None,
        });
        view.expect("a view is answered")
    }
}

fn task_info(id: &str, agent: &AgentId) -> v1::TaskInfo {
    let label = |number: usize| v1::Label {
        key: Some(format!("label-{number}")),
        value: Some(format!("the value of label {number}")),
    };
    let used = Resources::parse("cpus:0.1;mem:32", &Role::star()).expect("valid");
    v1::TaskInfo {
        name: Some("sleep".to_owned()),
        task_id: Some(v1::TaskId { value: Some(id.to_owned()) }),
        agent_id: Some(agent.to_proto()),
        resources: used.to_protos(ReservationFormat::Refined),
        command: Some(v1::CommandInfo {
            value: Some("sleep 1000".to_owned()),
            ..Default::default()
        }),
        labels: Some(v1::Labels { labels: (0..LABELS).map(label).collect() }),
        ..Default::default()
    }
}

/// As an agent of ours sends it.
fn status(task: &str, agent: &AgentId, state: v1::TaskState) -> v1::TaskStatus {
    v1::TaskStatus {
        task_id: Some(v1::TaskId { value: Some(task.to_owned()) }),
        state: Some(state.into()),
        source: Some(v1::task_status::Source::Executor.into()),
        agent_id: Some(agent.to_proto()),
        executor_id: Some(v1::ExecutorId { value: Some(task.to_owned()) }),
        timestamp: Some(1_700_000_000.123_456),
        uuid: Some(Bytes::copy_from_slice(&[7; 16])),
        container_status: Some(v1::ContainerStatus {
            executor_pid: Some(4711),
            network_infos: vec![v1::NetworkInfo {
                ip_addresses: vec![v1::network_info::IpAddress {
                    ip_address: Some("10.0.0.1".to_owned()),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What the process holds, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: usize =
        statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4_096
}

/// How long this thread has run: unlike the clock, that of nobody else.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("a number"))
}

/// JSON as a tree: what remains of an answer when all but its encoding is taken away.
enum Tree {
    Leaf(serde_json::Value),
    List(Box<[Tree]>),
    Object(Box<[(Box<str>, Tree)]>),
}

impl Tree {
    fn of(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Array(items) => {
                Self::List(items.into_iter().map(Self::of).collect())
            }
            serde_json::Value::Object(members) => Self::Object(
                members.into_iter().map(|(name, value)| (name.into(), Self::of(value))).collect(),
            ),
            leaf => Self::Leaf(leaf),
        }
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Leaf(value) => value.serialize(serializer),
            Self::List(items) => serializer.collect_seq(&**items),
            Self::Object(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
            }
        }
    }
}

#[test]
#[ignore = "measures: for a release build on a quiet machine"]
fn a_large_state_renders_near_the_speed_of_its_bare_encoding() {
    let before = resident();
    let mut cluster = Cluster::new();
    cluster.add_agents();
    let ids = cluster.subscribe();
    assert_eq!(ids.len() as u64, FRAMEWORKS);
    let with_agents = resident();
    loop {
        let offers: Vec<Arc<Offer>> = cluster
            .round()
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Event { event: SchedulerEvent::Offers(offers), .. } => Some(offers),
                _ => None,
            })
            .flatten()
            .collect();
        if offers.is_empty() {
            break;
        }
        for offer in &offers {
            if cluster.tasks < AGENTS as usize * TASKS_PER_AGENT {
                cluster.launch(offer);
            }
        }
    }
    let held = resident() - before;
    let tasks = cluster.tasks;
    let config = crate::Config::try_from(Flags::default()).expect("the defaults are valid");
    let id = MasterId::parse("master").expect("a valid id");
    let identity = Identity::new(id, &config, 5050, Timestamp::default());
    let authorization = Authorization::new(Arc::new(PermitAll));
    let caller = Caller::default();
    let mut bytes = 0;
    for _ in 0..5 {
        let began = on_cpu();
        let snapshot = cluster.snapshot();
        let taken = on_cpu() - began;
        let viewer = Viewer::new(&caller, &authorization);
        let began = on_cpu();
        let buffer = Vec::with_capacity(bytes);
        let text = json_into(buffer, &state::State::new(&identity, &snapshot, &viewer));
        let rendered = on_cpu() - began;
        bytes = text.len();
        let tree = Tree::of(serde_json::from_slice(&text).expect("it is JSON"));
        let began = on_cpu();
        let bare = json_into(Vec::with_capacity(bytes), &tree);
        let encoded = on_cpu() - began;
        assert!(bare.len().abs_diff(text.len()) < text.len() / 50);
        println!(
            "{tasks} tasks: snapshot {taken:?}, rendered {:.1} MB in {rendered:?}, bare encoding \
             {encoded:?}: {:.2} times",
            text.len() as f64 / 1e6,
            (taken + rendered).as_secs_f64() / encoded.as_secs_f64()
        );
        println!(
            "held: {:.1} MB, {:.2} times its JSON; {} bytes an agent, {} a task",
            held as f64 / 1e6,
            held as f64 / text.len() as f64,
            (with_agents - before) / AGENTS as usize,
            (held + before - with_agents) / tasks
        );
    }
}
