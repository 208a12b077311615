//! What Marathon's core calls for, as calls of the scheduler API.

use std::time::Duration;

use meros_marathon_core::output::Call as Wanted;
use meros_proto::ids::{AgentId, OfferId, TaskId};
use meros_proto::v1;
use meros_proto::v1::scheduler::{Call, call};
use meros_sdk::driver::launch_operation;

/// Mesos's default, where the core doesn't say.
const REFUSE: Duration = Duration::from_secs(5);

/// The call. `None` for a change of roles, which isn't simply sent.
pub(crate) fn call(wanted: Wanted) -> Option<Call> {
    let of = |kind: call::Type| Call { r#type: Some(kind.into()), ..Call::default() };
    Some(match wanted {
        Wanted::Accept { offer, launches, refuse } => {
            let tasks = launches.iter().map(|task| v1::TaskInfo::clone(task)).collect();
            let body = call::Accept {
                offer_ids: vec![offer.to_proto()],
                operations: vec![launch_operation(tasks)],
                filters: refused(refuse),
            };
            Call { accept: Some(body), ..of(call::Type::Accept) }
        }
        Wanted::Decline { offers, refuse } => {
            let offer_ids = offers.iter().map(OfferId::to_proto).collect();
            let body = call::Decline { offer_ids, filters: refused(refuse) };
            Call { decline: Some(body), ..of(call::Type::Decline) }
        }
        Wanted::Kill { task, agent, grace } => {
            let body = call::Kill {
                task_id: Some(task.to_proto()),
                agent_id: agent.map(|agent| agent.to_proto()),
                kill_policy: grace.map(|grace| v1::KillPolicy {
                    grace_period: Some(v1::DurationInfo {
                        nanoseconds: i64::try_from(grace.as_nanos()).ok(),
                    }),
                }),
            };
            Call { kill: Some(body), ..of(call::Type::Kill) }
        }
        Wanted::Acknowledge { task, agent, uuid } => {
            let body = call::Acknowledge {
                agent_id: Some(agent.to_proto()),
                task_id: Some(task.to_proto()),
                uuid: Some(uuid),
            };
            Call { acknowledge: Some(body), ..of(call::Type::Acknowledge) }
        }
        Wanted::Revive { roles } => {
            Call { revive: Some(call::Revive { roles }), ..of(call::Type::Revive) }
        }
        Wanted::Suppress { roles } => {
            Call { suppress: Some(call::Suppress { roles }), ..of(call::Type::Suppress) }
        }
        Wanted::Reconcile { tasks } => reconcile(tasks),
        Wanted::ChangeRoles { .. } => return None,
    })
}

/// RECONCILE.
pub(crate) fn reconcile(tasks: Vec<(TaskId, Option<AgentId>)>) -> Call {
    let one = |(task, agent): (TaskId, Option<AgentId>)| call::reconcile::Task {
        task_id: Some(task.to_proto()),
        agent_id: agent.map(|agent| agent.to_proto()),
    };
    let body = call::Reconcile { tasks: tasks.into_iter().map(one).collect() };
    Call { r#type: Some(call::Type::Reconcile.into()), reconcile: Some(body), ..Call::default() }
}

fn refused(span: Option<Duration>) -> Option<v1::Filters> {
    Some(v1::Filters { refuse_seconds: Some(span.unwrap_or(REFUSE).as_secs_f64()) })
}
