//! An AgentInfo as the core knows it.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use meros_proto::attributes::Attributes;
use meros_proto::ids::{AgentId, ExecutorId, FrameworkId, IdError, TaskId};
use meros_proto::resources::{ResourceError, Resources};
use meros_proto::v1;
use meros_proto::wire::{self, Encoding};

use crate::input::TaskReport;
use crate::model::{AgentSpec, StatusReport};
use crate::validate::StatusError;

/// Why an agent, or a task that it reports, can't be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// An id is no id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Its resources make no sense.
    #[error("invalid resources: {0}")]
    Resources(#[from] ResourceError),
    /// Its port is none.
    #[error("port {0} is out of range")]
    Port(i32),
    /// Its attributes make no sense.
    #[error("invalid attributes: {0}")]
    Attributes(String),
    /// A task's status makes no sense.
    #[error("invalid status: {0}")]
    Status(#[from] StatusError),
}

impl AgentSpec {
    /// Takes what the master needs of `info`; the rest is said beside it at registration.
    ///
    /// # Errors
    /// [`AgentError`]: the agent is to be refused.
    pub fn from_proto(
        info: &v1::AgentInfo,
        pid: &str,
        version: &str,
        capabilities: Vec<String>,
    ) -> Result<Self, AgentError> {
        let port = u16::try_from(info.port()).map_err(|_| AgentError::Port(info.port()))?;
        // The agent learns its id by registering: that alone is no change of what it is.
        let described = v1::AgentInfo { id: None, ..info.clone() };
        Ok(Self {
            hostname: info.hostname().into(),
            port,
            pid: pid.into(),
            version: version.into(),
            capabilities,
            resources: Resources::from_protos(&info.resources)?,
            attributes: Attributes::from_protos(&info.attributes)
                .map_err(|error| AgentError::Attributes(error.to_string()))?,
            raw: Bytes::from(wire::encode(Encoding::Protobuf, &described)),
        })
    }

    /// The address under which it is reached, as its `pid` says it.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        let (_, address) = self.pid.rsplit_once('@')?;
        Some(address.parse::<SocketAddr>().ok()?.ip())
    }

    /// The id that the agent of `info` was given before, if any.
    ///
    /// # Errors
    /// [`AgentError::Id`] when it is set and no id.
    pub fn given_id(info: &v1::AgentInfo) -> Result<Option<AgentId>, AgentError> {
        match info.id.as_ref().and_then(|id| id.value.as_deref()) {
            None | Some("") => Ok(None),
            Some(id) => Ok(Some(AgentId::parse(id)?)),
        }
    }

    /// Whether it announced the capability of that name.
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|name| name == capability)
    }
}

impl TaskReport {
    /// Takes what the master needs of a task that a registering agent holds.
    ///
    /// `raw` is `task`, encoded; `latest` is the state that the agent knows.
    ///
    /// # Errors
    /// [`AgentError`]: the report is garbage.
    pub fn from_proto(
        framework: FrameworkId,
        task: &v1::TaskInfo,
        raw: &[u8],
        latest: v1::TaskState,
        status: Option<StatusReport>,
    ) -> Result<Self, AgentError> {
        let executor = task.executor.as_deref();
        let mut resources = Resources::from_protos(&task.resources)?;
        if let Some(executor) = executor {
            resources += Resources::from_protos(&executor.resources)?;
        }
        Ok(Self {
            framework,
            id: TaskId::from_proto(task.task_id.as_ref())?,
            name: task.name().into(),
            executor: executor
                .map(|executor| ExecutorId::from_proto(executor.executor_id.as_ref()))
                .transpose()?,
            resources,
            state: latest,
            status: status.map(Box::new),
            // The message that it came in holds all of the agent's tasks, and is to go.
            raw: Bytes::copy_from_slice(raw),
        })
    }
}
