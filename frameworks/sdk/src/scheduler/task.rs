//! Tasks, put together.

use meros_proto::ids::TaskId;
use meros_proto::resources::{ReservationFormat, Resources};
use meros_proto::v1;

use crate::offers::Offer;

/// A task that runs `command` in a shell on the agent of `offer`, with `resources` out of it.
pub fn command_task(
    id: &TaskId,
    offer: &Offer,
    resources: &Resources,
    command: &str,
) -> v1::TaskInfo {
    v1::TaskInfo {
        name: Some(id.to_string()),
        task_id: Some(id.to_proto()),
        agent_id: Some(offer.agent().to_proto()),
        resources: resources.to_protos(ReservationFormat::Refined),
        command: Some(v1::CommandInfo {
            shell: Some(true),
            value: Some(command.to_owned()),
            ..v1::CommandInfo::default()
        }),
        ..v1::TaskInfo::default()
    }
}
