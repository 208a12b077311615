//! A member's record on disk: an agent's, with the member's number before it.

use meros_agent_core::Record;
use meros_proto::record::{BadRecord, Record as OnDisk, RecordKind};

use super::herd::Member;

/// One line of the herd's log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HerdRecord {
    pub(super) member: Member,
    pub(super) record: Record,
}

impl OnDisk for HerdRecord {
    fn kind(&self) -> RecordKind {
        self.record.kind()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.member.0.to_le_bytes());
        self.record.encode(out);
    }

    fn decode(kind: RecordKind, body: &[u8]) -> Result<Self, BadRecord> {
        let (member, body) = body.split_first_chunk::<4>().ok_or_else(|| {
            let why = "it is too short for a member's number".to_owned();
            BadRecord::Body { kind, why }
        })?;
        let member = Member(u32::from_le_bytes(*member));
        Ok(Self { member, record: Record::decode(kind, body)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_proto::ids::AgentId;

    #[test]
    fn a_record_is_read_as_it_was_written_and_half_a_number_is_refused() {
        let record = Record::Admitted(AgentId::parse("m-S0").expect("an id"));
        let written = HerdRecord { member: Member(70_000), record };
        let mut bytes = Vec::new();
        written.encode(&mut bytes);
        let read = HerdRecord::decode(written.kind(), &bytes);
        assert_eq!(read.expect("it was just written"), written);
        for length in 0..4 {
            assert!(HerdRecord::decode(written.kind(), &bytes[..length]).is_err(), "{length}");
        }
    }
}
