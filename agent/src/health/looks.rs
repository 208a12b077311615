//! Carries out looks, as many at once as there are: each task has two at most.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use meros_agent_core::Input;
use meros_agent_core::checks::{Answer, How, Probe, ProbeId};
use meros_agent_core::exit::Exit;
use meros_proto::ids::ContainerId;
use meros_proto::spans;
use meros_shell::client::trust;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{command, http};
use crate::containerizer::{ContainerEvent, Containerizer, Found, WaitStatus};
use crate::executor::command::Terms;
use crate::host::Host;

/// The way in. Clones lead to the same [`Looker`].
#[derive(Debug, Clone)]
pub(crate) struct Looks(mpsc::UnboundedSender<Ask>);

#[derive(Debug)]
enum Ask {
    Look(Box<Probe>),
    /// A command's container ended, or could not be started.
    CommandEnded(ContainerId, Answer),
    TaskEnded(ContainerId),
}

impl Looks {
    /// Looks at a task.
    pub(crate) fn look(&self, probe: Probe) {
        self.ask(Ask::Look(Box::new(probe)));
    }

    /// Takes out what happens to containers of commands; gives back what happens to those of tasks.
    pub(crate) fn hear(&self, event: ContainerEvent) -> Option<ContainerEvent> {
        match event {
            ContainerEvent::Started { container, .. } if is_command(&container) => None,
            ContainerEvent::LaunchFailed { container, message } if is_command(&container) => {
                self.ask(Ask::CommandEnded(container, Answer::Failed(message)));
                None
            }
            ContainerEvent::Exited { container, status, .. } if is_command(&container) => {
                self.ask(Ask::CommandEnded(container, answer_of(status)));
                None
            }
            ContainerEvent::Exited { ref container, .. } => {
                self.ask(Ask::TaskEnded(container.clone()));
                Some(event)
            }
            event => Some(event),
        }
    }

    fn ask(&self, ask: Ask) {
        // When the looker is gone, so is who would hear the answer.
        let _ = self.0.send(ask);
    }
}

/// Only commands run in containers within others.
fn is_command(container: &ContainerId) -> bool {
    container.parent().is_some()
}

/// Ends commands that an earlier agent left; gives back what is left of tasks.
pub(crate) fn end_left_over(containerizer: &Containerizer, found: Vec<Found>) -> Vec<Found> {
    let (commands, tasks): (Vec<Found>, Vec<Found>) =
        found.into_iter().partition(|found| is_command(name_of(found)));
    for found in commands {
        match found {
            Found::Running { container, .. } => containerizer.kill(container, Duration::ZERO),
            Found::Exited { container, .. } | Found::LaunchFailed { container, .. } => {
                containerizer.forget(container);
            }
        }
    }
    tasks
}

fn name_of(found: &Found) -> &ContainerId {
    match found {
        Found::Running { container, .. }
        | Found::Exited { container, .. }
        | Found::LaunchFailed { container, .. } => container,
    }
}

fn answer_of(status: WaitStatus) -> Answer {
    match status {
        WaitStatus::Exited(code) => Answer::Exited(code),
        WaitStatus::Signaled(signal) => Answer::Failed(Exit::Signal(signal).to_string()),
        WaitStatus::Unknown => Answer::Failed(Exit::Unknown.to_string()),
    }
}

/// Who looks.
pub(crate) struct Looker {
    host: Arc<Host>,
    terms: Terms,
    containerizer: Containerizer,
    answers: mpsc::UnboundedSender<Input>,
    asks: mpsc::UnboundedReceiver<Ask>,
    tls: Tls,
    /// Commands that run, and who waits for them.
    commands: HashMap<ContainerId, oneshot::Sender<Answer>>,
    under_way: JoinSet<Seen>,
}

/// Made when it is needed: few tasks are asked by HTTPS.
#[derive(Default)]
struct Tls(Option<TlsConnector>);

/// The end of a look.
#[derive(Debug)]
struct Seen {
    probe: ProbeId,
    answer: Answer,
    /// The container of its command.
    command: Option<ContainerId>,
}

impl Looker {
    /// `answers` takes what the core is to be told.
    pub(crate) fn new(
        host: Arc<Host>,
        terms: Terms,
        containerizer: Containerizer,
        answers: mpsc::UnboundedSender<Input>,
    ) -> (Self, Looks) {
        let (sender, asks) = mpsc::unbounded_channel();
        let looker = Self {
            host,
            terms,
            containerizer,
            answers,
            asks,
            tls: Tls::default(),
            commands: HashMap::new(),
            under_way: JoinSet::new(),
        };
        (looker, Looks(sender))
    }

