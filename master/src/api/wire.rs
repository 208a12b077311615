//! The core's nouns as Mesos v1 messages.
//!
//! Bytes that the core kept are decoded here and nowhere further in. They were checked on their
//! way in, so that a message which can't be decoded now would be our own mistake: it is shown empty.

use bytes::Bytes;
use meros_master_core::{AgentSpec, MadeStatus, Offer, Status};
use meros_proto::resources::ReservationFormat;
use meros_proto::time::Timestamp;
use meros_proto::v1;
use prost::Message;

/// Decodes what the core kept encoded.
pub(crate) fn kept<T: Message + Default>(raw: &Bytes) -> T {
    T::decode(raw.clone()).unwrap_or_default()
}

/// A status, whoever made it.
pub(crate) fn task_status(status: &Status) -> v1::TaskStatus {
    match status {
        Status::Forwarded { raw, .. } => kept(raw),
        Status::Made(made) => made_status(made),
    }
}

fn made_status(made: &MadeStatus) -> v1::TaskStatus {
    let details: v1::TaskStatus = made.details.as_ref().map(kept).unwrap_or_default();
    v1::TaskStatus {
        task_id: Some(v1::TaskId { value: Some(made.task.to_string()) }),
        state: Some(made.state.into()),
        message: Some(made.message.clone()).filter(|message| !message.is_empty()),
        source: Some(made.source.into()),
        reason: made.reason.map(i32::from),
        agent_id: made.agent.as_ref().map(Into::into),
        executor_id: made.executor.as_ref().map(Into::into),
        timestamp: Some(made.timestamp.as_secs_f64()),
        unreachable_time: made.unreachable_time.map(time_info),
        healthy: details.healthy,
        check_status: details.check_status,
        labels: details.labels,
        container_status: details.container_status,
        ..Default::default()
    }
}

fn time_info(time: Timestamp) -> v1::TimeInfo {
    v1::TimeInfo { nanoseconds: Some(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)) }
}

/// An offer as its framework reads it.
pub(crate) fn offer(offer: &Offer) -> v1::Offer {
    let format = if offer.refined { ReservationFormat::Refined } else { ReservationFormat::Legacy };
    let agent: v1::AgentInfo = kept(&offer.agent_spec.raw);
    v1::Offer {
        id: Some((&offer.id).into()),
        framework_id: Some((&offer.framework).into()),
        agent_id: Some((&offer.agent).into()),
        hostname: Some(offer.agent_spec.hostname.to_string()),
        url: Some(agent_url(&offer.agent_spec)),
        domain: agent.domain,
        resources: offer.resources.to_protos(format),
        attributes: agent.attributes,
        allocation_info: Some(v1::resource::AllocationInfo { role: Some(offer.role.to_string()) }),
        ..Default::default()
    }
}

/// Where an agent's API is: its pid `slave(1)@ip:port` holds the address, and the path before it.
fn agent_url(agent: &AgentSpec) -> v1::Url {
    let (process, address) = agent.pid.split_once('@').unwrap_or(("slave(1)", ""));
    let ip = address.rsplit_once(':').map(|(ip, _)| ip.trim_matches(['[', ']']).to_owned());
    v1::Url {
        scheme: Some("http".to_owned()),
        address: Some(v1::Address {
            hostname: Some(agent.hostname.to_string()),
            ip,
            port: Some(i32::from(agent.port)),
        }),
        path: Some(format!("/{process}")),
        ..Default::default()
    }
}
