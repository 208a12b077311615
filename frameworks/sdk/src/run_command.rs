//! The shortest way to run something on the cluster: one command, and what became of it.

use meros_proto::ids::TaskId;
use meros_proto::resources::{Name, Resource, Resources, Scalar};
use meros_proto::task_state::is_terminal;
use meros_proto::v1;
use tracing::info;

use crate::matching::{Tally, Want};
use crate::offers::Offer;
use crate::scheduler::{Cluster, Handler, HandlerResult, RunError, Scheduler, command_task};

/// A shell command and what it needs.
#[derive(Debug, Clone)]
pub struct Command {
    /// The command line, for `sh -c`.
    pub cmd: String,
    /// Cores.
    pub cpus: f64,
    /// Memory, in MiB.
    pub mem: f64,
}

impl Command {
    /// A small one: 0.1 cores and 32 MiB.
    pub fn new(cmd: impl Into<String>) -> Self {
        Self { cmd: cmd.into(), cpus: 0.1, mem: 32.0 }
    }
}

/// What became of a command.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The last state of its task.
    pub state: v1::TaskState,
    /// What the agent or the master said about it.
    pub message: String,
    /// The exit status, where one is known.
    pub exit_code: Option<i32>,
    /// The host where it ran.
    pub hostname: String,
    /// Where its files can be browsed, if the agent told its address. The agent keeps them a while.
    pub sandbox: Option<String>,
}

impl Outcome {
    /// Whether it exited with 0.
    pub fn is_success(&self) -> bool {
        self.state == v1::TaskState::TaskFinished
    }
}

/// Why a command wasn't run.
#[derive(Debug, thiserror::Error)]
pub enum RunCommandError {
    /// `cpus` or `mem` can't be asked for.
    #[error("{amount} is not an amount of {what} that can be asked for")]
    Amount {
        /// Which of them.
        what: Name,
        /// What was given.
        amount: f64,
    },
    /// The framework that was to run it failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Runs `command` on the cluster of `master`, waits for its end, and tells what came of it.
///
/// Waits as long as it takes for an offer that is large enough. When the caller stops waiting the
/// command ends.
///
/// # Errors
/// See [`RunCommandError`]. A command that fails is an [`Outcome`].
pub async fn run_command(master: &str, command: Command) -> Result<Outcome, RunCommandError> {
    let resources =
        Resources::from_iter([amount(Name::Cpus, command.cpus)?, amount(Name::Mem, command.mem)?]);
    let mut once = Once {
        cmd: command.cmd,
        want: Want { resources, ..Want::default() },
        tally: Tally::default(),
        running: None,
        outcome: None,
    };
    Scheduler::ephemeral(master, "run-command").run(&mut once).await?;
    let no_outcome = || RunError::Refused("it ended the framework before its task".to_owned());
    Ok(once.outcome.ok_or_else(no_outcome)?)
}

fn amount(what: Name, amount: f64) -> Result<Resource, RunCommandError> {
    match Scalar::from_f64(amount) {
        Ok(scalar) if amount > 0.0 => Ok(Resource::scalar(what, scalar)),
        _ => Err(RunCommandError::Amount { what, amount }),
    }
}

struct Once {
    cmd: String,
    want: Want,
    tally: Tally,
    running: Option<Running>,
    outcome: Option<Outcome>,
}

struct Running {
    task: TaskId,
    hostname: String,
    sandbox: Option<String>,
}

impl Handler for Once {
    async fn offers(&mut self, cluster: &mut Cluster, offers: Vec<Offer>) -> HandlerResult {
        for offer in offers {
            if self.running.is_some() {
                break;
            }
            let fit = self.want.try_offer(&offer, &[]);
            self.tally.count(&fit);
            let Ok(fit) = fit else { continue };
            let task = TaskId::parse(&uuid::Uuid::new_v4().to_string())?;
            let info = command_task(&task, &offer, &fit.resources, &self.cmd);
            let running = Running {
                hostname: offer.site().hostname.clone(),
                sandbox: sandbox(cluster, &offer, &task),
                task,
            };
            cluster.launch(offer, vec![info]).await?;
            self.running = Some(running);
            cluster.want(0);
        }
        if self.running.is_none() {
            info!(so_far = %self.tally, "no offer fits yet");
        }
        Ok(())
    }

    async fn update(&mut self, cluster: &mut Cluster, status: &v1::TaskStatus) -> HandlerResult {
        let task = status.task_id.as_ref().map(|id| id.value());
        let Some(running) = self.running.take_if(|running| task == Some(running.task.as_str()))
        else {
            return Ok(());
        };
        let state = status.state();
        info!(state = state.as_str_name(), message = status.message(), "the task's state");
        if state == v1::TaskState::TaskDropped {
            // It never reached an agent: the offer was taken back just then.
            cluster.want(1);
        } else if is_terminal(state) || state == v1::TaskState::TaskUnknown {
            self.outcome = Some(Outcome {
                state,
                message: status.message().to_owned(),
                exit_code: exit_code(state, status.message()),
                hostname: running.hostname,
                sandbox: running.sandbox,
            });
            cluster.finish();
        } else {
            self.running = Some(running);
        }
        Ok(())
    }
}

/// The exit status, as command executors word it: "Command exited with status 3".
fn exit_code(state: v1::TaskState, message: &str) -> Option<i32> {
    if state == v1::TaskState::TaskFinished {
        return Some(0);
    }
    let (_, rest) = message.split_once("exited with status ")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit() && c != '-').next()?;
    digits.parse().ok()
}

/// Where the agent of `offer` lets the files of `task` be browsed.
fn sandbox(cluster: &Cluster, offer: &Offer, task: &TaskId) -> Option<String> {
    let url = offer.message().url.as_ref()?;
    let address = url.address.as_ref()?;
    let host = [address.hostname(), address.ip()].into_iter().find(|host| !host.is_empty())?;
    let framework = cluster.framework_id()?;
    Some(format!(
        "{}://{host}:{}/files/browse?path=/framework/{framework}/executor/{task}/latest",
        url.scheme(),
        address.port(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_read_out_of_what_executors_say() {
        use v1::TaskState::{TaskFailed, TaskFinished};
        for (state, message, code) in [
            (TaskFinished, "", Some(0)),
            (TaskFailed, "Command exited with status 3", Some(3)),
            (TaskFailed, "Command exited with status 127: not found", Some(127)),
            (TaskFailed, "Command terminated with signal Killed", None),
            (TaskFailed, "", None),
        ] {
            assert_eq!(exit_code(state, message), code, "{message}");
        }
    }
}
