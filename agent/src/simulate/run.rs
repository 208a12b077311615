//! A herd from start to end. What a lone agent has, it has once, but for the links.

use std::net::SocketAddr;
use std::sync::Arc;

use meros_agent_core::{Agent, Input};
use meros_plugin_api::Plugins;
use meros_shell::inbox::{Bounds, Inbox};
use meros_shell::log_file;
use meros_shell::runner::Runner;
use meros_shell::server::{self, Bound};
use meros_shell::work_dir::WorkDir;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info, info_span};

use super::adopt::adopt;
use super::api::HerdApi;
use super::containers::Containers;
use super::effects::{Ended, Performer};
use super::herd::{Herd, Member};
use super::log::HerdLog;
use super::pretend;
use super::terms::Simulation;
use crate::api;
use crate::config::{Config, OnShutdown, bad};
use crate::effects::room_of;
use crate::host::Host;
use crate::link::{Dialling, Link, LinkHandle};
use crate::mailbox::Mailbox;
use crate::run::{REPORT, RunError, describe, finished, seed, write_error};

/// The file in the work directory that all records are in.
const LOG: &str = "simulate.log";
/// Links that may be connecting at once: more would be as many as the master's queue of them holds.
const DIALLING: usize = 256;
/// Ended tasks that each member shows.
const COMPLETED_MAX: usize = 10;

/// Pretended containers outlive a reboot of the host: to its hollow agents there was none.
const BOOT: &str = "simulated";

/// Runs hollow agents until `shutdown` is cancelled, or they were told to leave and all their tasks
/// have ended.
///
/// # Errors
/// As for a real agent.
pub(crate) async fn run(
    config: Config,
    simulation: Simulation,
    plugins: Plugins,
    shutdown: CancellationToken,
    ready: oneshot::Sender<Bound>,
) -> Result<(), RunError> {
    let work_dir = WorkDir::take(&config.work_dir)?;
    let (listener, bound) = server::listen(SocketAddr::new(config.ip, config.port)).await?;
    let hosts = members(describe(&config, &work_dir, bound.address).await?, simulation.agents);
    let (log, records) = HerdLog::open(&work_dir.file(LOG))?;
    if records.len() > hosts.len() {
        let held = records.len();
        let why = format!("the work directory holds {held} agents: take as many, or another one");
        return Err(bad("simulate", why).into());
    }

    let mut rng = StdRng::from_seed(seed());
    let agents = recover(&config, records, hosts.len(), &mut rng);
    let mut containers = Containers::new(fresh(&mut rng));
    let found = adopt(&agents, &simulation.terms, &mut containers);
    let (links, handles) = links(&config, &hosts, &mut rng);
    let (to_containers, orders) = mpsc::unbounded_channel();
    let (all_ended, mut has_ended) = oneshot::channel();
    let ended = Ended::new(hosts.len(), all_ended);
    let mut performer = Performer { links: handles, containers: to_containers, ended };
    let room = log.watch_room();
    let perform = move |(member, effect)| performer.perform(member, effect);
    let mut runner = Runner::spawn("agents", Herd::new(agents), Bounds::default(), log, perform)
        .map_err(RunError::Write)?;
    let inbox = runner.inbox();
    for (member, found) in everyone(&config).zip(found) {
        // The inbox is open: it was made a moment ago.
        let start = Input::Start { boot_id: BOOT.to_owned(), found };
        let _ = inbox.send((member, start)).await;
    }
    tokio::spawn(follow_room(room, inbox.clone(), config.clone()));

    let (links_done, containers_done, api_done) =
        (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let done = containers_done.clone();
    let pretending = pretend::run(containers, simulation.terms, orders, inbox.clone(), done);
    let pretending = tokio::spawn(pretending);
    let talking = talk(links, &inbox, &links_done);
    let api = HerdApi { hosts, inbox: inbox.clone(), plugins };
    let api = tokio::spawn(api::serve(api, listener, api_done.clone()));
    info!(address = %bound.address, agents = simulation.agents, "hollow agents started");
    // Whoever asked to be told may have gone.
    let _ = ready.send(bound);

    let end = serve(&mut runner, &mut has_ended, &config, shutdown).await;
    links_done.cancel();
    talking.wait().await;
    containers_done.cancel();
    finished("containers", pretending.await);
    api_done.cancel();
    finished("api", api.await);
    if end.is_ok() {
        runner.stop().await.map_err(RunError::Write)?;
    }
    drop(work_dir);
    end?.map_err(RunError::Ended)
}

/// Waits for the end: of all members, or of the core, which is an error.
async fn serve(
    runner: &mut Runner<(Member, Input)>,
    has_ended: &mut oneshot::Receiver<Result<(), String>>,
    config: &Config,
    shutdown: CancellationToken,
) -> Result<Result<(), String>, RunError> {
    let (inbox, keep) = (runner.inbox(), config.on_shutdown == OnShutdown::Keep);
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = runner.ended() => return Err(write_error(ended)),
            outcome = &mut *has_ended => return match outcome {
                Ok(outcome) => Ok(outcome),
                // The gate went without a word: `ended` has the reason, and lost the race.
                Err(_) => Err(write_error(runner.ended().await)),
            },
            // The log has all that is needed to go on.
            () = shutdown.cancelled(), if keep => return Ok(Ok(())),
            () = shutdown.cancelled(), if !keep && !leaving => leaving = true,
            () = config.leave.cancelled(), if !leaving => leaving = true,
        }
        for member in everyone(config) {
            // Refused only when all have stopped already, which is what is waited for.
            let _ = inbox.send((member, Input::Stop)).await;
        }
    }
}

