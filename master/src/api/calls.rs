//! A scheduler's call, from the message on the wire to what the core takes in.
//!
//! Here are the checks that need nothing but the call (Mesos: "scheduler::call::validate"); what
//! depends on who is subscribed is the core's.

use std::time::Duration;

use meros_master_core::{Filters, LaunchTask, Operation, SchedulerCall, Uuid};
use meros_proto::caller::Caller;
use meros_proto::ids::{AgentId, ExecutorId, OfferId, TaskId};
use meros_proto::v1;
use meros_proto::v1::offer::operation;
use meros_proto::v1::scheduler::Call;
use meros_proto::v1::scheduler::call::{self, Type};

/// A call that is valid as far as it can be judged by itself.
#[derive(Debug)]
pub(crate) enum Checked {
    /// A SUBSCRIBE.
    Subscribe {
        /// The id that the scheduler already has; never empty.
        framework: Option<String>,
        /// The rest of it.
        subscribe: Box<call::Subscribe>,
    },
    /// Any other call.
    Other {
        /// Whose call it is, as it was written.
        framework: String,
        /// What is asked.
        call: SchedulerCall,
    },
}

/// Whether a task may run as that user; `None`: as the framework's.
pub(crate) type MayRunAs<'a> = &'a dyn Fn(Option<&str>) -> bool;

/// Checks a call and takes it apart.
///
/// # Errors
/// What is wrong with it, as Mesos words it.
pub(crate) fn check(call: Call, caller: &Caller, may_run: MayRunAs<'_>) -> Result<Checked, String> {
    if call.r#type.is_none() {
        return Err(missing("type"));
    }
    if call.r#type() == Type::Subscribe {
        return subscribe(call, caller);
    }
    let framework = call.framework_id.clone().ok_or_else(|| missing("framework_id"))?;
    let call = other(call, may_run)?;
    Ok(Checked::Other { framework: framework.value.unwrap_or_default(), call })
}

fn subscribe(call: Call, caller: &Caller) -> Result<Checked, String> {
    let subscribe = call.subscribe.ok_or_else(|| missing("subscribe"))?;
    let info = subscribe.framework_info.as_ref().ok_or_else(|| missing("framework_info"))?;
    let id = |id: Option<&v1::FrameworkId>| id.and_then(|id| id.value.clone()).unwrap_or_default();
    let framework = id(call.framework_id.as_ref());
    if framework != id(info.id.as_ref()) {
        return Err("'framework_id' differs from 'subscribe.framework_info.id'".to_owned());
    }
    if let (Some(caller), Some(info)) = (&caller.principal, &info.principal)
        && caller != info
    {
        return Err(format!(
            "Authenticated principal '{caller}' does not match principal '{info}' set in `FrameworkInfo`"
        ));
    }
    let framework = Some(framework).filter(|framework| !framework.is_empty());
    Ok(Checked::Subscribe { framework, subscribe: Box::new(subscribe) })
}

fn other(call: Call, may_run: MayRunAs<'_>) -> Result<SchedulerCall, String> {
    let kind = call.r#type();
    match kind {
        Type::Accept => accept(call.accept.ok_or_else(|| missing("accept"))?, may_run),
        Type::Decline => {
            let decline = call.decline.ok_or_else(|| missing("decline"))?;
            // An id that can't be is an unknown one, and unknown ones are ignored.
            let ids = decline.offer_ids.iter();
            let offers = ids.filter_map(|id| OfferId::try_from(id).ok()).collect();
            Ok(SchedulerCall::Decline { offers, filters: filters(decline.filters.as_ref()) })
        }
        Type::Revive => Ok(SchedulerCall::Revive { roles: call.revive.unwrap_or_default().roles }),
        Type::Suppress => {
            Ok(SchedulerCall::Suppress { roles: call.suppress.unwrap_or_default().roles })
        }
        Type::Kill => kill(&call.kill.ok_or_else(|| missing("kill"))?),
        Type::Acknowledge => acknowledge(&call.acknowledge.ok_or_else(|| missing("acknowledge"))?),
        Type::Reconcile => reconcile(&call.reconcile.ok_or_else(|| missing("reconcile"))?),
        Type::Teardown => Ok(SchedulerCall::Teardown),
        Type::Shutdown => {
            let shutdown = call.shutdown.ok_or_else(|| missing("shutdown"))?;
            Ok(SchedulerCall::Shutdown {
                executor: executor_id(shutdown.executor_id.as_ref())?,
                agent: agent_id(shutdown.agent_id.as_ref())?,
            })
        }
        Type::Message => {
            let message = call.message.ok_or_else(|| missing("message"))?;
            Ok(SchedulerCall::Message {
                agent: agent_id(message.agent_id.as_ref())?,
                executor: executor_id(message.executor_id.as_ref())?,
                data: message.data.unwrap_or_default(),
            })
        }
        Type::Request => present(call.request, "request", SchedulerCall::Request),
        Type::AcceptInverseOffers => {
            unbuilt(kind, call.accept_inverse_offers, "accept_inverse_offers")
        }
        Type::DeclineInverseOffers => {
            unbuilt(kind, call.decline_inverse_offers, "decline_inverse_offers")
        }
        Type::AcknowledgeOperationStatus => {
            unbuilt(kind, call.acknowledge_operation_status, "acknowledge_operation_status")
        }
        Type::ReconcileOperations => {
            unbuilt(kind, call.reconcile_operations, "reconcile_operations")
        }
        Type::UpdateFramework => unbuilt(kind, call.update_framework, "update_framework"),
        // SUBSCRIBE was taken before; UNKNOWN passes this far and is answered 501.
        Type::Unknown | Type::Subscribe => Ok(SchedulerCall::Unbuilt { name: kind.as_str_name() }),
    }
}

