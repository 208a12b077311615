//! A host's launcher: it keeps containers, and what became of them until that may be forgotten,
//! whether or not an agent is there to hear of it.

use std::collections::BTreeMap;
use std::time::Duration;

use meros_agent_core::effect::Launch;
use meros_agent_core::exit::Exit;
use meros_agent_core::input::{ContainerEvent, Found};
use meros_agent_core::task::TaskKey;
use meros_proto::ids::ContainerId;
use meros_proto::v1;
use rand::RngExt;

use crate::kernel::Kernel;
use crate::schedule::{Event, Step};
use crate::wire;

#[derive(Debug)]
struct Container {
    key: TaskKey,
    state: State,
    /// How long it runs, and how it ends then; `None`: for ever.
    plan: Option<(Duration, i32)>,
    killed: bool,
    /// The agent's present life asked for its end.
    asked: bool,
}

#[derive(Debug)]
enum State {
    Starting,
    Running {
        pid: u32,
    },
    Ended(Found),
    /// Its launcher died: nobody waits for it any more but the agent.
    Orphan,
}

/// What an agent is told.
pub(crate) type News = (ContainerId, ContainerEvent);

/// The containers of one host.
#[derive(Debug)]
pub(crate) struct Launcher {
    host: usize,
    /// Counts launchers and boots: steps of containers of an earlier one are void.
    life: u32,
    containers: BTreeMap<ContainerId, Container>,
    pids: u32,
}

impl Launcher {
    pub(crate) fn new(host: usize) -> Self {
        Self { host, life: 1, containers: BTreeMap::new(), pids: 100 }
    }

    /// Containers that have a process.
    pub(crate) fn running(&self) -> impl Iterator<Item = (&ContainerId, &TaskKey)> {
        let running = |state: &State| matches!(state, State::Running { .. } | State::Orphan);
        let all = self.containers.iter();
        all.filter(move |(_, one)| running(&one.state)).map(|(id, one)| (id, &one.key))
    }

    /// Containers that run and were not asked to end, though the agent has it on record that they
    /// are to.
    pub(crate) fn spared(&self, kernel: &Kernel) -> Option<&TaskKey> {
        let spared = self.containers.values().find(|one| {
            matches!(one.state, State::Running { .. })
                && !one.asked
                && kernel.truth.tasks.is_stopping(&one.key)
        });
        spared.map(|one| &one.key)
    }

    /// A new agent is to ask for the ends that it wants itself.
    pub(crate) fn nobody_asked(&mut self) {
        self.containers.values_mut().for_each(|one| one.asked = false);
    }

    /// Ends that were not forgotten.
    pub(crate) fn unforgotten(&self) -> usize {
        let ended = |one: &&Container| matches!(one.state, State::Ended(_));
        self.containers.values().filter(ended).count()
    }

    pub(crate) fn launch(&mut self, kernel: &mut Kernel, launch: &Launch) {
        let key = launch.task.key.clone();
        let container = Container {
            plan: plan_of(kernel, &launch.task.encoded),
            key,
            state: State::Starting,
            killed: false,
            asked: false,
        };
        self.containers.insert(launch.container.clone(), container);
        let slow = kernel.at_war && kernel.chance.random_bool(0.03);
        let most = if slow { 20_000_000 } else { 80_000 };
        let delay = kernel.micros(2_000..most);
        self.schedule(kernel, &launch.container, Step::Started, delay);
    }

    fn schedule(&self, kernel: &mut Kernel, id: &ContainerId, step: Step, after: Duration) {
        let (host, launcher, container) = (self.host, self.life, id.clone());
        let at = kernel.now() + after;
        kernel.schedule.at(at, Event::Container { host, launcher, container, step });
    }

