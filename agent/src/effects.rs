//! Carries out what the core asks for. Runs on the gate thread: it only queues.

use std::sync::Arc;

use meros_agent_core::Input;
use meros_agent_core::effect::{Effect, Launch, Level};
use meros_agent_core::input::ContainerEvent;
use meros_shell::inbox::Inbox;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use crate::containerizer::Containerizer;
use crate::executor::command::{self, Terms};
use crate::host::Host;
use crate::link::{LinkHandle, Order};

/// What effects are carried out with.
pub(crate) struct Performer {
    pub(crate) host: Arc<Host>,
    pub(crate) terms: Terms,
    pub(crate) containerizer: Containerizer,
    pub(crate) link: LinkHandle,
    /// Launches that could not even be asked for.
    pub(crate) failed: mpsc::UnboundedSender<Input>,
    /// Told once the agent has ended.
    pub(crate) stopped: Option<oneshot::Sender<Result<(), String>>>,
}

impl Performer {
    pub(crate) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::ToMaster { session, message } => self.link.order(Order::Say(session, message)),
            Effect::Disconnect { session, reason } => {
                self.link.order(Order::Disconnect(session, reason));
            }
            Effect::Launch(launch) => self.launch(&launch),
            Effect::Kill { container, grace } => self.containerizer.kill(container, grace),
            Effect::Reply(reply, view) => reply.send(view),
            Effect::Log(Level::Info, message) => info!("{message}"),
            Effect::Log(Level::Warn, message) => warn!("{message}"),
            Effect::Stopped(outcome) => {
                if let Some(stopped) = self.stopped.take() {
                    // Nobody listens when the role is being dropped.
                    let _ = stopped.send(outcome);
                }
            }
        }
    }

    fn launch(&self, launch: &Launch) {
        match command::launch_spec(&self.host, &self.terms, launch) {
            Ok(spec) => self.containerizer.launch(spec),
            Err(error) => {
                let event = ContainerEvent::LaunchFailed { message: error.to_string() };
                let input = Input::Container(launch.container.clone(), event);
                // The receiver lives as long as the agent takes inputs.
                let _ = self.failed.send(input);
            }
        }
    }
}

/// Passes on what happens to containers, until nothing more can happen.
pub(crate) async fn observe(
    mut events: mpsc::Receiver<crate::containerizer::ContainerEvent>,
    mut failed: mpsc::UnboundedReceiver<Input>,
    inbox: Inbox<Input>,
) {
    loop {
        let input = tokio::select! {
            event = events.recv() => match event {
                Some(event) => input_of(event),
                None => return,
            },
            Some(input) = failed.recv() => input,
        };
        if inbox.send(input).await.is_err() {
            return;
        }
    }
}

fn input_of(event: crate::containerizer::ContainerEvent) -> Input {
    use crate::containerizer::ContainerEvent as Seen;
    use crate::containerizer::WaitStatus;
    use meros_agent_core::exit::Exit;
    use meros_agent_core::input::Overrun;
    match event {
        Seen::Started { container, pid } => {
            Input::Container(container, ContainerEvent::Started { pid: pid.unsigned_abs() })
        }
        Seen::LaunchFailed { container, message } => {
            Input::Container(container, ContainerEvent::LaunchFailed { message })
        }
        Seen::Exited { container, status, oom, mem_peak_bytes } => {
            let exit = match status {
                WaitStatus::Exited(code) => Exit::Code(code),
                WaitStatus::Signaled(signal) => Exit::Signal(signal),
            };
            let overrun = oom.then_some(Overrun::Memory { peak_bytes: mem_peak_bytes });
            Input::Container(container, ContainerEvent::Exited { exit, overrun })
        }
        Seen::LauncherLost => Input::LauncherLost { reason: "it ended by itself".to_owned() },
    }
}