fn accept(accept: call::Accept, may_run: MayRunAs<'_>) -> Result<SchedulerCall, String> {
    let ids = accept.offer_ids.iter();
    let offers: Result<_, _> = ids.map(OfferId::try_from).collect();
    let operations = accept.operations.into_iter().map(|one| operation(one, may_run)).collect();
    Ok(SchedulerCall::Accept {
        offers: offers.map_err(|error| error.to_string())?,
        operations,
        filters: filters(accept.filters.as_ref()),
    })
}

fn operation(operation: v1::offer::Operation, may_run: MayRunAs<'_>) -> Operation {
    let kind = operation.r#type();
    let id = operation.id.and_then(|id| id.value);
    let launched = |tasks: Vec<v1::TaskInfo>| {
        tasks.iter().map(|task| launch_task(task, may_run)).collect::<Vec<_>>()
    };
    match kind {
        operation::Type::Launch => Operation::Launch {
            id,
            tasks: launched(operation.launch.unwrap_or_default().task_infos),
        },
        operation::Type::LaunchGroup => {
            let group = operation.launch_group.unwrap_or_default().task_group.unwrap_or_default();
            Operation::LaunchGroup { id, tasks: launched(group.tasks) }
        }
        _ => Operation::Unbuilt { name: kind.as_str_name(), id },
    }
}

fn launch_task(task: &v1::TaskInfo, may_run: MayRunAs<'_>) -> LaunchTask {
    let own = task.command.as_ref();
    let command = own.or_else(|| task.executor.as_ref()?.command.as_ref());
    let user = command.and_then(|command| command.user.as_deref());
    let mut launch = LaunchTask::from_proto(task);
    if !may_run(user) {
        let user = user.unwrap_or("the framework's user");
        launch.spec = Err(format!("Not authorized to launch tasks as {user}"));
    }
    launch
}

fn kill(kill: &call::Kill) -> Result<SchedulerCall, String> {
    let grace = kill.kill_policy.as_ref().and_then(|policy| policy.grace_period.as_ref());
    let grace = grace.and_then(|grace| grace.nanoseconds).map(|nanos| {
        u64::try_from(nanos)
            .map(Duration::from_nanos)
            .map_err(|_| "'kill_policy.grace_period' must be non-negative".to_owned())
    });
    Ok(SchedulerCall::Kill {
        task: task_id(kill.task_id.as_ref())?,
        agent: optional_agent_id(kill.agent_id.as_ref())?,
        grace: grace.transpose()?,
    })
}

fn acknowledge(acknowledge: &call::Acknowledge) -> Result<SchedulerCall, String> {
    let uuid = acknowledge.uuid.as_ref().ok_or_else(|| missing("uuid"))?;
    Ok(SchedulerCall::Acknowledge {
        agent: agent_id(acknowledge.agent_id.as_ref())?,
        task: task_id(acknowledge.task_id.as_ref())?,
        uuid: Uuid::from_bytes(uuid).ok_or_else(|| "Not a valid UUID".to_owned())?,
    })
}

fn reconcile(reconcile: &call::Reconcile) -> Result<SchedulerCall, String> {
    let tasks = reconcile.tasks.iter().map(|task| {
        Ok((task_id(task.task_id.as_ref())?, optional_agent_id(task.agent_id.as_ref())?))
    });
    Ok(SchedulerCall::Reconcile { tasks: tasks.collect::<Result<_, String>>()? })
}

fn filters(filters: Option<&v1::Filters>) -> Filters {
    Filters { refuse_seconds: filters.and_then(|filters| filters.refuse_seconds) }
}

fn task_id(id: Option<&v1::TaskId>) -> Result<TaskId, String> {
    TaskId::from_proto(id).map_err(|error| error.to_string())
}

