//! Instances come into being, change, and go: the only places that write them.

use std::sync::Arc;

use meros_proto::time::Now;
use rand::Rng;

use super::{Goal, Instance, InstanceId};
use crate::apps::AppSpec;
use crate::events::EventKind;
use crate::instances::Condition;
use crate::path_id::PathId;
use crate::records::Record;
use crate::state::{Marathon, Out};
use crate::timers::Timer;

impl Marathon {
    /// Adds `count` instances of an app, for the launch queue to find offers for.
    pub(crate) fn add_instances(
        &mut self,
        now: Now,
        spec: &Arc<AppSpec>,
        count: usize,
        out: &mut Out,
    ) {
        if count > 0 {
            self.queue_begins(now, &spec.id);
        }
        for _ in 0..count {
            let bits = u128::from(self.chance.instances.next_u64()) << 64
                | u128::from(self.chance.instances.next_u64());
            let instance = Arc::new(Instance {
                id: InstanceId::new(spec.id.clone(), bits),
                spec: Arc::clone(spec),
                goal: Goal::Running,
                incarnation: 0,
                since: now.wall,
                task: None,
            });
            self.store(now, &instance, out);
        }
    }

    /// Keeps an instance as it is now, and tells of its condition.
    pub(crate) fn store(&mut self, now: Now, instance: &Arc<Instance>, out: &mut Out) {
        if instance.is_scheduled() {
            self.connection.demand.refresh(instance.spec.role.clone());
        }
        // First of all the snapshot goes: what nobody looks at is changed in its place.
        self.mark(instance.id.app());
        self.instances.put(Arc::clone(instance));
        out.persist(Record::Instance(Arc::clone(instance)));
        self.tell_condition(now, instance, instance.condition(), out);
    }

    /// Tells those who listen that an instance's condition is another.
    pub(crate) fn tell_condition(
        &mut self,
        now: Now,
        instance: &Instance,
        condition: Condition,
        out: &mut Out,
    ) {
        let agent = instance.task.as_ref().map(|task| &task.agent);
        let event = EventKind::InstanceChanged {
            instance: instance.id.clone(),
            condition,
            app: instance.id.app().clone(),
            agent: agent.map(|agent| (agent.id.clone(), agent.hostname.clone())),
            version: instance.spec.version,
        };
        self.publish(now, event, out);
    }

    /// Wants an instance to end and to be forgotten. One that has no task, or whose task nobody can
    /// reach, is forgotten at once.
    pub(crate) fn decommission(&mut self, now: Now, id: &InstanceId, out: &mut Out) {
        let Some(instance) = self.instances.get(id) else { return };
        let reachable = instance.task.is_some() && !instance.condition().ignores_kills();
        if !reachable {
            self.expunge(now, id, out);
            return;
        }
        if instance.goal == Goal::Running {
            let mut changed = Instance::clone(instance);
            changed.goal = Goal::Decommissioned;
            let changed = Arc::new(changed);
            self.mark(id.app());
            self.instances.put(Arc::clone(&changed));
            out.persist(Record::Instance(changed));
        }
        self.kill_task_of(id);
    }

    /// Wants all instances of an app to end.
    pub(crate) fn decommission_all(&mut self, now: Now, app: &PathId, out: &mut Out) {
        let ids: Vec<InstanceId> = self
            .instances
            .of(app)
            .filter(|instance| {
                instance.goal == Goal::Running || instance.condition().ignores_kills()
            })
            .map(|instance| instance.id.clone())
            .collect();
        for id in ids {
            self.decommission(now, &id, out);
        }
    }

    /// Forgets an instance. Should its task turn up again, it is unknown and killed.
    pub(crate) fn expunge(&mut self, now: Now, id: &InstanceId, out: &mut Out) {
        self.mark(id.app());
        let Some(instance) = self.instances.remove(id) else { return };
        if let Some(task) = &instance.task {
            self.kill_answered(&task.id);
            // A reachable task has told of its end already.
            if task.condition.ignores_kills() {
                self.tell_condition(now, &instance, Condition::Killed, out);
            }
        }
        self.timers.cancel(&Timer::LaunchOverdue(id.clone()));
        self.stop_watching_unreachable(id);
        self.stop_watching_health(&instance);
        self.retire_checks(now, id.app(), out);
        out.persist(Record::InstanceGone(id.clone()));
    }
}