/// All members.
fn everyone(config: &Config) -> impl Iterator<Item = Member> + use<> {
    (0..config.simulation.as_ref().map_or(0, |simulation| simulation.agents)).map(Member)
}

/// Tells every member how much room the log has, when that changes.
async fn follow_room(
    mut room: watch::Receiver<log_file::Room>,
    inbox: Inbox<(Member, Input)>,
    config: Config,
) {
    loop {
        let now = room_of(*room.borrow_and_update());
        for member in everyone(&config) {
            if inbox.send((member, Input::Disk(now))).await.is_err() {
                return;
            }
        }
        if room.changed().await.is_err() {
            return;
        }
    }
}

/// The first member's host under each member's name.
fn members(first: Host, count: u32) -> Vec<Arc<Host>> {
    let host = |number| Host {
        number,
        hostname: format!("{}-{number}", first.hostname),
        boot_id: BOOT.to_owned(),
        incarnation: uuid::Uuid::new_v4().to_string(),
        ..first.clone()
    };
    (1..=count).map(|number| Arc::new(host(number))).collect()
}

fn recover(
    config: &Config,
    records: Vec<Vec<meros_agent_core::Record>>,
    count: usize,
    rng: &mut StdRng,
) -> Vec<Agent> {
    let core = meros_agent_core::Config {
        shutdown_grace: config.shutdown_grace.saturating_sub(REPORT),
        completed_max: COMPLETED_MAX,
        ..meros_agent_core::Config::default()
    };
    let unwritten = std::iter::repeat_with(Vec::new);
    let records = records.into_iter().chain(unwritten).take(count);
    records.map(|records| Agent::recover(core.clone(), fresh(rng), records)).collect()
}

/// A link for each member, and the way to it.
fn links(config: &Config, hosts: &[Arc<Host>], rng: &mut StdRng) -> (Vec<Link>, Vec<LinkHandle>) {
    let turns = Arc::new(Semaphore::new(DIALLING));
    let source = Some(config.ip).filter(|ip| !ip.is_unspecified());
    let one = |host: &Arc<Host>| {
        let masters = config.masters.clone();
        let (link, handle) = Link::new(masters, Arc::clone(host), StdRng::from_seed(fresh(rng)));
        (link.dialling(Dialling { source, turns: Some(Arc::clone(&turns)) }), handle)
    };
    hosts.iter().map(one).unzip()
}

/// Sets the links to work, member by member.
fn talk(links: Vec<Link>, inbox: &Inbox<(Member, Input)>, done: &CancellationToken) -> TaskTracker {
    let talking = TaskTracker::new();
    for (member, link) in (0..).map(Member).zip(links) {
        let mailbox = Mailbox::Shared(member, inbox.clone());
        let span = info_span!("link", agent = member.number());
        talking.spawn(link.run(mailbox, done.clone()).instrument(span));
    }
    talking.close();
    talking
}

/// Chance for one of the generators.
fn fresh(rng: &mut StdRng) -> [u8; 32] {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    seed
}