fn executor_id(id: Option<&v1::ExecutorId>) -> Result<ExecutorId, String> {
    ExecutorId::from_proto(id).map_err(|error| error.to_string())
}

fn agent_id(id: Option<&v1::AgentId>) -> Result<AgentId, String> {
    AgentId::from_proto(id).map_err(|error| error.to_string())
}

/// An empty id is none: some clients always send the field.
fn optional_agent_id(id: Option<&v1::AgentId>) -> Result<Option<AgentId>, String> {
    let given = id.filter(|id| id.value.as_deref().is_some_and(|value| !value.is_empty()));
    given.map(|id| agent_id(Some(id))).transpose()
}

fn unbuilt<T>(kind: Type, field: Option<T>, name: &str) -> Result<SchedulerCall, String> {
    present(field, name, SchedulerCall::Unbuilt { name: kind.as_str_name() })
}

fn present<T>(field: Option<T>, name: &str, call: SchedulerCall) -> Result<SchedulerCall, String> {
    field.map(|_| call).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> String {
    format!("Expecting '{name}' to be present")
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_proto::wire::{self, Encoding};

    fn checked(json: &str) -> Result<Checked, String> {
        let call =
            wire::decode(Encoding::Json, json.as_bytes()).expect("the test's call is complete");
        check(call, &Caller::default(), &|_| true)
    }

    #[test]
    fn what_a_call_lacks_is_named() {
        for (json, error) in [
            (r"{}", "Expecting 'type' to be present"),
            (r#"{"type":"NOT_A_TYPE"}"#, "Expecting 'type' to be present"),
            (r#"{"type":"SUBSCRIBE"}"#, "Expecting 'subscribe' to be present"),
            (r#"{"type":"TEARDOWN"}"#, "Expecting 'framework_id' to be present"),
            (
                r#"{"type":"ACCEPT","framework_id":{"value":"f"}}"#,
                "Expecting 'accept' to be present",
            ),
            (
                r#"{"type":"UPDATE_FRAMEWORK","framework_id":{"value":"f"}}"#,
                "Expecting 'update_framework' to be present",
            ),
            (
                r#"{"type":"ACKNOWLEDGE","framework_id":{"value":"f"},"acknowledge":
                    {"agent_id":{"value":"a"},"task_id":{"value":"t"},"uuid":"AAAA"}}"#,
                "Not a valid UUID",
            ),
            (
                r#"{"type":"SUBSCRIBE","framework_id":{"value":"f"},"subscribe":
                    {"framework_info":{"user":"u","name":"n"}}}"#,
                "'framework_id' differs from 'subscribe.framework_info.id'",
            ),
        ] {
            assert_eq!(checked(json).expect_err(json), error, "{json}");
        }
    }

    #[test]
    fn an_empty_framework_id_is_none() {
        let json = r#"{"type":"SUBSCRIBE","framework_id":{"value":""},"subscribe":
            {"framework_info":{"user":"u","name":"n"}}}"#;
        let Ok(Checked::Subscribe { framework: None, .. }) = checked(json) else {
            panic!("a new framework subscribes");
        };
    }

    #[test]
    fn calls_that_are_not_built_keep_their_names() {
        for (name, field) in [
            ("ACCEPT_INVERSE_OFFERS", r#""accept_inverse_offers":{}"#),
            ("RECONCILE_OPERATIONS", r#""reconcile_operations":{}"#),
            ("UNKNOWN", r#""revive":{}"#),
        ] {
            let json = format!(r#"{{"type":"{name}","framework_id":{{"value":"f"}},{field}}}"#);
            match checked(&json) {
                Ok(Checked::Other { call: SchedulerCall::Unbuilt { name: kept }, .. }) => {
                    assert_eq!(kept, name);
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_task_that_may_not_run_as_its_user_is_refused_by_itself() {
        let json = r#"{"type":"ACCEPT","framework_id":{"value":"f"},"accept":{"offer_ids":[],
            "operations":[{"type":"LAUNCH","launch":{"task_infos":[
            {"name":"n","task_id":{"value":"t"},"agent_id":{"value":"a"},
             "resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1}}],
             "command":{"value":"true","user":"root"}}]}}]}}"#;
        let call =
            wire::decode(Encoding::Json, json.as_bytes()).expect("the test's call is complete");
        let checked = check(call, &Caller::default(), &|user| user != Some("root"));
        let Ok(Checked::Other { call: SchedulerCall::Accept { operations, .. }, .. }) = checked
        else {
            panic!("the call itself is valid");
        };
        let Operation::Launch { tasks, .. } = &operations[0] else { panic!("it is a launch") };
        let refusal = tasks[0].spec.as_ref().expect_err("root is not permitted");
        assert_eq!(refusal, "Not authorized to launch tasks as root");
    }
}
