//! A framework that launches one workload.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use meros_proto::task_state::is_terminal;
use meros_proto::v1::scheduler::Event;
use meros_proto::v1::scheduler::event::Type;
use meros_proto::v1::{self, TaskState};
use tokio::sync::mpsc;

use super::events::Events;
use super::line::{Answered, Line};
use super::words::Words;
use super::workload::Workload;

/// A subscribed framework.
#[derive(Debug)]
pub(crate) struct Scheduler {
    events: Events,
    words: Words,
    lines: Vec<Line>,
    answers: mpsc::UnboundedReceiver<Answered>,
    name: String,
    offers: VecDeque<v1::Offer>,
    /// Calls so far, tasks so far: what comes next is named and placed by them.
    calls: usize,
    launched: usize,
}

/// What became of a workload.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// When the first ACCEPT was sent, and when the last acknowledgement that counts was answered.
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// From each task's ACCEPT to its TASK_RUNNING here, in the order of the latter.
    pub(crate) to_running: Vec<Duration>,
}

/// How far a workload is.
struct Progress<'a> {
    workload: &'a Workload,
    template: v1::TaskInfo,
    /// Tasks that are to be launched yet.
    left: usize,
    /// Tasks that haven't come to the state that is waited for, and when they were launched.
    open: BTreeMap<String, Instant>,
    /// Acknowledgements that count, answered.
    done: usize,
    suppressed: bool,
    began: Option<Instant>,
    to_running: Vec<Duration>,
}

impl Scheduler {
    /// Subscribes under this name, with so many connections for calls. Nothing is offered yet.
    pub(crate) async fn subscribe(
        master: SocketAddr,
        name: &str,
        lines: usize,
    ) -> anyhow::Result<Self> {
        let (mut events, stream) = Events::open(master, name).await?;
        let (to_self, answers) = mpsc::unbounded_channel();
        let mut open = Vec::new();
        for _ in 0..lines {
            open.push(Line::open(master, to_self.clone()).await?);
        }
        let mut first = Vec::new();
        events.read(&mut first).await?;
        let subscribed = first.first().and_then(|event| event.subscribed.as_ref());
        let id = subscribed.and_then(|subscribed| subscribed.framework_id.clone());
        let id = id.context("the first event is not SUBSCRIBED")?;
        Ok(Self {
            events,
            words: Words::new(master, &stream, id),
            lines: open,
            answers,
            name: name.to_owned(),
            offers: VecDeque::new(),
            calls: 0,
            launched: 0,
        })
    }

    /// How this framework puts its calls.
    pub(crate) fn words(&self) -> &Words {
        &self.words
    }

    /// Launches all of a workload and waits until it has come where it is to come.
    pub(crate) async fn run(&mut self, workload: &Workload) -> anyhow::Result<Outcome> {
        let mut progress = Progress {
            workload,
            template: workload.shape.task(),
            left: workload.tasks,
            open: BTreeMap::new(),
            done: 0,
            suppressed: false,
            began: None,
            to_running: Vec::with_capacity(workload.tasks),
        };
        self.send(self.words.revive(), false);
        let mut events = Vec::new();
        while progress.done < workload.tasks {
            tokio::select! {
                read = self.events.read(&mut events) => read?,
                answered = self.answers.recv() => {
                    progress.done += answered.context("all lines are gone")??;
                }
            }
            for event in events.drain(..) {
                self.take(event, &mut progress)?;
            }
            self.launch(&mut progress);
        }
        let began = progress.began.context("nothing was launched")?;
        Ok(Outcome { began, ended: Instant::now(), to_running: progress.to_running })
    }

    fn take(&mut self, event: Event, progress: &mut Progress<'_>) -> anyhow::Result<()> {
        match event.r#type() {
            Type::Offers => self.offers.extend(event.offers.unwrap_or_default().offers),
            Type::Rescind => {
                let gone = event.rescind.and_then(|rescind| rescind.offer_id);
                self.offers.retain(|offer| offer.id != gone);
            }
            Type::Update => {
                let status = event.update.and_then(|update| update.status);
                let status = status.context("an update without a status")?;
                let counts = progress.heard(&status)?;
                if let Some(call) = self.words.acknowledge(status) {
                    self.send(call, counts);
                }
            }
            Type::Error => bail!("the master says: {}", event.error.unwrap_or_default().message()),
            _ => {}
        }
        Ok(())
    }

    /// Uses up the offers at hand, as far as there is something to launch.
    fn launch(&mut self, progress: &mut Progress<'_>) {
        let workload = progress.workload;
        while let Some(room) = progress.room()
            && let Some(offer) = self.offers.pop_front()
        {
            let fits = workload.shape.fits(&offer.resources);
            let count = fits.min(room).min(workload.per_accept);
            let Some(id) = offer.id else { continue };
            if count == 0 {
                self.send(self.words.decline(vec![id]), false);
                continue;
            }
            let first = self.launched;
            self.launched += count;
            let names = (first..self.launched).map(|number| format!("{}-{number}", self.name));
            let tasks = names.map(|name| v1::TaskInfo {
                task_id: Some(v1::TaskId { value: Some(name.clone()) }),
                name: Some(name),
                agent_id: offer.agent_id.clone(),
                ..progress.template.clone()
            });
            let tasks: Vec<v1::TaskInfo> = tasks.collect();
            progress.launching(&tasks);
            self.send(self.words.accept(id, tasks), false);
        }
        if progress.left == 0 && !progress.suppressed {
            progress.suppressed = true;
            self.send(self.words.suppress(), false);
        }
        if progress.left == 0 && !self.offers.is_empty() {
            let offers = self.offers.drain(..).filter_map(|offer| offer.id).collect();
            self.send(self.words.decline(offers), false);
        }
    }

    fn send(&mut self, call: Vec<u8>, counts: bool) {
        self.lines[self.calls % self.lines.len()].send(call, counts);
        self.calls += 1;
    }
}

impl Progress<'_> {
    /// How many tasks may be launched now; `None`: none.
    fn room(&self) -> Option<usize> {
        let room = self.workload.at_once.saturating_sub(self.open.len()).min(self.left);
        (room > 0).then_some(room)
    }

    fn launching(&mut self, tasks: &[v1::TaskInfo]) {
        let now = Instant::now();
        self.began.get_or_insert(now);
        self.left -= tasks.len();
        self.open.extend(tasks.iter().map(|task| (task.name().to_owned(), now)));
    }

    /// Takes a status in; whether its acknowledgement is one that counts.
    fn heard(&mut self, status: &v1::TaskStatus) -> anyhow::Result<bool> {
        let task = status.task_id.as_ref().map(v1::TaskId::value).unwrap_or_default();
        let Some(launched) = self.open.get(task) else { return Ok(false) };
        let state = status.state();
        if state == TaskState::TaskRunning {
            self.to_running.push(launched.elapsed());
        }
        if state == self.workload.until {
            self.open.remove(task);
            return Ok(true);
        }
        let text = || format!("{task}: {} {}", state.as_str_name(), status.message());
        ensure!(!is_terminal(state), text());
        Ok(false)
    }
}
