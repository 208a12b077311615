//! Renders what shows many things, on a thread of its own with low priority.
//!
//! The thread takes all requests that wait, asks the core for one snapshot, and renders each
//! distinct view once. So a snapshot is never older than the requests that it answers, and any
//! number of readers costs the core no more than one.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::{self, JoinHandle};

use meros_master_core::{Answer, Input, Snapshot};
use meros_proto::caller::Caller;
use meros_shell::inbox::Inbox;
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use crate::api::Authorization;
use crate::api::legacy::{self, View};
use crate::api::respond::Rendered;
use crate::identity::Identity;
use crate::metrics::Counters;
use crate::outlets::Outlets;

/// Requests that may wait while a batch is rendered.
const WAITING_MAX: usize = 1_024;

/// How much lower the thread's priority is than that of the others ("nice").
const NICENESS: i32 = 10;

/// What somebody wants to see.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    /// What is shown.
    pub(crate) view: View,
    /// To whom, without the address: what is shown depends on what they may see.
    pub(crate) viewer: Caller,
    /// It may be compressed.
    pub(crate) gzip: bool,
}

/// Why a view could not be rendered: the core is too busy, or stops.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unavailable;

type Reply = oneshot::Sender<Result<Rendered, Unavailable>>;

/// The way to the rendering thread.
pub(crate) struct Views {
    jobs: mpsc::Sender<(Wanted, Reply)>,
}

/// What the rendering thread works with.
pub(crate) struct Source {
    pub(crate) inbox: Inbox<Input>,
    pub(crate) outlets: Arc<Outlets>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) authorization: Authorization,
    pub(crate) counters: Arc<Counters>,
    /// How long `/state` was when it was rendered last.
    pub(crate) state_bytes: AtomicUsize,
}

impl Views {
    /// Starts the thread, which ends when the returned value is dropped.
    ///
    /// # Errors
    /// The operating system refused a thread.
    pub(crate) fn start(source: Source) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let thread = thread::Builder::new().name("master-views".to_owned()).spawn(move || {
            lower_priority();
            render_all(&source, waiting);
        })?;
        Ok((Self { jobs }, thread))
    }

    /// Renders one view, together with whoever wants the same.
    ///
    /// # Errors
    /// [`Unavailable`]: to be asked again later.
    pub(crate) async fn render(&self, wanted: Wanted) -> Result<Rendered, Unavailable> {
        let (reply, rendered) = oneshot::channel();
        self.jobs.try_send((wanted, reply)).map_err(|_| Unavailable)?;
        rendered.await.unwrap_or(Err(Unavailable))
    }
}

fn render_all(source: &Source, mut waiting: mpsc::Receiver<(Wanted, Reply)>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut batch = vec![first];
        while let Ok(next) = waiting.try_recv() {
            batch.push(next);
        }
        let snapshot = snapshot(source);
        let mut done: Vec<(Wanted, Result<Rendered, Unavailable>)> = Vec::new();
        for (wanted, reply) in batch {
            let same = done.iter().find(|(other, _)| *other == wanted);
            let rendered = match same {
                Some((_, rendered)) => rendered.clone(),
                None => {
                    let rendered = snapshot
                        .as_ref()
                        .ok_or(Unavailable)
                        .map(|snapshot| legacy::render(source, snapshot, &wanted));
                    done.push((wanted, rendered.clone()));
                    rendered
                }
            };
            // Whoever asked may have hung up meanwhile.
            let _ = reply.send(rendered);
        }
    }
}

/// Asks the core. `None`: it is too busy, or stops.
fn snapshot(source: &Source) -> Option<Arc<Snapshot>> {
    let (reply, answer) = source.outlets.expect_answer();
    if source.inbox.try_send(Input::View { reply }).is_err() {
        source.outlets.forget_call(reply);
        return None;
    }
    match answer.blocking_recv() {
        Ok(Answer::View(snapshot)) => Some(snapshot),
        _ => None,
    }
}

/// Lets everything else go first. On Linux a thread has a priority of its own.
fn lower_priority() {
    let this = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(this), NICENESS) {
        debug!(%error, "could not lower the priority of rendering");
    }
}
