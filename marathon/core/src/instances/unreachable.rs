//! What becomes, in time, of instances that nobody can reach and of launches that never end.

use std::sync::Arc;
use std::time::Duration;

use meros_proto::time::Now;

use super::{Condition, Instance, InstanceId, Task};
use crate::apps::UnreachableStrategy;
use crate::connection::SETTLES_IN;
use crate::state::{Marathon, Out};
use crate::timers::Timer;

impl Marathon {
    /// Sets the times at which an unreachable instance is replaced and given up, as its app says.
    ///
    /// They count from the loss of the agent, which only the wall clock told; from now on the
    /// monotonic one does, so that a clock that is set doesn't hasten anything.
    pub(crate) fn watch_unreachable(&mut self, now: Now, instance: &Instance) {
        let since = instance.task.as_ref().and_then(|task| task.unreachable_since);
        let (Some(since), UnreachableStrategy::After { inactive, expunge }) =
            (since, instance.spec.unreachable)
        else {
            return;
        };
        let lost_for = Duration::from_nanos(now.wall.as_nanos().saturating_sub(since.as_nanos()));
        let at = |after: Duration| now.mono + after.saturating_sub(lost_for);
        // Where both times are the same, it is given up at once.
        if inactive < expunge {
            self.timers.set(Timer::Inactive(instance.id.clone()), at(inactive));
        }
        self.timers.set(Timer::Expunge(instance.id.clone()), at(expunge));
    }

    /// An instance is no longer unreachable, or no longer there.
    pub(crate) fn stop_watching_unreachable(&mut self, id: &InstanceId) {
        self.timers.cancel(&Timer::Inactive(id.clone()));
        self.timers.cancel(&Timer::Expunge(id.clone()));
    }

    /// An instance was unreachable for so long that it no longer counts: another takes its place.
    pub(crate) fn replace_unreachable(&mut self, now: Now, id: &InstanceId, out: &mut Out) {
        let Some(instance) = self.instances.get(id) else { return };
        let Some(task) = &instance.task else { return };
        if task.condition != Condition::Unreachable {
            return;
        }
        let condition = Condition::UnreachableInactive;
        let task = Some(Task { condition, ..task.clone() });
        let changed = Instance { task, since: now.wall, ..Instance::clone(instance) };
        self.store(now, &Arc::new(changed), out);
    }

    /// An instance was unreachable for so long that it is forgotten.
    pub(crate) fn give_up_unreachable(&mut self, now: Now, id: &InstanceId, out: &mut Out) {
        let unreachable = [Condition::Unreachable, Condition::UnreachableInactive];
        let instance = self.instances.get(id);
        if instance.is_some_and(|instance| unreachable.contains(&instance.condition())) {
            self.expunge(now, id, out);
        }
    }

    /// Kills a task that was launched long ago and still doesn't run.
    pub(crate) fn launch_overdue(&mut self, now: Now, id: &InstanceId) {
        let Some(instance) = self.instances.get(id) else { return };
        if !self.connection.is_settled(now.mono) {
            // It may run for long, and nobody could tell.
            self.timers.set(Timer::LaunchOverdue(id.clone()), now.mono + SETTLES_IN);
            return;
        }
        let limit = match instance.condition() {
            Condition::Provisioned => self.config.launch_confirm_timeout,
            Condition::Staging | Condition::Starting => self.config.launch_timeout,
            _ => return,
        };
        // The kill may get no answer, or the task may never start to run: look again later.
        self.timers.set(Timer::LaunchOverdue(id.clone()), now.mono + limit);
        self.kill_task_of(id);
    }

    /// Watches over a launch: it has its time from when it was decided, whatever came between.
    pub(crate) fn watch_launch(&mut self, now: Now, instance: &Instance) {
        let timer = Timer::LaunchOverdue(instance.id.clone());
        let limit = match instance.condition() {
            Condition::Provisioned => self.config.launch_confirm_timeout,
            Condition::Staging | Condition::Starting => self.config.launch_timeout,
            _ => {
                self.timers.cancel(&timer);
                return;
            }
        };
        let staged_at = instance.task.as_ref().map_or(now.wall, |task| task.staged_at);
        let under_way = now.wall.as_nanos().saturating_sub(staged_at.as_nanos());
        let left = limit.saturating_sub(Duration::from_nanos(under_way));
        self.timers.set(timer, now.mono + left);
    }
}
