//! What must always hold of the master's books. Walks everything: for tests, after every step.

use std::fmt;

use meros_proto::resources::Resources;
use meros_proto::task_state::holds_resources;

use crate::Master;
use crate::agents::Agent;
use crate::arena::{AgentIx, FrameworkIx};
use crate::frameworks::{Framework, summable};

/// An invariant that is broken: a bug of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Master {
    /// Which invariant is broken, if any: on every agent what is free, offered and used adds up to
    /// what it has; each task and offer is listed with its framework and its agent, and counted
    /// with both.
    pub fn broken_invariant(&self) -> Option<Broken> {
        let frameworks = self.frameworks.all.iter();
        let agents = self.agents.iter();
        self.allocator
            .broken_invariant()
            .or_else(|| frameworks.into_iter().find_map(|(at, one)| self.broken_framework(at, one)))
            .or_else(|| agents.into_iter().find_map(|(at, one)| self.broken_agent(at, one)))
            .or_else(|| self.broken_offer())
            .or_else(|| self.broken_registry())
            .map(Broken)
    }

    fn broken_framework(&self, index: FrameworkIx, framework: &Framework) -> Option<String> {
        let id = &framework.id;
        let held = framework.tasks.values().filter(|live| live.holds);
        let used: Resources = held.map(|live| summable(&live.task.resources)).sum();
        if used != framework.used {
            return Some(format!("{id}: tasks use {used}, the books say {}", framework.used));
        }
        let offers = framework.offers.iter().filter_map(|number| self.offers.get(*number));
        let offered: Resources = offers.map(|live| summable(&live.offer.resources)).sum();
        if offered != framework.offered {
            return Some(format!("{id}: offers hold {offered}, not {}", framework.offered));
        }
        if let Some(stream) = framework.stream()
            && self.frameworks.by_stream.get(&stream) != Some(&index)
        {
            return Some(format!("{id}: {stream:?} leads elsewhere"));
        }
        if framework.stream().is_none() && !framework.offers.is_empty() {
            return Some(format!("{id} is not connected and has offers"));
        }
        for (task, live) in framework.tasks.iter() {
            let agent = self.agents.get(live.agent);
            if !agent.is_some_and(|agent| agent.tasks.contains(&(index, task.clone()))) {
                return Some(format!("{id}: task {task} is not listed with its agent"));
            }
            if live.holds != holds_resources(live.task.state) {
                let state = live.task.state.as_str_name();
                return Some(format!("{id}: task {task} is {state}, holds: {}", live.holds));
            }
        }
        let on_agents: u32 = framework.tasks_on.values().sum();
        (on_agents as usize != framework.tasks.len())
            .then(|| format!("{id}: {on_agents} tasks on agents, {} in all", framework.tasks.len()))
    }

    fn broken_agent(&self, index: AgentIx, agent: &Agent) -> Option<String> {
        let id = &agent.id;
        let mut used = Resources::new();
        for (framework, task) in &agent.tasks {
            let framework = self.frameworks.all.get(*framework);
            match framework.and_then(|framework| framework.tasks.get(task)) {
                Some(live) if live.agent != index => {
                    return Some(format!("{id}: task {task} says that it is elsewhere"));
                }
                Some(live) if live.holds => used += &live.task.resources,
                Some(_) => {}
                None => return Some(format!("{id}: task {task} is not listed with its framework")),
            }
        }
        if used != agent.used {
            return Some(format!("{id}: tasks use {used}, the books say {}", agent.used));
        }
        let offers = agent.offers.iter().filter_map(|number| self.offers.get(*number));
        let offered: Resources = offers.map(|live| &live.offer.resources).sum();
        if offered != agent.offered {
            return Some(format!("{id}: offers hold {offered}, the books say {}", agent.offered));
        }
        if let Some(link) = agent.link
            && self.agents.by_link.get(&link) != Some(&index)
        {
            return Some(format!("{id}: {link:?} leads elsewhere"));
        }
        if agent.is_shown_wrongly(self.registry.state()) {
            return Some(format!(
                "{id} has changed since it was shown, and would be shown as before"
            ));
        }
        if agent.link.is_none() && !agent.offers.is_empty() {
            return Some(format!("{id} is not connected and has offers"));
        }
        let taken = (used + &offered).unallocated();
        let total = &agent.spec.resources;
        let free = self.allocator.free(index).cloned().unwrap_or_default();
        let sum = taken.clone() + &free;
        let overfull = !total.contains(&taken);
        (!overfull && sum != *total)
            .then(|| format!("{id}: {taken} taken + {free} free are not {total}"))
    }

    /// Counting tells who is still awaited, as long as all that are here were admitted.
    fn broken_registry(&self) -> Option<String> {
        let admitted = self.registry.state().admitted();
        let stranger = self.agents.by_id.keys().find(|agent| !admitted.contains_key(*agent));
        stranger.map(|agent| format!("{agent} is registered and not admitted"))
    }

    fn broken_offer(&self) -> Option<String> {
        self.offers.iter().find_map(|(number, live)| {
            let framework = self.frameworks.all.get(live.framework);
            let agent = self.agents.get(live.agent);
            let listed = framework.is_some_and(|framework| framework.offers.contains(&number))
                && agent.is_some_and(|agent| agent.offers.contains(&number));
            (!listed).then(|| format!("offer {} is not listed", live.offer.id))
        })
    }
}
