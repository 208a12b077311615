//! What an operator can set of the master's decisions.

use std::time::Duration;

use meros_proto::ids::MasterId;
use meros_proto::resources::{Name, Quantities, Scalar};

/// The master's settings. Durations are Mesos's defaults.
#[derive(Debug, Clone)]
pub struct Config {
    /// Fresh for each start. The ids of offers begin with it; it also names the cluster, if this is
    /// the master that creates it.
    pub master_id: MasterId,
    /// Between heartbeats on a scheduler's stream: 15 s.
    pub heartbeat_interval: Duration,
    /// The least time between two offers of what a framework left over: 1 s.
    pub allocation_interval: Duration,
    /// How long an agent may be quiet before what its tasks gave back is offered: 5 ms.
    pub release_quiet: Duration,
    /// After how long it is offered although more keeps coming back: 20 ms.
    pub release_held_max: Duration,
    /// Offers older than this are rescinded; `None`: they live until used.
    pub offer_timeout: Option<Duration>,
    /// An offer must hold one of these sets: `cpus:0.01|mem:32`.
    pub min_allocatable: Vec<Quantities>,
    /// Agents with GPUs are offered to GPU_RESOURCES frameworks only: true.
    pub filter_gpu_resources: bool,
    /// Between pings of an agent: 15 s.
    pub ping_interval: Duration,
    /// An agent that missed so many pings in a row is unreachable: 5.
    pub ping_timeouts: u32,
    /// How long agents known from before the master's start may take to come back: 10 min.
    pub agent_reregister_timeout: Duration,
    /// How often old entries of the registry are looked for: 15 min.
    pub registry_gc_interval: Duration,
    /// Unreachable and gone agents are forgotten after: 2 weeks.
    pub registry_max_agent_age: Duration,
    /// So many of either are remembered at most: 102,400.
    pub registry_max_agent_count: u32,
    /// Frameworks may run tasks as root: true.
    pub root_submissions: bool,
    /// Removed frameworks that are remembered: 50.
    pub max_completed_frameworks: usize,
    /// Ended tasks that are remembered of each framework: 1000.
    pub max_completed_tasks_per_framework: usize,
    /// Tasks on unreachable agents that are remembered of each framework: 1000.
    pub max_unreachable_tasks_per_framework: usize,
}

impl Config {
    /// The defaults, under this id.
    pub fn new(master_id: MasterId) -> Self {
        let only = |name, millis| Quantities::from_iter([(name, Scalar::from_millis(millis))]);
        Self {
            master_id,
            heartbeat_interval: Duration::from_secs(15),
            allocation_interval: Duration::from_secs(1),
            release_quiet: Duration::from_millis(5),
            release_held_max: Duration::from_millis(20),
            offer_timeout: None,
            min_allocatable: vec![only(Name::Cpus, 10), only(Name::Mem, 32_000)],
            filter_gpu_resources: true,
            ping_interval: Duration::from_secs(15),
            ping_timeouts: 5,
            agent_reregister_timeout: Duration::from_secs(600),
            registry_gc_interval: Duration::from_secs(15 * 60),
            registry_max_agent_age: Duration::from_secs(14 * 24 * 3_600),
            registry_max_agent_count: 102_400,
            root_submissions: true,
            max_completed_frameworks: 50,
            max_completed_tasks_per_framework: 1_000,
            max_unreachable_tasks_per_framework: 1_000,
        }
    }
}
