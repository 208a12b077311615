//! A launcher that keeps what runs, and each end until it is forgotten, whatever becomes of the agent.

use std::collections::{BTreeMap, BTreeSet};

use meros_agent_core::effect::Effect;
use meros_agent_core::exit::Exit;
use meros_agent_core::input::{ContainerEvent, Found};
use meros_proto::ids::ContainerId;
use rand::RngExt;
use rand::rngs::StdRng;

/// What a container is at.
#[derive(Debug, Clone, PartialEq)]
enum Held {
    Asked,
    Runs,
    Ended(ContainerEvent),
}

/// The launcher, and all that really happened.
#[derive(Debug, Default)]
pub(crate) struct Launcher {
    held: BTreeMap<ContainerId, Held>,
    launched: BTreeSet<ContainerId>,
    /// What this life of the agent wanted ended.
    killed: BTreeSet<ContainerId>,
    /// How each container really ended.
    pub(crate) ends: BTreeMap<ContainerId, Exit>,
    /// Containers that nobody can say anything of: a crash came before they were asked for, or the
    /// host was rebooted.
    pub(crate) lost: BTreeSet<ContainerId>,
}

impl Launcher {
    /// Does what an agent asks.
    pub(crate) fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Launch(launch) => {
                let container = launch.container.clone();
                assert!(self.launched.insert(container.clone()), "{container} is launched twice");
                self.held.insert(container, Held::Asked);
            }
            Effect::Kill { container, .. } => {
                self.killed.insert(container.clone());
            }
            Effect::Forget(container) => {
                let held = self.held.remove(container);
                let over = matches!(held, None | Some(Held::Ended(_)));
                assert!(over, "{container} is forgotten while it is {held:?}");
            }
            _ => {}
        }
    }

    /// Something happens to some container; what an agent is told of it.
    pub(crate) fn step(&mut self, rng: &mut StdRng) -> Option<(ContainerId, ContainerEvent)> {
        let index = rng.random_range(0..self.held.len().max(1));
        let (container, held) = self.held.iter_mut().nth(index)?;
        let container = container.clone();
        let event = match held {
            Held::Asked if rng.random_bool(0.25) => {
                ContainerEvent::LaunchFailed { message: "no luck".to_owned() }
            }
            Held::Asked => {
                *held = Held::Runs;
                return Some((container, ContainerEvent::Started { pid: 7 }));
            }
            Held::Runs => {
                let exit = Exit::Code(rng.random_range(0..3));
                self.ends.insert(container.clone(), exit);
                ContainerEvent::Exited { exit, overrun: None }
            }
            // It is told once to each life of the agent.
            Held::Ended(_) => return None,
        };
        *held = Held::Ended(event.clone());
        Some((container, event))
    }

    /// The agent has died: what it had not handed over yet is never started, nor killed.
    pub(crate) fn agent_died(&mut self, rng: &mut StdRng) {
        self.killed.clear();
        let asked: Vec<ContainerId> = self.containers(|held| *held == Held::Asked);
        for container in asked {
            if rng.random_bool(0.5) {
                self.held.remove(&container);
                self.lost.insert(container);
            } else {
                self.held.insert(container, Held::Runs);
            }
        }
        for _ in 0..rng.random_range(0..4) {
            self.step(rng);
        }
    }

    /// All containers are gone with their host.
    pub(crate) fn reboot(&mut self) {
        self.lost.extend(std::mem::take(&mut self.held).into_keys());
    }

    /// What an agent finds when it starts.
    pub(crate) fn found(&self) -> Vec<(ContainerId, Found)> {
        let found = |held: &Held| match held.clone() {
            Held::Asked | Held::Runs => Found::Running { pid: 7 },
            Held::Ended(ContainerEvent::Exited { exit, overrun }) => {
                Found::Exited { exit, overrun }
            }
            Held::Ended(ContainerEvent::LaunchFailed { message }) => {
                Found::LaunchFailed { message }
            }
            Held::Ended(ContainerEvent::Started { .. }) => unreachable!("that is no end"),
        };
        self.held.iter().map(|(container, held)| (container.clone(), found(held))).collect()
    }

    /// Whether it runs or will.
    pub(crate) fn is_live(&self, container: &ContainerId) -> bool {
        matches!(self.held.get(container), Some(Held::Asked | Held::Runs))
    }

    /// Whether it was asked to end by this life of the agent, if there is still something to end.
    pub(crate) fn is_killed_or_over(&self, container: &ContainerId) -> bool {
        !self.is_live(container) || self.killed.contains(container)
    }

    /// Ends everything; what an agent is told.
    pub(crate) fn end_all(&mut self) -> Vec<(ContainerId, ContainerEvent)> {
        let live: Vec<ContainerId> = self.containers(|held| !matches!(held, Held::Ended(_)));
        let end = |container: ContainerId| {
            let exit = Exit::Signal(15);
            self.ends.insert(container.clone(), exit);
            let event = ContainerEvent::Exited { exit, overrun: None };
            self.held.insert(container.clone(), Held::Ended(event.clone()));
            (container, event)
        };
        live.into_iter().map(end).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn containers(&self, wanted: impl Fn(&Held) -> bool) -> Vec<ContainerId> {
        let held = self.held.iter().filter(|(_, held)| wanted(held));
        held.map(|(container, _)| container.clone()).collect()
    }
}
