//! A TaskStatus as the core knows it.

use bytes::Bytes;
use meros_proto::ids::{IdError, TaskId};
use meros_proto::time::Timestamp;
use meros_proto::v1;
use meros_proto::wire::{self, Encoding};

use crate::model::{StatusReport, Uuid};

/// Why a status can't be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// Its task's id is no id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// It has no state that is known.
    #[error("the state is missing or unknown")]
    State,
    /// Its uuid is no uuid.
    #[error("the uuid has {0} bytes, not 16")]
    Uuid(usize),
}

impl StatusReport {
    /// Takes what the master needs of a status; `raw` is the same, encoded.
    ///
    /// # Errors
    /// [`StatusError`]: the status is garbage.
    pub fn from_proto(status: &v1::TaskStatus, raw: Bytes) -> Result<Self, StatusError> {
        let state = status.state.and_then(|number| v1::TaskState::try_from(number).ok());
        Ok(Self {
            task: TaskId::from_proto(status.task_id.as_ref())?,
            state: state.ok_or(StatusError::State)?,
            timestamp: Timestamp::from_secs_f64(status.timestamp()),
            uuid: uuid(status)?,
            raw,
            kept: kept(status),
        })
    }
}

/// The part of a status that isn't known beside it, in bytes of its own: `status` came in a message
/// that is much longer, and is to go with it.
fn kept(status: &v1::TaskStatus) -> Bytes {
    let kept = v1::TaskStatus {
        message: status.message.clone(),
        source: status.source,
        reason: status.reason,
        healthy: status.healthy,
        check_status: status.check_status,
        labels: status.labels.clone(),
        container_status: status.container_status.clone(),
        unreachable_time: status.unreachable_time,
        limitation: status.limitation.clone(),
        ..Default::default()
    };
    Bytes::from(wire::encode(Encoding::Protobuf, &kept))
}

fn uuid(status: &v1::TaskStatus) -> Result<Option<Uuid>, StatusError> {
    match status.uuid.as_deref() {
        None | Some([]) => Ok(None),
        Some(bytes) => Uuid::from_bytes(bytes).map(Some).ok_or(StatusError::Uuid(bytes.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> v1::TaskStatus {
        v1::TaskStatus {
            task_id: Some(v1::TaskId { value: Some("t".to_owned()) }),
            state: Some(v1::TaskState::TaskRunning.into()),
            uuid: Some(Bytes::from_static(&[7; 16])),
            data: Some(Bytes::from_static(b"data")),
            healthy: Some(true),
            ..Default::default()
        }
    }

    #[test]
    fn what_is_kept_is_what_is_not_known_beside_it() {
        let raw = Bytes::from(wire::encode(Encoding::Protobuf, &status()));
        let report = StatusReport::from_proto(&status(), raw.clone()).expect("it is valid");
        assert_eq!(report.raw, raw);
        let kept = v1::TaskStatus { healthy: Some(true), ..Default::default() };
        assert_eq!(report.kept, wire::encode(Encoding::Protobuf, &kept));
    }

    #[test]
    fn garbage_is_refused() {
        let no_state = v1::TaskStatus { state: None, ..status() };
        let strange = v1::TaskStatus { state: Some(99), ..status() };
        let short = v1::TaskStatus { uuid: Some(Bytes::from_static(b"short")), ..status() };
        let nameless = v1::TaskStatus { task_id: None, ..status() };
        for garbage in [no_state, strange, short, nameless] {
            assert!(StatusReport::from_proto(&garbage, Bytes::new()).is_err(), "{garbage:?}");
        }
    }
}
