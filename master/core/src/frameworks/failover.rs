//! The end of a framework's stream, and of the framework.

use std::sync::Arc;

use meros_proto::ids::FrameworkId;
use meros_proto::time::Now;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use crate::allocator::AllocatorInput;
use crate::arena::FrameworkIx;
use crate::frameworks::Connection;
use crate::frameworks::subscribe::end_stream;
use crate::input::{ReplyTo, StreamRef};
use crate::output::{AgentMessage, Answer, Effect, Notice, Refusal};
use crate::registry::ops::FrameworkRemoved;
use crate::tasks::{Made, Shelf};
use crate::timers::Timer;
use crate::{Master, Out};

impl Master {
    /// A stream broke. The framework may come back within its failover timeout; the default one of
    /// 0 removes it at once.
    pub(crate) fn stream_closed(&mut self, now: Now, stream: StreamRef, out: &mut Out) {
        // A stream that was replaced or refused is nobody's any more.
        let Some(index) = self.frameworks.by_stream.get(&stream).copied() else { return };
        self.drop_stream(now, index, None, out);
        let Some(framework) = self.frameworks.all.get_mut(index) else { return };
        framework.unregistered = Some(now.wall);
        let failover_timeout = framework.spec.failover_timeout;
        out.effect(Effect::Notice(Notice::FrameworkDisconnected {
            framework: framework.id.clone(),
            failover_timeout,
        }));
        self.timers.set(Timer::Failover(index), now.mono + failover_timeout);
    }

    /// Ends what goes with a stream: offers, refusals, heartbeats; and the stream itself, with an
    /// ERROR that says why, unless it broke by itself.
    pub(crate) fn drop_stream(
        &mut self,
        now: Now,
        index: FrameworkIx,
        error: Option<&str>,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.all.get_mut(index) else { return };
        let Some(stream) = framework.stream() else { return };
        framework.connection = Connection::Disconnected;
        self.frameworks.by_stream.remove(&stream);
        if let Some(error) = error {
            end_stream(stream, error.to_owned(), out);
        }
        self.timers.cancel(Timer::Heartbeat(index));
        self.discard_offers_to(now, index);
        self.allocator.handle(now, AllocatorInput::FrameworkDeactivated { framework: index });
    }

    /// A disconnected framework didn't come back in time.
    pub(crate) fn failover_timed_out(&mut self, now: Now, index: FrameworkIx, out: &mut Out) {
        self.remove_framework(now, index, "it did not come back within its failover timeout", out);
    }

    /// An operator removes a framework.
    pub(crate) fn operator_teardown(
        &mut self,
        now: Now,
        reply: ReplyTo,
        id: &FrameworkId,
        out: &mut Out,
    ) {
        let answer = match self.frameworks.by_id.get(id).copied() {
            Some(index) => {
                self.remove_framework(now, index, "an operator tore it down", out);
                Answer::Done
            }
            None => Answer::Refused(Refusal::NoSuchFramework),
        };
        out.effect(Effect::Reply { to: reply, answer });
    }

    /// Removes a framework for good: its tasks are ended on their agents, its stream is closed, its
    /// id can't be used again.
    pub(crate) fn remove_framework(
        &mut self,
        now: Now,
        index: FrameworkIx,
        reason: &'static str,
        out: &mut Out,
    ) {
        let Some(framework) = self.frameworks.all.get(index) else { return };
        let id = framework.id.clone();
        let agents: Vec<_> = framework.tasks_on.keys().copied().collect();
        let stream = framework.stream();
        self.remember(FrameworkRemoved { framework: id.clone(), at: now.wall }, out);
        out.effect(Effect::Notice(Notice::FrameworkRemoved { framework: id.clone(), reason }));
        if let Some(stream) = stream {
            self.drop_stream(now, index, None, out);
            out.effect(Effect::CloseStream { stream });
        }
        for agent in agents {
            let message = AgentMessage::ShutdownFramework { framework: id.clone() };
            self.agents.tell(agent, message, out);
        }
        self.end_all_tasks(now, index, out);
        self.timers.cancel(Timer::Failover(index));
        self.allocator.handle(now, AllocatorInput::FrameworkRemoved { framework: index });

        self.frameworks.by_id.remove(&id);
        if let Some(mut framework) = self.frameworks.all.remove(index) {
            framework.unregistered = Some(now.wall);
            let view = self.view_of_framework(&framework);
            self.frameworks.completed.push_back(Arc::new(view));
        }
        if self.frameworks.completed.len() > self.config.max_completed_frameworks {
            self.frameworks.completed.pop_front();
        }
    }

    /// Nobody is subscribed to hear of it: the tasks are killed in the books.
    fn end_all_tasks(&mut self, now: Now, index: FrameworkIx, out: &mut Out) {
        let Some(framework) = self.frameworks.all.get(index) else { return };
        let tasks: Vec<_> = framework.tasks.keys().cloned().collect();
        for task in tasks {
            let made = Made {
                state: TaskState::TaskKilled,
                reason: Reason::FrameworkRemoved,
                message: "Framework was removed",
            };
            self.end_task(now, index, &task, &made, out);
            self.shelve(now, index, &task, Shelf::Completed);
        }
    }
}
