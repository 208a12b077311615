//! SUBSCRIBE: a new framework, one that comes back, or one whose next scheduler takes over.
//!
//! A refused subscription is an ERROR event on the stream, which then closes. The newest SUBSCRIBE
//! always wins.

use std::sync::Arc;

use meros_proto::ids::{FrameworkId, StreamId};
use meros_proto::time::Now;

use crate::allocator::AllocatorInput;
use crate::arena::FrameworkIx;
use crate::frameworks::{Connection, Framework};
use crate::input::{StreamRef, Subscribe};
use crate::model::FrameworkSpec;
use crate::output::{AgentMessage, Effect, Notice, SchedulerEvent};
use crate::timers::Timer;
use crate::{Master, Out};

impl Master {
    pub(crate) fn subscribe(&mut self, now: Now, call: Subscribe, out: &mut Out) {
        self.counters.calls.subscribe += 1;
        let Subscribe { caller, stream, stream_id, framework_id, framework } = call;
        let spec = framework.map(|spec| FrameworkSpec {
            principal: spec.principal.clone().or(caller.principal),
            ..spec
        });
        let spec = match spec.and_then(|spec| self.checked(framework_id.as_ref(), spec)) {
            Ok(spec) => spec,
            Err(message) => {
                out.effect(Effect::Notice(Notice::SubscribeRefused {
                    framework: framework_id,
                    message: message.clone(),
                }));
                return end_stream(stream, message, out);
            }
        };
        let id = framework_id.unwrap_or_else(|| self.registry.new_framework_id(out));
        let (index, again) = self.take_in(now, &id, spec, out);
        self.connect(now, index, stream, stream_id, again, out);
    }

    /// What of the subscription depends on the configuration and on what is known.
    fn checked(
        &self,
        id: Option<&FrameworkId>,
        spec: FrameworkSpec,
    ) -> Result<FrameworkSpec, String> {
        if &*spec.user == "root" && !self.config.root_submissions {
            return Err("User 'root' is not allowed to run frameworks without root submissions \
                        enabled"
                .to_owned());
        }
        let Some(id) = id else { return Ok(spec) };
        if self.registry.state().is_removed(id) {
            return Err("Framework has been removed".to_owned());
        }
        match self.frameworks.find(id) {
            Some((_, known)) if known.spec.principal != spec.principal => {
                Err("Changing framework's principal is not allowed.".to_owned())
            }
            Some(_) | None => Ok(spec),
        }
    }

    /// Makes the framework known, or brings what is known of it up to date.
    fn take_in(
        &mut self,
        now: Now,
        id: &FrameworkId,
        mut spec: FrameworkSpec,
        out: &mut Out,
    ) -> (FrameworkIx, bool) {
        let Some(index) = self.frameworks.by_id.get(id).copied() else {
            spec.set_id(id);
            let framework = Framework::new(id.clone(), spec, now.wall);
            return (self.add_framework(now, framework), false);
        };
        // The old stream ends, and its offers are void: no RESCIND for them on the new one.
        self.drop_stream(now, index, Some("Framework failed over"), out);
        let Some(framework) = self.frameworks.all.get_mut(index) else { return (index, true) };
        let again = framework.connection != Connection::Recovered;
        if again {
            spec.keep_fixed_fields(&framework.spec);
            framework.reregistered = Some(now.wall);
        } else {
            framework.registered = now.wall;
        }
        spec.set_id(id);
        let changed = framework.spec.raw != spec.raw;
        framework.spec = Arc::new(spec);
        framework.unregistered = None;
        if changed {
            self.pass_on_info(index, out);
        }
        self.describe_framework(now, index);
        (index, again)
    }

    /// Tells the agents that run its tasks.
    fn pass_on_info(&self, index: FrameworkIx, out: &mut Out) {
        let Some(framework) = self.frameworks.all.get(index) else { return };
        for agent in framework.tasks_on.keys() {
            let message = AgentMessage::UpdateFramework {
                framework: framework.id.clone(),
                framework_info: framework.spec.raw.clone(),
            };
            self.agents.tell(*agent, message, out);
        }
    }

    fn connect(
        &mut self,
        now: Now,
        index: FrameworkIx,
        stream: StreamRef,
        stream_id: StreamId,
        again: bool,
        out: &mut Out,
    ) {
        self.frameworks.by_stream.insert(stream, index);
        let heartbeat_interval = self.config.heartbeat_interval;
        self.timers.cancel(Timer::Failover(index));
        self.timers.set(Timer::Heartbeat(index), now.mono + heartbeat_interval);
        let Some(framework) = self.frameworks.all.get_mut(index) else { return };
        framework.connection = Connection::Connected { stream, stream_id };
        let id = framework.id.clone();
        out.effect(Effect::Notice(Notice::FrameworkSubscribed {
            framework: id.clone(),
            name: Arc::clone(&framework.spec.name),
            again,
        }));
        framework.tell(SchedulerEvent::Subscribed { framework: id, heartbeat_interval }, out);
        framework.tell(SchedulerEvent::Heartbeat, out);
        self.allocator.handle(now, AllocatorInput::FrameworkActivated { framework: index });
    }

    /// A heartbeat is due.
    pub(crate) fn heartbeat(&mut self, now: Now, index: FrameworkIx, out: &mut Out) {
        let Some(framework) = self.frameworks.all.get(index) else { return };
        framework.tell(SchedulerEvent::Heartbeat, out);
        self.timers.set(Timer::Heartbeat(index), now.mono + self.config.heartbeat_interval);
    }
}

/// Ends a stream with an ERROR.
pub(crate) fn end_stream(stream: StreamRef, message: String, out: &mut Out) {
    out.effect(Effect::Event { stream, event: SchedulerEvent::Error { message } });
    out.effect(Effect::CloseStream { stream });
}