    /// Looks until `done`; then ends the commands that run.
    pub(crate) async fn run(mut self, done: CancellationToken) {
        loop {
            tokio::select! {
                () = done.cancelled() => break,
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.take(ask),
                    None => break,
                },
                Some(seen) = self.under_way.join_next() => match seen {
                    Ok(seen) => self.tell(seen),
                    Err(error) => {
                        warn!(error = &error as &dyn std::error::Error, "a look at a task failed");
                    }
                },
            }
        }
        for container in self.commands.into_keys() {
            self.containerizer.kill(container, Duration::ZERO);
        }
    }

    fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Look(probe) => self.look(*probe),
            Ask::CommandEnded(container, answer) => {
                if let Some(waiting) = self.commands.remove(&container) {
                    // Nobody waits once it was too late.
                    let _ = waiting.send(answer);
                }
                self.containerizer.forget(container);
            }
            Ask::TaskEnded(task) => {
                // Where there are no cgroups, a command doesn't end with its task by itself.
                let within = |name: &&ContainerId| name.parent().as_ref() == Some(&task);
                for container in self.commands.keys().filter(within) {
                    self.containerizer.kill(container.clone(), Duration::ZERO);
                }
            }
        }
    }

    fn look(&mut self, probe: Probe) {
        let Probe { id, how, timeout, .. } = &probe;
        let (id, timeout) = (id.clone(), *timeout);
        match how {
            How::Command => self.start_command(&probe),
            How::Http { https, port, path, ipv6 } => {
                let scheme = if *https { "https" } else { "http" };
                let address = SocketAddr::new(self.address(*ipv6), *port);
                let (url, tls) = (format!("{scheme}://{address}{path}"), self.tls.connector());
                let seeing = async move {
                    match http::status(&tls, &url).await {
                        Ok(status) => Answer::Http(status),
                        Err(why) => Answer::Failed(why),
                    }
                };
                self.under_way.spawn(see(id, None, timeout, seeing));
            }
            How::Tcp { port, ipv6 } => {
                let address = SocketAddr::new(self.address(*ipv6), *port);
                let seeing = async move { Answer::Tcp(TcpStream::connect(address).await.is_ok()) };
                self.under_way.spawn(see(id, None, timeout, seeing));
            }
        }
    }

    fn start_command(&mut self, probe: &Probe) {
        let id = probe.id.clone();
        match command::check_spec(&self.host, &self.terms, probe) {
            Ok(spec) => {
                let (ended, end) = oneshot::channel();
                let container = spec.container.clone();
                self.commands.insert(container.clone(), ended);
                self.containerizer.launch(spec);
                let seeing = async move {
                    end.await.unwrap_or_else(|_| Answer::Failed("it was given up".to_owned()))
                };
                self.under_way.spawn(see(id, Some(container), probe.timeout, seeing));
            }
            Err(why) => self.tell(Seen { probe: id, answer: Answer::Failed(why), command: None }),
        }
    }

    fn tell(&mut self, seen: Seen) {
        // Still known: it has not ended, and took too long.
        if let Some(command) = seen.command
            && self.commands.remove(&command).is_some()
        {
            self.containerizer.kill(command, Duration::ZERO);
        }
        // The receiver lives as long as the agent takes inputs.
        let _ = self.answers.send(Input::Checked { probe: seen.probe, answer: seen.answer });
    }

    /// Where tasks on the host's network are asked: on the loopback interface, as Mesos has it. Of
    /// several agents on one host each has its own address there.
    fn address(&self, ipv6: bool) -> IpAddr {
        match self.host.address.ip() {
            _ if ipv6 => Ipv6Addr::LOCALHOST.into(),
            IpAddr::V4(own) if own.is_loopback() => own.into(),
            _ => Ipv4Addr::LOCALHOST.into(),
        }
    }
}

impl Tls {
    fn connector(&mut self) -> TlsConnector {
        self.0.get_or_insert_with(trust::any).clone()
    }
}

/// What `seeing` sees, unless it takes too long.
async fn see(
    probe: ProbeId,
    command: Option<ContainerId>,
    timeout: Option<Duration>,
    seeing: impl Future<Output = Answer>,
) -> Seen {
    let answer = match timeout {
        None => seeing.await,
        Some(limit) => tokio::time::timeout(limit, seeing).await.unwrap_or_else(|_| {
            Answer::Failed(format!("it took longer than {}", spans::text(limit)))
        }),
    };
    Seen { probe, answer, command }
}
