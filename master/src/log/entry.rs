//! What a registry's log is made of: operations, and at its beginning perhaps a snapshot of all that
//! went before, in parts, since a record has a greatest length.

use bytes::Bytes;
use meros_master_core::registry::{Op, State};
use meros_proto::record::{BadRecord, Record, RecordKind};

/// The longest part of a snapshot.
const PART_BYTES_MAX: usize = 4 << 20;

/// One record of a registry's log.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    /// A change.
    Op(Op),
    /// A piece of the state that the operations after it change.
    Snapshot(Part),
}

/// A piece of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    /// The layout of the whole.
    pub(super) kind: RecordKind,
    /// Which one this is, from 0.
    pub(super) number: u32,
    /// How many there are.
    pub(super) of: u32,
    /// Its piece of the bytes.
    pub(super) bytes: Bytes,
}

impl Entry {
    /// The parts of a snapshot of `state`.
    pub(super) fn snapshot(state: &State) -> Vec<Self> {
        let bytes = Bytes::from(state.encode());
        let pieces: Vec<Bytes> = (0..bytes.len().max(1))
            .step_by(PART_BYTES_MAX)
            .map(|start| bytes.slice(start..bytes.len().min(start + PART_BYTES_MAX)))
            .collect();
        let of = u32::try_from(pieces.len()).expect("there are not 2^54 bytes");
        let part =
            |(number, bytes)| Self::Snapshot(Part { kind: State::SNAPSHOT, number, of, bytes });
        (0..).zip(pieces).map(part).collect()
    }
}

impl Record for Entry {
    fn kind(&self) -> RecordKind {
        match self {
            Self::Op(op) => op.kind(),
            Self::Snapshot(part) => part.kind,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Op(op) => op.encode(out),
            Self::Snapshot(part) => {
                out.extend(part.number.to_le_bytes());
                out.extend(part.of.to_le_bytes());
                out.extend_from_slice(&part.bytes);
            }
        }
    }

    fn decode(kind: RecordKind, body: &[u8]) -> Result<Self, BadRecord> {
        if kind.number != State::SNAPSHOT.number {
            return Op::decode(kind, body).map(Self::Op);
        }
        let short = || BadRecord::Body { kind, why: "it ends too early".to_owned() };
        let (number, rest) = body.split_first_chunk().ok_or_else(short)?;
        let (of, bytes) = rest.split_first_chunk().ok_or_else(short)?;
        Ok(Self::Snapshot(Part {
            kind,
            number: u32::from_le_bytes(*number),
            of: u32::from_le_bytes(*of),
            bytes: Bytes::copy_from_slice(bytes),
        }))
    }
}
