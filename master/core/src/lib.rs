//! The master's decisions as a pure state machine: who is subscribed, who is registered, what is
//! offered to whom, what runs where.
//!
//! Start at [`Master`]: it takes an [`Input`], answers with [`Effect`]s and with [`registry::Op`]s
//! to be made durable, and its `round` allocates. Knows nothing of HTTP, of sockets or of how a
//! message is encoded; the parsing of messages into what it decides on ([`validate`]) is done by the
//! shell before an input is sent.

mod config;
mod model;
pub mod validate;

pub mod registry;

mod input;
mod output;

mod agents;
mod frameworks;
mod offers;
mod tasks;

mod remember;
mod snapshot;
mod weights;

mod allocator;
mod arena;
mod invariants;
mod shared_map;
mod timers;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use meros_proto::machine::{Core, Outputs};
use meros_proto::time::{Mono, Now, Timestamp};

pub use config::Config;
pub use input::{
    AgentRegister, Call, Filters, FrameworkReport, Input, LinkRef, Operation, ReplyTo,
    SchedulerCall, StreamRef, Subscribe, TaskReport,
};
pub use invariants::Broken;
pub use model::{
    AgentSpec, Capabilities, FrameworkSpec, LaunchTask, MadeStatus, Offer, Status, StatusReport,
    Task, TaskSpec, Uuid,
};
pub use output::{AgentMessage, Answer, Effect, Level, Notice, Refusal, SchedulerEvent};
pub use snapshot::{
    AgentView, CallCounters, Counters, FrameworkView, RecoveredAgent, RoleView, Snapshot, TaskList,
};

use agents::Agents;
use allocator::{Allocator, Settings};
use frameworks::Frameworks;
use offers::Offers;
use registry::{Op, Registry, State};
use timers::{Timer, Timers};

/// What the master answers with.
type Out = Outputs<Op, Effect>;

/// The master. Drive it as every [`Core`].
#[derive(Debug)]
pub struct Master {
    config: Config,
    started: Timestamp,
    registry: Registry,
    frameworks: Frameworks,
    agents: Agents,
    offers: Offers,
    allocator: Allocator,
    timers: Timers,
    counters: Counters,
}

impl Master {
    /// A master that starts `now` and knows what its registry says, nothing else: agents and
    /// frameworks are to tell it.
    ///
    /// `seed` feeds its random choices: the order in which agents are offered.
    pub fn new(now: Now, config: Config, seed: u64, registry: State) -> Self {
        let settings = Settings {
            interval: config.allocation_interval,
            release_quiet: config.release_quiet,
            release_held_max: config.release_held_max,
            min_allocatable: config.min_allocatable.clone(),
            filter_gpu_resources: config.filter_gpu_resources,
        };
        let mut master = Self {
            started: now.wall,
            registry: Registry::new(registry),
            frameworks: Frameworks::new(),
            agents: Agents::new(),
            offers: Offers::new(&config.master_id),
            allocator: Allocator::new(settings, seed),
            timers: Timers::default(),
            counters: Counters::default(),
            config,
        };
        master.weights_changed(now);
        if master.awaits_agents() {
            let due = now.mono + master.config.agent_reregister_timeout;
            master.timers.set(Timer::RecoveredAgents, due);
        }
        master.timers.set(Timer::Forget, now.mono + master.config.registry_gc_interval);
        master
    }

    fn act(&mut self, now: Now, timer: Timer, out: &mut Out) {
        match timer {
            Timer::Heartbeat(framework) => self.heartbeat(now, framework, out),
            Timer::Failover(framework) => self.failover_timed_out(now, framework, out),
            Timer::Ping(agent) => self.ping(now, agent, out),
            Timer::RecoveredAgents => self.give_up_recovered_agents(now, out),
            Timer::Forget => self.forget_old(now, out),
        }
    }
}

impl Core for Master {
    type Input = Input;
    type Record = Op;
    type Effect = Effect;

    fn handle(&mut self, now: Now, input: Input, out: &mut Out) {
        self.registry.found_cluster(now, &self.config.master_id, out);
        match input {
            Input::Subscribe(call) => self.subscribe(now, *call, out),
            Input::Call(call) => self.call(now, *call, out),
            Input::StreamClosed { stream } => self.stream_closed(now, stream, out),
            Input::AgentRegister(register) => self.register_agent(now, *register, out),
            Input::AgentUpdate { link, framework, status, latest_state } => {
                self.update(now, link, &framework, *status, latest_state, out);
            }
            Input::AgentPong { link, sequence } => self.pong(now, link, sequence, out),
            Input::AgentUnregister { link, reason } => self.unregister(now, link, reason, out),
            Input::AgentExecutorMessage { link, framework, executor, data } => {
                self.executor_message(link, &framework, executor, data, out);
            }
            Input::AgentExecutorExited { link, framework, executor, wait_status } => {
                self.executor_exited(link, &framework, executor, wait_status, out);
            }
            Input::AgentLinkClosed { link } => self.link_closed(now, link, out),
            Input::OperatorTeardown { reply, framework, .. } => {
                self.operator_teardown(now, reply, &framework, out);
            }
            Input::UpdateWeights { reply, weights, .. } => {
                self.update_weights(now, reply, weights, out);
            }
            Input::View { reply } => {
                let answer = Answer::View(std::sync::Arc::new(self.snapshot(now)));
                out.effect(Effect::Reply { to: reply, answer });
            }
        }
    }

    fn round(&mut self, now: Now, out: &mut Out) {
        self.registry.found_cluster(now, &self.config.master_id, out);
        while let Some(timer) = self.timers.pop_due(now.mono) {
            self.act(now, timer, out);
        }
        self.expire_offers(now, out);
        self.allocate(now, out);
    }

    fn deadline(&self) -> Option<Mono> {
        [self.timers.next_due(), self.allocator.deadline(), self.next_offer_expiry()]
            .into_iter()
            .flatten()
            .min()
    }
}
