//! What has to survive the master's restart, and how it is written.
//!
//! One record is one change of the registry. Fields stand one after the other; texts and bytes have
//! their length before them.

use bytes::Bytes;
use meros_proto::ids::{AgentId, FrameworkId};
use meros_proto::record::{self, BadRecord, RecordKind};
use meros_proto::resources::Role;
use meros_proto::time::Timestamp;

/// One change that is durable before anything that depends on it leaves the master.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// An agent was admitted or came back; `raw` is its encoded AgentInfo.
    AgentAdmitted {
        /// Which one.
        agent: AgentId,
        /// The encoded AgentInfo.
        raw: Bytes,
    },
    /// An agent wasn't heard of for too long.
    AgentUnreachable {
        /// Which one.
        agent: AgentId,
        /// Since when.
        since: Timestamp,
    },
    /// An agent left for good.
    AgentRemoved {
        /// Which one.
        agent: AgentId,
    },
    /// A framework was torn down or didn't come back in time: its id is not usable any more.
    FrameworkRemoved {
        /// Which one.
        framework: FrameworkId,
    },
    /// A role's weight was set.
    WeightSet {
        /// Which role.
        role: Role,
        /// Above zero and finite.
        weight: f64,
    },
}

impl record::Record for Record {
    fn kind(&self) -> RecordKind {
        let number = match self {
            Self::AgentAdmitted { .. } => 1,
            Self::AgentUnreachable { .. } => 2,
            Self::AgentRemoved { .. } => 3,
            Self::FrameworkRemoved { .. } => 4,
            Self::WeightSet { .. } => 5,
        };
        RecordKind { number, version: 1 }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::AgentAdmitted { agent, raw } => {
                put(out, agent.as_str().as_bytes());
                put(out, raw);
            }
            Self::AgentUnreachable { agent, since } => {
                put(out, agent.as_str().as_bytes());
                out.extend(since.as_nanos().to_le_bytes());
            }
            Self::AgentRemoved { agent } => put(out, agent.as_str().as_bytes()),
            Self::FrameworkRemoved { framework } => put(out, framework.as_str().as_bytes()),
            Self::WeightSet { role, weight } => {
                put(out, role.as_str().as_bytes());
                out.extend(weight.to_bits().to_le_bytes());
            }
        }
    }

    fn decode(kind: RecordKind, body: &[u8]) -> Result<Self, BadRecord> {
        let mut fields = Fields { kind, rest: body };
        let record = match (kind.number, kind.version) {
            (1, 1) => Self::AgentAdmitted {
                agent: fields.text(AgentId::parse)?,
                raw: Bytes::copy_from_slice(fields.bytes()?),
            },
            (2, 1) => Self::AgentUnreachable {
                agent: fields.text(AgentId::parse)?,
                since: Timestamp::from_nanos(fields.number()?),
            },
            (3, 1) => Self::AgentRemoved { agent: fields.text(AgentId::parse)? },
            (4, 1) => Self::FrameworkRemoved { framework: fields.text(FrameworkId::parse)? },
            (5, 1) => Self::WeightSet {
                role: fields.text(Role::parse)?,
                weight: f64::from_bits(fields.number()?),
            },
            _ => return Err(BadRecord::Unknown(kind)),
        };
        match fields.rest {
            [] => Ok(record),
            rest => Err(fields.bad(format!("{} bytes too many", rest.len()))),
        }
    }
}

fn put(out: &mut Vec<u8>, field: &[u8]) {
    let length = u32::try_from(field.len()).expect("messages are limited to a few megabytes");
    out.extend(length.to_le_bytes());
    out.extend(field);
}

struct Fields<'a> {
    kind: RecordKind,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn bad(&self, why: impl Into<String>) -> BadRecord {
        BadRecord::Body { kind: self.kind, why: why.into() }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], BadRecord> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or_else(|| self.bad("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn bytes(&mut self) -> Result<&'a [u8], BadRecord> {
        let length = self.take(4)?.try_into().expect("four bytes were taken");
        self.take(u32::from_le_bytes(length) as usize)
    }

    fn number(&mut self) -> Result<u64, BadRecord> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes were taken")))
    }

    fn text<T, E: ToString>(
        &mut self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, BadRecord> {
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(bytes).map_err(|error| self.bad(error.to_string()))?;
        parse(text).map_err(|error| self.bad(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_proto::record::Record as _;

    fn records() -> Vec<Record> {
        let agent = AgentId::parse("m-S0").expect("a valid id");
        let framework = FrameworkId::parse("m-0000").expect("a valid id");
        vec![
            Record::AgentAdmitted { agent: agent.clone(), raw: Bytes::from_static(b"info") },
            Record::AgentUnreachable { agent: agent.clone(), since: Timestamp::from_millis(7) },
            Record::AgentRemoved { agent },
            Record::FrameworkRemoved { framework },
            Record::WeightSet { role: Role::parse("eng/web").expect("valid"), weight: 2.5 },
        ]
    }

    fn body(record: &Record) -> Vec<u8> {
        let mut body = Vec::new();
        record.encode(&mut body);
        body
    }

    #[test]
    fn every_record_reads_back_as_it_was_written() {
        for record in records() {
            let read = Record::decode(record.kind(), &body(&record));
            assert_eq!(read.expect("it was written just now"), record);
        }
    }

    #[test]
    fn a_damaged_or_unknown_record_is_refused() {
        for record in records() {
            let (kind, body) = (record.kind(), body(&record));
            let newer = RecordKind { version: kind.version + 1, ..kind };
            assert!(matches!(Record::decode(newer, &body), Err(BadRecord::Unknown(_))));
            for length in 0..body.len() {
                assert!(Record::decode(kind, &body[..length]).is_err(), "{record:?} at {length}");
            }
            let longer = [body.as_slice(), &[0]].concat();
            assert!(Record::decode(kind, &longer).is_err(), "{record:?} with a byte more");
        }
        let removed = RecordKind { number: 3, version: 1 };
        for body in [&[1, 0, 0, 0, 0xff][..], &[1, 0, 0, 0, b'/']] {
            assert!(matches!(Record::decode(removed, body), Err(BadRecord::Body { .. })));
        }
    }
}
