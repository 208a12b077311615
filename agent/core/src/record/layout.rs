//! How records lie on disk: names with their length before them, then a Mesos message as it came.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meros_proto::ids::{AgentId, ContainerId, FrameworkId, TaskId};
use meros_proto::record::{BadRecord, Record as OnDisk, RecordKind};
use meros_proto::time::Timestamp;
use meros_proto::v1::TaskStatus;
use meros_proto::wire::{self, Encoding};

use super::Record;
use crate::messages::BadMessage;
use crate::status::Update;
use crate::task::{FrameworkSpec, Stop, TaskKey, TaskSpec, Why};

const ADMITTED: u16 = 1;
const FRAMEWORK: u16 = 2;
const ACCEPTED: u16 = 3;
const UPDATE: u16 = 4;
const ACKNOWLEDGED: u16 = 5;
const FRAMEWORK_REMOVED: u16 = 6;
const FORGOTTEN: u16 = 7;
const LEFT: u16 = 8;
const BOOTED: u16 = 9;
const STOPPING: u16 = 10;

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
            Self::Booted(_) => BOOTED,
            Self::Stopping { .. } => STOPPING,
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
            Self::Booted(boot_id) => put(out, boot_id),
            Self::Stopping { task, stop } => {
                put_key(out, task);
                out.push(why_to_byte(stop.why));
                out.extend_from_slice(&stop.since.as_nanos().to_le_bytes());
                let grace = u64::try_from(stop.grace.as_nanos()).unwrap_or(u64::MAX);
                out.extend_from_slice(&grace.to_le_bytes());
            }
        }
    }

    fn decode(kind: RecordKind, body: &[u8]) -> Result<Self, BadRecord> {
        if kind.version != VERSION || !(ADMITTED..=STOPPING).contains(&kind.number) {
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
        BOOTED => Record::Booted(body.text()?.to_owned()),
        STOPPING => {
            let task = body.key()?;
            let why = why_of_byte(body.bytes::<1>()?[0])?;
            let since = Timestamp::from_nanos(u64::from_le_bytes(body.bytes()?));
            let grace = Duration::from_nanos(u64::from_le_bytes(body.bytes()?));
            Record::Stopping { task, stop: Stop { why, since, grace } }
        }
        _ => Record::Left,
    })
}

fn why_to_byte(why: Why) -> u8 {
    match why {
        Why::Killed => 1,
        Why::TooLong => 2,
        Why::Unhealthy => 3,
    }
}

fn why_of_byte(byte: u8) -> Result<Why, BadMessage> {
    match byte {
        1 => Ok(Why::Killed),
        2 => Ok(Why::TooLong),
        3 => Ok(Why::Unhealthy),
        _ => Err(BadMessage::Other("a task is stopped for a reason that is not known")),
    }
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

const SHORT: BadMessage = BadMessage::Other("the record is cut short");

impl<'a> Body<'a> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], BadMessage> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn text(&mut self) -> Result<&'a str, BadMessage> {
        let length = usize::from(u16::from_le_bytes(self.bytes()?));
        let (text, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
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
