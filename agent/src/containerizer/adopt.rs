//! What an agent finds when it starts: its launcher, and the tasks of an earlier life. Blocks.
//!
//! The launcher says what it has. A task that it doesn't know, of a launcher that died, is found
//! among the host's processes. What belongs to neither is nobody's, and ended.

use std::{
    collections::{BTreeMap, HashSet},
    os::unix::ffi::OsStrExt,
    sync::Arc,
    time::Duration,
};

use tracing::{debug, info, warn};

use super::{
    config::{ContainerizerConfig, StartError},
    isolators::Isolators,
    plain, prepare,
    survivors::{self, Survivor},
};
use crate::launcher::{
    attach::{self, Attached},
    build, spawn,
    wire::{Notice, Order},
};

/// How long starts that an earlier agent ordered are waited for.
const STARTS_PATIENCE: Duration = Duration::from_secs(5);
/// How long a launcher that is ending its tasks may take: their grace, and what it has for the rest.
const ENDING_PATIENCE: Duration = Duration::from_secs(20);

/// What does not change while the agent lives.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) config: ContainerizerConfig,
    /// Names this agent's launcher, cgroups and marks.
    pub(super) instance: String,
    /// How the mark of this agent's tasks begins: `<instance>/`.
    pub(super) mark: Arc<str>,
    pub(super) isolators: Arc<Isolators>,
}

/// A launcher that was found or started.
#[derive(Debug)]
pub(super) struct Engaged {
    pub(super) attached: Attached,
    /// What it said last of each task that it knows.
    pub(super) told: BTreeMap<String, Notice>,
    /// What it is to be told first.
    pub(super) orders: Vec<Order>,
}

impl Base {
    pub(super) fn of(config: ContainerizerConfig) -> Result<Self, StartError> {
        let config = prepare::absolute(config)?;
        let instance = prepare::instance_name(&config)?;
        let isolators = Isolators::detect(instance.clone(), config.cgroups, config.cfs_quota);
        let mark = format!("{instance}/").into();
        Ok(Self { config, instance, mark, isolators: Arc::new(isolators) })
    }

    /// How the variable begins that all processes of this agent's tasks have.
    pub(super) fn marker(&self) -> Vec<u8> {
        format!("{}={}", plain::MARK, self.mark).into_bytes()
    }

    /// Takes over the launcher that runs, or starts one.
    pub(super) fn engage(&self) -> Result<Engaged, StartError> {
        let mut told = BTreeMap::new();
        while let Some(mut attached) = attach::find(&self.config.work_dir, &self.instance)? {
            info!(pid = attached.hello.pid, "launcher taken over");
            if attached.hello.is_ending() {
                info!("it is ending its tasks: waiting for it");
                // An error is its end, and what it said before counts.
                let _ = attached.hear_until(ENDING_PATIENCE, |_| false);
                told.extend(ends(std::mem::take(&mut attached.inventory)));
                attached.release();
                continue;
            }
            attached
                .hear_until(STARTS_PATIENCE, |told| !is_starting(told))
                .map_err(|error| StartError::Greeting(error.to_string()))?;
            told.extend(by_task(std::mem::take(&mut attached.inventory)));
            let orders = self.first_orders(&attached);
            return Ok(Engaged { attached, told, orders });
        }
        let attached = spawn::start(&self.config, &self.instance, self.isolators.mounts())?;
        info!(pid = attached.hello.pid, "launcher started");
        Ok(Engaged { attached, told, orders: Vec::new() })
    }

    /// What a launcher that was started with another configuration, or as another build, is told.
    fn first_orders(&self, launcher: &Attached) -> Vec<Order> {
        let timeout = self.config.recovery_timeout.as_millis();
        let recovery_timeout_ms = u64::try_from(timeout).unwrap_or(u64::MAX);
        let mut orders = vec![Order::Keep { recovery_timeout_ms }];
        let exe = &self.config.launcher_exe;
        match build::of(exe) {
            Ok(build) if build == launcher.hello.build => {}
            Ok(_) => match spawn::can_succeed(&self.config, launcher.hello.state_format) {
                Ok(()) => orders.push(Order::Upgrade {
                    program: exe.as_os_str().as_bytes().to_vec(),
                    args: self
                        .config
                        .launcher_args
                        .iter()
                        .map(|a| a.clone().into_bytes())
                        .collect(),
                }),
                Err(why) => warn!(
                    exe = %exe.display(), version = launcher.hello.version, why,
                    "the launcher stays the build that it is"
                ),
            },
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(error, exe = %exe.display(), "could not look at the launcher's executable");
            }
        }
        orders
    }

    /// The tasks that run and that no launcher knows; ends all that is neither among these nor
    /// `known`.
    pub(super) fn survivors(&self, known: &HashSet<String>) -> Vec<Survivor> {
        let survivors =
            survivors::find(&self.isolators, &self.marker(), |task| !known.contains(task));
        let followed: HashSet<&str> =
            survivors.iter().map(|survivor| survivor.container.as_str()).collect();
        debug!(known = known.len(), followed = followed.len(), "tasks of before");
        self.isolators
            .sweep_others(&self.marker(), |task| known.contains(task) || followed.contains(task));
        survivors
    }
}

fn is_starting(notices: &[Notice]) -> bool {
    let told = by_task(notices.to_vec());
    told.values().any(|notice| matches!(notice, Notice::Starting { .. }))
}

/// What is over, of what was said.
fn ends(notices: Vec<Notice>) -> BTreeMap<String, Notice> {
    let mut told = by_task(notices);
    told.retain(|_, notice| matches!(notice, Notice::Exited { .. } | Notice::StartFailed { .. }));
    told
}

/// The last that was said of each task; an end stays the last.
fn by_task(notices: Vec<Notice>) -> BTreeMap<String, Notice> {
    let mut told: BTreeMap<String, Notice> = BTreeMap::new();
    for notice in notices {
        let container = match &notice {
            Notice::Starting { container }
            | Notice::Started { container, .. }
            | Notice::StartFailed { container, .. }
            | Notice::Exited { container, .. } => container.clone(),
            Notice::Hello(_) | Notice::Listed | Notice::Ended | Notice::NotUpgraded { .. } => {
                continue;
            }
        };
        told.insert(container, notice);
    }
    told
}
