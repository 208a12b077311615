//! Instances: what is to run, once each, and the tasks that run it.
//!
//! An [`Instance`] keeps its id while its tasks fail and are replaced; each launch is a new task,
//! numbered by its incarnation. One that has no task is *scheduled*: the launch queue looks for an
//! offer for it. Ended tasks leave nothing here: the instance is scheduled again, or gone, by its
//! [`Goal`].
//!
//! Start at [`Instance`]; a [`status`] moves one on in `lifecycle`, goals are set in `goal`, and
//! `kill` and `unreachable` follow up on time.

pub mod condition;
mod goal;
mod instance;
pub mod instance_id;
pub(crate) mod kill;
mod lifecycle;
pub(crate) mod registry;
pub mod status;
pub(crate) mod tally;
mod unreachable;
pub(crate) mod victims;

pub use condition::Condition;
pub use instance::{Agent, Goal, Instance, IpAddress, RunTime, Task};
pub use instance_id::InstanceId;

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use meros_proto::ids::AgentId;
    use meros_proto::time::Timestamp;

    use super::*;
    use crate::apps::tests::app;

    /// A scheduled instance of an app, unlike all others.
    pub(crate) fn instance(id: &str) -> Arc<Instance> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let spec = Arc::new(app(id, 1));
        let bits = u128::from(MADE.fetch_add(1, Ordering::Relaxed));
        Arc::new(Instance {
            id: InstanceId::new(spec.id.clone(), bits),
            spec,
            goal: Goal::Running,
            incarnation: 0,
            since: Timestamp::default(),
            task: None,
        })
    }

    /// An instance whose task is on `host` since `at`.
    pub(crate) fn with_task(
        id: &str,
        condition: Condition,
        host: &str,
        at: Timestamp,
    ) -> Arc<Instance> {
        let mut instance = Instance::clone(&instance(id));
        instance.incarnation = 1;
        instance.task = Some(Task {
            id: instance.id.task(1),
            condition,
            agent: Agent {
                id: AgentId::parse(host).unwrap(),
                hostname: host.into(),
                region: None,
                zone: None,
                attributes: BTreeMap::new(),
            },
            ports: Vec::new(),
            staged_at: at,
            started_at: None,
            unreachable_since: None,
            agent_healthy: None,
            addresses: Vec::new(),
            check: None,
            health: Vec::new(),
            readiness: Vec::new(),
            run_time: None,
        });
        Arc::new(instance)
    }
}
