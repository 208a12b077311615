//! The cluster comes into being, and all its members come to know more operations.

use meros_proto::ids::ClusterId;
use meros_proto::time::Timestamp;

use crate::registry::field::field_struct;
use crate::registry::op::Operation;
use crate::registry::{Cluster, Rejected, State};

/// Ids of frameworks and agents have to stay ids with the cluster's before their number.
const ID_BYTES_MAX: usize = 128;

/// The registry belongs to a cluster from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterCreated {
    /// Fresh.
    pub id: ClusterId,
    /// Which operations its members know.
    pub version: u32,
    /// When.
    pub created: Timestamp,
}

field_struct!(ClusterCreated { id, version, created });

impl Operation for ClusterCreated {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        match &state.cluster {
            Some(cluster) => Err(Rejected::ClusterExists(cluster.id.clone())),
            None if self.id.as_str().len() > ID_BYTES_MAX => {
                Err(Rejected::ClusterIdTooLong(self.id.clone()))
            }
            None => Ok(()),
        }
    }

    fn apply(&self, state: &mut State) {
        let Self { id, version, created } = self.clone();
        state.cluster = Some(Cluster { id, version, created });
    }
}

/// All members know the operations of a later version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterVersionRaised {
    /// The least of the members' versions.
    pub version: u32,
}

field_struct!(ClusterVersionRaised { version });

impl Operation for ClusterVersionRaised {
    fn check(&self, state: &State) -> Result<(), Rejected> {
        match &state.cluster {
            None => Err(Rejected::NoCluster),
            Some(cluster) if cluster.version >= self.version => {
                Err(Rejected::VersionNotRaised(cluster.version))
            }
            Some(_) => Ok(()),
        }
    }

    fn apply(&self, state: &mut State) {
        if let Some(cluster) = &mut state.cluster {
            cluster.version = self.version;
        }
    }
}
