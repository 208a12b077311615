//! Mesos messages to what the core decides on, and back: the one place here that looks into them.
//!
//! Used by the shell for what comes over the wire, and by the log, which keeps the messages as they
//! came.

use std::time::Duration;

use bytes::Bytes;
use meros_proto::ids::{FrameworkId, IdError, TaskId};
use meros_proto::resources::{ReservationFormat, ResourceError, Resources};
use meros_proto::time::Timestamp;
use meros_proto::v1;
use meros_proto::v1::framework_info::capability::Type as Capability;
use meros_proto::wire::{self, DecodeError, Encoding};

use crate::checks::{CheckStatus, Terms};
use crate::status::{Status, Update};
use crate::task::{FrameworkSpec, TaskKey, TaskSpec};
use crate::unbuilt::unbuilt;

/// Mesos's `KillPolicy.grace_period` where a task names none.
pub const KILL_GRACE: Duration = Duration::from_secs(3);

/// Why a message is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum BadMessage {
    /// Not a message, or an incomplete one.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// An id that can't be one.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Resources that can't be.
    #[error("resources: {0}")]
    Resources(#[from] ResourceError),
    /// Something else.
    #[error("{0}")]
    Other(&'static str),
}

impl FrameworkSpec {
    /// Reads an encoded `mesos.v1.FrameworkInfo`.
    ///
    /// # Errors
    /// See [`BadMessage`].
    pub fn parse(id: FrameworkId, encoded: Bytes) -> Result<Self, BadMessage> {
        let info: v1::FrameworkInfo = wire::decode(Encoding::Protobuf, &encoded)?;
        let has = |wanted: Capability| info.capabilities.iter().any(|c| c.r#type() == wanted);
        Ok(Self {
            id,
            partition_aware: has(Capability::PartitionAware),
            killing_state: has(Capability::TaskKillingState),
            encoded,
        })
    }
}

impl TaskSpec {
    /// Reads an encoded `mesos.v1.TaskInfo`. What can't be run here is in [`TaskSpec::problem`].
    ///
    /// # Errors
    /// See [`BadMessage`].
    pub fn parse(framework: FrameworkId, encoded: Bytes) -> Result<Self, BadMessage> {
        let info: v1::TaskInfo = wire::decode(Encoding::Protobuf, &encoded)?;
        let task = TaskId::from_proto(info.task_id.as_ref())?;
        let grace = info.kill_policy.as_ref().and_then(|policy| policy.grace_period.as_ref());
        let (problem, checks) = match (unbuilt(&info), Terms::of(&info)) {
            (None, Err(problem)) => (Some(problem), None),
            (problem, checks) => (problem, checks.ok().flatten().map(Box::new)),
        };
        Ok(Self {
            key: TaskKey { framework, task },
            resources: Resources::from_protos(&info.resources)?,
            kill_grace: grace.map_or(KILL_GRACE, span),
            max_completion: info.max_completion_time.as_ref().map(span),
            checks,
            problem,
            encoded,
        })
    }

    /// A task of which nothing is known but its name.
    pub(crate) fn unknown(key: TaskKey) -> Self {
        Self {
            key,
            resources: Resources::new(),
            kill_grace: KILL_GRACE,
            max_completion: None,
            checks: None,
            problem: None,
            encoded: Bytes::new(),
        }
    }
}

impl Update {
    /// The `mesos.v1.TaskStatus`, without what only the shell knows: agent, executor, container.
    pub fn to_proto(&self, task: &TaskKey) -> v1::TaskStatus {
        let limits = self.status.limitation.as_ref();
        v1::TaskStatus {
            task_id: Some(task.task.to_proto()),
            state: Some(self.status.state as i32),
            source: Some(self.status.source as i32),
            reason: self.status.reason.map(|reason| reason as i32),
            message: self.status.message.clone(),
            timestamp: Some(self.status.timestamp.as_secs_f64()),
            uuid: Some(Bytes::copy_from_slice(&self.uuid)),
            limitation: limits.map(|limits| v1::TaskResourceLimitation {
                resources: limits.to_protos(ReservationFormat::Refined),
            }),
            healthy: self.status.healthy,
            check_status: self.status.check.map(CheckStatus::to_proto),
            ..v1::TaskStatus::default()
        }
    }

    /// The inverse of [`Update::to_proto`], to the precision of its time stamp.
    pub(crate) fn from_proto(status: &v1::TaskStatus) -> Result<Self, BadMessage> {
        let uuid = status.uuid.as_deref().and_then(|bytes| bytes.try_into().ok());
        let limits = status.limitation.as_ref();
        let limits = limits.map(|limits| Resources::from_protos(&limits.resources)).transpose()?;
        Ok(Self {
            uuid: uuid.ok_or(BadMessage::Other("the uuid has not 16 bytes"))?,
            status: Status {
                state: status.state(),
                source: status.source(),
                reason: status.reason.map(|_| status.reason()),
                message: status.message.clone(),
                timestamp: Timestamp::from_secs_f64(status.timestamp()),
                limitation: limits,
                healthy: status.healthy,
                check: status.check_status.as_ref().and_then(CheckStatus::from_proto),
            },
        })
    }
}

/// Negative spans are refused by the master; here they count as none.
fn span(duration: &v1::DurationInfo) -> Duration {
    Duration::from_nanos(u64::try_from(duration.nanoseconds()).unwrap_or(0))
}
