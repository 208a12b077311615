//! What the verbs that show the cluster have in common.

use serde::Deserialize;

use super::{Cluster, Format};

/// What is asked for, where there is nothing to choose but the cluster.
#[derive(Debug, clap::Args)]
pub(crate) struct Listing {
    #[command(flatten)]
    pub(super) cluster: Cluster,
    #[command(flatten)]
    pub(super) format: Format,
}

/// Resources of anything, as the master's endpoints tell them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Amounts {
    pub(super) cpus: f64,
    pub(super) mem: f64,
    pub(super) disk: f64,
    /// `[31000-31001, 31005-31005]`
    pub(super) ports: Option<String>,
}
