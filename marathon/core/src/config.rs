//! What an operator sets of the core's behaviour, with Marathon's names and meanings.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Settings that stay the same while the process runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// The framework's own role (`--mesos_role`).
    pub role: String,
    /// Whose resources apps take that don't say so (`--accepted_resource_roles_default_behavior`).
    pub accepted_roles: AcceptedRoles,
    /// Put before `HOST` and `PORT*` in the environment (`--env_vars_prefix`).
    pub env_prefix: String,
    /// Where service ports are chosen from (`--local_port_min`, `--local_port_max`).
    pub service_ports: RangeInclusive<u16>,
    /// From so many on, new deployments are refused (`--max_running_deployments`).
    pub max_running_deployments: usize,
    /// How many instances one offer may start (`--max_instances_per_offer`).
    pub max_instances_per_offer: usize,
    /// How many launches may be under way in one refresh interval (`--launch_tokens`).
    pub launch_tokens: u64,
    /// When launch tokens are filled up again (`--launch_token_refresh_interval`).
    pub launch_token_refresh: Duration,
    /// How long an offer that nothing needed is refused (`--decline_offer_duration`).
    pub decline_offer: Duration,
    /// The least time between two revives of a role (`--min_revive_offers_interval`).
    pub min_revive_interval: Duration,
    /// How long a launch may stay without a first status (`--task_launch_confirm_timeout`).
    pub launch_confirm_timeout: Duration,
    /// How long a task may stay staging or starting (`--task_launch_timeout`).
    pub launch_timeout: Duration,
    /// From the connection to the second look at all tasks; the first is at once
    /// (`--reconciliation_initial_delay`).
    pub reconcile_after: Duration,
    /// From one look at all tasks to the next (`--reconciliation_interval`).
    pub reconcile_every: Duration,
    /// How often all apps are compared with their goals though nothing happened
    /// (`--scale_apps_interval`).
    pub scale_check_every: Duration,
    /// Whether agents in maintenance are avoided (not `--disable_maintenance_mode`).
    pub maintenance_mode: bool,
    /// How long before its maintenance an agent is avoided (`--draining_seconds`).
    pub draining: Duration,
    /// What becomes of offers of agents with GPUs (`--gpu_scheduling_behavior`).
    pub gpu_scheduling: GpuScheduling,
    /// Whether offers are turned off while nothing waits (not `--disable_suppress_offers`).
    pub suppress_offers: bool,
    /// How many kills may be under way (`--kill_chunk_size`).
    pub max_kills: usize,
    /// When a kill that nothing answered is repeated (`--kill_retry_timeout`).
    pub kill_retry: Duration,
    /// How many versions of an app are kept (`--zk_max_versions`).
    pub max_versions: usize,
}

/// Whose resources an app takes that names no roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AcceptedRoles {
    /// Unreserved ones, and those reserved for the app's role.
    #[default]
    Any,
    /// Unreserved ones only.
    Unreserved,
    /// Those reserved for the app's role only.
    Reserved,
}

/// Who may run on agents that have GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GpuScheduling {
    /// Apps that need GPUs, and those with the label `GPU_SCHEDULING_BEHAVIOR=unrestricted`.
    #[default]
    Restricted,
    /// All apps.
    Unrestricted,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            role: "*".into(),
            accepted_roles: AcceptedRoles::Any,
            env_prefix: String::new(),
            service_ports: 10_000..=20_000,
            max_running_deployments: 100,
            max_instances_per_offer: 1_000,
            launch_tokens: 10_000,
            launch_token_refresh: Duration::from_secs(30),
            decline_offer: Duration::from_secs(120),
            min_revive_interval: Duration::from_millis(50),
            launch_confirm_timeout: Duration::from_secs(300),
            launch_timeout: Duration::from_secs(300),
            reconcile_after: Duration::from_secs(15),
            reconcile_every: Duration::from_secs(600),
            scale_check_every: Duration::from_secs(300),
            maintenance_mode: true,
            draining: Duration::ZERO,
            gpu_scheduling: GpuScheduling::Restricted,
            suppress_offers: true,
            max_kills: 100,
            kill_retry: Duration::from_secs(30),
            max_versions: 50,
        }
    }
}
