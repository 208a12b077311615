//! How records lie on disk: names with their length before them, then a Mesos message as it came.

use std::sync::Arc;

use bytes::Bytes;
use meros_proto::ids::{AgentId, ContainerId, FrameworkId, TaskId};
use meros_proto::record::{BadRecord, Record as OnDisk, RecordKind};
use meros_proto::v1::TaskStatus;
use meros_proto::wire::{self, Encoding};

use super::Record;
use crate::messages::BadMessage;
use crate::status::Update;
use crate::task::{FrameworkSpec, TaskKey, TaskSpec};

const ADMITTED: u16 = 1;
const FRAMEWORK: u16 = 2;
const ACCEPTED: u16 = 3;
const UPDATE: u16 = 4;
const ACKNOWLEDGED: u16 = 5;
const FRAMEWORK_REMOVED: u16 = 6;
const FORGOTTEN: u16 = 7;
const LEFT: u16 = 8;

/// The only version of each so far.
const VERSION: u16 = 1;

impl OnDisk for Record {
    fn kind(&self) -> RecordKind {
        let number = match self {
            Self::Admitted(_) => ADMITTED,
            Self::Framework(_) => FRAMEWORK,
            Self::Accepted { .. } => ACCEPTED,
            Self::Update { .. } => UPDATE,
            Self::Acknowledged { .. } => ACKNOWLEDGED,
            Self::FrameworkRemoved(_) => FRAMEWORK_REMOVED,
            Self::Forgotten(_) => FORGOTTEN,
            Self::Left => LEFT,
        };
        RecordKind { number, version: VERSION }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Admitted(id) => put(out, id.as_str()),
            Self::Framework(framework) => {
                put(out, framework.id.as_str());
                out.extend_from_slice(&framework.encoded);
            }
            Self::Accepted { task, container } => {
                put_key(out, &task.key);
                put(out, container.as_str());
                out.extend_from_slice(&task.encoded);
            }
            Self::Update { task, update } => {
                put_key(out, task);
                out.extend(wire::encode(Encoding::Protobuf, &update.to_proto(task)));
            }
            Self::Acknowledged { task, uuid } => {
                put_key(out, task);
                out.extend_from_slice(uuid);
            }
            Self::FrameworkRemoved(id) => put(out, id.as_str()),
            Self::Forgotten(key) => put_key(out, key),
            Self::Left => {}
        }
    }

    fn decode(kind: RecordKind, body: &[u8]) -> Result<Self, BadRecord> {
        if kind.version != VERSION || !(ADMITTED..=LEFT).contains(&kind.number) {
            return Err(BadRecord::Unknown(kind));
        }
        read(kind.number, Body(body))
            .map_err(|error| BadRecord::Body { kind, why: error.to_string() })
    }
}

fn read(number: u16, mut body: Body<'_>) -> Result<Record, BadMessage> {
    Ok(match number {
        ADMITTED => Record::Admitted(AgentId::parse(body.text()?)?),
        FRAMEWORK => {
            let id = FrameworkId::parse(body.text()?)?;
            Record::Framework(Arc::new(FrameworkSpec::parse(id, body.rest())?))
        }
        ACCEPTED => {
            let key = body.key()?;
            let container = ContainerId::parse(body.text()?)?;
            let encoded = body.rest();
            let task = if encoded.is_empty() {
                TaskSpec::unknown(key)
            } else {
                TaskSpec::parse(key.framework, encoded)?
            };
            Record::Accepted { task: Arc::new(task), container }
        }
        UPDATE => {
            let task = body.key()?;
            let status: TaskStatus = wire::decode(Encoding::Protobuf, &body.rest())?;
            Record::Update { task, update: Arc::new(Update::from_proto(&status)?) }
        }
        ACKNOWLEDGED => {
            let task = body.key()?;
            let uuid = body.0.try_into().map_err(|_| BadMessage::Other("a uuid has 16 bytes"))?;
            Record::Acknowledged { task, uuid }
        }
        FRAMEWORK_REMOVED => Record::FrameworkRemoved(FrameworkId::parse(body.text()?)?),
        FORGOTTEN => Record::Forgotten(body.key()?),
        _ => Record::Left,
    })
}

fn put(out: &mut Vec<u8>, text: &str) {
    // Ids have 255 bytes at most; a nested container's path may be longer, hence two bytes.
    let length = u16::try_from(text.len()).expect("an id is shorter than 64 KiB");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn put_key(out: &mut Vec<u8>, key: &TaskKey) {
    put(out, key.framework.as_str());
    put(out, key.task.as_str());
}

/// What is left of a record's body.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn text(&mut self) -> Result<&'a str, BadMessage> {
        const SHORT: BadMessage = BadMessage::Other("the record is cut short");
        let (length, rest) = self.0.split_first_chunk::<2>().ok_or(SHORT)?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (text, rest) = rest.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| BadMessage::Other("an id is not text"))
    }

    fn key(&mut self) -> Result<TaskKey, BadMessage> {
        let framework = FrameworkId::parse(self.text()?)?;
        Ok(TaskKey { framework, task: TaskId::parse(self.text()?)? })
    }

    fn rest(&self) -> Bytes {
        Bytes::copy_from_slice(self.0)
    }
}
