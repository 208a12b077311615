//! Wire events to typed ones.

use meros_proto::ids::{self, IdError};
use meros_proto::v1::scheduler::{Event as Wire, event};

use super::event::{Event, OperationUpdate, Update};

/// What a wire event is to the driver.
#[derive(Debug)]
pub(super) enum Heard {
    /// The subscription stands.
    Subscribed(event::Subscribed),
    /// The master is alive.
    Heartbeat,
    /// The master closes the stream, and says why.
    Error(String),
    /// Something for the framework.
    Tell(Event),
    /// A kind that isn't known here.
    Unknown,
}

/// Why an event can't be what it says it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("an event {0} without its body")]
    NoBody(&'static str),
    #[error("an event with a bad id: {0}")]
    Id(#[from] IdError),
}

/// Reads one event.
pub(super) fn interpret(wire: Wire) -> Result<Heard, Malformed> {
    use event::Type;
    let kind = wire.r#type();
    let no_body = || Malformed::NoBody(kind.as_str_name());
    Ok(match kind {
        Type::Unknown => Heard::Unknown,
        Type::Heartbeat => Heard::Heartbeat,
        Type::Subscribed => Heard::Subscribed(wire.subscribed.ok_or_else(no_body)?),
        Type::Error => Heard::Error(wire.error.ok_or_else(no_body)?.message.unwrap_or_default()),
        Type::Offers => Heard::Tell(Event::Offers(wire.offers.ok_or_else(no_body)?.offers)),
        Type::InverseOffers => Heard::Tell(Event::InverseOffers(
            wire.inverse_offers.ok_or_else(no_body)?.inverse_offers,
        )),
        Type::Rescind => {
            let id = wire.rescind.and_then(|body| body.offer_id).ok_or_else(no_body)?;
            Heard::Tell(Event::Rescind(ids::OfferId::try_from(&id)?))
        }
        Type::RescindInverseOffer => {
            let body = wire.rescind_inverse_offer.ok_or_else(no_body)?;
            let id = body.inverse_offer_id.ok_or_else(no_body)?;
            Heard::Tell(Event::RescindInverse(ids::OfferId::try_from(&id)?))
        }
        Type::Update => {
            let status = wire.update.and_then(|body| body.status).ok_or_else(no_body)?;
            Heard::Tell(Event::Update(Update::new(status)))
        }
        Type::UpdateOperationStatus => {
            let body = wire.update_operation_status.ok_or_else(no_body)?;
            let status = body.status.ok_or_else(no_body)?;
            Heard::Tell(Event::OperationUpdate(OperationUpdate::new(status)))
        }
        Type::Message => {
            let body = wire.message.ok_or_else(no_body)?;
            Heard::Tell(Event::Message {
                agent: ids::AgentId::from_proto(body.agent_id.as_ref())?,
                executor: ids::ExecutorId::from_proto(body.executor_id.as_ref())?,
                data: body.data.unwrap_or_default(),
            })
        }
        Type::Failure => {
            let body = wire.failure.ok_or_else(no_body)?;
            Heard::Tell(Event::Failure {
                agent: body.agent_id.as_ref().map(ids::AgentId::try_from).transpose()?,
                executor: body.executor_id.as_ref().map(ids::ExecutorId::try_from).transpose()?,
                status: body.status,
            })
        }
    })
}

/// Whether an ERROR means that the framework is no more, so that its id must not be used again.
pub(super) fn means_removed(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["has been removed", "was removed", "torn down", "has been torn down"]
        .iter()
        .any(|text| message.contains(text))
}

/// Whether an ERROR means that a newer subscription took this one's place.
pub(super) fn means_failed_over(message: &str) -> bool {
    message.to_ascii_lowercase().contains("failed over")
}
