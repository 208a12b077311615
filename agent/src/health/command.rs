//! A command that looks at a task from beside it: in its sandbox, with its environment, as its user,
//! and with its limits.
//!
//! It runs in a container nested in the task's, whose limits it shares and with which it ends. What it
//! writes is thrown away: `stdout` and `stderr` in the sandbox are the task's.

use meros_agent_core::checks::{Probe, Purpose};
use meros_proto::ids::ContainerId;
use meros_proto::v1;
use meros_proto::wire::{self, Encoding};

use crate::containerizer::LaunchSpec;
use crate::executor::command::{Terms, launch_spec};
use crate::host::Host;

/// Runs what its arguments are, out of hearing.
const UNHEARD: &str = r#"exec "$0" "$@" >/dev/null 2>&1"#;

/// What the containerizer needs to know to start a look.
///
/// # Errors
/// Why it can't be started, for people.
pub(super) fn check_spec(host: &Host, terms: &Terms, probe: &Probe) -> Result<LaunchSpec, String> {
    let command = command_of(probe)?;
    let spec = launch_spec(host, terms, &probe.of).map_err(|error| error.to_string())?;
    let variables = command.environment.iter().flat_map(|environment| &environment.variables);
    let own = variables.map(|v| (v.name().to_owned(), v.value().to_owned()));
    Ok(LaunchSpec {
        container: name(&probe.of.container)?,
        env: spec.env.into_iter().chain(own).collect(),
        command: unheard(&command),
        ..spec
    })
}

fn command_of(probe: &Probe) -> Result<v1::CommandInfo, String> {
    let task: v1::TaskInfo = wire::decode(Encoding::Protobuf, &probe.of.task.encoded)
        .map_err(|error| error.to_string())?;
    let command = match probe.id.purpose {
        Purpose::Health => task.health_check.and_then(|check| check.command),
        Purpose::Check => task.check.and_then(|check| check.command?.command),
    };
    command.ok_or_else(|| "there is no command".to_owned())
}

/// Never used before, by an earlier agent either.
fn name(task: &ContainerId) -> Result<ContainerId, String> {
    let name = format!("check-{}", uuid::Uuid::new_v4());
    task.child(&name).map_err(|error| error.to_string())
}

fn unheard(command: &v1::CommandInfo) -> v1::CommandInfo {
    let mut arguments = vec!["sh".to_owned(), "-c".to_owned(), UNHEARD.to_owned()];
    let value = command.value().to_owned();
    if command.shell() {
        arguments.extend(["/bin/sh".to_owned(), "-c".to_owned(), value]);
    } else {
        arguments.push(value);
        // The zeroth is its name for itself.
        arguments.extend(command.arguments.iter().skip(1).cloned());
    }
    v1::CommandInfo {
        shell: Some(false),
        value: Some("/bin/sh".to_owned()),
        arguments,
        ..v1::CommandInfo::default()
    }
}
