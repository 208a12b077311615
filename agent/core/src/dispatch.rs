//! The agent's state, and where each input goes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use meros_proto::ids::{AgentId, ContainerId, FrameworkId};
use meros_proto::machine::{Core, Outputs};
use meros_proto::time::{Mono, Now};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::checks::Watches;
use crate::effect::{Effect, Level};
use crate::input::{FromMaster, Input, Room};
use crate::record::Record;
use crate::registration::Link;
use crate::stop::Leaving;
use crate::task::{FrameworkSpec, Task, TaskKey};
use crate::timers::{Timer, Timers};
use crate::view::{Counters, TaskView};

/// What the core asks for.
pub(crate) type Out = Outputs<Record, Effect>;

/// What an operator may choose of the core's behaviour.
#[derive(Debug, Clone)]
pub struct Config {
    /// From SIGTERM to SIGKILL for tasks that end because their framework or the agent goes.
    pub shutdown_grace: Duration,
    /// How long the last updates may wait for their acknowledgements when the agent stops.
    pub farewell: Duration,
    /// Ended tasks that stay visible, the newest ones.
    pub completed_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            shutdown_grace: Duration::from_secs(4),
            farewell: Duration::from_secs(1),
            completed_max: 1_000,
        }
    }
}

/// The agent's decisions.
///
/// Drive it as a [`Core`]. After [`Agent::recover`] the first input is [`Input::Start`]; until then
/// no stream to a master may be open.
#[derive(Debug)]
pub struct Agent {
    pub(crate) config: Config,
    pub(crate) id: Option<AgentId>,
    /// The boot in which it last started.
    pub(crate) boot_id: Option<String>,
    pub(crate) room: Room,
    pub(crate) link: Link,
    pub(crate) frameworks: BTreeMap<FrameworkId, Arc<FrameworkSpec>>,
    pub(crate) tasks: BTreeMap<TaskKey, Task>,
    /// Containers of live tasks.
    pub(crate) containers: BTreeMap<ContainerId, TaskKey>,
    /// The looks at tasks that run.
    pub(crate) watches: BTreeMap<TaskKey, Watches>,
    /// How many looks were asked for.
    pub(crate) probes: u64,
    pub(crate) completed: VecDeque<TaskView>,
    pub(crate) leaving: Option<Leaving>,
    pub(crate) timers: Timers,
    pub(crate) counters: Counters,
    rng: StdRng,
}

impl Agent {
    /// An agent that has never run. `seed` must differ from every other start's.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            config,
            id: None,
            boot_id: None,
            room: Room::Plenty,
            link: Link::Down,
            frameworks: BTreeMap::new(),
            tasks: BTreeMap::new(),
            containers: BTreeMap::new(),
            watches: BTreeMap::new(),
            probes: 0,
            completed: VecDeque::new(),
            leaving: None,
            timers: Timers::default(),
            counters: Counters::default(),
            rng: StdRng::from_seed(seed),
        }
    }

    fn hear(&mut self, now: Now, message: FromMaster, out: &mut Out) {
        match message {
            FromMaster::Registered { agent, master, silence, removed } => {
                self.registered(now, agent, master, silence, out);
                for framework in removed {
                    self.shut_down_framework(now, framework, out);
                }
            }
            FromMaster::Refused { reason, is_final } => self.refused(now, reason, is_final, out),
            FromMaster::Run { framework, task } => self.run(now, framework, task, out),
            FromMaster::Kill { task, grace } => self.kill(now, &task, grace, out),
            FromMaster::Acknowledge { task, uuid } => self.acknowledge(now, &task, &uuid, out),
            FromMaster::Ping { sequence } => self.pong(sequence, out),
            FromMaster::UpdateFramework(framework) => self.update_framework(framework, out),
            FromMaster::ShutdownFramework(id) => self.shut_down_framework(now, id, out),
        }
    }

    /// 16 bytes that name one update.
    pub(crate) fn fresh_uuid(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        // Version 4, variant 1: what a UUID parser at the other end may insist on.
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        bytes
    }

    /// A container id that was never used: a UUID's text.
    pub(crate) fn fresh_container(&mut self) -> ContainerId {
        let mut text = String::with_capacity(36);
        for (index, byte) in self.fresh_uuid().iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push_str(&format!("{byte:02x}"));
        }
        ContainerId::parse(&text).expect("hexadecimal digits and dashes make an id")
    }

    /// Moves a task whose end was heard, or that nobody asks after, to the completed ones.
    pub(crate) fn retire(&mut self, key: &TaskKey) {
        let Some(task) = self.tasks.remove(key) else { return };
        self.completed.push_back(TaskView::of(&task));
        while self.completed.len() > self.config.completed_max {
            let Some(oldest) = self.completed.pop_front() else { break };
            self.drop_unused_framework(&oldest.spec.key.framework);
        }
    }

    fn drop_unused_framework(&mut self, id: &FrameworkId) {
        let mut used = self.tasks.keys().chain(self.completed.iter().map(|task| &task.spec.key));
        if !used.any(|key| key.framework == *id) {
            self.frameworks.remove(id);
        }
    }
}

impl Core for Agent {
    type Input = Input;
    type Record = Record;
    type Effect = Effect;

    fn handle(&mut self, now: Now, input: Input, out: &mut Out) {
        match input {
            Input::Start { boot_id, found } => self.start(now, boot_id, found, out),
            Input::LinkUp { session } => self.link_up(session, out),
            Input::LinkDown { session } => self.link_down(session),
            Input::FromMaster { session, message } => {
                // What an abandoned stream still brings is said again over the new one; what comes
                // after the farewell would be written into the log of an agent that is no more.
                if self.link.session() == Some(session) && !self.has_left() {
                    self.link.heard(now.mono);
                    self.hear(now, message, out);
                }
            }
            Input::Container(container, event) => self.observe(now, &container, event, out),
            Input::Checked { probe, answer } => self.checked(now, probe, answer, out),
            Input::LauncherLost { reason } => self.launcher_lost(now, reason, out),
            Input::Disk(room) => self.room_changed(room, out),
            Input::Stop => self.stop(now, out),
            Input::View { caller: _, reply } => out.effect(Effect::Reply(reply, self.view())),
        }
    }

    fn round(&mut self, now: Now, out: &mut Out) {
        while let Some((due, timer)) = self.timers.take_due(now.mono) {
            match timer {
                Timer::Retry(key) => self.retry(now, due, &key, out),
                Timer::Completion(key) => self.ran_too_long(now, &key, out),
                Timer::Check(key, purpose) => self.check_due(now, &key, purpose, out),
                Timer::Silence => self.check_silence(now, out),
                // The check below looks at the time itself.
                Timer::Farewell => {}
            }
        }
        self.leave_when_done(now, out);
    }

    fn deadline(&self) -> Option<Mono> {
        self.timers.next()
    }
}

/// An entry for the log: the core writes none itself.
pub(crate) fn info(out: &mut Out, message: String) {
    out.effect(Effect::Log(Level::Info, message));
}

/// See [`info`].
pub(crate) fn warn(out: &mut Out, message: String) {
    out.effect(Effect::Log(Level::Warn, message));
}
