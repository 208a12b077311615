//! ACCEPT sent to TASK_RUNNING at the framework, one task at a time on an idle cluster.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use meros_proto::ids::OfferId;
use meros_proto::resources::{ReservationFormat, Resources, Role};
use meros_proto::v1::{self, TaskState};
use meros_sdk::driver::{Calls, Driver, Event, Events, Options};

use crate::cluster::Cluster;
use crate::percentile;

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Tasks that are measured
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    tasks: u32,
    /// Tasks before those, not counted
    #[arg(long, default_value_t = 20)]
    warm_up: u32,
}

/// Longer than any task takes; a bench must end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a cluster, runs the tasks, prints the percentiles.
pub(crate) async fn run(flags: Flags) -> anyhow::Result<()> {
    let cluster = Cluster::start()?;
    let framework = v1::FrameworkInfo {
        user: Some("root".to_owned()),
        name: Some("latency".to_owned()),
        ..v1::FrameworkInfo::default()
    };
    let options = Options::new([cluster.master.to_string()], framework);
    let (calls, mut events) = Driver::start(options).context("start the driver")?;
    let mut bench = Bench { calls, offer: None };
    let mut times = Vec::new();
    for number in 0..flags.warm_up + flags.tasks {
        let id = format!("task-{number}");
        let once = bench.launch(&mut events, &id);
        let time = tokio::time::timeout(PATIENCE, once).await.context("wait for a task")??;
        if number >= flags.warm_up {
            times.push(time);
        }
    }
    times.sort_unstable();
    println!("ACCEPT to TASK_RUNNING, {} tasks of /bin/true, one at a time:", times.len());
    for percent in [0, 50, 90, 99, 100] {
        println!("  p{percent:<3} {:>8.3} ms", percentile::of(&times, percent).as_secs_f64() * 1e3);
    }
    Ok(())
}

struct Bench {
    calls: Calls,
    offer: Option<v1::Offer>,
}

impl Bench {
    /// Runs one task to its end; returns how long it took to be seen running.
    async fn launch(&mut self, events: &mut Events, id: &str) -> anyhow::Result<Duration> {
        while self.offer.is_none() {
            self.take(events.next().await.context("the driver ended")?)?;
        }
        let offer = self.offer.take().context("an offer is held")?;
        let task = task(&offer, id)?;
        let offer_id = OfferId::from_proto(offer.id.as_ref())?;
        let began = Instant::now();
        self.calls.launch([offer_id], vec![task], Duration::ZERO)?;
        let mut running = None;
        loop {
            let event = events.next().await.context("the driver ended")?;
            let Event::Update(update) = event else {
                self.take(event)?;
                continue;
            };
            if let Some(ack) = update.ack {
                self.calls.acknowledge(ack)?;
            }
            match update.status.state() {
                TaskState::TaskStarting => {}
                TaskState::TaskRunning => running = Some(began.elapsed()),
                TaskState::TaskFinished => return running.context("it never ran"),
                state => bail!("{id}: {} {}", state.as_str_name(), update.status.message()),
            }
        }
    }

    fn take(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Offers(mut offers) => self.offer = offers.pop(),
            Event::Error { message } | Event::Removed { message } => bail!(message),
            _ => {}
        }
        Ok(())
    }
}

fn task(offer: &v1::Offer, id: &str) -> anyhow::Result<v1::TaskInfo> {
    let resources = Resources::parse("cpus:0.1;mem:32", &Role::star())?;
    Ok(v1::TaskInfo {
        name: Some(id.to_owned()),
        task_id: Some(v1::TaskId { value: Some(id.to_owned()) }),
        agent_id: offer.agent_id.clone(),
        resources: resources.to_protos(ReservationFormat::Legacy),
        command: Some(v1::CommandInfo {
            shell: Some(false),
            value: Some("/bin/true".to_owned()),
            ..v1::CommandInfo::default()
        }),
        ..v1::TaskInfo::default()
    })
}