    pub(crate) fn kill(&mut self, kernel: &mut Kernel, id: &ContainerId, grace: Duration) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.killed = true;
        container.asked = true;
        if matches!(container.state, State::Running { .. }) {
            let stubborn = kernel.chance.random_bool(0.2);
            let soon = kernel.micros(1_000..300_000);
            let after = if stubborn { grace } else { soon.min(grace) };
            self.schedule(kernel, id, Step::Obeys, after);
        }
    }

    pub(crate) fn forget(&mut self, id: &ContainerId) {
        if self.containers.get(id).is_some_and(|one| matches!(one.state, State::Ended(_))) {
            self.containers.remove(id);
        }
    }

    /// A container gets on. What there is to tell is returned.
    pub(crate) fn step(
        &mut self,
        kernel: &mut Kernel,
        life: u32,
        id: &ContainerId,
        step: Step,
    ) -> Option<News> {
        if life != self.life {
            return None;
        }
        let container = self.containers.get(id)?;
        match (step, &container.state) {
            (Step::Started, State::Starting) => Some((id.clone(), self.started(kernel, id)?)),
            (Step::Ends, State::Running { .. }) => {
                let code = container.plan.map_or(0, |(_, code)| code);
                Some((id.clone(), self.ended(kernel, id, Exit::Code(code))?))
            }
            (Step::Obeys, State::Running { .. }) => {
                let exit = if kernel.chance.random_bool(0.7) { 15 } else { 9 };
                Some((id.clone(), self.ended(kernel, id, Exit::Signal(exit))?))
            }
            (Step::Obeys, State::Orphan) => {
                Some((id.clone(), self.ended(kernel, id, Exit::Unknown)?))
            }
            _ => None,
        }
    }

    fn started(&mut self, kernel: &mut Kernel, id: &ContainerId) -> Option<ContainerEvent> {
        let fails = kernel.at_war && kernel.chance.random_bool(0.04);
        let container = self.containers.get_mut(id)?;
        if fails {
            let message = "it could not be started".to_owned();
            container.state = State::Ended(Found::LaunchFailed { message: message.clone() });
            kernel.counts.add("a start failed");
            return Some(ContainerEvent::LaunchFailed { message });
        }
        self.pids += 1;
        container.state = State::Running { pid: self.pids };
        let (plan, killed) = (container.plan, container.killed);
        kernel.truth.tasks.began(kernel.schedule.now(), self.host, &container.key, id);
        if let Some((span, _)) = plan {
            self.schedule(kernel, id, Step::Ends, span);
        }
        if killed {
            self.schedule(kernel, id, Step::Obeys, Duration::from_millis(1));
        }
        Some(ContainerEvent::Started { pid: self.pids })
    }

    fn ended(
        &mut self,
        kernel: &mut Kernel,
        id: &ContainerId,
        exit: Exit,
    ) -> Option<ContainerEvent> {
        let container = self.containers.get_mut(id)?;
        container.state = State::Ended(Found::Exited { exit, overrun: None });
        kernel.truth.tasks.ended(&container.key, Some(exit));
        Some(ContainerEvent::Exited { exit, overrun: None })
    }

    /// What a starting agent finds. Starts under way are waited for.
    pub(crate) fn found(&mut self, kernel: &mut Kernel) -> Vec<(ContainerId, Found)> {
        let ids: Vec<ContainerId> = self.containers.keys().cloned().collect();
        for id in &ids {
            match self.containers.get(id).map(|one| &one.state) {
                Some(State::Starting) => drop(self.started(kernel, id)),
                // The agent kills what a dead launcher left, and may or may not know that it did.
                Some(State::Orphan) => {
                    self.ended(kernel, id, Exit::Unknown);
                    if kernel.chance.random_bool(0.5)
                        && let Some(gone) = self.containers.remove(id)
                    {
                        kernel.truth.tasks.ended(&gone.key, None);
                    }
                }
                _ => {}
            }
        }
        let found = self.containers.iter().map(|(id, one)| {
            let found = match &one.state {
                State::Ended(found) => found.clone(),
                State::Running { pid } => Found::Running { pid: *pid },
                State::Starting | State::Orphan => Found::Running { pid: 1 },
            };
            (id.clone(), found)
        });
        found.collect()
    }

    /// The launcher's process is killed: its containers are ended by the agent, as soon as there is
    /// one. What is to be told at once is returned.
    pub(crate) fn killed(&mut self, kernel: &mut Kernel, agent_is_up: bool) -> Vec<News> {
        self.life += 1;
        let mut news = Vec::new();
        let mut orphans = Vec::new();
        self.containers.retain(|id, container| match container.state {
            State::Starting => {
                let message = "the launcher ended".to_owned();
                if agent_is_up {
                    news.push((id.clone(), ContainerEvent::LaunchFailed { message }));
                }
                false
            }
            // Those that were told are on their way to being forgotten; the others are lost.
            State::Ended(_) => {
                kernel.truth.tasks.ended(&container.key, None);
                false
            }
            State::Running { .. } | State::Orphan => {
                container.state = State::Orphan;
                orphans.push(id.clone());
                true
            }
        });
        if agent_is_up {
            for id in orphans {
                let after = kernel.micros(10_000..800_000);
                self.schedule(kernel, &id, Step::Obeys, after);
            }
        }
        news
    }

    /// The host loses its power.
    pub(crate) fn power_lost(&mut self, kernel: &mut Kernel) {
        self.life += 1;
        for container in std::mem::take(&mut self.containers).into_values() {
            kernel.truth.tasks.ended(&container.key, None);
        }
    }
}

/// How long a task is to run: `run MILLIS CODE`. Anything else runs until it fails by chance.
fn plan_of(kernel: &mut Kernel, task: &[u8]) -> Option<(Duration, i32)> {
    let info: v1::TaskInfo = wire::decoded(task).ok()?;
    let command = info.command?.value?;
    let mut words = command.split(' ');
    if words.next() == Some("run") {
        let millis = words.next()?.parse().ok()?;
        let code = words.next()?.parse().ok()?;
        return Some((Duration::from_millis(millis), code));
    }
    let fails = kernel.at_war && kernel.chance.random_bool(0.15);
    fails.then(|| (kernel.micros(1_000..120_000_000), 1))
}
