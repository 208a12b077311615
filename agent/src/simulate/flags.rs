//! What the command line says of hollow agents.

use clap::builder::RangedU64ValueParser;

/// Hollow agents, in place of one that runs tasks.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "simulate")]
#[command(next_help_heading = "Hollow agents")]
pub struct Flags {
    /// Run so many hollow agents in this process. They are real to the master, their tasks only
    /// pretend to run. Each has all of --resources; their names end in -1, -2 ...
    #[arg(long = "simulate", env = "MEROS_SIMULATE", value_name = "N",
          value_parser = RangedU64ValueParser::<u32>::new().range(1..=100_000))]
    pub agents: Option<u32>,

    /// How long a pretended task takes to start, as `200ms`. A task's label
    /// MEROS_SIMULATE_START_DELAY says otherwise for it; so it is with the other three.
    #[arg(
        long = "simulate-start-delay",
        env = "MEROS_SIMULATE_START_DELAY",
        value_name = "TIME",
        default_value = "0secs",
        requires = "agents"
    )]
    pub start_delay: String,

    /// How long it runs. Without this it runs until it is killed.
    #[arg(
        long = "simulate-run-time",
        env = "MEROS_SIMULATE_RUN_TIME",
        value_name = "TIME",
        requires = "agents"
    )]
    pub run_time: Option<String>,

    /// How likely it is to end with status 1, from 0 to 1. One that has no run time and is to fail
    /// does so as soon as it runs.
    #[arg(
        long = "simulate-failure-rate",
        env = "MEROS_SIMULATE_FAILURE_RATE",
        value_name = "RATE",
        default_value = "0",
        requires = "agents"
    )]
    pub failure_rate: String,

    /// How long it takes to end when it is asked to. Beyond its grace it is killed.
    #[arg(
        long = "simulate-kill-delay",
        env = "MEROS_SIMULATE_KILL_DELAY",
        value_name = "TIME",
        default_value = "0secs",
        requires = "agents"
    )]
    pub kill_delay: String,
}
