//! What an agent says, from the message on the link to what the core takes in.

use bytes::Bytes;
use meros_master_core::{
    AgentRegister, AgentSpec, FrameworkReport, FrameworkSpec, Input, LinkRef, StatusReport,
    TaskReport,
};
use meros_proto::caller::Caller;
use meros_proto::ids::{AgentId, ExecutorId, FrameworkId};
use meros_proto::link::{self, from_agent};
use meros_proto::task_state;
use meros_proto::v1;
use meros_proto::wire::{self, Encoding, Wire};

use crate::metrics::Counter;

/// One message, taken apart.
pub(super) struct Said {
    pub(super) input: Input,
    /// Launches must not keep it waiting.
    pub(super) urgent: bool,
    pub(super) counter: Counter,
}

/// Why a message makes no sense.
#[derive(Debug, thiserror::Error)]
pub(super) enum Garbage {
    #[error("it sent a message of an unknown kind")]
    Unknown,
    #[error("it said hello twice")]
    SecondHello,
    #[error("it sent a message that could not be decoded: {0}")]
    Message(String),
    #[error("{field} of its {message} is invalid: {why}")]
    Field { message: &'static str, field: &'static str, why: String },
}

/// Takes a message apart. Nothing in it is believed that isn't checked here.
pub(super) fn parse(
    message: from_agent::Message,
    link: LinkRef,
    caller: &Caller,
) -> Result<Said, Garbage> {
    use from_agent::Message;
    match message {
        Message::Hello(_) => Err(Garbage::SecondHello),
        Message::Register(register) => Ok(Said {
            input: Input::AgentRegister(Box::new(registration(register, link, caller)?)),
            urgent: false,
            counter: Counter::Registrations,
        }),
        Message::Update(update) => status_update(update, link),
        Message::Pong(pong) => Ok(Said {
            input: Input::AgentPong { link, sequence: pong.sequence },
            urgent: true,
            counter: Counter::Pongs,
        }),
        Message::Unregister(unregister) => Ok(Said {
            input: Input::AgentUnregister { link, reason: unregister.reason },
            urgent: false,
            counter: Counter::Unregistrations,
        }),
        Message::ExecutorMessage(message) => {
            let of = Of("executor message");
            Ok(Said {
                input: Input::AgentExecutorMessage {
                    link,
                    framework: of.framework(&message.framework_id)?,
                    executor: of.executor(&message.executor_id)?,
                    data: message.data,
                },
                urgent: false,
                counter: Counter::ExecutorMessages,
            })
        }
        Message::ExecutorExited(exited) => {
            let of = Of("executor exit");
            Ok(Said {
                input: Input::AgentExecutorExited {
                    link,
                    framework: of.framework(&exited.framework_id)?,
                    executor: of.executor(&exited.executor_id)?,
                    wait_status: exited.wait_status,
                },
                urgent: true,
                counter: Counter::ExecutorsExited,
            })
        }
    }
}

fn registration(
    register: link::Register,
    link: LinkRef,
    caller: &Caller,
) -> Result<AgentRegister, Garbage> {
    let of = Of("registration");
    let info: v1::AgentInfo = of.decoded("agent_info", &register.agent_info)?;
    let agent_id = match info.id.as_ref().filter(|id| !id.value().is_empty()) {
        Some(id) => Some(AgentId::try_from(id).map_err(of.invalid("agent_info.id"))?),
        None => None,
    };
    let spec =
        AgentSpec::from_proto(&info, &register.pid, &register.version, register.capabilities);
    let tasks = register.tasks.into_iter().map(task_report);
    let frameworks = register.frameworks.into_iter().map(framework_report);
    Ok(AgentRegister {
        caller: caller.clone(),
        link,
        agent_id,
        spec: spec.map_err(of.invalid("agent_info"))?,
        boot_id: register.boot_id,
        incarnation: register.incarnation,
        tasks: tasks.collect::<Result<_, _>>()?,
        frameworks: frameworks.collect::<Result<_, _>>()?,
    })
}

fn task_report(report: link::TaskReport) -> Result<TaskReport, Garbage> {
    let of = Of("task report");
    let framework = of.framework(&report.framework_id)?;
    let task: v1::TaskInfo = of.decoded("task", &report.task)?;
    let status = match report.status.is_empty() {
        true => None,
        false => Some(of.status(report.status)?),
    };
    let latest = of.state(report.state)?;
    TaskReport::from_proto(framework, &task, &report.task, latest, status)
        .map_err(of.invalid("task"))
}

