//! Row 4: tasks of many frameworks to acknowledged TASK_RUNNING, on hollow agents with real links.

use std::time::{Duration, Instant};

use anyhow::Context;
use meros_proto::v1::TaskState;
use tokio::task::JoinSet;

use crate::client::{Outcome, Scheduler, Shape, Workload};
use crate::cluster::{Cluster, Place};
use crate::machine;
use crate::report::{Figure, Must, Report};

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Hollow agents
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=15_000))]
    agents: u32,
    /// Frameworks, each with an equal part of the tasks
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    frameworks: u32,
    /// Tasks in all
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    tasks: u32,
    /// Tasks that a framework launches on one offer
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    per_accept: u32,
    /// Runs, each with a fresh cluster
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
}

/// CPU time of each part.
#[derive(Debug, Clone, Copy)]
struct Spent {
    master: Duration,
    agents: Duration,
    frameworks: Duration,
}

pub(crate) async fn run(flags: &Flags, place: &Place, report: &mut Report) -> anyhow::Result<()> {
    let (mut rates, mut of_master) = (Vec::new(), Vec::new());
    for _ in 0..flags.runs {
        let cluster = place.with_hollow(flags.agents, &room(flags.agents, flags.tasks)).await?;
        let before = Spent::so_far(&cluster)?;
        let fleet = Fleet::subscribe(&cluster, flags.frameworks).await?;
        let shape = shape(0);
        let (seconds, fleet) = fleet.launch(flags.tasks, flags.per_accept as usize, &shape).await?;
        let spent = Spent::so_far(&cluster)?.since(before);
        rates.push(f64::from(flags.tasks) / seconds);
        let per_task = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(flags.tasks);
        of_master.push(per_task(spent.master));
        report.note(format!(
            "CPU a task: master {:.0} us, hollow agents {:.0} us, frameworks {:.0} us",
            per_task(spent.master),
            per_task(spent.agents),
            per_task(spent.frameworks),
        ));
        // The frameworks last: a master that sees them go ends their tasks.
        drop(cluster);
        drop(fleet);
    }
    let must = Must::AtLeast(5_000.0);
    let rate = Figure::alone("tasks_per_s", "1/s", rates);
    report.add(Figure { must, ..rate });
    report.add(Figure::alone("master_us_per_task", "us", of_master));
    report.note(format!(
        "{} hollow agents, {} frameworks, {} tasks, {} an ACCEPT",
        flags.agents, flags.frameworks, flags.tasks, flags.per_accept
    ));
    Ok(())
}

/// What a hollow agent has so that all fit in with some room to spare.
pub(crate) fn room(agents: u32, tasks: u32) -> String {
    let each = tasks.div_ceil(agents) * 2;
    let shape = shape(0);
    format!("cpus:{};mem:{}", f64::from(each) * shape.cpus, f64::from(each) * shape.mem)
}

/// A task that would run until it is killed.
pub(crate) fn shape(labels: usize) -> Shape {
    Shape { cpus: 0.1, mem: 32.0, program: "/bin/sleep", arguments: &["sleep", "1000"], labels }
}

/// Frameworks that are subscribed.
#[derive(Debug)]
pub(crate) struct Fleet(Vec<Scheduler>);

impl Fleet {
    /// Subscribes so many.
    pub(crate) async fn subscribe(cluster: &Cluster, count: u32) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        for number in 0..count {
            all.push(Scheduler::subscribe(cluster.address, &format!("f{number}"), 1).await?);
        }
        Ok(Self(all))
    }

    /// The first of them.
    pub(crate) fn first(&self) -> anyhow::Result<&Scheduler> {
        self.0.first().context("there is a framework")
    }

    /// Launches `tasks` in equal parts; the seconds until all are acknowledged as running.
    pub(crate) async fn launch(
        self,
        tasks: u32,
        per_accept: usize,
        shape: &Shape,
    ) -> anyhow::Result<(f64, Self)> {
        let (tasks, frameworks) = (tasks as usize, self.0.len());
        let began = Instant::now();
        let mut running = JoinSet::new();
        for (number, mut scheduler) in self.0.into_iter().enumerate() {
            let workload = Workload {
                tasks: tasks / frameworks + usize::from(number < tasks % frameworks),
                shape: shape.clone(),
                per_accept,
                at_once: usize::MAX,
                until: TaskState::TaskRunning,
            };
            running.spawn(async move {
                let outcome = match workload.tasks {
                    0 => None,
                    _ => Some(scheduler.run(&workload).await?),
                };
                anyhow::Ok((scheduler, outcome))
            });
        }
        let mut all = Vec::new();
        let mut ended = began;
        while let Some(joined) = running.join_next().await {
            let (scheduler, outcome): (_, Option<Outcome>) = joined??;
            ended = outcome.map_or(ended, |outcome| ended.max(outcome.ended));
            all.push(scheduler);
        }
        Ok(((ended - began).as_secs_f64(), Self(all)))
    }
}

impl Spent {
    fn so_far(cluster: &Cluster) -> anyhow::Result<Self> {
        let agents = cluster.agents.as_ref().context("the cluster has agents")?;
        Ok(Self {
            master: cluster.master.cpu_time()?,
            agents: agents.cpu_time()?,
            frameworks: machine::cpu_time(std::process::id())?,
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            master: self.master.saturating_sub(before.master),
            agents: self.agents.saturating_sub(before.agents),
            frameworks: self.frameworks.saturating_sub(before.frameworks),
        }
    }
}
