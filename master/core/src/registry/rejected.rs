//! Why an operation is refused.

use meros_proto::ids::{AgentId, ClusterId, FrameworkId};
use meros_proto::resources::Role;

use crate::registry::MachineId;

/// Why an operation doesn't fit the state. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejected {
    /// There is a cluster already.
    #[error("the registry belongs to cluster {0} already")]
    ClusterExists(ClusterId),
    /// Ids begin with the cluster's, and have to stay ids.
    #[error("the cluster id {0} is too long")]
    ClusterIdTooLong(ClusterId),
    /// Nothing can be remembered before there is a cluster.
    #[error("there is no cluster yet")]
    NoCluster,
    /// The version doesn't go up.
    #[error("the cluster is of version {0} already")]
    VersionNotRaised(u32),
    /// Not all members of the cluster know such an operation yet.
    #[error("operation {number} needs a cluster of version {needed}, this one is of {found}")]
    TooNew {
        /// The operation's number.
        number: u16,
        /// From which version on it may be proposed.
        needed: u32,
        /// What the cluster has.
        found: u32,
    },

    /// Neither admitted nor unreachable.
    #[error("agent {0} is unknown")]
    UnknownAgent(AgentId),
    /// Only an admitted agent can become unreachable or leave.
    #[error("agent {0} is not admitted")]
    NotAdmitted(AgentId),
    /// Only an unreachable agent can be reachable again.
    #[error("agent {0} is not unreachable")]
    NotUnreachable(AgentId),
    /// Its id can't be used any more.
    #[error("agent {0} was marked gone")]
    AgentGone(AgentId),
    /// It is in the wanted state, or in one from which there is no way there.
    #[error("agent {agent} is {activity}")]
    WrongActivity {
        /// Which agent.
        agent: AgentId,
        /// What it is.
        activity: &'static str,
    },

    /// It was torn down or timed out before.
    #[error("framework {0} was removed already")]
    FrameworkRemoved(FrameworkId),
    /// The block doesn't follow the last one that was handed out.
    #[error("the next number to hand out is {next}, not {given}")]
    WrongBlock {
        /// What comes next.
        next: u64,
        /// Where the block begins.
        given: u64,
    },
    /// No number, or more than there are.
    #[error("a block of {0} numbers can't be handed out")]
    WrongBlockSize(u32),

    /// Zero, below, or not a number.
    #[error("weight {weight} of role '{role}' is not above zero and finite")]
    InvalidWeight {
        /// Whose weight.
        role: Role,
        /// The weight.
        weight: f64,
    },
    /// Nothing is asked for.
    #[error("nothing is to be set")]
    Empty,
    /// Quota is for top-level roles other than `*`, and guarantees fit within limits.
    #[error("quota of role '{role}': {why}")]
    InvalidQuota {
        /// Whose quota.
        role: Role,
        /// What is wrong.
        why: &'static str,
    },
    /// The role has none.
    #[error("role '{0}' has no quota")]
    NoQuota(Role),

    /// A window without machines.
    #[error("a maintenance window names no machine")]
    EmptyWindow,
    /// A machine is in at most one window, once.
    #[error("machine {0} is named more than once")]
    MachineTwice(MachineId),
    /// Neither host name nor address.
    #[error("a machine has neither host name nor address")]
    NamelessMachine,
    /// It has to come up first.
    #[error("machine {0} is down and can't leave the schedule")]
    MachineIsDown(MachineId),
    /// Only machines of the schedule can go down.
    #[error("machine {0} is not scheduled for maintenance")]
    MachineNotScheduled(MachineId),
    /// Only what is down can come up.
    #[error("machine {0} is not down")]
    MachineIsUp(MachineId),

    /// All entries are to be kept.
    #[error("nothing is old enough to be forgotten")]
    NothingToForget,
}
