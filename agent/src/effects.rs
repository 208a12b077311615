//! Carries out what the core asks for. Runs on the gate thread: it only queues.

use std::sync::Arc;

use meros_agent_core::Input;
use meros_agent_core::effect::{Effect, Launch, Level};
use meros_agent_core::exit::Exit;
use meros_agent_core::input::{ContainerEvent, Found, Overrun, Room};
use meros_proto::ids::ContainerId;
use meros_shell::inbox::Inbox;
use meros_shell::log_file;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::containerizer::{self, Containerizer, WaitStatus};
use crate::executor::command::{self, Terms};
use crate::health::Looks;
use crate::host::Host;
use crate::link::{LinkHandle, Order};

/// What effects are carried out with.
pub(crate) struct Performer {
    pub(crate) host: Arc<Host>,
    pub(crate) terms: Terms,
    pub(crate) containerizer: Containerizer,
    pub(crate) link: LinkHandle,
    pub(crate) looks: Looks,
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
            Effect::Check(probe) => self.looks.look(probe),
            Effect::Forget(container) => self.containerizer.forget(container),
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
    mut events: mpsc::Receiver<containerizer::ContainerEvent>,
    mut failed: mpsc::UnboundedReceiver<Input>,
    looks: Looks,
    inbox: Inbox<Input>,
) {
    loop {
        let input = tokio::select! {
            event = events.recv() => match event {
                Some(event) => match looks.hear(event) {
                    Some(event) => input_of(event),
                    None => continue,
                },
                None => return,
            },
            Some(input) = failed.recv() => input,
        };
        if inbox.send(input).await.is_err() {
            return;
        }
    }
}

/// Tells the core how much room the log has, until there is no log any more.
pub(crate) async fn follow_room(mut room: watch::Receiver<log_file::Room>, inbox: Inbox<Input>) {
    loop {
        let now = room_of(*room.borrow_and_update());
        if inbox.send(Input::Disk(now)).await.is_err() || room.changed().await.is_err() {
            return;
        }
    }
}

/// The log's room, in the core's words.
pub(crate) fn room_of(room: log_file::Room) -> Room {
    match room {
        log_file::Room::Plenty => Room::Plenty,
        log_file::Room::Reserve => Room::Reserve,
    }
}

/// What outlived an earlier agent, in the core's words.
pub(crate) fn found_of(found: containerizer::Found) -> (ContainerId, Found) {
    match found {
        containerizer::Found::Running { container, pid } => {
            (container, Found::Running { pid: pid.unsigned_abs() })
        }
        containerizer::Found::Exited { container, status, oom, mem_peak_bytes } => {
            let overrun = overrun_of(oom, mem_peak_bytes);
            (container, Found::Exited { exit: exit_of(status), overrun })
        }
        containerizer::Found::LaunchFailed { container, message } => {
            (container, Found::LaunchFailed { message })
        }
    }
}

fn input_of(event: containerizer::ContainerEvent) -> Input {
    use containerizer::ContainerEvent as Seen;
    match event {
        Seen::Started { container, pid } => {
            Input::Container(container, ContainerEvent::Started { pid: pid.unsigned_abs() })
        }
        Seen::LaunchFailed { container, message } => {
            Input::Container(container, ContainerEvent::LaunchFailed { message })
        }
        Seen::Exited { container, status, oom, mem_peak_bytes } => {
            let overrun = overrun_of(oom, mem_peak_bytes);
            let event = ContainerEvent::Exited { exit: exit_of(status), overrun };
            Input::Container(container, event)
        }
        Seen::LauncherLost => Input::LauncherLost { reason: "it ended by itself".to_owned() },
    }
}

fn exit_of(status: WaitStatus) -> Exit {
    match status {
        WaitStatus::Exited(code) => Exit::Code(code),
        WaitStatus::Signaled(signal) => Exit::Signal(signal),
        WaitStatus::Unknown => Exit::Unknown,
    }
}

fn overrun_of(oom: bool, peak_bytes: Option<u64>) -> Option<Overrun> {
    oom.then_some(Overrun::Memory { peak_bytes })
}