fn framework_report(report: link::FrameworkReport) -> Result<FrameworkReport, Garbage> {
    let of = Of("framework report");
    let info: v1::FrameworkInfo = of.decoded("framework_info", &report.framework_info)?;
    Ok(FrameworkReport {
        id: of.framework(&report.framework_id)?,
        spec: FrameworkSpec::from_proto(&info, &[]).map_err(of.invalid("framework_info"))?,
    })
}

fn status_update(update: link::StatusUpdate, link: LinkRef) -> Result<Said, Garbage> {
    let of = Of("status update");
    let status = of.status(update.status)?;
    let latest_state = of.state(update.latest_state)?;
    let urgent = task_state::is_terminal(latest_state);
    let framework = of.framework(&update.framework_id)?;
    Ok(Said {
        input: Input::AgentUpdate { link, framework, status: Box::new(status), latest_state },
        urgent,
        counter: Counter::StatusUpdates,
    })
}

/// The message that a field is of, for the log.
#[derive(Clone, Copy)]
struct Of(&'static str);

impl Of {
    fn invalid<E: ToString>(self, field: &'static str) -> impl FnOnce(E) -> Garbage {
        move |error| Garbage::Field { message: self.0, field, why: error.to_string() }
    }

    fn decoded<T: Wire>(self, field: &'static str, raw: &Bytes) -> Result<T, Garbage> {
        wire::decode(Encoding::Protobuf, raw).map_err(self.invalid(field))
    }

    fn framework(self, id: &str) -> Result<FrameworkId, Garbage> {
        FrameworkId::parse(id).map_err(self.invalid("framework_id"))
    }

    fn executor(self, id: &str) -> Result<ExecutorId, Garbage> {
        ExecutorId::parse(id).map_err(self.invalid("executor_id"))
    }

    fn state(self, number: i32) -> Result<v1::TaskState, Garbage> {
        v1::TaskState::try_from(number).map_err(self.invalid("state"))
    }

    fn status(self, raw: Bytes) -> Result<StatusReport, Garbage> {
        let status: v1::TaskStatus = self.decoded("status", &raw)?;
        StatusReport::from_proto(&status, raw).map_err(self.invalid("status"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use link::from_agent::Message;

    fn parsed(message: Message) -> Result<Input, String> {
        parse(message, LinkRef(1), &Caller::default())
            .map(|said| said.input)
            .map_err(|garbage| garbage.to_string())
    }

    fn status(task: &str) -> Bytes {
        let status = v1::TaskStatus {
            task_id: Some(v1::TaskId { value: Some(task.to_owned()) }),
            state: Some(v1::TaskState::TaskRunning.into()),
            ..Default::default()
        };
        Bytes::from(wire::encode(Encoding::Protobuf, &status))
    }

    fn update(framework: &str, status: Bytes, latest_state: i32) -> Message {
        let framework_id = framework.to_owned();
        Message::Update(link::StatusUpdate { framework_id, status, latest_state })
    }

    #[test]
    fn what_cannot_be_decoded_is_named_and_refused() {
        for (message, error) in [
            (Message::Hello(link::Hello::default()), "it said hello twice"),
            (update("f", Bytes::from_static(b"\xff"), 1), "status of its status update is invalid"),
            (update("f", Bytes::new(), 1), "status of its status update is invalid"),
            (update("a/b", status("t"), 1), "framework_id of its status update is invalid"),
            (update("f", status(""), 1), "status of its status update is invalid"),
            (update("f", status("t"), 99), "state of its status update is invalid"),
            (
                Message::Register(link::Register::default()),
                "agent_info of its registration is invalid",
            ),
        ] {
            let refused = parsed(message).expect_err(error);
            assert!(refused.starts_with(error), "{refused}");
        }
    }

    #[test]
    fn a_terminal_state_makes_an_update_urgent_even_behind_an_older_status() {
        for (latest, urgent) in [
            (v1::TaskState::TaskRunning, false),
            (v1::TaskState::TaskFinished, true),
            (v1::TaskState::TaskUnreachable, false),
        ] {
            let said =
                parse(update("f", status("t"), latest.into()), LinkRef(1), &Caller::default())
                    .expect("the update is valid");
            assert_eq!(said.urgent, urgent, "{latest:?}");
        }
    }
}
