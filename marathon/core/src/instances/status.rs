//! News of a task: what a status says, and what follows from it.
//!
//! A status is taken in once and acknowledged once its record is durable. Doubled, late and
//! reordered ones change nothing and are acknowledged too.

use bytes::Bytes;
use meros_proto::ids::{AgentId, IdError, TaskId};
use meros_proto::time::Timestamp;
use meros_proto::v1;
use meros_proto::v1::TaskState;
use meros_proto::v1::task_status::Reason;

use super::IpAddress;
use crate::health::CheckResult;

/// What a status says of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskUpdate {
    /// The task.
    pub task: TaskId,
    /// Its state.
    pub state: TaskState,
    /// Why it is in that state.
    pub reason: Option<Reason>,
    /// What else there is to say.
    pub message: String,
    /// Its agent, where the status names one.
    pub agent: Option<AgentId>,
    /// What it is acknowledged by. `None`: it needs no acknowledgement.
    pub uuid: Option<Bytes>,
    /// The verdict of its health check.
    pub healthy: Option<bool>,
    /// The result of its check that is only shown.
    pub check: Option<CheckResult>,
    /// When its agent was lost.
    pub unreachable_since: Option<Timestamp>,
    /// Its addresses; empty where the status names none.
    pub addresses: Vec<IpAddress>,
}

impl TaskUpdate {
    /// Reads a status as it is on the wire.
    ///
    /// # Errors
    /// When the task's or the agent's id breaks the rules for ids.
    pub fn parse(status: &v1::TaskStatus) -> Result<Self, IdError> {
        let networks = status.container_status.iter().flat_map(|status| &status.network_infos);
        let addresses = networks
            .flat_map(|network| &network.ip_addresses)
            .filter_map(|ip| {
                let v6 = ip.protocol() == v1::network_info::Protocol::IPv6;
                ip.ip_address.clone().map(|address| IpAddress { address, v6 })
            })
            .collect();
        let unreachable_nanos = status.unreachable_time.as_ref().and_then(|time| time.nanoseconds);
        Ok(Self {
            task: TaskId::from_proto(status.task_id.as_ref())?,
            state: status.state(),
            reason: status.reason.map(|_| status.reason()),
            message: status.message.clone().unwrap_or_default(),
            agent: status.agent_id.as_ref().map(AgentId::try_from).transpose()?,
            uuid: status.uuid.clone().filter(|uuid| !uuid.is_empty()),
            healthy: status.healthy,
            check: status.check_status.as_ref().and_then(check_result),
            unreachable_since: unreachable_nanos
                .map(|nanos| Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(0))),
            addresses,
        })
    }
}

fn check_result(status: &v1::CheckStatusInfo) -> Option<CheckResult> {
    match (&status.http, &status.tcp, &status.command) {
        (Some(http), ..) => Some(CheckResult::Http {
            status: http.status_code.and_then(|code| u16::try_from(code).ok()),
        }),
        (_, Some(tcp), _) => Some(CheckResult::Tcp { succeeded: tcp.succeeded }),
        (.., Some(command)) => Some(CheckResult::Command { exit_code: command.exit_code }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use meros_proto::v1::network_info::{IpAddress as WireAddress, Protocol};

    use super::*;

    #[test]
    fn a_status_is_read_with_all_that_matters() {
        let address = |text: &str, protocol: Protocol| WireAddress {
            protocol: Some(protocol.into()),
            ip_address: Some(text.into()),
        };
        let network = v1::NetworkInfo {
            ip_addresses: vec![address("10.0.0.1", Protocol::IPv4), address("::1", Protocol::IPv6)],
            ..Default::default()
        };
        let status = v1::TaskStatus {
            task_id: Some(v1::TaskId { value: Some("t".into()) }),
            state: Some(TaskState::TaskUnreachable.into()),
            reason: Some(Reason::AgentRemoved.into()),
            agent_id: Some(v1::AgentId { value: Some("a".into()) }),
            uuid: Some(Bytes::from_static(b"u")),
            unreachable_time: Some(v1::TimeInfo { nanoseconds: Some(5) }),
            container_status: Some(v1::ContainerStatus {
                network_infos: vec![network],
                ..Default::default()
            }),
            ..Default::default()
        };
        let update = TaskUpdate::parse(&status).unwrap();
        assert_eq!(update.task.as_str(), "t");
        assert_eq!(
            (update.state, update.reason),
            (TaskState::TaskUnreachable, Some(Reason::AgentRemoved))
        );
        assert_eq!(update.unreachable_since, Some(Timestamp::from_nanos(5)));
        assert_eq!(update.addresses.iter().map(|ip| ip.v6).collect::<Vec<_>>(), [false, true]);
        assert_eq!(update.uuid.as_deref(), Some(&b"u"[..]));
    }

    #[test]
    fn an_empty_uuid_needs_no_acknowledgement_and_a_bad_id_is_refused() {
        let mut status = v1::TaskStatus {
            task_id: Some(v1::TaskId { value: Some("t".into()) }),
            uuid: Some(Bytes::new()),
            ..Default::default()
        };
        let update = TaskUpdate::parse(&status).unwrap();
        assert_eq!((update.uuid, update.agent, update.reason), (None, None, None));
        status.agent_id = Some(v1::AgentId { value: Some("a/b".into()) });
        assert!(TaskUpdate::parse(&status).is_err());
        status = v1::TaskStatus::default();
        assert!(TaskUpdate::parse(&status).is_err());
    }
}
